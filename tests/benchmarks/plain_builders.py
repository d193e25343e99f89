"""Plain transcriptions of how the published data sets are made, in NumPy and Python, one example
after the other: what ours is timed against. Only benchmarks and their test use them; they share no
code with ``trm_model`` but the type of ARC's tasks.

Sudoku and ARC: ``dataset/build_sudoku_dataset.py`` and ``dataset/build_arc_dataset.py`` of the
authors of HRM and TRM, with the reading of source files and the names of options left out, and
explicit generators in place of NumPy's global one. Mazes: Lehnert et al. (2024).
"""

import hashlib
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trm_model.puzzles.arc.tasks import Task

Grid = npt.NDArray[Any]
Pairs = list[tuple[Grid, Grid]]


@dataclass
class Split:
    """The authors' arrays of one split, as lists that grow; saved uncompressed."""

    inputs: list[Grid] = field(default_factory=list[Grid])
    labels: list[Grid] = field(default_factory=list[Grid])
    puzzle_identifiers: list[int] = field(default_factory=list[int])
    puzzle_indices: list[int] = field(default_factory=lambda: [0])
    group_indices: list[int] = field(default_factory=lambda: [0])

    def add_puzzle(self, identifier: int, pairs: Pairs) -> None:
        for question, answer in pairs:
            self.inputs.append(question)
            self.labels.append(answer)
        self.puzzle_identifiers.append(identifier)
        self.puzzle_indices.append(len(self.inputs))

    def end_group(self) -> None:
        self.group_indices.append(len(self.puzzle_identifiers))

    def save(self, folder: Path, add: int) -> int:
        """Write ``NAME.npy``, the cells with ``add`` added; returns the number of examples."""
        folder.mkdir(parents=True)
        for name, grids in (("inputs", self.inputs), ("labels", self.labels)):
            np.save(
                folder / f"{name}.npy",
                np.concatenate(grids).reshape(len(grids), -1) + np.uint8(add),
            )
        for name in ("puzzle_identifiers", "puzzle_indices", "group_indices"):
            np.save(folder / f"{name}.npy", np.array(getattr(self, name), np.int32))
        return len(self.inputs)


# Sudoku


