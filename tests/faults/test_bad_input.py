"""Every kind of bad input we know, one table: each is refused in one line that names the file, what
was expected and the remedy."""

import copy
import gzip
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.benchmarks import BENCHMARKS
from assets.data.datasets import materialize_puzzles
from assets.failures import told_in_one_line
from assets.families.arc import ArcFilesConfig, read_arc
from assets.families.file_origin import FileConfig
from assets.families.maze import read_maze_csv
from assets.families.puzzle_files import PuzzleFileError
from assets.families.sudoku import SudokuPuzzles, columns, read_sudoku_csv
from storage.build import Build
from storage.examples import (
    DATA_AGAIN,
    Examples,
    LazyExamples,
    map_shards,
    read_examples,
    write_examples,
    write_plan,
)
from storage.manifest import CorruptDataError, verify_manifest, write_manifest
from storage.shards import SHARDS_AGAIN, read_shards, write_shards
from storage.store import LocalStore
from storage.tables import TableError, read_file, read_metadata, write_file
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
from trm_model.training.loop import keep_rows
from trm_model.training.run import RunSpec

Damage = Callable[[Path], object]
REMEDY = re.compile(
    r"[;)] ?(or )?(mend|remove|give|fetch|make|write|put|rename|add|save|materialize|compress)\b"
)


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


