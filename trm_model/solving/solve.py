"""Load a trained model and solve puzzles with it.

A checkpoint is a folder of ours (a run, or one checkpoint in it) or a file of the authors' (a plain
state dict).
"""

import importlib.util
import json
import math
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
from storage.store import follow_pointers
from trm_model.authors import checkpoints as authors
from trm_model.devices import resolve_device
from trm_model.errors import ConfigurationError, require
from trm_model.evaluation.evaluate import answers
from trm_model.model.batch import Batch
from trm_model.model.reasoner import Reasoner, build
from trm_model.noise import Noise
from trm_model.puzzles.arc.tasks import (
    SEPARATOR,
    Augmentation,
    Task,
    parse_name,
    to_tokens,
)
from trm_model.puzzles.arc.votes import Vote, vote
from trm_model.puzzles.questions import Puzzle, Tokens, puzzles_of
from trm_model.training import checkpoint as checkpoints
from trm_model.training.run import RUN_FILE, RunSpec

PUBLISHED_STEPS = 16
BATCH = 64

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
    puzzle: Puzzle
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
    path = follow_pointers(path)
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
    reasoner = build(spec.variant, spec.recipe.size, header, spec.seed, spec.recipe.precision)
    reasoner.load_state_dict(state.evaluated)
    require(
        header.grid[0] == header.grid[1],
        f"{run / RUN_FILE}: grid {header.grid}: expected a square, as all puzzles here are",
    )
    puzzles = [
        puzzle for puzzle in puzzles_of(header.grid[0]) if puzzle.vocabulary == header.vocabulary
    ]
    return Loaded(
        reasoner,
        _the_puzzle(
            puzzles,
            kind,
            f"{run / RUN_FILE}: a vocabulary of {', '.join(header.vocabulary)} on "
            f"{header.grid[0]} x {header.grid[1]}",
        ),
        spec.recipe.max_steps,
        partial(_versions_of_data, run, spec),
        f"{spec.variant_name} trained on {spec.benchmark}, seed {spec.seed}, step "
        f"{state.progress.step} of {spec.recipe.steps}",
    )


def _header_of_data(run: Path, spec: RunSpec) -> Header:
    """Of a run from before its description held the header."""
    try:
        return open_header(spec.data_folder(run) / "train.zarr")
    except (ConfigurationError, CorruptDataError) as error:
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
    puzzles = puzzles_of(side) if side * side == theirs.length else []
    puzzles = [puzzle for puzzle in puzzles if len(puzzle.vocabulary) == reasoner.vocabulary]
    puzzle = _the_puzzle(
        puzzles, kind, f"{path}: {reasoner.vocabulary} tokens on {theirs.length} cells"
    )
    names = (
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
                for row, name in enumerate(names)
                if name.split(SEPARATOR)[0] == task
            ]
        ),
        f"{path.name} of the authors', {reasoner.num_parameters:,} parameters, "
        f"{reasoner.variant.depth} layers a step",
    )


def _the_puzzle(candidates: Sequence[Puzzle], kind: str | None, found: str) -> Puzzle:
    chosen = [puzzle for puzzle in candidates if kind in (None, puzzle.name)]
    names = " or ".join(puzzle.name for puzzle in candidates) or "no puzzle known here"
    require(
        len(chosen) == 1,
        f"{found}, which is {names}: expected {'one kind' if kind is None else kind}; give the "
        "kind or other sizes",
    )
    return chosen[0]


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


def _versions_of_data(run: Path, spec: RunSpec, task: str) -> Versions:
    """From the data set's table of puzzles, where that and polars, which reads it, are there; a run
    that was taken out of its store is without its data."""
    try:
        data = spec.data_folder(run)
    except ConfigurationError:
        return []
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
    evaluation = replace(reasoner.variant.evaluation, depth=steps, seed=seed)
    if steps is None:
        steps = reasoner.variant.test_steps(loaded.max_steps)
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
    size = reasoner.variant.generation.most_examples(reasoner, steps, BATCH)
    for start in range(0, len(questions), size):
        part = slice(start, start + size)
        inputs = torch.from_numpy(questions[part]).to(device).long()
        # Nobody knows the labels: that none is IGNORE says that every cell is to be answered.
        batch = Batch(inputs, torch.zeros_like(inputs), torch.from_numpy(ids[part]).to(device))
        noise = Noise(seed, torch.arange(start, start + len(inputs), device=device))
        found = list(answers(reasoner, batch, steps, evaluation, noise))
        predictions = torch.stack([answer.prediction for answer in found], 1).to(torch.uint8)
        logits = torch.stack([answer.halt_logits for answer in found], 1)
        columns = questions[part], predictions.cpu().numpy(), logits.cpu().numpy()
        solutions += [Solution(*row) for row in zip(*columns, strict=True)]
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
    questions = np.stack([to_tokens(grid, loaded.puzzle.side) for _, _, grid in asked])
    solutions = solve_all(
        loaded, questions, np.array([row for row, _, _ in asked]), steps=steps, seed=seed
    )
    predictions, logits = (
        np.stack([solution.final for solution in solutions]),
        np.array([solution.halt_logits[-1] for solution in solutions]),
    )
    return vote([version.name for _, version, _ in asked], questions, predictions, logits, [task])
