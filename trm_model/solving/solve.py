"""Solve a puzzle with a trained model: ``python -m trm_model.solving.solve CHECKPOINT PUZZLE
--help``.

CHECKPOINT is a folder of ours (a run, or one checkpoint in it) or a file of the authors' (a plain
state dict). Exit code 0 whether the answer is right or wrong; 2 with one line for a mistake.
"""

import argparse
import importlib.util
import json
import math
import os.path
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from storage.examples import Header, open_header
from storage.manifest import CorruptDataError
from trm_model.authors import checkpoints as authors
from trm_model.devices import resolve_device
from trm_model.errors import ConfigurationError, require
from trm_model.evaluation.evaluate import answers
from trm_model.model.batch import Batch
from trm_model.model.generation import most_examples
from trm_model.model.reasoner import Reasoner, build
from trm_model.noise import Noise
from trm_model.puzzles.arc.augmentation import Augmentation, parse_name
from trm_model.puzzles.arc.drawing import to_drawing
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.arc.tasks import SEPARATOR, Task
from trm_model.puzzles.arc.tokens import to_tokens
from trm_model.puzzles.arc.votes import ATTEMPTS, Vote, vote
from trm_model.puzzles.family import Family, Question, Tokens
from trm_model.puzzles.registry import families_at, family_of, names, only_family
from trm_model.training import checkpoint as checkpoints
from trm_model.training.run import RUN_FILE, RunSpec

PUBLISHED_STEPS = 16
BATCH = 64
SHOWN_CELLS = 12

Versions = list[tuple[int, Augmentation]]
"""The rows of the puzzle table that belong to an ARC task, the task itself first."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to answer.

    :param puzzle: what it answers.
    :param max_steps: supervision steps of variants that do not set their own.
    :param versions: an ARC task's name -> the versions of it that the model was trained on; none:
        unknown.
    :param description: one line for people.
    """

    reasoner: Reasoner
    puzzle: Family
    max_steps: int
    versions: Callable[[str], Versions]
    description: str


@dataclass(frozen=True, slots=True)
class Solution:
    """``question`` uint8 [L]; ``answers`` uint8 [S, L] and ``halt_logits`` float32 [S] after each
    of the S supervision steps."""

    question: Tokens
    answers: Tokens
    halt_logits: npt.NDArray[np.float32]

    @property
    def final(self) -> Tokens:
        """The answer after the last step, [L]."""
        return self.answers[-1]

    @property
    def halt_probabilities(self) -> npt.NDArray[np.float64]:
        """The model's belief, after each step, that its answer is right, [S]."""
        return 1.0 / (1.0 + np.exp(-self.halt_logits.astype(np.float64)))

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        """Which cells each step changed, the first one against the question, [S, L]."""
        return np.diff(self.answers, axis=0, prepend=self.question[None]) != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorsFile:
    """What the shapes in a checkpoint of the authors do not tell; see
    :func:`trm_model.authors.checkpoints.load`.

    :param length: cells per puzzle, L: 81 for Sudoku, 900 for mazes and ARC.
    :param latent_updates, cycles: n and T; None: as published for Sudoku (mazes and ARC were
        published with n=4).
    :param identifiers: ``identifiers.json`` of the ARC data set it was trained on: puzzle names in
        the order of the puzzle table.
    """

    heads: int
    length: int
    prefix: int | None = None
    latent_updates: int | None = None
    cycles: int | None = None
    identifiers: Path | None = None


# Loading