# Good files

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
        lambda f: read_sudoku_csv(str(f / "x.csv"), 4),
    ),
    "maze csv": Container(
        PuzzleFileError,
        lambda f: (f / "x.csv").write_text(csv_text(MAZE_ROWS)),
        lambda f: read_maze_csv(str(f / "x.csv")),
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
        lambda f: read_sudoku_csv(str(f / "x.csv.gz"), 4),
    ),
    "maze csv gzip": Container(
        PuzzleFileError,
        lambda f: (f / "x.csv.gz").write_bytes(
            gzip.compress(csv_text(MAZE_ROWS).encode(), mtime=0)
        ),
        lambda f: read_maze_csv(str(f / "x.csv.gz")),
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


@dataclass(frozen=True)
class Kind:
    """One way to be wrong; ``says``: where, besides the folder, and what (parts of the message)."""

    container: str
    name: str
    damage: Damage
    says: tuple[str, ...]


KINDS: list[Kind] = []


def kind(container: str, name: str, damage: Damage, *says: str) -> None:
    KINDS.append(Kind(container, name, damage, says))


# How to damage


def on_bytes(file: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / file).write_bytes(change((folder / file).read_bytes()))


def to_bytes(file: str, data: bytes) -> Damage:
    return on_bytes(file, lambda _: data)


def remove(file: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / file
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return damage


def into_folder(file: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return damage


def flipped(data: bytes, place: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def on_json(file: str, change: Callable[[Any], object]) -> Damage:
    """``change`` alters the value in place."""

    def damage(folder: Path) -> None:
        value = json.loads((folder / file).read_bytes())
        change(value)
        (folder / file).write_text(json.dumps(value))

    return damage


def put(*path: Any) -> Callable[[Any], None]:
    """Set the value at the path ``path[:-1]`` to ``path[-1]``."""

    def change(value: Any) -> None:
        for key in path[:-2]:
            value = value[key]
        value[path[-2]] = path[-1]

    return change


def without(*path: Any) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        del value[path[-1]]

    return change


# CSV


def sudoku_row(row: int, field: int, change: Callable[[str], str]) -> Damage:
    rows = copy.deepcopy(SUDOKU_ROWS)
    rows[row][field] = change(rows[row][field])
    return to_bytes("x.csv", csv_text(rows).encode())


def maze_row(row: int, field: int, change: Callable[[str], str]) -> Damage:
    rows = copy.deepcopy(MAZE_ROWS)
    rows[row][field] = change(rows[row][field])
    return to_bytes("x.csv", csv_text(rows).encode())


def swapped(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def one_clue_less(question: str) -> str:
    cell = next(cell for cell, character in enumerate(question) if character != ".")
    return question[:cell] + "." + question[cell + 1 :]


def other_sudoku(row: int) -> str:
    p, a = sudoku.shuffle(
        MADE.puzzles[row : row + 1],
        MADE.answers[row : row + 1],
        np.array([9], np.uint64),
        sudoku.SHAPES[4],
    )
    return f"again,{sudoku.to_text(p[0])},{sudoku.to_text(a[0])},0\n"


for which, rows, more in (
    ("sudoku csv", SUDOKU_ROWS, other_sudoku(4)),
    ("maze csv", MAZE_ROWS, ",".join(MAZE_ROWS[4]) + "\n"),
):
    good = csv_text(rows)
    binary = good.encode()
    for column in HEADER.split(","):
        kind(
            which,
            f"no column {column}",
            to_bytes("x.csv", good.replace(column, "other", 1).encode()),
            f"no column {column!r}",
        )
        kind(
            which,
            f"column {column} twice",
            to_bytes("x.csv", good.replace("\n", f",{column}\n").encode()),
            f"column {column!r} twice",
        )
    kind(
        which,
        "no header",
        to_bytes("x.csv", good.partition("\n")[2].encode()),
        "no column 'source'",
    )
    kind(
        which,
        "other delimiter",
        to_bytes("x.csv", good.replace(",", ";").encode()),
        "no column 'source'",
    )
    kind(
        which,
        "line ends of the old Mac",
        to_bytes("x.csv", good.replace("\n", "\r").encode()),
        "no column 'rating'",
    )
    kind(which, "empty", to_bytes("x.csv", b""), "the file is empty")
    kind(which, "blank lines only", to_bytes("x.csv", b"\n \n\n"), "the file is empty")
    kind(which, "header only", to_bytes("x.csv", f"{HEADER}\n".encode()), "a header but no rows")
    kind(
        which, "binary", to_bytes("x.csv", bytes(range(256))), "not a text file (byte 0x80 at 128)"
    )
    kind(
        which,
        "a zero byte",
        to_bytes("x.csv", binary[:50] + b"\0" + binary[51:]),
        "a zero byte at 50",
    )
    kind(
        which,
        "Latin-1",
        to_bytes("x.csv", good.replace("made", "mäde", 1).encode("latin-1")),
        "not a text file (byte 0xe4",
    )
    kind(which, "UTF-16", to_bytes("x.csv", good.encode("utf-16")), "not a text file")
    kind(which, "an image", to_bytes("x.csv", b"\x89PNG\r\n\x1a\n" + bytes(64)), "not a text file")
    kind(
        which,
        "a web page",
        to_bytes("x.csv", b"<!DOCTYPE html>\n<html></html>\n"),
        "no column 'source'",
    )
    kind(which, "JSON", to_bytes("x.csv", json.dumps(GOOD_ARC).encode()), "no column 'source'")
    kind(which, "too few fields", to_bytes("x.csv", f"{good}made,12\n".encode()), "row 7 (line 8)")
    kind(
        which,
        "too many fields",
        to_bytes("x.csv", f"{good}{','.join(rows[0])},5\n".encode()),
        "row 7 (line 8): 5 fields, expected 4",
    )
    kind(
        which,
        "an open quote",
        to_bytes("x.csv", good.replace("made", '"made', 1).encode()),
        "x.csv: ",
    )
    kind(
        which,
        "blank line between",
        to_bytes("x.csv", good.replace("\n", "\n\n", 2).encode()),
        "row 1 (line 2)",
    )
    kind(
        which,
        "the same row twice",
        to_bytes("x.csv", f"{good}{','.join(rows[1])}\n".encode()),
        "row 7 (line 8): the same",
    )
    kind(
        which,
        "equal up to symmetry",
        to_bytes("x.csv", (good + more).encode()),
        "row 7 (line 8): the same",
    )
    kind(which, "cut in a row", to_bytes("x.csv", binary[:-20]), "row 6 (line 7)")
    kind(which, "not there", remove("x.csv"), "cannot be read")
    kind(which, "a folder", into_folder("x.csv"), "cannot be read")

for name, row, field, change, says in (
    (
        "short question",
        3,
        1,
        lambda q: q[:-1],
        "row 4 (line 5): question has 15 characters, expected 16",
    ),
    ("long question", 2, 1, lambda q: q + ".", "row 3 (line 4): question has 17 characters"),
    ("short answer", 0, 2, lambda a: a[1:], "row 1 (line 2): answer has 15 characters"),
    ("long answer", 5, 2, lambda a: a + "1", "row 6 (line 7): answer has 17 characters"),
    ("empty question", 1, 1, lambda _: "", "row 2 (line 3): question has 0 characters"),
    ("empty answer", 1, 2, lambda _: "", "row 2 (line 3): answer has 0 characters"),
    (
        "letter in the question",
        1,
        1,
        lambda q: "x" + q[1:],
        "row 2 (line 3): question has 'x' at cell 1",
    ),
    (
        "digit too large",
        1,
        1,
        lambda q: q[:2] + "5" + q[3:],
        "row 2 (line 3): question has '5' at cell 3",
    ),
    ("not ASCII", 1, 1, lambda q: "é" + q[2:], "row 2 (line 3): question has"),
    ("fullwidth digit", 1, 1, lambda q: "１" + q[3:], "row 2 (line 3): question has"),
    (
        "blank inside",
        2,
        2,
        lambda a: a[:3] + " " + a[4:],
        "row 3 (line 4): answer has ' ' at cell 4",
    ),
    (
        "zero in the answer",
        4,
        2,
        lambda a: a[:10] + "0" + a[11:],
        "row 5 (line 6): answer has '0' at cell 11",
    ),
    (
        "blank in the answer",
        4,
        2,
        lambda a: "." + a[1:],
        "row 5 (line 6): answer has '.' at cell 1",
    ),
    ("not solved", 0, 2, lambda a: a[1] + a[1:], "row 1 (line 2): answer repeats a digit"),
    (
        "another's answer",
        2,
        2,
        lambda _: SUDOKU_ROWS[0][2],
        "row 3 (line 4): answer contradicts a clue",
    ),
    (
        "several solutions",
        5,
        1,
        one_clue_less,
        "row 6 (line 7): the question has more than one solution",
    ),
    (
        "no clues",
        3,
        1,
        lambda _: "." * 16,
        "row 4 (line 5): the question has more than one solution",
    ),
    (
        "a quoted line break",
        3,
        1,
        lambda q: f'"{q[:4]}\n{q[4:]}"',
        "row 4 (line 5): question has 17 characters",
    ),
):
    kind("sudoku csv", name, sudoku_row(row, field, change), says)
kind(
    "sudoku csv",
    "9 x 9 in place of 4 x 4",
    to_bytes("x.csv", csv_text([["a", "1" * 81, "1" * 81, "0"]]).encode()),
    "has 81 characters",
)

for name, row, field, change, says in (
    (
        "not square",
        0,
        1,
        lambda q: q[:-1],
        "row 1 (line 2): question has 35 characters, expected a square",
    ),
    ("one cell", 0, 1, lambda _: "S", "row 1 (line 2): question has 1 characters"),
    ("too large", 0, 1, lambda _: "#" * 64 * 64, "row 1 (line 2): question has 4096 characters"),
    (
        "another size",
        3,
        1,
        lambda q: q[:25],
        "row 4 (line 5): question has 25 characters, expected 36",
    ),
    ("long answer", 3, 2, lambda a: a + "#", "row 4 (line 5): answer has 37 characters"),
    ("empty question", 2, 1, lambda _: "", "row 3 (line 4): question has 0 characters"),
    ("empty answer", 2, 2, lambda _: "", "row 3 (line 4): answer has 0 characters"),
    ("stripped spaces", 2, 1, lambda q: "".join(q.split(" ")), "row 3 (line 4): question has"),
    ("letter", 1, 1, lambda q: "x" + q[1:], "row 2 (line 3): question has 'x' at cell 1"),
    ("tab", 1, 1, lambda q: "\t" + q[1:], "row 2 (line 3): question has '\\t' at cell 1"),
    ("small letters", 1, 1, str.lower, "row 2 (line 3): question has 's'"),
    (
        "path in the question",
        1,
        1,
        lambda q: swapped(q, " ", "o"),
        "row 2 (line 3): question has 'o'",
    ),
    (
        "two starts",
        4,
        1,
        lambda q: swapped(q, " ", "S"),
        "row 5 (line 6): question has not exactly one start S",
    ),
    (
        "two goals",
        4,
        1,
        lambda q: swapped(q, " ", "G"),
        "row 5 (line 6): question has not exactly one goal G",
    ),
    (
        "no start",
        4,
        1,
        lambda q: swapped(q, "S", "#"),
        "row 5 (line 6): question has not exactly one start S",
    ),
    (
        "no goal",
        4,
        1,
        lambda q: swapped(q, "G", "#"),
        "row 5 (line 6): question has not exactly one goal G",
    ),
    (
        "no goal in the answer",
        4,
        2,
        lambda a: swapped(a, "G", "o"),
        "row 5 (line 6): answer has not exactly one goal G",
    ),
    (
        "no start in the answer",
        4,
        2,
        lambda a: swapped(a, "S", "o"),
        "row 5 (line 6): answer has not exactly one start S",
    ),
    (
        "other walls",
        2,
        2,
        lambda a: swapped(a, "#", " "),
        "row 3 (line 4): answer differs from the question",
    ),
    (
        "path through a wall",
        2,
        2,
        lambda a: swapped(a, "#", "o"),
        "row 3 (line 4): answer differs from the question",
    ),
    ("gap in the path", 2, 2, lambda a: swapped(a, "o", " "), "row 3 (line 4): answer's o are not"),
    ("too many marks", 5, 2, lambda a: swapped(a, " ", "o"), "row 6 (line 7): answer's o are not"),
    ("no path", 5, 2, lambda a: a.replace("o", " "), "row 6 (line 7): answer's o are not"),
    ("another's answer", 5, 2, lambda _: MAZE_ROWS[0][2], "row 6 (line 7): answer differs"),
):
    kind("maze csv", name, maze_row(row, field, change), says)
WALLED = "S#" + "#" * 33 + "G"
kind(
    "maze csv",
    "no way",
    to_bytes("x.csv", csv_text([*MAZE_ROWS[:3], ["a", WALLED, WALLED, "0"]]).encode()),
    "row 4 (line 5): question has no way",
)

# ARC

GRID = ("two", "train", 1, "output")
WHERE = "task 'two': train pair 2: output: "
for name, change, says in (
    ("task a list", put("two", []), "task 'two' is an empty list"),
    ("task text", put("two", "task"), "task 'two' is \"task\""),
    ("task null", put("two", None), "task 'two' is null"),
    ("task a number", put("two", 5), "task 'two' is 5"),
    ("no train", without("two", "train"), "task 'two': 'train' is null"),
    ("no test", without("two", "test"), "task 'two': 'test' is null"),
    ("train empty", put("two", "train", []), "task 'two': 'train' is an empty list"),
    ("test empty", put("two", "test", []), "task 'two': 'test' is an empty list"),
    ("train an object", put("two", "train", {"0": {}}), "task 'two': 'train' is an object of 1"),
    ("test text", put("two", "test", "x"), "task 'two': 'test' is \"x\""),
    ("pair a list", put("two", "train", 1, [[1], [2]]), "task 'two': train pair 2 is a list of 2"),
    ("pair null", put("two", "test", 1, None), "task 'two': test pair 2 is null"),
    ("no output", without("two", "test", 0, "output"), "task 'two': test pair 1 has no 'output'"),
    ("no input", without("one", "train", 2, "input"), "task 'one': train pair 3 has no 'input'"),
    ("grid null", put(*GRID, None), WHERE + "null"),
    ("grid a number", put(*GRID, 5), WHERE + "5"),
    ("grid empty", put(*GRID, []), WHERE + "an empty list"),
    ("grid flat", put(*GRID, [1, 2]), WHERE + "row 1 is 1"),
    ("grid text", put(*GRID, "01/10"), WHERE + '"01/10"'),
    ("grid an object", put(*GRID, {"0": [1]}), WHERE + "an object of 1"),
    ("row empty", put(*GRID, [[]]), WHERE + "row 1 is an empty list"),
    ("row text", put(*GRID, ["012"]), WHERE + 'row 1 is "012"'),
    ("later row null", put(*GRID, [[1], None]), WHERE + "row 2 is null"),
    ("ragged", put(*GRID, [[1, 2], [3]]), WHERE + "row 2 has 1 cells"),
    ("31 rows", put(*GRID, [[1]] * 31), WHERE + "31 rows"),
    ("31 columns", put(*GRID, [[1] * 31]), WHERE + "row 1 has 31 cells"),
    ("colour 10", put(*GRID, [[1, 10]]), WHERE + "row 1, column 2 is 10"),
    ("colour -1", put(*GRID, [[1], [-1]]), WHERE + "row 2, column 1 is -1"),
    ("colour 1.0", put(*GRID, [[1.0]]), WHERE + "row 1, column 1 is 1.0"),
    ("colour NaN", put(*GRID, [[float("nan")]]), WHERE + "row 1, column 1 is NaN"),
    ("colour infinite", put(*GRID, [[float("inf")]]), WHERE + "row 1, column 1 is Infinity"),
    ("colour huge", put(*GRID, [[10**50]]), WHERE + "row 1, column 1 is 1000"),
    ("colour true", put(*GRID, [[True]]), WHERE + "row 1, column 1 is true"),
    ("colour text", put(*GRID, [["1"]]), WHERE + 'row 1, column 1 is "1"'),
    ("colour null", put(*GRID, [[None]]), WHERE + "row 1, column 1 is null"),
    ("grid too deep", put(*GRID, [[[1]]]), WHERE + "row 1, column 1 is a list of 1"),
    ("name with separator", put("a|||t1", GOOD_ARC["one"]), "task name 'a|||t1'"),
    ("name empty", put("", GOOD_ARC["one"]), "task name ''"),
    ("name with line break", put("a\nb", GOOD_ARC["one"]), "task name 'a\\nb'"),
    ("name no text", put("\ud800", GOOD_ARC["one"]), "task name '\\ud800'"),
):
    kind("arc json", name, on_json("x.json", change), says)
for name, data, says in (
    ("empty", b"", "not JSON"),
    ("cut", json.dumps(GOOD_ARC).encode()[:-30], "not JSON"),
    ("rest behind", json.dumps(GOOD_ARC).encode() + b"{}", "not JSON (Extra data"),
    ("single quotes", b"{'one': {}}", "not JSON (Expecting property name"),
    ("trailing comma", b'{"one": {},}', "not JSON"),
    ("binary", b"\x93NUMPY\xff", "not JSON ('utf-8' codec"),
    ("nested too deep", b"[" * 100_000, "not JSON (maximum recursion"),
    ("number too long", b'{"one": ' + b"1" * 5000 + b"}", "not JSON (Exceeds the limit"),
    ("list at the top", b"[{}]", "a list at the top"),
    ("text at the top", b'"tasks"', "a str at the top"),
    ("null at the top", b"null", "a NoneType at the top"),
    ("no tasks", b"{}", "an empty object at the top"),
    ("name twice", b'{"a": {}, "b": 1, "a": {}}', "'a' is there twice"),
    ("key twice in a task", b'{"a": {"train": [], "train": []}}', "'train' is there twice"),
    ("CSV", csv_text(SUDOKU_ROWS).encode(), "not JSON"),
    ("one task's pair", json.dumps(GOOD_ARC["one"]["train"][0]).encode(), "task 'input' is a list"),
):
    kind("arc json", name, to_bytes("x.json", data), says)
kind("arc json", "not there", remove("x.json"), "cannot be read")
kind("arc json", "a folder without tasks", into_folder("x.json"), "no .json file in this folder")
for name, change, says in (
    ("train empty", put("train", []), "task 'x': 'train' is an empty list"),
    ("test empty", put("test", []), "task 'x': 'test' is an empty list"),
    ("no output", without("test", 1, "output"), "task 'x': test pair 2 has no 'output'"),
    (
        "bad colour",
        put("train", 0, "input", [[11]]),
        "task 'x': train pair 1: input: row 1, column 1 is 11",
    ),
    ("test missing", without("test"), "task 'train' is a list of 3"),
):
    kind("arc task", name, on_json("x.json", change), says)
for name, change, says in (
    (
        "task without solutions",
        lambda _, s: s.pop("two"),
        "a_solutions.json: no list of solutions for task 'two'",
    ),
    (
        "solutions null",
        lambda _, s: s.update(two=None),
        "a_solutions.json: no list of solutions for task 'two'",
    ),
    ("too few", lambda _, s: s["two"].pop(), "a_solutions.json: task 'two' has 1 solutions"),
    (
        "too many",
        lambda _, s: s["two"].append([[1]]),
        "a_solutions.json: task 'two' has 3 solutions",
    ),
    ("of another set", lambda c, _: c.pop("one"), "a_solutions.json: task 'one' is not in"),
    (
        "bad grid",
        lambda _, s: s.update(one=[[[11]], [[1]]]),
        "task 'one': test pair 1: output: row 1, column 1 is 11",
    ),
    (
        "grid missing",
        lambda _, s: s.update(one=[None, [[1]]]),
        "task 'one': test pair 1: output: null",
    ),
    ("challenge without tests", lambda c, _: c["one"].pop("test"), "task 'one': 'test' is null"),
    ("challenge a list", lambda c, _: c.update(one=[]), "task 'one' is an empty list"),
    (
        "challenge's pair a list",
        lambda c, _: c["one"].update(test=[[], []]),
        "task 'one': test pair 1 is an empty list",
    ),
):
    kind("arc kaggle", name, lambda folder, change=change: kaggle(folder, change), says)
kind("arc kaggle", "no solutions", remove("a_solutions.json"), "a_solutions.json: cannot be read")
kind(
    "arc kaggle",
    "solutions cut",
    on_bytes("a_solutions.json", lambda d: d[:40]),
    "a_solutions.json: not JSON",
)
kind(
    "arc kaggle",
    "solutions a list",
    to_bytes("a_solutions.json", b"[1]"),
    "a_solutions.json: a list at the top",
)
kind(
    "arc folder", "one file cut", on_bytes("tasks/two.json", lambda d: d[:40]), "two.json: not JSON"
)
kind(
    "arc folder",
    "one task bad",
    on_json("tasks/two.json", put("train", 0, "input", [[11]])),
    "two.json: task 'two': train pair 1",
)
kind(
    "arc folder",
    "task in two files",
    on_json("tasks/two.json", lambda v: (v.clear(), v.update(GOOD_ARC))),
    "task 'one' is in two files",
)
kind(
    "arc folder",
    "no tasks",
    lambda f: [path.unlink() for path in (f / "tasks").iterdir()],
    "no .json file",
)
kind(
    "arc folder",
    "a folder among the files",
    lambda f: (f / "tasks" / "three.json").mkdir(),
    "three.json: cannot be read",
)

# gzip

for which, file in (
    ("sudoku csv gzip", "x.csv.gz"),
    ("maze csv gzip", "x.csv.gz"),
    ("arc json gzip", "x.json.gz"),
):
    kind(which, "not gzip", to_bytes(file, b"source"), f"{file}: named .gz but not gzip")
    kind(which, "empty file", to_bytes(file, b""), f"{file}: named .gz but not gzip")
    kind(which, "header only", on_bytes(file, lambda d: d[:10]), f"{file}: broken gzip")
    kind(which, "cut", on_bytes(file, lambda d: d[:-20]), f"{file}: broken gzip")
    kind(which, "without its checksum", on_bytes(file, lambda d: d[:-8]), f"{file}: broken gzip")
    kind(
        which,
        "other checksum",
        on_bytes(file, lambda d: flipped(d, -7)),
        f"{file}: broken gzip (CRC check failed",
    )
    kind(
        which,
        "other length",
        on_bytes(file, lambda d: flipped(d, -2)),
        f"{file}: broken gzip (Incorrect length",
    )
    kind(
        which,
        "damaged",
        on_bytes(file, lambda d: d[:60] + b"????" + d[64:]),
        f"{file}: broken gzip",
    )
    kind(
        which,
        "unknown method",
        on_bytes(file, lambda d: d[:2] + b"\x07" + d[3:]),
        f"{file}: broken gzip (Unknown compression",
    )
    kind(which, "rest behind", on_bytes(file, lambda d: d + b"rest"), f"{file}: broken gzip")
    kind(which, "packed twice", on_bytes(file, gzip.compress), file)
    kind(which, "nothing packed", to_bytes(file, gzip.compress(b"")), file)

# Stored examples

META = "x.zarr/zarr.json"
STORED, PLANS = "zarr", ("zarr sudoku plan", "zarr maze plan", "zarr arc plan")


def overwrite(name: str, change: Callable[[Any], Any]) -> Damage:
    """Replace an array by another, well written one."""

    def damage(folder: Path) -> None:
        group = zarr.open_group(folder / "x.zarr", mode="a")
        values = np.asarray(change(np.asarray(group[name][...])))  # type: ignore[index]
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=values.shape,
            overwrite=True,
            config={"write_empty_chunks": True},
        )
        array[...] = values

    return damage


def changed(values: Any, place: Any, value: Any) -> Any:
    values = values.copy()
    values[place] = value
    return values


def attribute(*path: Any) -> Damage:
    return on_json(META, put("attributes", *path))


for which in (STORED, PLANS[0]):
    kind(which, "not there", remove("x.zarr"), "x.zarr: ")
    kind(
        which, "a file", lambda f: (remove("x.zarr")(f), (f / "x.zarr").write_text("x")), "x.zarr: "
    )
    kind(which, "no metadata", remove(META), "x.zarr: ")
    kind(which, "metadata empty", to_bytes(META, b""), "x.zarr: ")
    kind(which, "metadata cut", on_bytes(META, lambda d: d[:100]), "x.zarr: ")
    kind(which, "metadata binary", to_bytes(META, b"\xff\xfe\x00"), "x.zarr: ")
    kind(which, "metadata a list", to_bytes(META, b"[]"), "x.zarr: ")
    kind(which, "metadata an empty object", to_bytes(META, b"{}"), "x.zarr: ")
    kind(which, "metadata too deep", to_bytes(META, b"[" * 100_000), "x.zarr: ")
    kind(which, "metadata a folder", into_folder(META), "x.zarr: ")
    kind(
        which,
        "an array's metadata",
        lambda f: shutil.copy(f / "x.zarr/puzzle_ids/zarr.json", f / META),
        "x.zarr: ",
    )
    kind(which, "no attributes", on_json(META, without("attributes")), "no 'writer_version'")
    kind(which, "attributes a list", on_json(META, put("attributes", [])), "x.zarr: ")
    kind(which, "zarr version unknown", on_json(META, put("zarr_format", "x")), "x.zarr: ")
    kind(which, "another writer", attribute("writer_version", 99), "writer version 99, not 3")
    kind(which, "no header", on_json(META, without("attributes", "header")), "no 'header'")
    kind(which, "no plan entry", on_json(META, without("attributes", "plan")), "no 'plan'")
    kind(which, "header a list", attribute("header", []), "x.zarr: ")
    kind(which, "header null", attribute("header", None), "x.zarr: ")
    kind(
        which,
        "header without grid",
        on_json(META, without("attributes", "header", "grid")),
        "no 'grid'",
    )
    kind(which, "header with more", attribute("header", "colour", 1), "'colour'")
    for field, value in (
        ("vocabulary", "abc"),
        ("vocabulary", []),
        ("vocabulary", [1, 2]),
        ("vocabulary", ["x"] * 300),
        ("grid", [4]),
        ("grid", [4, 4, 4]),
        ("grid", ["4", "4"]),
        ("grid", [0, 4]),
        ("grid", [4.0, 4]),
        ("ignore_id", "0"),
        ("ignore_id", -1),
        ("num_puzzle_ids", 0),
        ("num_puzzle_ids", True),
        ("seed", "0"),
        ("seed", None),
        ("augmentations", -1),
        ("augmentations", 1.5),
        ("sources", []),
        ("sources", {"a": 1}),
    ):
        kind(
            which,
            f"{field} {str(value)[:20]}",
            attribute("header", field, value),
            f"header's {field} is",
        )
    kind(which, "vocabulary a number", attribute("header", "vocabulary", 5), "x.zarr: ")
    kind(which, "another grid", attribute("header", "grid", [3, 3]), "x.zarr")
    for name, text in (
        ("a number", 5),
        ("a list", []),
        ("without kind", {"parameters": {}}),
        ("parameters a list", {"kind": "x", "parameters": []}),
    ):
        kind(which, f"plan {name}", attribute("plan", text), "x.zarr: ")
    for name in ("puzzle_ids", "example_offsets", "group_offsets"):
        where = f"x.zarr/{name}"
        kind(which, f"no {name}", remove(where), f"{where}: ")
        kind(which, f"{name} without metadata", remove(f"{where}/zarr.json"), f"{where}: ")
        kind(which, f"{name} with bad metadata", to_bytes(f"{where}/zarr.json", b"{"), f"{where}: ")
        kind(
            which,
            f"{name} without its chunk",
            remove(f"{where}/c/0"),
            f"{where}: only 0 of 1 chunks are there",
        )
        kind(
            which,
            f"{name} with a cut chunk",
            on_bytes(f"{where}/c/0", lambda d: d[:-3]),
            f"{where}: ",
        )
        kind(which, f"{name} with an empty chunk", to_bytes(f"{where}/c/0", b""), f"{where}: ")
        kind(
            which,
            f"{name} with a flipped byte",
            on_bytes(f"{where}/c/0", lambda d: flipped(d, 20)),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} of floats",
            overwrite(name, lambda v: v.astype(float)),
            f"{name} is float64",
        )
        kind(
            which,
            f"{name} with two axes",
            overwrite(name, lambda v: v[:, None]),
            f"{name} is int",
            ", 1], not",
        )
        kind(
            which,
            f"{name} too long",
            overwrite(name, lambda v: np.r_[v, v[-1] + 1].astype(v.dtype)),
            "x.zarr",
        )
        kind(
            which,
            f"{name} of huge shape",
            on_json(f"{where}/zarr.json", put("shape", [10**15])),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} of negative shape",
            on_json(f"{where}/zarr.json", put("shape", [-1])),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} of unknown type",
            on_json(f"{where}/zarr.json", put("data_type", "int7")),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} with unknown codec",
            on_json(f"{where}/zarr.json", put("codecs", [{"name": "zip"}])),
            f"{where}: ",
        )
    for name in ("example_offsets", "group_offsets"):
        kind(which, f"{name} from 1", overwrite(name, lambda v: v + 1), f"{name} starts with [1")
        kind(
            which,
            f"{name} falling",
            overwrite(name, lambda v: changed(v, 2, 0)),
            f"{name} goes from",
        )
        kind(which, f"{name} negative", overwrite(name, lambda v: -v), f"{name} goes from")
        kind(which, f"{name} empty", overwrite(name, lambda v: v[:0]), f"{name} starts with []")
        kind(
            which,
            f"{name} with an empty part",
            overwrite(name, lambda v: changed(v, 2, v[1])),
            f"{name} goes from",
        )
    kind(
        which,
        "puzzle id too large",
        overwrite("puzzle_ids", lambda v: changed(v, 0, 7)),
        "puzzle_ids of 0..7, not within 0..0",
    )
    kind(
        which,
        "puzzle id negative",
        overwrite("puzzle_ids", lambda v: changed(v, 0, -1)),
        "puzzle_ids of -1..0",
    )
    kind(
        which,
        "puzzle ids of 64 bits",
        overwrite("puzzle_ids", lambda v: v.astype(np.int64)),
        "puzzle_ids is int64",
    )
    kind(
        which,
        "groups of more puzzles",
        overwrite("group_offsets", lambda v: changed(v, -1, v[-1] + 5)),
        "not equal numbers of puzzles",
    )

