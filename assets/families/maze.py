"""Mazes in the graph: their table, where they come from, their checks."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from assets.families.file_origin import PuzzleFile
from assets.families.origin import (
    NO_LEAKAGE,
    Augmented,
    Imported,
    Origin,
    Overlap,
    declared_checks,
    more_than,
    number_splits,
    silent,
    split_rows,
)
from assets.families.puzzle_files import (
    PuzzleFileError,
    Rows,
    characters,
    read_table,
    refuse,
    refuse_repeated,
    row_name,
)
from assets.outcomes import Check, CheckOutcome, all_pass, leaks
from assets.tables import Puzzles
from storage.examples import Bytes2d
from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.puzzles import maze
from trm_model.puzzles.maze import Maze, MazeExamples
from trm_model.seeding import derive


class MazePuzzles(Puzzles):
    """``# SGo``: wall, space, start, goal, path; ``difficulty``: steps of a shortest path;
    ``wall_share``: of all cells."""

    form: Series[str] = pa.Field(unique=True)
    wall_share: Series[float] = pa.Field(ge=0, le=1)


def columns(
    inputs: Bytes2d,
    labels: Bytes2d,
    path_length: npt.NDArray[np.int64],
    forms: Bytes2d,
    sources: list[str],
) -> pl.DataFrame:
    """Columns of :class:`MazePuzzles` that describe the mazes themselves."""
    return pl.DataFrame(
        {
            "question": [maze.to_text(tokens) for tokens in inputs],
            "answer": [maze.to_text(tokens) for tokens in labels],
            "difficulty": path_length,
            "form": [hashlib.sha256(form.tobytes()).hexdigest()[:32] for form in forms],
            "source": sources,
            "wall_share": (inputs == maze.WALL).mean(axis=1),
        }
    )


def _tokens(frame: pl.DataFrame, column: str) -> Bytes2d:
    """A text column of a puzzle table as tokens [N, side * side]."""
    return maze.from_characters(
        np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), -1)
    )


def _walls(inputs: Bytes2d, side: int) -> list[bytes]:
    """Canonical forms of the mazes' walls alone: the same walls with other ends are half a leak."""
    return [layout.tobytes() for layout in maze.canonical(maze.without_ends(inputs), side)]


def _with_walls(frame: pl.DataFrame) -> pl.DataFrame:
    """The puzzle table with the canonical form of the walls alone as ``form``."""
    side = isqrt(len(frame["question"][0]))
    walls = _walls(_tokens(frame, "question"), side)
    return frame.with_columns(
        form=pl.Series([hashlib.sha256(layout).hexdigest() for layout in walls])
    )