def load_model(
    path: Path, *, device: str = "auto", kind: str | None = None, theirs: AuthorsFile | None = None
) -> Loaded:
    """A model from a run's folder (its newest checkpoint), a checkpoint's folder within a run, or a
    file of the authors'.

    :param kind: of puzzles, where size and vocabulary leave it open.
    :param theirs: for a file of the authors', and for that alone.
    :raises ConfigurationError: no such checkpoint, or one that cannot be used; the message says
        what to change.
    :raises CorruptDataError: a damaged checkpoint.
    """
    if path.is_file():
        require(
            theirs is not None,
            f"{path}: a file, hence a checkpoint of the authors': expected --heads and --length, "
            "which its weights do not tell "
            "(published: 8 heads, the baseline 12; 81 cells for Sudoku, 900 for mazes and ARC)",
        )
        assert theirs is not None
        loaded = _load_theirs(path, kind, theirs)
    else:
        require(
            path.is_dir(),
            f"{path}: no such checkpoint; expected a run's folder, a checkpoint's folder or a "
            "file of the authors'",
        )
        require(
            theirs is None,
            f"{path}: a folder, hence a checkpoint of ours, whose sizes are known; leave out the "
            "options for files",
        )
        loaded = _load_ours(path.resolve(), kind)
    loaded.reasoner.to(_device(device)).eval()
    return loaded


