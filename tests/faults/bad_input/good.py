"""Good files of every kind, and how they are read."""

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from assets.families.arc import read_arc
from assets.families.maze import read_maze_csv
from assets.families.puzzle_files import PuzzleFileError
from assets.families.sudoku import SudokuPuzzles, columns, read_sudoku_csv
from storage.examples import (
    DATA_AGAIN,
    LazyExamples,
    map_shards,
    read_examples,
    write_examples,
    write_plan,
)
from storage.manifest import CorruptDataError, verify_manifest, write_manifest
from storage.shards import SHARDS_AGAIN, read_shards, write_shards
from storage.tables import TableError, read_file, read_metadata, write_file
from tests.assets.families.files import checked
from tests.trm_model.puzzles.test_arc import random_task
from tests.trm_model.training.recipes import tiny_spec
from trm_model.errors import ConfigurationError
from trm_model.puzzles import maze, sudoku
from trm_model.puzzles.arc.examples import make_examples
from trm_model.puzzles.arc.parsing import from_task
from trm_model.puzzles.plans import open_examples, plan_of
from trm_model.puzzles.sudoku.examples import SudokuExamples
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress
from trm_model.training.run import RunSpec


@dataclass(frozen=True)
class Container:
    """A kind of file or folder.

    :param read: reads the good one that ``make`` writes into a folder; raises ``error`` for a bad
        one.
    :param remedy: what every message says is to be done.
    """

    error: type[Exception]
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    remedy: str = ""


MADE = sudoku.generate(6, sudoku.SHAPES[4], seed=1)
MAZES = maze.generate(6, 6, 1, longer_than=6)
HEADER = "source,question,answer,rating"
TASKS = [random_task(name, 0, tests=2) for name in ("one", "two")]
GOOD_ARC: dict[str, Any] = {task.name: from_task(task) for task in TASKS}


def csv_text(rows: list[list[str]]) -> str:
    return "\n".join([HEADER, *(",".join(row) for row in rows)]) + "\n"


SUDOKU_ROWS = [
    ["made", sudoku.to_text(p), sudoku.to_text(a), "0"]
    for p, a in zip(MADE.puzzles, MADE.answers, strict=True)
]
MAZE_ROWS = [
    ["made", maze.to_text(q), maze.to_text(a), "0"]
    for q, a in zip(MAZES.inputs, MAZES.labels, strict=True)
]


def kaggle(
    folder: Path,
    change: Callable[[dict[str, Any], dict[str, Any]], object] = lambda _challenges, _solutions: (
        None
    ),
) -> None:
    challenges = copy.deepcopy(GOOD_ARC)
    solutions = {
        name: [pair.pop("output") for pair in task["test"]] for name, task in challenges.items()
    }
    change(challenges, solutions)
    for name, value in (("challenges", challenges), ("solutions", solutions)):
        (folder / f"a_{name}.json").write_text(json.dumps(value))


def task_folder(folder: Path) -> None:
    (folder / "tasks").mkdir()
    for name, task in GOOD_ARC.items():
        (folder / "tasks" / f"{name}.json").write_text(json.dumps(task))


SUDOKU = SudokuExamples(MADE.puzzles, MADE.answers, sudoku.SHAPES[4], 3, 0)
MAZE = maze.MazeExamples(MAZES.inputs, MAZES.labels, 6, 1, 0)
ARC = make_examples([], TASKS, augmentations=2, seed=0, side=8)[0]


def read_all(folder: Path) -> object:
    """Every way there is to read a stored split."""
    path = folder / "x.zarr"
    examples = read_examples(path)
    lazy = LazyExamples(path)
    lazy.rows(np.arange(len(examples.inputs)))
    list(map_shards(path, lambda start, _inputs, _labels: start, workers=1))
    return examples


def read_planned(folder: Path) -> object:
    source = open_examples(folder / "x.zarr")
    return source, source.rows(np.arange(int(source.example_offsets[-1])))


def write_stored(folder: Path) -> None:
    write_examples(folder / "x.zarr", SUDOKU, workers=1)


def write_tar(folder: Path) -> None:
    (folder / "tar").mkdir()
    write_shards(folder / "tar", SUDOKU, shard_bytes=400, sample_bytes=200, workers=1)