for name in ("inputs", "labels"):
    where = f"x.zarr/{name}"
    kind(STORED, f"no {name}", remove(where), f"{where}: ")
    kind(STORED, f"{name} without metadata", remove(f"{where}/zarr.json"), f"{where}: ")
    kind(
        STORED,
        f"{name} with cut metadata",
        on_bytes(f"{where}/zarr.json", lambda d: d[:99]),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} without a shard",
        remove(f"{where}/c/0/0"),
        f"{where}: only 0 of 1 chunks are there",
    )
    kind(STORED, f"{name} with an empty shard", to_bytes(f"{where}/c/0/0", b""), f"{where}: ")
    kind(
        STORED,
        f"{name} with a cut shard",
        on_bytes(f"{where}/c/0/0", lambda d: d[:-10]),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with half a shard",
        on_bytes(f"{where}/c/0/0", lambda d: d[: len(d) // 2]),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with a flipped byte",
        on_bytes(f"{where}/c/0/0", lambda d: flipped(d, 30)),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with a damaged index",
        on_bytes(f"{where}/c/0/0", lambda d: flipped(d, -6)),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with zeros",
        on_bytes(f"{where}/c/0/0", lambda d: bytes(len(d))),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} not sharded",
        overwrite(name, lambda v: v),
        f"{where}: uint8",
        "not sharded",
    )
    kind(
        STORED,
        f"{name} of 32 bits",
        overwrite(name, lambda v: v.astype(np.int32)),
        f"{where}: int32",
    )
    kind(
        STORED,
        f"{name} of fewer examples",
        on_json(f"{where}/zarr.json", put("shape", [5, 16])),
        "x.zarr/",
    )
    kind(
        STORED,
        f"{name} of longer examples",
        on_json(f"{where}/zarr.json", put("shape", [24, 17])),
        f"{where}: ",
    )
    kind(
        STORED, f"{name} as text", on_json(f"{where}/zarr.json", put("shape", "many")), f"{where}: "
    )
kind(
    STORED,
    "a token past the vocabulary",
    attribute("header", "vocabulary", ["pad", "a"]),
    "x.zarr: inputs has token",
)
kind(
    STORED,
    "fewer examples than offsets",
    overwrite("example_offsets", lambda v: changed(v, -1, v[-1] + 9)),
    "x.zarr/inputs: uint8",
)

# Plans

for which, own in zip(PLANS, ("sudoku", "maze", "arc"), strict=True):
    kind(which, "of an unknown kind", attribute("plan", "kind", "chess"), "x.zarr: kind 'chess'")
    kind(which, "kind a list", attribute("plan", "kind", []), "x.zarr: ")
    kind(
        which,
        "of another kind",
        attribute("plan", "kind", "maze" if own == "sudoku" else "sudoku"),
        "x.zarr: ",
    )
    kind(which, "no plan folder", remove("x.zarr/plan"), "x.zarr/plan: ")
    kind(which, "another seed type", attribute("header", "seed", 1.5), "header's seed")
    kind(
        which,
        "more augmentations than planned",
        attribute("header", "augmentations", 7),
        "x.zarr: ",
    ) if own != "arc" else None
    kind(
        which,
        "fewer groups",
        overwrite("group_offsets", lambda v: np.array([0, v[-1]])),
        "group_offsets is not that of the planned",
    )
for which, names in ((PLANS[0], ("puzzles", "answers")), (PLANS[1], ("inputs", "labels"))):
    for name in names:
        kind(which, f"no {name}", remove(f"x.zarr/plan/{name}"), f"x.zarr: no {name!r}")
        kind(
            which, f"{name} without chunk", remove(f"x.zarr/plan/{name}/c"), f"plan/{name}: only 0"
        )
        kind(
            which,
            f"{name} flipped",
            on_bytes(f"x.zarr/plan/{name}/c/0/0", lambda d: flipped(d, 20)),
            f"plan/{name}: ",
        )
        kind(
            which,
            f"{name} of floats",
            overwrite(f"plan/{name}", lambda v: v.astype(float)),
            "float64",
        )
        kind(which, f"{name} of fewer", overwrite(f"plan/{name}", lambda v: v[1:]), "x.zarr: ")
        kind(which, f"{name} narrower", overwrite(f"plan/{name}", lambda v: v[:, 1:]), "x.zarr: ")
        kind(which, f"{name} flat", overwrite(f"plan/{name}", lambda v: v.ravel()), "x.zarr: ")
        kind(
            which,
            f"{name} out of range",
            overwrite(f"plan/{name}", lambda v: changed(v, 0, 77)),
            "x.zarr: ",
        )
kind(
    PLANS[0], "parameters", attribute("plan", "parameters", {"copies": 1}), "parameters ['copies']"
)
kind(
    PLANS[2],
    "no tasks",
    on_json(META, without("attributes", "plan", "parameters", "tasks")),
    "no 'tasks'",
)
kind(
    PLANS[2],
    "tasks text",
    attribute("plan", "parameters", "tasks", "ab"),
    "tasks: expected a list of names",
)
kind(
    PLANS[2],
    "tasks numbers",
    attribute("plan", "parameters", "tasks", [1, 2]),
    "tasks: expected a list of names",
)
kind(
    PLANS[2],
    "one task less",
    attribute("plan", "parameters", "tasks", ["one"]),
    "pair_offsets is int64 [3]",
)
kind(
    PLANS[2],
    "translate text",
    attribute("plan", "parameters", "translate", "yes"),
    "translate='yes'",
)
for name in (
    "cells",
    "shapes",
    "pair_offsets",
    "group_offsets",
    "puzzle_ids",
    "dihedrals",
    "colours",
):
    kind(PLANS[2], f"no {name}", remove(f"x.zarr/plan/{name}"), f"x.zarr: no {name!r}")
    kind(
        PLANS[2],
        f"{name} of floats",
        overwrite(f"plan/{name}", lambda v: v.astype(float)),
        f"{name} is float64",
    )
    kind(PLANS[2], f"{name} one less", overwrite(f"plan/{name}", lambda v: v[:-1]), "x.zarr: ")
    kind(
        PLANS[2],
        f"{name} with another axis",
        overwrite(f"plan/{name}", lambda v: v[..., None]),
        "x.zarr: ",
    )
for name, array, value, says in (
    ("shape 0", "shapes", 0, "shapes: expected sides of 1..8"),
    ("shape 9", "shapes", 9, "shapes: expected sides of 1..8"),
    ("colour 12 in a grid", "cells", 12, "colour 12"),
    ("symmetry 8", "dihedrals", 8, "symmetry 8"),
    ("colours repeated", "colours", 1, "colours: expected permutations"),
    ("colours too large", "colours", 200, "colours: expected perm"),
    ("pairs falling", "pair_offsets", 10**9, "pair_offsets: expected to rise"),
    ("groups falling", "group_offsets", -5, "group_offsets: ex"),
    ("other ids", "puzzle_ids", 99, "puzzle_ids is not that of the planned"),
):
    kind(
        PLANS[2],
        name,
        overwrite(f"plan/{array}", lambda v, value=value: changed(v, 1, value)),
        says,
    )

# webdataset

SHARD = "tar/shard-000001.tar"


def retar(
    change: Callable[[dict[str, bytes]], object], *, name: Callable[[str], str] = lambda name: name
) -> Damage:
    """Alter the members of a shard, and list it in the manifest as if it had been written so."""

    def damage(folder: Path) -> None:
        with tarfile.open(folder / SHARD) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        change(members)
        with tarfile.open(folder / SHARD, "w") as tar:
            for member, data in members.items():
                info = tarfile.TarInfo(name(member))
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        write_manifest(folder / "tar")

    return damage


def on_member(suffix: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    def alter(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith(suffix))
        members[name] = change(members[name])

    return alter


def on_npy(suffix: str, change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    def alter(data: bytes) -> bytes:
        out = io.BytesIO()
        np.save(out, change(np.load(io.BytesIO(data))))
        return out.getvalue()

    return on_member(suffix, alter)


def on_sample(change: Callable[[Any], object]) -> Callable[[dict[str, bytes]], None]:
    def alter(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return on_member("json", alter)


def drop(suffix: str) -> Callable[[dict[str, bytes]], object]:
    return lambda members: members.pop(next(name for name in members if name.endswith(suffix)))


for name, damage in (
    ("empty", to_bytes(SHARD, b"")),
    ("cut in its first header", on_bytes(SHARD, lambda d: d[:100])),
    ("cut after a header", on_bytes(SHARD, lambda d: d[:512])),
    ("cut in the middle", on_bytes(SHARD, lambda d: d[: len(d) // 2])),
    ("cut at the end", on_bytes(SHARD, lambda d: d[:-1])),
    ("longer", on_bytes(SHARD, lambda d: d + b"\0")),
    ("zeros", on_bytes(SHARD, lambda d: bytes(len(d)))),
    ("text", to_bytes(SHARD, b"not a tar " * 200)),
    ("gzip", on_bytes(SHARD, gzip.compress)),
    ("another shard's bytes", lambda f: shutil.copy(f / "tar/shard-000000.tar", f / SHARD)),
    ("flipped in a name", on_bytes(SHARD, lambda d: flipped(d, 3))),
    ("flipped in a size", on_bytes(SHARD, lambda d: flipped(d, 130))),
    ("flipped in an array", on_bytes(SHARD, lambda d: flipped(d, 512 + 130))),
    ("not there", remove(SHARD)),
    ("a folder", into_folder(SHARD)),
    ("no inputs", retar(drop("inputs.npy"))),
    ("no labels", retar(drop("labels.npy"))),
    ("no puzzles", retar(drop("puzzles.npy"))),
    ("no json", retar(drop("json"))),
    ("other member names", retar(lambda _: None, name=lambda name: name.replace("npy", "bin"))),
    ("no array", retar(on_member("inputs.npy", lambda _: b"array"))),
    ("array cut", retar(on_member("inputs.npy", lambda d: d[:-5]))),
    ("array's header cut", retar(on_member("inputs.npy", lambda d: d[:20]))),
    (
        "array's header damaged",
        retar(on_member("labels.npy", lambda d: d.replace(b"descr", b"des'r"))),
    ),
    (
        "array of an unknown version",
        retar(on_member("labels.npy", lambda d: d[:6] + b"\x09" + d[7:])),
    ),
    ("array of objects", retar(on_member("labels.npy", lambda d: d.replace(b"|u1", b"|O ")))),
    (
        "array of huge shape",
        retar(on_member("labels.npy", lambda d: d.replace(b"16)", b"9" * 18 + b")"))),
    ),
    ("json no JSON", retar(on_member("json", lambda _: b"{"))),
    ("json binary", retar(on_member("json", lambda _: b"\xff\xfe"))),
):
    kind("tar", name, damage, f"{SHARD}: ")
for name, change, says in (
    ("json a list", on_member("json", lambda _: b"[]"), "example-"),
    ("no header", on_sample(without("header")), "no 'header'"),
    ("header a list", on_sample(put("header", [])), "example-"),
    ("header without grid", on_sample(without("header", "grid")), "no 'grid'"),
    ("header with more", on_sample(put("header", "x", 1)), "'x'"),
    ("grid text", on_sample(put("header", "grid", "44")), "header's grid is"),
    ("vocabulary too small", on_sample(put("header", "vocabulary", ["a"])), "inputs has token"),
    ("inputs of 64 bits", on_npy("inputs.npy", lambda v: v.astype(np.int64)), "inputs is int64"),
    ("labels narrower", on_npy("labels.npy", lambda v: v[:, 1:]), "labels is uint8"),
    ("fewer labels", on_npy("labels.npy", lambda v: v[1:]), "labels is uint8"),
    ("inputs a number", on_npy("inputs.npy", lambda _: np.uint8(3)), "example-"),
    ("tokens too large", on_npy("labels.npy", lambda v: changed(v, 0, 99)), "labels has token 99"),
    (
        "puzzles of floats",
        on_npy("puzzles.npy", lambda v: v.astype(float)),
        "puzzles.npy is float64",
    ),
    ("puzzles narrower", on_npy("puzzles.npy", lambda v: v[:, :2]), "puzzles.npy is int64"),
    ("puzzles flat", on_npy("puzzles.npy", lambda v: v.ravel()), "puzzles.npy is int64"),
    ("too few puzzles", on_npy("puzzles.npy", lambda v: v[1:]), "puzzles.npy is int64"),
):
    kind("tar", name, retar(change), f"{SHARD}: ", says)
kind(
    "tar",
    "groups out of order",
    retar(on_npy("puzzles.npy", lambda v: changed(v, (0, 0), 99))),
    "groups that do not follow",
)
kind(
    "tar",
    "negative group",
    retar(on_npy("puzzles.npy", lambda v: changed(v, (0, 0), -3))),
    "groups that do not follow",
)
kind(
    "tar",
    "puzzle id too large",
    retar(on_npy("puzzles.npy", lambda v: changed(v, (0, 1), 9))),
    "puzzle_ids of 0..9",
)
kind(
    "tar",
    "a negative number of examples",
    retar(on_npy("puzzles.npy", lambda v: changed(changed(v, (0, 2), -1), (1, 2), 3))),
    "example_offs",
)
kind("tar", "no manifest", remove("tar/manifest.json"), "tar/manifest.json: ")
kind("tar", "manifest cut", on_bytes("tar/manifest.json", lambda d: d[:50]), "tar/manifest.json: ")
kind(
    "tar",
    "manifest without a shard",
    on_json("tar/manifest.json", without("files", "shard-000001.tar")),
    "list of files was changed",
)
kind("tar", "no folder", remove("tar"), "tar/manifest.json: ")
kind(
    "tar",
    "no shards",
    lambda f: ([p.unlink() for p in (f / "tar").glob("*.tar")], write_manifest(f / "tar")),
    "tar: no samples",
)

# Manifest

for name, damage, says in (
    ("not there", remove("files/manifest.json"), "files/manifest.json: "),
    ("empty", to_bytes("files/manifest.json", b""), "files/manifest.json: "),
    ("cut", on_bytes("files/manifest.json", lambda d: d[:70]), "files/manifest.json: "),
    ("binary", to_bytes("files/manifest.json", b"\xff\x00"), "files/manifest.json: "),
    ("too deep", to_bytes("files/manifest.json", b"[" * 100_000), "files/manifest.json: "),
    ("a list", to_bytes("files/manifest.json", b"[]"), "files/manifest.json: "),
    ("null", to_bytes("files/manifest.json", b"null"), "files/manifest.json: "),
    ("a folder", into_folder("files/manifest.json"), "files/manifest.json: "),
    ("no files", on_json("files/manifest.json", without("files")), "no 'files'"),
    ("no hash", on_json("files/manifest.json", without("content_hash")), "no 'content_hash'"),
    (
        "another hash",
        on_json("files/manifest.json", put("content_hash", "0" * 64)),
        "list of files was changed",
    ),
    (
        "another size listed",
        on_json("files/manifest.json", put("files", "a", "bytes", 3)),
        "list of files was changed",
    ),
    (
        "a file unlisted",
        on_json("files/manifest.json", without("files", "b")),
        "list of files was changed",
    ),
    ("a file missing", remove("files/a"), "files/a: missing"),
    ("a file below missing", remove("files/sub/c"), "files/sub/c: missing"),
    ("a folder missing", remove("files/sub"), "files/sub/c: missing"),
    ("a file more", lambda f: (f / "files" / "d").write_text("x"), "files/d: not listed"),
    ("a file shorter", on_bytes("files/a", lambda d: d[:-1]), "files/a: 11 bytes, expected 12"),
    ("a file longer", on_bytes("files/a", lambda d: d + b"x"), "files/a: 13 bytes"),
    ("a file changed", on_bytes("files/a", lambda d: flipped(d, 2)), "files/a: its bytes changed"),
    ("a file empty", to_bytes("files/sub/c", b""), "files/sub/c: 0 bytes"),
    ("no folder", remove("files"), "files/manifest.json: "),
):
    kind("manifest", name, damage, says)


def relisted(change: Callable[[Any], Any]) -> Damage:
    """A listing whose hash is right but that is not one."""

    def damage(folder: Path) -> None:
        from storage.manifest import _content_hash  # pyright: ignore[reportPrivateUsage]

        path = folder / "files" / "manifest.json"
        listing = change(json.loads(path.read_bytes())["files"])
        path.write_text(json.dumps({"files": listing, "content_hash": _content_hash(listing)}))

    return damage


kind("manifest", "files a list", relisted(list), "files/manifest.json: ")
kind("manifest", "entry a text", relisted(lambda v: {**v, "a": "x"}), "files/manifest.json: ")
kind("manifest", "entry without hash", relisted(lambda v: {**v, "a": {"bytes": 12}}), "no 'sha256'")
kind(
    "manifest",
    "size a text",
    relisted(lambda v: {**v, "a": {**v["a"], "bytes": "12"}}),
    "'a' is listed as",
)

# Tables


def reframed(
    change: Callable[[pl.DataFrame], pl.DataFrame], metadata: dict[str, str] | None = None
) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "x.parquet"
        change(pl.read_parquet(path)).write_parquet(
            path, metadata=metadata if metadata is not None else {"sources": "{}"}
        )

    return damage


for name, damage, says in (
    ("not there", remove("x.parquet"), ""),
    ("empty", to_bytes("x.parquet", b""), ""),
    ("text", to_bytes("x.parquet", b"question,answer\n" * 20), ""),
    ("cut", on_bytes("x.parquet", lambda d: d[:-1]), ""),
    ("half", on_bytes("x.parquet", lambda d: d[: len(d) // 2]), ""),
    ("footer damaged", on_bytes("x.parquet", lambda d: flipped(d, -6)), ""),
    ("marks only", to_bytes("x.parquet", b"PAR1" + bytes(40) + b"PAR1"), ""),
    ("a folder", into_folder("x.parquet"), ""),
    ("without metadata", reframed(lambda v: v, {}), "no 'sources'"),
    ("another table", reframed(lambda _: pl.DataFrame({"loss": [1.0]})), "no column split"),
    ("a column less", reframed(lambda v: v.drop("clues")), "no column clues"),
    ("a column more", reframed(lambda v: v.with_columns(x=1)), "x"),
    ("an unknown split", reframed(lambda v: v.with_columns(split=pl.lit("dev"))), "column split"),
    ("names twice", reframed(lambda v: v.with_columns(name=pl.lit("a"))), "column name"),
    ("forms twice", reframed(lambda v: v.with_columns(form=pl.lit("a"))), "column form"),
    (
        "no answers",
        reframed(lambda v: v.with_columns(answer=pl.lit(None, pl.String))),
        "column answer",
    ),
    (
        "negative numbers",
        reframed(lambda v: v.with_columns(puzzle=-1 - pl.col("puzzle"))),
        "column puzzle",
    ),
    ("no clues", reframed(lambda v: v.with_columns(clues=0)), "column clues"),
    (
        "text for numbers",
        reframed(lambda v: v.with_columns(difficulty=pl.lit("hard"))),
        "column difficulty",
    ),
):
    kind("parquet", name, damage, "x.parquet: ", says)

# Runs

for name, damage, says in (
    ("not there", remove("run.json"), ""),
    ("empty", to_bytes("run.json", b""), ""),
    ("cut", on_bytes("run.json", lambda d: d[:200]), ""),
    ("binary", to_bytes("run.json", b"\xff\x00"), ""),
    ("too deep", to_bytes("run.json", b"[" * 100_000), ""),
    ("a list", to_bytes("run.json", b"[]"), ""),
    ("a number", to_bytes("run.json", b"5"), ""),
    ("a folder", into_folder("run.json"), ""),
    *(
        (f"no {field}", on_json("run.json", without(field)), field)
        for field in ("variant", "recipe", "execution", "seed", "data")
    ),
    ("an unknown field", on_json("run.json", put("colour", 1)), "'colour'"),
    ("seed text", on_json("run.json", put("seed", "x")), "seed='x'"),
    ("seed a fraction", on_json("run.json", put("seed", 1.5)), "seed=1.5"),
    ("data null", on_json("run.json", put("data", None)), "data=None"),
    ("data version a number", on_json("run.json", put("data_version", 5)), "data_version=5"),
    ("lock a number", on_json("run.json", put("device_lock", 5)), "device_lock=5"),
    ("variant a list", on_json("run.json", put("variant", [1])), ""),
    ("variant a text", on_json("run.json", put("variant", "trm")), ""),
    (
        "unknown variant field",
        on_json("run.json", put("variant", "colour", 1)),
        "unknown variant field 'colour'",
    ),
    (
        "unknown mixer",
        on_json("run.json", put("variant", "mixer", {"kind": "magic"})),
        "mixer 'magic'",
    ),
    (
        "unknown mixer option",
        on_json("run.json", put("variant", "mixer", {"kind": "attention", "x": 1})),
        "unknown attention field 'x'",
    ),
    ("layers 0", on_json("run.json", put("variant", "layers", 0)), "layers=0"),
    ("layers text", on_json("run.json", put("variant", "layers", "2")), "layers="),
    ("noise text", on_json("run.json", put("variant", "state_noise", "much")), ""),
    ("ema a number", on_json("run.json", put("variant", "ema", 1)), "ema=1"),
    ("recipe a list", on_json("run.json", put("recipe", [1])), ""),
    (
        "unknown recipe field",
        on_json("run.json", put("recipe", "colour", 1)),
        "unknown recipe field 'colour'",
    ),
    ("steps 0", on_json("run.json", put("recipe", "steps", 0)), "steps=0"),
    ("steps text", on_json("run.json", put("recipe", "steps", "9")), "steps='9'"),
    (
        "rate negative",
        on_json("run.json", put("recipe", "learning_rate", -1.0)),
        "learning_rate=-1.0",
    ),
    ("rate null", on_json("run.json", put("recipe", "learning_rate", None)), ""),
    (
        "optimizer unknown",
        on_json("run.json", put("recipe", "optimizer", "sgd")),
        "optimizer 'sgd'",
    ),
    ("betas a number", on_json("run.json", put("recipe", "betas", 1)), ""),
    ("size a number", on_json("run.json", put("recipe", "size", 5)), ""),
    ("no heads", on_json("run.json", put("recipe", "size", "heads", 0)), "heads=0"),
    (
        "unknown size field",
        on_json("run.json", put("recipe", "size", "depth", 3)),
        "unknown size field 'depth'",
    ),
    ("device unknown", on_json("run.json", put("execution", "device", "tpu")), "device='tpu'"),
    ("device a number", on_json("run.json", put("execution", "device", 5)), ""),
    ("unknown execution field", on_json("run.json", put("execution", "x", 5)), "'x'"),
    ("execution a list", on_json("run.json", put("execution", [])), ""),
):
    kind("run", name, damage, "run.json: ", says)

# Checkpoints

STEP = "checkpoints/step-00000003"


def rewritten(damage: Damage) -> Damage:
    """Damage that the manifest lists as written."""

    def both(folder: Path) -> None:
        damage(folder)
        write_manifest(folder / STEP)

    return both


for part in ("weights", "optimizer"):
    file = f"{STEP}/{part}.safetensors"
    kind("checkpoint", f"no {part}", remove(file), f"{file}: missing")
    kind("checkpoint", f"{part} cut", on_bytes(file, lambda d: d[:-4]), f"{file}: ")
    kind(
        "checkpoint",
        f"{part} flipped",
        on_bytes(file, lambda d: flipped(d, -4)),
        f"{file}: its bytes changed",
    )
    kind("checkpoint", f"{part} written empty", rewritten(to_bytes(file, b"")), f"{file}: ")
    kind(
        "checkpoint",
        f"{part} written short",
        rewritten(on_bytes(file, lambda d: d[:-4])),
        f"{file}: ",
    )
    kind(
        "checkpoint",
        f"{part} written as text",
        rewritten(to_bytes(file, b"not tensors" * 9)),
        f"{file}: ",
    )
    kind("checkpoint", f"{part} never written", rewritten(remove(file)), f"{file}: ")
PROGRESS = f"{STEP}/progress.json"
kind("checkpoint", "progress changed", on_json(PROGRESS, put("step", 9)), f"{PROGRESS}: ")
kind("checkpoint", "no progress", remove(PROGRESS), f"{PROGRESS}: missing")
kind("checkpoint", "no manifest", remove(f"{STEP}/manifest.json"), f"{STEP}/manifest.json: ")
kind("checkpoint", "no folder", remove(STEP), f"{STEP}/manifest.json: ")
for name, damage, says in (
    ("never written", remove(PROGRESS), ""),
    ("written cut", on_bytes(PROGRESS, lambda d: d[:20]), ""),
    ("written a list", to_bytes(PROGRESS, b"[]"), ""),
    ("without step", on_json(PROGRESS, without("step")), "step"),
    ("without offset", on_json(PROGRESS, without("position", "offset")), "no 'offset'"),
    ("without position", on_json(PROGRESS, without("position")), "no 'position'"),
    ("step text", on_json(PROGRESS, put("step", "3")), "step='3'"),
    ("step negative", on_json(PROGRESS, put("step", -3)), "step=-3"),
    (
        "offset a fraction",
        on_json(PROGRESS, put("position", "offset", 0.5)),
        "offset=0.5",
    ),
    ("totals text", on_json(PROGRESS, put("totals", ["many"])), "many"),
    ("totals a number", on_json(PROGRESS, put("totals", 5)), ""),
    ("seconds text", on_json(PROGRESS, put("wall_seconds", "long")), "'long'"),
    ("an unknown field", on_json(PROGRESS, put("x", 1)), "'x'"),
):
    kind("checkpoint", f"progress {name}", rewritten(damage), f"{PROGRESS}: ", says)


# The tests


@pytest.fixture(scope="module")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each container's good files; they are readable."""
    root = tmp_path_factory.mktemp("good")
    for name, container in CONTAINERS.items():
        (root / name).mkdir()
        container.make(root / name)
        container.read(root / name)
    return root


def check_message(error: BaseException, *says: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 900
    assert "expected" in text
    assert REMEDY.search(text), text
    for part in says:
        assert part in text


def test_there_are_many_kinds() -> None:
    names = {(each.container, each.name) for each in KINDS}
    assert len(names) == len(KINDS) >= 200
    assert {container for container, _ in names} == set(CONTAINERS)


@pytest.mark.parametrize("which", list(CONTAINERS))
def test_each_kind_is_one_line_with_file_expectation_and_remedy(
    which: str, good_files: Path, tmp_path: Path
) -> None:
    container, problems = CONTAINERS[which], []
    for number, each in enumerate(each for each in KINDS if each.container == which):
        folder = tmp_path / str(number)
        shutil.copytree(good_files / which, folder)
        each.damage(folder)
        before = sorted(folder.rglob("*"))
        try:
            container.read(folder)
        except container.error as error:
            try:
                check_message(error, str(folder), container.remedy, *each.says)
                assert sorted(folder.rglob("*")) == before
            except AssertionError as wrong:
                problems.append(f"{each.name}: {str(error)[:600]!r}: {wrong}")
        except Exception as error:  # noqa: BLE001  # all of them are listed at the end
            problems.append(f"{each.name}: {type(error).__name__}: {error}")
        else:
            problems.append(f"{each.name}: accepted")
    assert not problems, "\n".join(problems)


def describe(result: Any) -> object:
    """A comparable value of what a container's ``read`` returned."""
    if isinstance(result, np.ndarray | torch.Tensor):
        return result.tolist()
    if isinstance(result, pl.DataFrame):
        return result.rows()
    if isinstance(result, tuple | list):
        return [describe(part) for part in result]
    if isinstance(result, Examples):
        return [
            describe(part)
            for part in (
                result.inputs,
                result.labels,
                result.puzzle_ids,
                result.example_offsets,
                result.group_offsets,
            )
        ]
    return result


def meaning(which: str, result: Any) -> object:
    """What must be as in the good file, or (where a file holds no checksum) what must be right
    about any accepted one."""
    if which.endswith("csv gzip"):
        return describe(result.forms), result.sources
    if which == "arc json gzip":
        return [from_task(task) for task in result.tasks]
    if which.startswith("sudoku"):
        return bool(
            (sudoku.solve(result.puzzles, sudoku.SHAPES[4]).answers == result.answers).all()
        )
    if which.startswith("maze"):
        return bool(maze.check_examples(result.inputs, result.labels, result.side).shortest.all())
    if which.startswith("arc"):
        return all(task.train and task.test and task.side <= 30 for task in result.tasks)
    if which == "run":
        return isinstance(result, RunSpec)
    if which == "parquet":
        return set(result[0]["split"]) <= {"train", "test"}
    if "plan" in which:
        # What the header says is under the manifest's checksum alone; the arrays have their own.
        return describe((result[0].puzzle_ids, result[0].example_offsets, result[0].group_offsets))
    if which == "checkpoint":
        return describe(
            [list(result.weights.values()), list(result.carry.values())]
        ), result.progress
    return describe(result)


@st.composite
def edits(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few changes to a file's bytes: set, remove, repeat or move some, or cut the rest off."""

    def change(data: bytes) -> bytes:
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(data)))
            stop = min(len(data), start + draw(st.sampled_from([1, 1, 2, 7, 60])))
            part = data[start:stop]
            new = draw(
                st.sampled_from(
                    [
                        b"",
                        part * 2,
                        part[::-1],
                        bytes(len(part)),
                        b"\xff" * len(part),
                        b"9",
                        b'"',
                        b"\n",
                        b",",
                        b"-",
                    ]
                )
            )
            data = (
                data[:start]
                + (draw(st.binary(max_size=4)) if draw(st.booleans()) else new)
                + data[stop:]
            )
            if draw(st.integers(0, 9)) == 0:
                data = data[: draw(st.integers(0, len(data)))]
        return data

    return change


@pytest.mark.parametrize("which", list(CONTAINERS))
def test_any_change_is_harmless_or_refused_in_one_line(
    which: str, good_files: Path, tmp_path: Path
) -> None:
    container = CONTAINERS[which]
    expected = meaning(which, container.read(good_files / which))
    folder = tmp_path / "x"
    shutil.copytree(good_files / which, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())

    @settings(
        max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(data=st.data())
    def property_holds(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(files))
        before = path.read_bytes()
        path.write_bytes(data.draw(edits())(before))
        try:
            result = container.read(folder)
        except container.error as error:
            check_message(error, str(folder))
        else:
            assert meaning(which, result) == expected
        finally:
            path.write_bytes(before)

    property_holds()


@pytest.mark.parametrize(
    ("benchmark", "which"),
    [
        ("sudoku_csv", "sudoku csv"),
        ("maze_csv", "maze csv"),
        ("arc_files", "arc json"),
        ("arc_files", "arc kaggle"),
    ],
)
def test_an_import_of_a_bad_file_writes_nothing(
    benchmark: str, which: str, good_files: Path, tmp_path: Path
) -> None:
    """The asset's own function; tests/pipelines/test_end_to_end.py does the same with the command
    line."""
    store, entry = LocalStore(tmp_path / "data"), BENCHMARKS[benchmark]
    store.root.mkdir()
    for number, each in enumerate([each for each in KINDS if each.container == which][::6]):
        folder = tmp_path / str(number)
        shutil.copytree(good_files / which, folder)
        each.damage(folder)
        path = str(next(iter(sorted(folder.glob("*.*"))), folder / "x.csv"))
        config = ArcFilesConfig(test=path) if benchmark == "arc_files" else FileConfig(path=path)
        with pytest.raises(dg.Failure) as caught, told_in_one_line():
            materialize_puzzles(dg.build_asset_context(), store, benchmark, entry, config)
        description = caught.value.description or ""
        assert str(folder) in description
        assert "\n" not in description
        assert list(store.root.iterdir()) == []


def test_a_pickle_in_a_tar_is_not_run(good_files: Path, tmp_path: Path) -> None:
    """Its bytes say: make a folder. webdataset's own decoder would."""
    shutil.copytree(good_files / "tar" / "tar", tmp_path / "tar")
    made = tmp_path / "made"
    evil = f"cos\nmkdir\n(V{made}\ntR.".encode()

    def add(members: dict[str, bytes]) -> None:
        key = list(members)[-1].partition(".")[0]
        members[f"{key}.pyd"] = evil

    retar(add)(tmp_path)
    assert describe(read_shards(str(tmp_path / "tar"))) == describe(
        read_shards(str(good_files / "tar" / "tar"))
    )
    assert not made.exists()


@pytest.mark.parametrize(
    "line", [b"5", b"[1]", b"null", b'{"loss": 1}', b"\xff\xfe", b'[["a"], 1]', b'"ab']
)
def test_what_a_killed_writer_left_is_passed_over(line: bytes, tmp_path: Path) -> None:
    """Lines of a training's metrics and of a build's finished files after which nothing can be
    trusted."""
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_bytes(b'{"step": 1}\n' + line + b"\n" + b'{"step": 2}\n')
    keep_rows(metrics, 5)
    assert metrics.read_text() == '{"step": 1}\n'
    (tmp_path / ".building-x.finished").write_bytes(
        b'["a", {"bytes": 1, "sha256": ""}]\n' + line + b"\n"
    )
    folder = tmp_path / ".building-x"
    folder.mkdir()
    (folder / "a").write_text("x")
    assert not Build(LocalStore(tmp_path), "", "x").finished(folder / "a")
