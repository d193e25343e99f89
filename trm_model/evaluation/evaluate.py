"""Carrying out an evaluation: every example for all supervision steps, as the papers do, or as the
evaluation says.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from storage.reading import out_of_memory
from trm_model.errors import require
from trm_model.evaluation.asked import own_cells, questions
from trm_model.evaluation.finished import Columns, Finished
from trm_model.evaluation.fitting import fitting
from trm_model.finite import require_finite
from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations.generation import Outputs
from trm_model.model.reasoner import Reasoner
from trm_model.model.selections.selection import (
    LONGEST_WINDOW,
    First,
    Judged,
    Selection,
    Tries,
)
from trm_model.model.state import Output, State
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.puzzles.family import Family

EVERY_STEP = 64
"""Up to this depth, what is found after each step is kept; beyond, after some."""


def doubling(last: int) -> list[int]:
    """1, 2, 4, … and ``last`` itself."""
    return [*(1 << power for power in range((last - 1).bit_length())), last]


def kept_steps(depth: int) -> list[int]:
    """The steps 1..depth after which the answers are counted: all of few; of more than
    :data:`EVERY_STEP` the powers of two and the last, so that memory does not grow with the
    depth.
    """
    return list(range(1, depth + 1)) if depth <= EVERY_STEP else doubling(depth)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found for each of N examples: of the answers of its own selection, and of
    C other selections among the same rollouts.

    S steps are counted (:func:`kept_steps`) and J numbers of rollouts (:func:`doubling`).

    :param predictions: uint8 [N, S, L] after each counted step, or [N, 1, L] after the last.
    :param right_cells: int64 [N, S].
    :param labelled_cells: int64 [N].
    :param halt_logits: float32 [N, S].
    :param halts: bool [N, S]: whether the variant's halting rule holds after each of them.
    :param halted_at: int32 [N], the first of all steps at which it holds, the last where it never
        does.
    :param solved_at_halting: bool [N], whether the answer after that step is right.
    :param computed_steps: float32 [N], steps taken, the mean over rollouts: all, unless they stop
        at halting; where cells halt one by one, the mean over the answer's cells.
    :param any_after_step: bool [N, S], whether any rollout's answer is right.
    :param any_of_rollouts: bool [N, J], whether any answer of the first rollouts is, after the last
        step.
    :param chosen_after_step: bool [N, C, S], whether the answer that each selection chooses is.
    :param chosen_of_rollouts: bool [N, C, J], the same among the first rollouts, after the last
        step.
    """

    predictions: npt.NDArray[np.uint8]
    right_cells: npt.NDArray[np.int64]
    labelled_cells: npt.NDArray[np.int64]
    halt_logits: npt.NDArray[np.float32]
    halts: npt.NDArray[np.bool_]
    halted_at: npt.NDArray[np.int32]
    solved_at_halting: npt.NDArray[np.bool_]
    computed_steps: npt.NDArray[np.float32]
    any_after_step: npt.NDArray[np.bool_]
    any_of_rollouts: npt.NDArray[np.bool_]
    chosen_after_step: npt.NDArray[np.bool_]
    chosen_of_rollouts: npt.NDArray[np.bool_]

    @property
    def solved(self) -> npt.NDArray[np.bool_]:
        """Whether every labelled cell is right after each counted step, [N, S]."""
        return self.right_cells == self.labelled_cells[:, None]

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Self:
        """Of the fields of consecutive examples, by name."""
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


class Answer(NamedTuple):
    """The chosen answers after one test step: ``prediction`` int64 [B, L], ``halt_logits`` float32
    [B], and whether the halting rule holds, ``halts`` bool [B].
    """

    prediction: Tensor
    halt_logits: Tensor
    halts: Tensor


def require_evaluation(
    evaluation: Evaluation, variant: Variant, family: Family | None = None
) -> None:
    """Whether a model of a variant can be tested so, on puzzles of a family (None: unknown).

    :raises ConfigurationError: it cannot.
    """
    variant.require_evaluation(evaluation)
    require(
        family is None or family.verifies or not evaluation.selection.uses_verifier,
        f"selection={evaluation.selection.name}: answers to {family and family.name} cannot be "
        "verified without their labels; use another selection",
    )