def write_puzzles(folder: Path) -> None:
    forms = ["made"] * len(MADE.puzzles)
    frame = columns(MADE.puzzles, MADE.answers, MADE.difficulty, MADE.forms, forms).with_columns(
        split=pl.lit("train"),
        puzzle=pl.int_range(pl.len()),
        name=pl.int_range(pl.len()).cast(pl.String),
    )
    write_file(folder / "x.parquet", SudokuPuzzles, frame, metadata={"sources": "{}"})


def write_files(folder: Path) -> None:
    (folder / "files" / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (folder / "files" / name).write_text(f"content of {name}")
    write_manifest(folder / "files")


def write_checkpoint(folder: Path) -> None:
    tensors = {"w": torch.arange(6.0).reshape(2, 3)}
    checkpoints.save(
        folder,
        Checkpoint(
            tensors, tensors, tensors, tensors, Progress(3, totals=(1.0, 2.0), wall_seconds=2.0)
        ),
    )


CONTAINERS = {
    "sudoku csv": Container(
        PuzzleFileError,
        lambda f: (f / "x.csv").write_text(csv_text(SUDOKU_ROWS)),
        lambda f: checked(read_sudoku_csv(str(f / "x.csv"), 4)),
    ),
    "maze csv": Container(
        PuzzleFileError,
        lambda f: (f / "x.csv").write_text(csv_text(MAZE_ROWS)),
        lambda f: checked(read_maze_csv(str(f / "x.csv"))),
    ),
    "arc json": Container(
        PuzzleFileError,
        lambda f: (f / "x.json").write_text(json.dumps(GOOD_ARC)),
        lambda f: read_arc(str(f / "x.json")),
    ),
    "arc task": Container(
        PuzzleFileError,
        lambda f: (f / "x.json").write_text(json.dumps(GOOD_ARC["one"])),
        lambda f: read_arc(str(f / "x.json")),
    ),
    "arc kaggle": Container(
        PuzzleFileError, kaggle, lambda f: read_arc(str(f / "a_challenges.json"))
    ),
    "arc folder": Container(PuzzleFileError, task_folder, lambda f: read_arc(str(f / "tasks"))),
    "sudoku csv gzip": Container(
        PuzzleFileError,
        lambda f: (f / "x.csv.gz").write_bytes(
            gzip.compress(csv_text(SUDOKU_ROWS).encode(), mtime=0)
        ),
        lambda f: checked(read_sudoku_csv(str(f / "x.csv.gz"), 4)),
    ),
    "maze csv gzip": Container(
        PuzzleFileError,
        lambda f: (f / "x.csv.gz").write_bytes(
            gzip.compress(csv_text(MAZE_ROWS).encode(), mtime=0)
        ),
        lambda f: checked(read_maze_csv(str(f / "x.csv.gz"))),
    ),
    "arc json gzip": Container(
        PuzzleFileError,
        lambda f: (f / "x.json.gz").write_bytes(
            gzip.compress(json.dumps(GOOD_ARC).encode(), mtime=0)
        ),
        lambda f: read_arc(str(f / "x.json.gz")),
    ),
    "zarr": Container(CorruptDataError, write_stored, read_all, DATA_AGAIN),
    "zarr sudoku plan": Container(
        CorruptDataError,
        lambda f: write_plan(f / "x.zarr", SUDOKU, plan_of(SUDOKU)),
        read_planned,
        DATA_AGAIN,
    ),
    "zarr maze plan": Container(
        CorruptDataError,
        lambda f: write_plan(f / "x.zarr", MAZE, plan_of(MAZE)),
        read_planned,
        DATA_AGAIN,
    ),
    "zarr arc plan": Container(
        CorruptDataError,
        lambda f: write_plan(f / "x.zarr", ARC, plan_of(ARC)),
        read_planned,
        DATA_AGAIN,
    ),
    "tar": Container(
        CorruptDataError, write_tar, lambda f: read_shards(str(f / "tar")), SHARDS_AGAIN
    ),
    "manifest": Container(CorruptDataError, write_files, lambda f: verify_manifest(f / "files")),
    "parquet": Container(
        TableError,
        write_puzzles,
        lambda f: (
            read_file(f / "x.parquet", SudokuPuzzles),
            read_metadata(f / "x.parquet", "sources"),
        ),
    ),
    "run": Container(
        ConfigurationError, lambda f: tiny_spec(f, f / "data", "0" * 64).write(f), RunSpec.read
    ),
    "checkpoint": Container(
        CorruptDataError,
        write_checkpoint,
        lambda f: checkpoints.load(f / "checkpoints" / "step-00000003"),
        "remove this checkpoint and train again (trm train), which goes on from the one before",
    ),
}