def _device(name: str) -> torch.device:
    try:
        device = torch.device(resolve_device(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without it
        raise ConfigurationError(
            f"device={name!r}: {str(error).splitlines()[0]}; expected auto, cpu or one that is here"
        ) from error
    return device


def _load_ours(folder: Path, kind: str | None) -> Loaded:
    if (folder / RUN_FILE).is_file():
        run, found = folder, checkpoints.saved(folder)
        require(bool(found), f"{folder}: no checkpoint yet; train first, or give another run")
        chosen = found[-1]
    else:
        run, chosen = folder.parents[1] if len(folder.parents) > 1 else folder, folder
        require(
            (run / RUN_FILE).is_file(),
            f"{folder}: neither a run (it has no {RUN_FILE}) nor a checkpoint within one (there "
            f"is no {run / RUN_FILE}); "
            "give RUN or RUN/checkpoints/step-…",
        )
    spec = RunSpec.read(run)
    header = spec.header or _header_of_data(run, spec)
    state = checkpoints.load(chosen)
    reasoner = build(spec.variant, spec.recipe, header, spec.seed)
    reasoner.load_state_dict(state.evaluated)
    try:
        puzzle = family_of(header, kind)
    except ConfigurationError as error:
        raise ConfigurationError(f"{run / RUN_FILE}: {error}") from error
    return Loaded(
        reasoner,
        puzzle,
        spec.recipe.max_steps,
        partial(_versions_of_data, Path(spec.data)),
        f"{spec.variant_name} trained on {spec.benchmark}, seed {spec.seed}, step "
        f"{state.progress.step} of {spec.recipe.steps}",
    )


def _header_of_data(run: Path, spec: RunSpec) -> Header:
    """Of a run from before its description held the header."""
    try:
        return open_header(Path(spec.data) / "train.zarr")
    except CorruptDataError as error:
        raise ConfigurationError(
            f"{run / RUN_FILE}: no header, and the data set {spec.data} that has it cannot be "
            "read; put the data set back"
        ) from error


def _load_theirs(path: Path, kind: str | None, theirs: AuthorsFile) -> Loaded:
    reasoner = authors.load(path, heads=theirs.heads, length=theirs.length, prefix=theirs.prefix)
    # No weight's shape depends on them.
    changes = {"latent_updates": theirs.latent_updates, "cycles": theirs.cycles}
    reasoner.variant = replace(
        reasoner.variant, **{name: value for name, value in changes.items() if value is not None}
    )
    side = math.isqrt(theirs.length)
    fitting = [
        family
        for grid in ((side, side), (1, theirs.length))
        for family in families_at(grid)
        if family.cells == theirs.length and len(family.vocabulary) == reasoner.vocabulary
    ]
    puzzle = only_family(
        fitting, kind, f"{path}: {reasoner.vocabulary} tokens on {theirs.length} cells"
    )
    identifiers = (
        _read_identifiers(theirs.identifiers, len(reasoner.puzzle_rows))
        if theirs.identifiers is not None
        else []
    )
    return Loaded(
        reasoner,
        puzzle,
        PUBLISHED_STEPS,
        lambda task: _ordered(
            [
                (row, parse_name(name))
                for row, name in enumerate(identifiers)
                if name.split(SEPARATOR)[0] == task
            ]
        ),
        f"{path.name} of the authors', {reasoner.num_parameters:,} parameters, "
        f"{reasoner.variant.depth} layers a step",
    )


def _ordered(versions: Versions) -> Versions:
    return sorted(versions, key=lambda version: version[1] != Augmentation(version[1].task))


def _read_identifiers(path: Path, rows: int) -> list[str]:
    try:
        names: Any = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: {error}; expected the identifiers.json of the data set trained on"
        ) from error
    require(
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and len(names) == rows,
        f"{path}: expected a list of {rows} puzzle names, one for each row of the checkpoint's "
        "puzzle table; give the file of its data set",
    )
    return names


def _versions_of_data(data: Path, task: str) -> Versions:
    """From the data set's table of puzzles, where that and polars, which reads it, are there."""
    files = sorted((data / "puzzles").glob("train-*.parquet"))
    if not files or importlib.util.find_spec("polars") is None:
        return []
    import polars as pl

    rows = (
        pl.scan_parquet(files)
        .filter(pl.col("base") == task)
        .select("puzzle_id", "name")
        .collect()
        .iter_rows()
    )
    return _ordered([(row, parse_name(name)) for row, name in rows])


# Solving


@torch.no_grad()
def solve_all(
    loaded: Loaded,
    questions: Tokens,
    puzzle_ids: npt.NDArray[np.integer[Any]] | None = None,
    *,
    steps: int | None = None,
    seed: int = 0,
) -> list[Solution]:
    """The model's answers to questions uint8 [N, L], as
    :func:`trm_model.evaluation.evaluate.evaluate` gets them for the first N examples.

    :param puzzle_ids: rows of the puzzle table [N]; None: row 0, which is all there is but for ARC.
    :param steps: supervision steps; None: as at the model's evaluation.
    :param seed: of test-time noise, where a variant has it.
    :raises ConfigurationError: questions, rows or steps that the model cannot have.
    """
    reasoner, device = loaded.reasoner, loaded.reasoner.puzzle_rows.device
    ids = (
        np.zeros(len(questions), np.int64)
        if puzzle_ids is None
        else np.asarray(puzzle_ids, np.int64)
    )
    steps = reasoner.variant.test_steps(loaded.max_steps) if steps is None else steps
    rows = len(reasoner.puzzle_rows)
    require(steps >= 1, f"steps={steps}: expected at least 1")
    require(
        questions.ndim == 2
        and questions.shape[1] == reasoner.length
        and bool((questions < reasoner.vocabulary).all()),
        f"questions {questions.shape}: expected [N, {reasoner.length}] of tokens below "
        f"{reasoner.vocabulary}",
    )
    require(
        bool(((ids >= 0) & (ids < rows)).all()),
        f"puzzle ids {ids.min()}..{ids.max()}: expected 0..{rows - 1}, rows of the puzzle table",
    )
    solutions: list[Solution] = []
    size = most_examples(reasoner, steps, BATCH)
    for start in range(0, len(questions), size):
        part = slice(start, start + size)
        inputs = torch.from_numpy(questions[part]).to(device).long()
        # Nobody knows the labels: that none is IGNORE says that every cell is to be answered.
        batch = Batch(inputs, torch.zeros_like(inputs), torch.from_numpy(ids[part]).to(device))
        found = list(
            answers(
                reasoner,
                batch,
                steps,
                Noise(seed, torch.arange(start, start + len(inputs), device=device)),
            )
        )
        predictions = (
            torch.stack([prediction for prediction, _ in found], 1).to(torch.uint8).cpu().numpy()
        )
        logits = torch.stack([logit for _, logit in found], 1).cpu().numpy()
        solutions += [
            Solution(*rows) for rows in zip(questions[part], predictions, logits, strict=True)
        ]
    return solutions


def solve(
    loaded: Loaded, question: Tokens, puzzle_id: int = 0, *, steps: int | None = None, seed: int = 0
) -> Solution:
    """:func:`solve_all` for one question uint8 [L]."""
    return solve_all(loaded, question[None], np.array([puzzle_id]), steps=steps, seed=seed)[0]


def solve_by_votes(
    loaded: Loaded, task: Task, versions: Versions, *, steps: int | None = None, seed: int = 0
) -> list[Vote]:
    """Votes on every test input of an ARC task, asked in each of ``versions``
    (:func:`trm_model.puzzles.arc.votes.vote`)."""
    asked = [
        (row, version, version.apply(pair.input)) for pair in task.test for row, version in versions
    ]
    questions = np.stack([to_tokens(grid, loaded.puzzle.grid[0]) for _, _, grid in asked])
    solutions = solve_all(
        loaded, questions, np.array([row for row, _, _ in asked]), steps=steps, seed=seed
    )
    predictions, logits = (
        np.stack([solution.final for solution in solutions]),
        np.array([solution.halt_logits[-1] for solution in solutions]),
    )
    return vote([version.name for _, version, _ in asked], questions, predictions, logits, [task])


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trm_model.solving.solve", description="Solve a puzzle with a trained model."
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="a run's folder, a checkpoint's folder in it, or a state dict of the authors'",
    )
    parser.add_argument(
        "puzzle",
        help=(
            "a file, - for standard input, or the puzzle itself: Sudoku string, maze of # SG, ARC "
            "JSON, sum such as 12+34="
        ),
    )
    parser.add_argument("--kind", choices=names(), help="where the checkpoint leaves it open")
    parser.add_argument("--steps", type=int, help="supervision steps (default: as evaluated)")
    parser.add_argument("--seed", type=int, default=0, help="of test-time noise")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--show-steps", action="store_true", help="the answer after each supervision step"
    )
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    task = parser.add_argument_group("ARC, whose models know a task by its row of the puzzle table")
    task.add_argument("--task", help="its name (default: the file's)")
    task.add_argument("--puzzle-id", type=int, help="the row itself")
    task.add_argument(
        "--votes",
        type=int,
        default=0,
        metavar="K",
        help="let K versions of the task that were trained on vote",
    )
    theirs = parser.add_argument_group("files of the authors': what shapes do not tell")
    theirs.add_argument("--heads", type=int, help="attention heads (published: 8, the baseline 12)")
    theirs.add_argument(
        "--length", type=int, help="cells (published: 81 for Sudoku, 900 for mazes and ARC)"
    )
    theirs.add_argument(
        "--prefix", type=int, help="leading positions (default: from the shapes, or as published)"
    )
    theirs.add_argument(
        "--latent-updates",
        type=int,
        metavar="n",
        help="default: as for Sudoku; published for mazes and ARC: 4",
    )
    theirs.add_argument("--cycles", type=int, metavar="T", help="default: as published")
    theirs.add_argument(
        "--identifiers", type=Path, help="identifiers.json of the ARC data set trained on"
    )
    return parser


