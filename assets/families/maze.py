"""Mazes in the graph."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from math import isqrt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl
from matplotlib.colors import ListedColormap
from pandera.typing.polars import Series

from assets.benchmarks import GeneratedMaze, PuzzleFile
from assets.checks import Verdict
from assets.configs import FileConfig
from assets.data.checks import all_pass, leaks, overlap_of_forms
from assets.data.puzzle_files import Choose, SourceError
from assets.data.splits import FileRows, number_splits, read_split
from assets.families.family import Augmented, Imported, Overlap
from assets.families.maze_csv import read_maze_csv
from assets.tables import Puzzles
from storage.examples import Bytes2d, Codec
from trm_model.errors import require
from trm_model.puzzles import maze

# By token: pad, wall, space, start, goal, path; then a predicted cell that is wrong.
_COLOURS = ListedColormap(
    ["#888888", "#222222", "#ffffff", "#2da44e", "#0969da", "#ffd33d", "#cf222e"]
)
_WRONG = len(maze.VOCABULARY)


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
    """Columns of :class:`assets.families.maze.MazePuzzles` that describe the mazes themselves."""
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


def read_maze(path: str, choose: Choose, side: int) -> FileRows:
    """The chosen mazes of a CSV file, checked (:func:`assets.families.maze_csv.read_maze_csv`)."""
    table = read_maze_csv(path, choose)
    if table.side != side:
        raise SourceError(
            f"{path}: mazes of {table.side} x {table.side}, expected {side} x {side} as this "
            "benchmark's entry says; add an entry"
        )
    return FileRows(
        columns(table.inputs, table.labels, table.path_length, table.forms, table.sources),
        table.file_hash,
    )


def _tokens(frame: pl.DataFrame, column: str) -> Bytes2d:
    """A text column of a puzzle table as tokens [N, side * side]."""
    return maze.from_characters(
        np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), -1)
    )


def _walls(inputs: Bytes2d, side: int) -> list[bytes]:
    """Canonical forms of the mazes' walls alone: the same walls with other ends are half a leak."""
    return [layout.tobytes() for layout in maze.canonical(maze.without_ends(inputs), side)]


def generated_mazes(source: GeneratedMaze) -> pl.DataFrame:
    """Rows of :class:`assets.families.maze.MazePuzzles`; no symmetry class is in both splits."""
    count = source.train + source.test
    # To take the place of test mazes that share their walls with a training maze.
    spare = 64 + count // 10
    made = maze.generate(
        count + spare,
        source.side,
        source.seed,
        longer_than=source.longer_than,
        tie=source.tie,
        unique=source.unique,
    )
    # The sampler may take several mazes from one layout of walls, one after another: the split must
    # not cut through such a run.
    walls = _walls(made.inputs, source.side)
    trained = set(walls[: source.train])
    fresh = [index for index in range(source.train, len(walls)) if walls[index] not in trained]
    rows = np.array([*range(source.train), *fresh])[:count]
    require(
        len(rows) == count,
        f"{source}: only {len(rows) - source.train} test mazes whose walls no training maze has, "
        f"expected {source.test}; "
        "ask for fewer mazes or larger ones",
    )
    described = columns(
        made.inputs[rows],
        made.labels[rows],
        made.path_length[rows],
        made.forms[rows],
        [f"generated, seed {source.seed}"] * count,
    )
    return number_splits(described, source.train, f"{source.side}x{source.side}")


class MazeKind:
    """Mazes of one size."""

    schema: ClassVar[type[Puzzles]] = MazePuzzles
    codec: ClassVar[Codec] = "bitshuffle"
    distributions: ClassVar[Mapping[str, str]] = {"difficulty": "steps of a shortest path"}
    # Copying the question leaves the path wrong, a tenth of the cells.
    chance = 0.9

    def __init__(self, side: int) -> None:
        self.side = side

    def puzzles(
        self, source: GeneratedMaze | PuzzleFile, config: FileConfig, log: Callable[[str], None]
    ) -> Imported:
        if isinstance(source, GeneratedMaze):
            return Imported(generated_mazes(source))
        return read_split(config, source, partial(read_maze, side=self.side), log)

    def puzzle_checks(self, frame: pl.DataFrame, source: object) -> dict[str, Verdict]:
        del source
        inputs, labels = _tokens(frame, "question"), _tokens(frame, "answer")
        return {
            **{
                name: all_pass(good, "maze")
                for name, good in self.example_checks(inputs, labels).items()
            },
            "no_leakage": leaks(frame["split"], _walls(inputs, self.side)),
        }

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        def with_walls(frame: pl.DataFrame) -> pl.DataFrame:
            side = isqrt(len(frame["question"][0]))
            walls = _walls(_tokens(frame, "question"), side)
            return frame.with_columns(
                form=pl.Series([hashlib.sha256(layout).hexdigest() for layout in walls])
            )

        return overlap_of_forms(with_walls(one), with_walls(other))

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        part = frame.filter(pl.col("split") == split)
        inputs, labels = _tokens(part, "question"), _tokens(part, "answer")
        return Augmented(
            maze.MazeExamples(
                inputs, labels, self.side, augmentations if split == "train" else 0, seed, sources
            ),
            part,
        )

    def example_checks(self, inputs: Bytes2d, labels: Bytes2d) -> dict[str, npt.NDArray[np.bool_]]:
        well_formed, kept, shortest = maze.check_examples(inputs, labels, self.side)
        return {"well_formed": well_formed, "input_kept": kept, "shortest_path": shortest}

    def draw(self, axes: Any, question: Bytes2d, shown: Bytes2d, label: Bytes2d) -> None:
        wrong = (shown != label) & (shown != question)
        cells = np.where(wrong, _WRONG, shown).reshape(self.side, self.side)
        axes.imshow(cells, cmap=_COLOURS, vmin=0, vmax=_WRONG, interpolation="nearest")