class MazeOrigin(Origin):
    """The base class of all origins of mazes."""

    __slots__ = ()

    schema: ClassVar[type[Puzzles]] = MazePuzzles
    checks: ClassVar[Mapping[str, Check]] = {**declared_checks(Maze), **NO_LEAKAGE}
    distributions: ClassVar[Mapping[str, str]] = {"difficulty": "steps of a shortest path"}

    @property
    @abstractmethod
    def family(self) -> Maze: ...

    def check_puzzles(self, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
        inputs, labels = _tokens(frame, "question"), _tokens(frame, "answer")
        return {
            **{
                name: all_pass(good, "maze")
                for name, good in self.family.check(inputs, labels).items()
            },
            "no_leakage": leaks(frame["split"], _walls(inputs, self.family.side)),
        }

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        """Mazes are equal here if their walls are."""
        return Origin.overlap(self, _with_walls(one), _with_walls(other))

    def unlike(self, made: pl.DataFrame, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """Mazes are equal here if their walls are."""
        names = Origin.unlike(self, _with_walls(made), _with_walls(frame), count)["name"]
        return made.filter(pl.col("name").is_in(names.implode()))

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        part, copies = split_rows(frame, split, augmentations)
        inputs, labels = _tokens(part, "question"), _tokens(part, "answer")
        return Augmented(
            MazeExamples(inputs, labels, self.family.side, copies, seed, sources), part
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedMaze(MazeOrigin):
    """Mazes made by :func:`trm_model.puzzles.maze.sampling.generate`.

    :param side: rows and columns.
    :param longer_than: a shortest path has more steps than this.
    :param tie: the labelled path among several shortest: the first found, or one drawn uniformly.
    :param unique: keep only mazes with one shortest path.
    """

    side: int
    longer_than: int
    train: int
    test: int
    tie: Literal["first", "uniform"] = "first"
    unique: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, side=2, longer_than=0, train=1, test=1)

    @property
    def family(self) -> Maze:
        return Maze(self.side)

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        """Generate the mazes; no symmetry class is in both splits."""
        del config, log
        count = self.train + self.test
        # To take the place of test mazes that share their walls with a training maze.
        spare = 64 + count // 10
        made = maze.generate(
            count + spare,
            self.side,
            self.seed,
            longer_than=self.longer_than,
            tie=self.tie,
            unique=self.unique,
        )
        # The sampler may take several mazes from one layout of walls, one after another: the split
        # must not cut through such a run.
        walls = _walls(made.inputs, self.side)
        trained = set(walls[: self.train])
        fresh = [index for index in range(self.train, len(walls)) if walls[index] not in trained]
        rows = np.array([*range(self.train), *fresh])[:count]
        require(
            len(rows) == count,
            f"{self}: only {len(rows) - self.train} test mazes whose walls no training maze has, "
            f"expected {self.test}; "
            "ask for fewer mazes or larger ones",
        )
        described = columns(
            made.inputs[rows],
            made.labels[rows],
            made.path_length[rows],
            made.forms[rows],
            [f"generated, seed {self.seed}"] * count,
        )
        frame = number_splits(described, self.train, f"{self.side}x{self.side}")
        return Imported(frame, further=partial(self.further, frame))

    def further(self, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """See :attr:`Imported.further`: mazes of another seed."""
        seed = derive(self.seed, "validation")
        others = replace(self, seed=seed, train=more_than(count), test=1)
        return self.unlike(others.puzzles().frame, frame, count)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MazeFile(PuzzleFile, MazeOrigin):
    """Mazes from files in the format of sapientinc/maze-30x30-hard-1k, grids as strings of
    ``# SGo``; see :class:`PuzzleFile`."""

    @property
    def family(self) -> Maze:
        return Maze(self.side)

    def open(self, path: str) -> "MazeRows":
        found = read_maze_csv(path)
        if found.side != self.side:
            raise PuzzleFileError(
                f"{path}: mazes of {found.side} x {found.side}, expected {self.side} x "
                f"{self.side} as this benchmark's entry says; add an entry"
            )
        return found


@dataclass(frozen=True, slots=True)
class MazeRows:
    """The rows of the file at ``path``: tokens uint8 [N, side * side] of square mazes of one size
    and of their labels, and their sources; see :class:`RowsOfFile`."""

    path: str
    side: int
    inputs: maze.Tokens
    labels: maze.Tokens
    sources: pl.Series
    file_hash: str

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Rows) -> pl.DataFrame:
        """See :meth:`RowsOfFile.take`: each answer must be its question with a shortest path
        marked, and each maze be there once."""
        inputs, labels = self.inputs[rows], self.labels[rows]
        for token, name in ((maze.START, "start S"), (maze.GOAL, "goal G")):
            for what, tokens in (("question", inputs), ("answer", labels)):
                refuse(
                    self.path,
                    rows,
                    (tokens == token).sum(axis=1) != 1,
                    f"{what} has not exactly one {name}, expected one",
                )
        checked = maze.check_examples(inputs, labels, self.side)
        refuse(
            self.path,
            rows,
            ~checked.keeps_input,
            "answer differs from the question, expected the same cells but for o on free cells",
        )
        lengths = maze.shortest_length(inputs, self.side)
        refuse(self.path, rows, lengths < 0, "question has no way from S to G, expected one")
        refuse(
            self.path,
            rows,
            ~checked.shortest,
            "answer's o are not the inner cells of a shortest path from S to G, expected those",
        )
        forms = maze.canonical(inputs, self.side)
        refuse_repeated(self.path, rows, forms, "maze")
        return columns(inputs, labels, lengths, forms, self.sources.gather(rows).to_list())


def read_maze_csv(path: str) -> MazeRows:
    """Read a file and check that every row holds two square grids of one size.

    :raises PuzzleFileError: the first thing that is wrong.
    """
    frame, file_hash = read_table(path)
    length = len(frame["question"][0])
    side = isqrt(length)
    if side * side != length or not 2 <= side <= maze.MAX_SIDE:
        raise PuzzleFileError(
            f"{path}: {row_name(0)}: question has {length} characters, expected a square grid of "
            f"2 to {maze.MAX_SIDE} cells a side; "
            "mend or remove the row"
        )
    symbols = maze.CHARACTERS[maze.WALL :]
    inputs, labels = (
        maze.from_characters(characters(path, frame, column, length, allowed))
        for column, allowed in (("question", symbols[: maze.GOAL]), ("answer", symbols))
    )
    return MazeRows(path, side, inputs, labels, frame["source"], file_hash)