def _authors_file(options: argparse.Namespace) -> AuthorsFile | None:
    names = ("heads", "length", "prefix", "latent_updates", "cycles", "identifiers")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if not given:
        return None
    require(
        "heads" in given and "length" in given,
        "--heads and --length: expected both for a file of the authors'; give them",
    )
    return AuthorsFile(**given)


def _read(puzzle: str) -> tuple[str, str]:
    """(where it is from, its text)."""
    if puzzle == "-":
        return "standard input", sys.stdin.read()
    if not os.path.isfile(puzzle):  # noqa: PTH113 (a long puzzle is no error here, as it would be for Path)
        return "the puzzle given (there is no file of that name)", puzzle
    try:
        return puzzle, Path(puzzle).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{puzzle}: not a text file; expected a puzzle in UTF-8"
        ) from error


def _run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything there is to tell, as JSON values; drawings are under ``drawing``."""
    loaded = load_model(
        options.checkpoint, device=options.device, kind=options.kind, theirs=_authors_file(options)
    )
    puzzle, notes, versions, task = loaded.puzzle, [], [], None
    where, text = _read(options.puzzle)
    try:
        if isinstance(puzzle, Arc):
            name = options.task or (Path(options.puzzle).stem if where == options.puzzle else "")
            task, questions = puzzle.read_task(text, name or "task")
            versions = loaded.versions(name) if name else []
        else:
            questions = puzzle.read(text)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    row: int = (
        options.puzzle_id if options.puzzle_id is not None else versions[0][0] if versions else 0
    )
    if task is not None and not row:
        notes.append(
            f"task {task.name!r} is unknown to this checkpoint, as far as the puzzle names of its "
            "data are at hand: answered with row 0 of "
            "the puzzle table, which belongs to no task, so expect no right answer; name a task "
            "it was trained on by --task, or a row by "
            "--puzzle-id"
        )
    solutions = solve_all(
        loaded,
        np.stack([q.cells for q in questions]),
        np.full(len(questions), row),
        steps=options.steps,
        seed=options.seed,
    )
    result = [
        _describe(puzzle, question, solution)
        for question, solution in zip(questions, solutions, strict=True)
    ]
    if options.votes:
        require(
            task is not None,
            f"--votes {options.votes}: this model answers {puzzle.name}; expected ARC, leave it "
            "out",
        )
        require(
            options.votes > 0 and bool(versions),
            f"--votes {options.votes}: no versions of the task are known; leave it out",
        )
        assert task is not None
        assert isinstance(puzzle, Arc)
        used = versions[: options.votes]
        for found in solve_by_votes(loaded, task, used, steps=options.steps, seed=options.seed):
            if found.rank <= ATTEMPTS:
                verdict = puzzle.compare(questions[found.test_input], found.grid)
                result[found.test_input].setdefault("votes", []).append(
                    {
                        "answer": found.grid.tolist(),
                        "drawing": to_drawing(found.grid) or "(no grid)",
                        "votes": found.votes,
                        "of": len(used),
                        "halt_probability": found.mean_halt,
                        "right": verdict.right,
                        "verdict": str(verdict),
                    }
                )
    return {
        "model": loaded.description,
        "kind": puzzle.name,
        "grid": list(puzzle.grid),
        "puzzle_id": row,
        "notes": notes,
        "answers": result,
    }


def _describe(puzzle: Family, question: Question, solution: Solution) -> dict[str, Any]:
    verdict = puzzle.judge(question, solution.final)
    return {
        "question": puzzle.plain(question.cells),
        "answer": puzzle.plain(solution.final),
        "drawing": puzzle.draw(solution.final),
        "right": verdict.right,
        "verdict": str(verdict),
        "steps": [
            {
                "answer": puzzle.plain(answer),
                "drawing": puzzle.draw(answer),
                "changed": np.flatnonzero(changed).tolist(),
                "halt_probability": float(probability),
            }
            for answer, changed, probability in zip(
                solution.answers, solution.changed, solution.halt_probabilities, strict=True
            )
        ],
    }


def _to_text(result: dict[str, Any], *, show_steps: bool) -> str:
    _, columns = result["grid"]
    lines = [f"model: {result['model']}", *(f"note: {note}" for note in result["notes"])]
    for number, answer in enumerate(result["answers"], 1):
        steps: list[dict[str, Any]] = answer["steps"]
        if len(result["answers"]) > 1:
            lines += ["", f"test input {number}"]
        for step, described in enumerate(steps, 1) if show_steps else ():
            cells = [f"{cell // columns + 1},{cell % columns + 1}" for cell in described["changed"]]
            shown = " ".join(cells[:SHOWN_CELLS]) + (" …" if len(cells) > SHOWN_CELLS else "")
            heading = f"step {step}: halting probability {described['halt_probability']:.3f}, "
            if cells:
                lines += [
                    "",
                    f"{heading}{len(cells)} cells changed (row,column: {shown})",
                    described["drawing"],
                ]
            else:
                lines.append(f"{heading}no cell changed")
        last = steps[-1]["halt_probability"]
        lines += [
            "",
            answer["drawing"],
            f"{answer['verdict']} ({len(steps)} steps, halting probability {last:.3f})",
        ]
        for rank, voted in enumerate(answer.get("votes", ()), 1):
            lines += [
                "",
                f"attempt {rank}: {voted['votes']} of {voted['of']} votes, mean halting "
                f"probability {voted['halt_probability']:.3f}",
            ]
            lines += [voted["drawing"], voted["verdict"]]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        result = _run(options)
    except (ConfigurationError, CorruptDataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(json.dumps(result) if options.json else _to_text(result, show_steps=options.show_steps))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
