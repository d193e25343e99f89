"""A trained model that answers puzzles."""

import os.path
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from storage.examples import Header
from trm_model.choices import from_plain, to_plain
from trm_model.errors import ConfigurationError, require
from trm_model.evaluation.evaluate import finite_answers, most_examples, require_evaluation
from trm_model.model.batch import Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.noise import Noise
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.family import Family, Question, Tokens, Verdict
from trm_model.puzzles.picture import to_svg
from trm_model.texts import read_text, unmarked
from trm_model.training.run import RunSpec

BATCH = 64
"""Rollouts computed together."""

Versions = list[tuple[int, Augmentation]]
"""The rows of the puzzle table that belong to an ARC task, the task itself first."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A model's answer to one question.

    Printed, it is the answer's drawing and whether it is right.

    :param family: what the question is.
    :param question: with ``cells`` uint8 [L].
    :param answers: uint8 [S, L] after each of the S supervision steps.
    :param halt_logits: float32 [S].
    """

    family: Family
    question: Question
    answers: Tokens
    halt_logits: npt.NDArray[np.float32]

    @property
    def final(self) -> Tokens:
        """The answer after the last step, uint8 [L]."""
        return self.answers[-1]

    @property
    def plain(self) -> Any:
        """The answer in the form in which questions are written: text, or rows of colours."""
        return self.family.plain(self.final)

    @property
    def verdict(self) -> Verdict:
        """Whether the answer is right, and why."""
        return self.family.judge(self.question, self.final)

    @property
    def halt_probabilities(self) -> npt.NDArray[np.float64]:
        """The model's belief, after each step, that its answer is right, [S], 0..1."""
        return 1.0 / (1.0 + np.exp(-self.halt_logits.astype(np.float64)))

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        """Which cells each step changed, the first one against the question, [S, L]."""
        return np.diff(self.answers, axis=0, prepend=self.question.cells[None]) != 0

    def __str__(self) -> str:
        return f"{self.family.draw(self.final)}\n{self.verdict}"

    def _repr_svg_(self) -> str:
        """Question and answer as a picture, which notebooks show."""
        asked = self.question.cells
        panels = [
            ("question", self.family.picture(asked, asked)),
            (f"after step {len(self.answers)}", self.family.picture(asked, self.final)),
        ]
        return to_svg(panels, str(self.verdict))