def shuffle_sudoku(puzzle: Grid, answer: Grid, generator: np.random.Generator) -> tuple[Grid, Grid]:
    """A random version of a puzzle and its answer, [9, 9] with 0 for blanks. As published, cell by
    cell and with digits of 64 bits."""
    digits = np.concatenate([[0], generator.permutation(9) + 1])
    transposed = generator.random() < 0.5
    rows, columns = (
        np.concatenate([3 * band + generator.permutation(3) for band in generator.permutation(3)])
        for _ in range(2)
    )
    source = np.array([rows[cell // 9] * 9 + columns[cell % 9] for cell in range(81)])

    def image(grid: Grid) -> Grid:
        return digits[(grid.T if transposed else grid).flatten()[source].reshape(9, 9)]

    return image(puzzle), image(answer)


def write_sudoku(
    folder: Path, puzzles: Grid, answers: Grid, augmentations: int, generator: np.random.Generator
) -> int:
    """Write puzzles [N, 81], each followed by random versions, to ``folder/train``; returns the
    number of examples."""
    split = Split()
    for puzzle, answer in zip(puzzles.reshape(-1, 9, 9), answers.reshape(-1, 9, 9), strict=True):
        split.add_puzzle(0, [(puzzle, answer)])
        for _ in range(augmentations):
            split.add_puzzle(0, [shuffle_sudoku(puzzle, answer, generator)])
        split.end_group()
    return split.save(folder / "train", add=1)


# Mazes


def draw_maze(
    side: int, longer_than: int, generator: np.random.Generator
) -> tuple[Grid, Grid] | None:
    """One draw: 30 to 50 % walls, two free cells, breadth-first search; tokens [side * side] of the
    maze and of the maze with a shortest path, None if that has no more than ``longer_than`` moves.
    (Published: A*, and 100 pairs of cells per layout, each searched.)"""
    cells = side * side
    order = generator.permutation(cells)
    walls = generator.integers(cells * 3 // 10, cells * 5 // 10, endpoint=True)
    free = np.ones(cells, np.bool_)
    free[order[:walls]] = False
    passable: list[bool] = free.tolist()
    start, goal = int(order[walls]), int(order[walls + 1])
    came_from, queue = {start: start}, deque([start])
    while queue and goal not in came_from:
        cell = queue.popleft()
        row, column = divmod(cell, side)
        for other, inside in (
            (cell - side, row > 0),
            (cell + side, row < side - 1),
            (cell - 1, column > 0),
            (cell + 1, column < side - 1),
        ):
            if inside and passable[other] and other not in came_from:
                came_from[other] = cell
                queue.append(other)
    if goal not in came_from:
        return None
    path = [came_from[goal]]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    if len(path) <= longer_than:
        return None
    maze = np.where(free, np.uint8(2), np.uint8(1))
    maze[start], maze[goal] = 3, 4
    label = maze.copy()
    label[path[:-1]] = 5
    return maze, label


# ARC


def dihedral(grid: Grid, which: int) -> Grid:
    if which < 4:
        return np.rot90(grid, which)
    if which < 6:
        return np.fliplr(grid) if which == 4 else np.flipud(grid)
    return grid.T if which == 6 else np.fliplr(np.rot90(grid))


def grid_hash(grid: Grid) -> str:
    return hashlib.sha256(bytes(grid.shape) + grid.tobytes()).hexdigest()


def task_hash(pairs: Pairs) -> str:
    return hashlib.sha256(
        "|".join(
            sorted(f"{grid_hash(given)}|{grid_hash(asked)}" for given, asked in pairs)
        ).encode()
    ).hexdigest()


def versions(
    task: Task, augmentations: int, generator: np.random.Generator
) -> list[tuple[str, Pairs]]:
    """Names and pairs (in the task's order) of a task and of different versions of it, from at most
    five draws for each wanted."""
    pairs = [(given, asked) for given, asked in task.pairs]
    found, seen = [(task.name, pairs)], {task_hash(pairs)}
    for _ in range(5 * augmentations):
        which = int(generator.integers(8))
        colours = np.concatenate([[0], generator.permutation(9) + 1]).astype(np.uint8)
        version = [
            (dihedral(colours[given], which), dihedral(colours[asked], which))
            for given, asked in pairs
        ]
        key = task_hash(version)
        if key not in seen:
            seen.add(key)
            found.append((f"{task.name}|||t{which}|||{''.join(map(str, colours))}", version))
        if len(found) > augmentations:
            break
    return found


def frame(pair: tuple[Grid, Grid], top: int, left: int) -> tuple[Grid, Grid]:
    """Both grids on 30 x 30 with their end marks: tokens [900]."""
    placed: list[Grid] = []
    for grid in pair:
        bottom, right = top + grid.shape[0], left + grid.shape[1]
        tokens = np.pad(grid + np.uint8(2), ((top, 30 - bottom), (left, 30 - right)))
        if bottom < 30:
            tokens[bottom, left:right] = 1
        if right < 30:
            tokens[top:bottom, right] = 1
        placed.append(tokens.flatten())
    return placed[0], placed[1]


def translated(pairs: Pairs, generator: np.random.Generator) -> Pairs:
    """Tokens of the pairs, all but a random one of them at random places."""
    corner = generator.integers(len(pairs))
    result: Pairs = []
    for number, pair in enumerate(pairs):
        places = [0, 0]
        if number != corner:
            places = [
                int(generator.integers(31 - max(sides)))
                for sides in zip(*(grid.shape for grid in pair), strict=True)
            ]
        result.append(frame(pair, *places))
    return result


def write_arc(
    folder: Path,
    train: Sequence[Task],
    test: Sequence[Task],
    augmentations: int,
    generator: np.random.Generator,
) -> int:
    """Write both splits of ARC to ``folder/train`` and ``folder/test``; returns the number of
    examples of both."""
    identifiers: dict[str, int] = {}
    # All versions of all tasks first, then all examples: as published.
    groups = [
        (task, task in test, versions(task, augmentations, generator)) for task in (*train, *test)
    ]
    splits = {"train": Split(), "test": Split()}
    for task, evaluated, group in groups:
        for name, pairs in group:
            identifier = identifiers.setdefault(name, len(identifiers) + 1)
            demonstrations = len(task.train) if evaluated else len(pairs)
            splits["train"].add_puzzle(identifier, translated(pairs[:demonstrations], generator))
            if evaluated:
                splits["test"].add_puzzle(
                    identifier, [frame(pair, 0, 0) for pair in pairs[demonstrations:]]
                )
        splits["train"].end_group()
        if evaluated:
            splits["test"].end_group()
    total = sum(split.save(folder / name, add=0) for name, split in splits.items())
    (folder / "identifiers.json").write_text(json.dumps(["<blank>", *identifiers]))
    return total