@torch.no_grad()
def rollout(
    reasoner: Reasoner,
    batch: Batch,
    depth: int,
    evaluation: Evaluation,
    noise: Noise,
    end: int | None = None,
    among: range | None = None,
) -> Outputs:
    """The outputs of ``depth`` test steps, of [K B] with K rollouts per example, the first rollout
    of all examples first; see :meth:`trm_model.model.generations.generation.Generation.rollout`.

    :param among: the numbers of the rollouts that are made; None: all of the evaluation's.
    """
    numbers = range(evaluation.rollouts) if among is None else among
    asked = (batch.blank() if evaluation.blank_ids else batch).repeat(len(numbers))
    draws = noise.repeat(evaluation.rollouts, numbers)
    variant = reasoner.variant
    yield from variant.generation.rollout(
        reasoner, variant.start, asked, depth, evaluation, draws, end
    )


def _change(before: State, after: State) -> Tensor:
    """How much a step has changed the latents (the answer where there is none), [K B]."""
    pairs = list(zip(before.latents, after.latents, strict=True)) or [(before.answer, after.answer)]
    squares = [(new.float() - old.float()).square().flatten(1).mean(1) for old, new in pairs]
    return torch.stack(squares).mean(0).sqrt()


def tries(
    reasoner: Reasoner,
    batch: Batch,
    depth: int,
    evaluation: Evaluation,
    noise: Noise,
    family: Family | None = None,
    together: int | None = None,
) -> Iterator[Tries]:
    """What is known of all rollouts after each of ``depth`` test steps. The halting logit is NaN
    where a logit of the answer is not finite.

    Rollouts that have stopped are computed no more.

    :param family: says which cells are asked for and what ends an answer, and verifies answers, if
        it can.
    :param together: at most so many rollouts, of one or more examples, are computed at once; those
        of an example that wait keep their state and their answer alone. None: all.
    :raises ConfigurationError: an evaluation that the variant cannot have.
    """
    reasoner.variant.generation.require_evaluation(evaluation)
    count = evaluation.rollouts
    most = count if together is None else max(1, together // len(batch.inputs))
    parts = (range(first, min(first + most, count)) for first in range(0, count, most))
    going = [_tries(reasoner, batch, depth, evaluation, noise, family, part) for part in parts]
    return (Tries.joined(found) for found in zip(*going, strict=True))


@torch.no_grad()
def _tries(
    reasoner: Reasoner,
    batch: Batch,
    depth: int,
    evaluation: Evaluation,
    noise: Noise,
    family: Family | None,
    among: range,
) -> Iterator[Tries]:
    """:func:`tries` of the rollouts with these numbers, all at once."""
    batch, end = questions(batch, family), None if family is None else family.end
    generation, halting = reasoner.variant.generation, reasoner.variant.halting
    count, size = len(among), len(batch.inputs)
    verifier = family if family is not None and family.verifies else None
    inputs, asked = (x.repeat(count, 1) for x in (batch.inputs, batch.labels != IGNORE))

    def judged(output: Output, of: Tensor) -> tuple[Judged, Tensor]:
        sound = output.logits.isfinite().all(-1).all(-1)
        prediction = output.logits.argmax(-1)
        cells = own_cells(prediction, of, end)
        halt_logits = generation.example_logits(output.halt_logits, cells)
        answer = Judged(
            prediction.masked_fill(of & ~cells, 0),
            torch.where(sound, halt_logits, torch.nan),
            generation.example_logits(output.continue_logits, cells),
        )
        return answer, generation.going_on(output.halt_logits, cells, evaluation)

    def put(whole: Tensor | None, part: Tensor) -> Tensor:
        """The values of those going on in place of their old ones."""
        if whole is None or len(part) == len(whole):
            return part
        return whole.index_copy(0, going, part)

    outputs = rollout(reasoner, batch, depth, evaluation, noise, end, among)
    going = torch.arange(count * size, device=asked.device)
    computed = torch.zeros(count * size, device=asked.device)
    work = torch.ones_like(computed)
    # At test nobody knows whether an answer is right.
    unsolved = torch.zeros_like(going, dtype=torch.bool)
    # A rollout that stops after the first step has none.
    residual = torch.full((count * size,), torch.inf, device=asked.device)
    residuals: deque[Tensor] = deque(maxlen=LONGEST_WINDOW)
    rows: Tensor | None = None
    state: State | None = None
    now: Judged | None = None
    confidence: Tensor | None = None
    halted: First | None = None
    valid: First | None = None
    for step in range(1, depth + 1):
        right = unsolved
        if now is None or confidence is None or len(going):
            output = outputs.send(rows)
            found, left = judged(output, asked[going])
            now = Judged(*map(put, now or (None,) * len(found), found))
            confidence = put(confidence, output.logits.softmax(-1).amax(-1))
            computed, work = put(computed, computed[going] + work[going]), put(work, left)
            if state is not None:
                before = state if rows is None else state.at(rows)
                residual = put(residual, _change(before, output.state))
            if verifier is not None:
                right = put(right, _verified(verifier, inputs[going], found.prediction))
            state, rows = output.state, None
        if step > 1:  # Of all steps, so that a rollout's do not depend on when others stop.
            residuals.append(residual)
        wants = halting.wants(now.halt_logits, now.continue_logits, unsolved)
        halted = (halted or First.none(now)).after(step, wants, now)
        if verifier is not None:
            valid = (valid or First.none(now)).after(step, right, now)
        on = ~wants[going]
        if evaluation.stop_at_halting and not bool(on.all()):
            rows = on.nonzero().squeeze(1)
            going = going[rows]
        yield Tries(now, confidence, (*residuals,), computed, halted, valid).of_examples(size)


def _verified(verifier: Family, questions: Tensor, answers: Tensor) -> Tensor:
    """Which answers the family's rules accept, bool [R]."""
    cells = (x.to(torch.uint8).cpu().numpy() for x in (questions, answers))
    return torch.from_numpy(verifier.valid(*cells)).to(answers.device)


def choose(reasoner: Reasoner, selection: Selection, given: Tries) -> Answer:
    """The answers chosen among the rollouts of each example; the halting logit is NaN where that of
    any rollout is.
    """
    chosen = selection.select(given)
    unsolved = torch.zeros_like(chosen.halt_logits, dtype=torch.bool)
    halts = reasoner.variant.halting.wants(chosen.halt_logits, chosen.continue_logits, unsolved)
    sound = ~given.now.halt_logits.isnan().any(0)
    return Answer(chosen.prediction, torch.where(sound, chosen.halt_logits, torch.nan), halts)


def answers(
    reasoner: Reasoner,
    batch: Batch,
    depth: int,
    evaluation: Evaluation,
    noise: Noise,
    family: Family | None = None,
    together: int | None = None,
) -> Iterator[Answer]:
    """The answers after each of ``depth`` test steps, chosen among all rollouts of an example; see
    :func:`tries`.
    """
    for given in tries(reasoner, batch, depth, evaluation, noise, family, together):
        yield choose(reasoner, evaluation.selection, given)


def finite_answers(
    reasoner: Reasoner,
    batch: Batch,
    depth: int,
    evaluation: Evaluation,
    noise: Noise,
    family: Family | None = None,
    together: int | None = None,
) -> list[Answer]:
    """All :func:`answers`, which must come from finite numbers.

    :raises NotFiniteError: they do not.
    """
    found = list(answers(reasoner, batch, depth, evaluation, noise, family, together))
    require_finite({"logits of answers": torch.stack([answer.halt_logits for answer in found])})
    return found


def most_examples(reasoner: Reasoner, depth: int, evaluation: Evaluation, batch_size: int) -> int:
    """How many examples are answered together where at most ``batch_size`` rollouts are: at least
    one, whose rollouts may be more than can be computed at once.
    """
    wanted = max(1, batch_size // evaluation.rollouts)
    return reasoner.variant.generation.most_examples(reasoner, depth, wanted, evaluation)


def evaluate(
    reasoner: Reasoner,
    data: DeviceExamples,
    evaluation: Evaluation | None = None,
    *,
    max_steps: int,
    batch_size: int | None = None,
    index: npt.NDArray[np.int64] | None = None,
    every_step: bool = True,
    compared: Sequence[Selection] = (),
    family: Family | None = None,
    finished: Finished | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluated:
    """Test a model on the examples ``index`` int64 [N] (None: all) of ``data``, in order.

    :param evaluation: None: the variant's own.
    :param max_steps: supervision steps in training, where the evaluation leaves the depth open.
    :param batch_size: most rollouts computed together, of one or more examples; results do not
        depend on it, and it is halved where memory runs out. None: as many as the device has
        memory for (:func:`trm_model.evaluation.fitting.fitting`).
    :param every_step: keep the predictions after each counted step, not only after the last
        (memory: S times as much).
    :param compared: selections whose answers are counted too.
    :param family: of the puzzles; see :func:`tries`. None: the labels' places say what is asked
        for.
    :param finished: where finished examples are kept, so that an interrupted evaluation goes on
        from them; None: nowhere.
    :param progress: told how many of how many examples are done, first before any is computed.
    :raises ConfigurationError: an evaluation that the variant cannot have.
    :raises NotFiniteError: logits that are not finite.
    """
    evaluation = evaluation or reasoner.variant.evaluation
    require_evaluation(evaluation, reasoner.variant, family)
    # A copy: torch warns of arrays that cannot be written to, as those of a table are.
    chosen = np.arange(len(data)) if index is None else np.array(index)
    depth = reasoner.variant.test_steps(max_steps, evaluation)
    together = fitting(reasoner, evaluation) if batch_size is None else batch_size
    finished = finished or Finished()
    parts = finished.parts()
    start = sum(len(part["labelled_cells"]) for part in parts)
    progress(start, len(chosen))

    def answered(part: npt.NDArray[np.int64]) -> Columns:
        # An example's noise depends on its number alone, not on the batch that it is in.
        noise = Noise(evaluation.seed, torch.from_numpy(part).to(data.device))
        batch = data.gather(part)
        steps = tries(reasoner, batch, depth, evaluation, noise, family, together)
        counted = _counted(reasoner, batch, steps, depth, evaluation, compared)
        if not every_step:
            counted["predictions"] = counted["predictions"][:, -1:]
        return {name: column.cpu().numpy() for name, column in counted.items()}

    with finished:
        while start < len(chosen):
            size = most_examples(reasoner, depth, evaluation, together)
            part = chosen[start : start + size]
            try:
                parts.append(answered(part))
            except (MemoryError, RuntimeError) as error:
                tried = min(together, len(part) * evaluation.rollouts)
                if tried == 1 or not out_of_memory(error):
                    raise
                together = tried // 2
                continue
            finished.add(parts[-1])
            start += len(part)
            progress(start, len(chosen))
    return Evaluated.joined(parts)


def _counted(
    reasoner: Reasoner,
    batch: Batch,
    steps: Iterator[Tries],
    depth: int,
    evaluation: Evaluation,
    compared: Sequence[Selection],
) -> dict[str, Tensor]:
    """The fields of an :class:`Evaluated` for one batch, with the predictions of all counted
    steps.

    :raises NotFiniteError: logits that are not finite.
    """
    labelled = batch.labels != IGNORE
    cells, kept = labelled.sum(-1), frozenset(kept_steps(depth))

    def right(prediction: Tensor) -> Tensor:
        return ((prediction == batch.labels) & labelled).sum(-1)

    def solved(given: Tries) -> Tensor:
        """By the answers of each selection, and by any answer, bool [B, C + 1]."""
        by_selection = [right(each.select(given).prediction) == cells for each in compared]
        by_any = (right(given.now.prediction) == cells).any(0)
        return torch.stack([*by_selection, by_any], 1)

    halted_at = torch.full_like(cells, depth, dtype=torch.int32)
    halted = torch.zeros_like(cells, dtype=torch.bool)
    solved_at_halting, logits = halted, torch.zeros(len(cells), device=cells.device)
    found: list[tuple[Tensor, ...]] = []
    after_step: list[Tensor] = []
    of_rollouts: list[Tensor] = []
    computed = torch.zeros(1, len(cells), device=cells.device)
    for step, given in enumerate(steps, 1):
        answer = choose(reasoner, evaluation.selection, given)
        right_cells = right(answer.prediction)
        solved_at_halting = torch.where(halted, solved_at_halting, right_cells == cells)
        halted_at = torch.where(answer.halts & ~halted, step, halted_at)
        halted = halted | answer.halts
        # Once a number is not finite, no sum with it is.
        logits = logits + answer.halt_logits
        if step in kept:
            prediction = answer.prediction.to(torch.uint8)
            found.append((prediction, right_cells, answer.halt_logits, answer.halts))
            after_step.append(solved(given))
        if step == depth:
            computed = given.computed
            of_rollouts = [solved(given.first(k)) for k in doubling(evaluation.rollouts)]
    require_finite({"logits of answers": logits})
    predictions, right_cells, halt_logits, halts = (
        torch.stack(each, 1) for each in zip(*found, strict=True)
    )
    by_step, by_rollouts = torch.stack(after_step, 2), torch.stack(of_rollouts, 2)
    return {
        "predictions": predictions,
        "right_cells": right_cells,
        "labelled_cells": cells,
        "halt_logits": halt_logits,
        "halts": halts,
        "halted_at": halted_at,
        "solved_at_halting": solved_at_halting,
        "computed_steps": computed.mean(0),
        "any_after_step": by_step[:, -1],
        "any_of_rollouts": by_rollouts[:, -1],
        "chosen_after_step": by_step[:, :-1],
        "chosen_of_rollouts": by_rollouts[:, :-1],
    }