def find_text(puzzle: str | Path) -> tuple[str, str]:
    """Where a puzzle is from, and its text: of the file of that name, of standard input for ``-``,
    else ``puzzle`` itself.

    :raises ConfigurationError: a file that is no text.
    :raises OSError: a path that cannot be read.
    """
    if puzzle == "-":
        return "standard input", read_text(puzzle)
    # os.path, since a long puzzle is no error for it, as it would be for Path.
    if isinstance(puzzle, str) and not os.path.isfile(puzzle):  # noqa: PTH113
        return "the puzzle given (there is no file of that name)", unmarked(puzzle)
    return str(puzzle), read_text(puzzle)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model ready to answer (:func:`trm_model.load`).

    :param reasoner: in evaluation mode, on its device.
    :param family: of the puzzles that it answers.
    :param max_steps: supervision steps in training.
    :param versions: an ARC task's name -> the versions of it that the model was trained on; none
        where it is unknown.
    :param description: one line for people.
    :param run: the training that it is from; None: it is a file of the authors'.
    :param step: the optimizer step that its weights are of, where that is known.
    """

    reasoner: Reasoner
    family: Family
    max_steps: int
    versions: Callable[[str], Versions]
    description: str
    run: RunSpec | None = None
    step: int | None = None

    def require_data(self, header: Header, evaluation: Evaluation | None = None) -> None:
        """Whether the model can answer the examples of a data set.

        :param header: of the data set.
        :param evaluation: how they are answered; None: the variant's own.
        :raises ConfigurationError: they are no puzzles of its, or belong to other puzzle ids.
        """
        family, rows = self.family, len(self.reasoner.puzzle_rows)
        require(
            header.vocabulary == family.vocabulary and header.grid == family.grid,
            f"examples of {header.grid[0]} x {header.grid[1]} cells and {len(header.vocabulary)} "
            f"tokens: expected puzzles of the model's, {family.name} of "
            f"{' x '.join(map(str, family.grid))}; give another data set",
        )
        blank = (evaluation or self.reasoner.variant.evaluation).blank_ids
        require(
            blank or header.num_puzzle_ids in (1, rows),
            f"a data set of {header.num_puzzle_ids} puzzle ids: the model has rows for {rows}; "
            "give the data set that it was trained on, or set blank_ids=true",
        )

    def require_names(self, names: Mapping[str, Mapping[str, int]]) -> None:
        """Whether puzzle ids mean to a data set what they mean to the model.

        :param names: of each task, the names of its versions in the data set and their ids.
        :raises ConfigurationError: they are of other puzzles, or nobody knows which.
        """
        for task, versions in names.items():
            known = {version.name: row for row, version in self.versions(task)}
            for name, row in versions.items():
                require(
                    known.get(name) == row,
                    f"{name}: puzzle id {row} of the data set, in the model's "
                    f"{known.get(name, 'unknown')}; expected the identifiers that the model was "
                    "trained with; give the data set that it was trained on (of an authors' file "
                    "its --identifiers), or set blank_ids=true",
                )

    def evaluation(
        self,
        depth: int | None = None,
        rollouts: int | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> Evaluation:
        """The variant's own evaluation with changes.

        :param depth: supervision steps; None: as the variant is evaluated.
        :param rollouts: tries per example; None: as the variant is evaluated.
        :param seed: of the random numbers at test, where the variant has some.
        :param changes: other fields of :class:`trm_model.model.evaluation.Evaluation`, in Python
            or as in YAML: ``noise=0.3``, ``selection="first_to_halt"``, or a class of your own.
        :raises ConfigurationError: an evaluation that cannot be.
        """
        given = {"depth": depth, "rollouts": rollouts, **changes}
        kept = {name: to_plain(value) for name, value in given.items() if value is not None}
        own = self.reasoner.variant.evaluation
        return from_plain(Evaluation, {**kept, "seed": seed}, own, importing=True)

    def steps(
        self,
        inputs: Tokens,
        puzzle_ids: npt.NDArray[np.integer[Any]] | None = None,
        evaluation: Evaluation | None = None,
    ) -> tuple[Tokens, npt.NDArray[np.float32]]:
        """The answers to N questions after each of S supervision steps.

        They are those that :func:`trm_model.evaluation.evaluate.evaluate` gets for the first N
        examples of a data set.

        :param inputs: tokens uint8 [N, L].
        :param puzzle_ids: rows of the puzzle table [N]; None: row 0, which is all there is but for
            ARC.
        :param evaluation: None: the variant's own.
        :returns: tokens uint8 [N, S, L] and halting logits float32 [N, S].
        :raises ConfigurationError: questions, rows or an evaluation that the model cannot have, or
            logits that are not finite.
        """
        reasoner, device = self.reasoner, self.reasoner.puzzle_rows.device
        evaluation = evaluation or reasoner.variant.evaluation
        require_evaluation(evaluation, reasoner.variant, self.family)
        depth = reasoner.variant.test_steps(self.max_steps, evaluation)
        asked = self.batch(inputs, puzzle_ids)
        predictions: list[Tokens] = [np.zeros((0, depth, reasoner.length), np.uint8)]
        logits: list[npt.NDArray[np.float32]] = [np.zeros((0, depth), np.float32)]
        size = most_examples(reasoner, depth, evaluation, BATCH)
        for start in range(0, len(inputs), size):
            items = torch.arange(start, min(start + size, len(inputs)), device=device)
            batch, noise = asked.part(items), Noise(evaluation.seed, items)
            found = finite_answers(reasoner, batch, depth, evaluation, noise, self.family, BATCH)
            cells = torch.stack([answer.prediction for answer in found], 1).to(torch.uint8)
            predictions.append(cells.cpu().numpy())
            logits.append(torch.stack([answer.halt_logits for answer in found], 1).cpu().numpy())
        return np.concatenate(predictions), np.concatenate(logits)

    def batch(
        self, inputs: Tokens, puzzle_ids: npt.NDArray[np.integer[Any]] | None = None
    ) -> Batch:
        """N questions as the model reads them, on its device; see :meth:`steps`.

        :raises ConfigurationError: questions or rows that the model cannot have.
        """
        reasoner, device = self.reasoner, self.reasoner.puzzle_rows.device
        rows = len(reasoner.puzzle_rows)
        ids = np.zeros(len(inputs), np.int64)
        if puzzle_ids is not None:
            ids = np.asarray(puzzle_ids, np.int64)
        require(
            inputs.ndim == 2
            and inputs.shape[1] == reasoner.length
            and bool((inputs < reasoner.vocabulary).all()),
            f"questions {inputs.shape}: expected [N, {reasoner.length}] of tokens below "
            f"{reasoner.vocabulary}",
        )
        require(
            bool(((ids >= 0) & (ids < rows)).all()),
            f"puzzle ids {ids.min(initial=0)}..{ids.max(initial=0)}: expected 0..{rows - 1}, rows "
            "of the puzzle table",
        )
        cells = torch.from_numpy(inputs).to(device).long()
        # Nobody knows the labels; which cells are asked for, the family says.
        return Batch(cells, torch.zeros_like(cells), torch.from_numpy(ids).to(device))

    def predict(
        self,
        inputs: npt.ArrayLike | Sequence[str],
        puzzle_ids: npt.NDArray[np.integer[Any]] | None = None,
        *,
        depth: int | None = None,
        rollouts: int | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> Tokens:
        """The answers to N questions after the last supervision step, tokens uint8 [N, L].

        :param inputs: tokens [N, L], or one question [L], or texts of one question each.
        :param puzzle_ids, depth, rollouts, seed, changes: see :meth:`steps` and
            :meth:`evaluation`.
        :raises ConfigurationError: questions, rows or an evaluation that the model cannot have.
        """
        texts = [inputs] if isinstance(inputs, str) else inputs
        if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
            cells = np.stack([self._only_question(str(text)).cells for text in texts])
        else:
            cells = np.atleast_2d(np.asarray(inputs, np.uint8))
        evaluation = self.evaluation(depth, rollouts, seed, **changes)
        found, _ = self.steps(cells, puzzle_ids, evaluation)
        return found[:, -1]

    def solve_questions(
        self, questions: Sequence[Question], puzzle_id: int, evaluation: Evaluation
    ) -> list[Solution]:
        """A solution for each question, all of one row of the puzzle table."""
        cells = np.stack([question.cells for question in questions])
        found, logits = self.steps(cells, np.full(len(questions), puzzle_id), evaluation)
        rows = zip(questions, found, logits, strict=True)
        return [Solution(self.family, *row) for row in rows]

    def solve(
        self,
        puzzle: str | Path,
        *,
        puzzle_id: int | None = None,
        depth: int | None = None,
        rollouts: int | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> Solution:
        """The answer to one puzzle, given as text or as the path of a file.

        :param puzzle: such as ``".1..42132....3.2"``; an ARC task has one test input.
        :param puzzle_id: row of the puzzle table; None: that of the task that the file is named
            after where the model knows it, else row 0.
        :param depth, rollouts, seed, changes: see :meth:`evaluation`.
        :raises ConfigurationError: no such puzzle, or one that the model cannot answer.
        """
        where, text = find_text(puzzle)
        name = Path(where).stem if where == str(puzzle) else ""
        row = self.row_of(name) if puzzle_id is None else puzzle_id
        question = self._only_question(text, where)
        evaluation = self.evaluation(depth, rollouts, seed, **changes)
        return self.solve_questions([question], row, evaluation)[0]

    def row_of(self, name: str) -> int:
        """The row of the puzzle table of the ARC task of this name; 0 where it is unknown."""
        versions = self.versions(name) if name and self.family.votes else []
        return versions[0][0] if versions else 0

    def questions(self, text: str, where: str) -> list[Question]:
        """The questions in a text.

        :param where: what it is from, for the message.
        :raises ConfigurationError: it is no puzzle of the model's.
        """
        try:
            return self.family.read(unmarked(text))
        except ValueError as error:
            raise ConfigurationError(f"{where}: {error}") from error

    def _only_question(self, text: str, where: str = "the puzzle given") -> Question:
        found = self.questions(text, where)
        require(
            len(found) == 1,
            f"{where}: {len(found)} questions, expected one; give them one by one",
        )
        return found[0]
