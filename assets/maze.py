"""Mazes in the graph."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.colors import ListedColormap

from assets.benchmarks import GeneratedMaze, PuzzleFile
from assets.checks import all_pass, leaks, overlap_of_forms
from assets.common import FileConfig, Verdict
from assets.files import FileRows, number_splits, read_split
from assets.kinds import Augmented, Imported, Overlap
from assets.maze_csv import read_maze_csv
from assets.sources import Choose, SourceError
from storage.examples import Bytes2d, Codec
from storage.tables import MazePuzzles, Puzzles
from trm_model.puzzles import maze

SPARE = 64
"""Mazes generated beyond those wanted, to take the place of test mazes that share their walls with a training maze."""
# By token: pad, wall, space, start, goal, path; then a predicted cell that is wrong.
_COLOURS = ListedColormap(["#888888", "#222222", "#ffffff", "#2da44e", "#0969da", "#ffd33d", "#cf222e"])
_WRONG = len(maze.VOCABULARY)


def columns(inputs: Bytes2d, labels: Bytes2d, path_length: npt.NDArray[np.int64], forms: Bytes2d, sources: list[str]) -> pl.DataFrame:
    """Columns of :class:`storage.tables.MazePuzzles` that describe the mazes themselves."""
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
    """The chosen mazes of a CSV file, checked (:func:`assets.maze_csv.read_maze_csv`)."""
    table = read_maze_csv(path, choose)
    if table.side != side:
        raise SourceError(
            f"{path}: mazes of {table.side} x {table.side}, expected {side} x {side} as this benchmark's entry says; add an entry"
        )
    return FileRows(columns(table.inputs, table.labels, table.path_length, table.forms, table.sources), table.file_hash)


def generated_mazes(source: GeneratedMaze) -> pl.DataFrame:
    """Rows of :class:`storage.tables.MazePuzzles`; no symmetry class is in both splits."""
    count = source.train + source.test
    made = maze.generate(count + SPARE, source.side, source.seed, longer_than=source.longer_than, tie=source.tie, unique=source.unique)
    # The sampler may take several mazes from one layout of walls, one after another: the split must not cut through such a run.
    walls = [layout.tobytes() for layout in maze.canonical(maze.without_ends(made.inputs), source.side)]
    trained = set(walls[: source.train])
    fresh = [index for index in range(source.train, len(walls)) if walls[index] not in trained]
    rows = np.array([*range(source.train), *fresh])[:count]
    described = columns(
        made.inputs[rows], made.labels[rows], made.path_length[rows], made.forms[rows], [f"generated, seed {source.seed}"] * count
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

    def _tokens(self, frame: pl.DataFrame, column: str) -> Bytes2d:
        return maze.from_characters(np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), self.side**2))

    def puzzles(self, source: GeneratedMaze | PuzzleFile, config: FileConfig, log: Callable[[str], None]) -> Imported:
        if isinstance(source, GeneratedMaze):
            return Imported(generated_mazes(source))
        return read_split(config, source, partial(read_maze, side=self.side), log)

    def puzzle_checks(self, frame: pl.DataFrame, source: object) -> dict[str, Verdict]:
        del source
        inputs, labels = self._tokens(frame, "question"), self._tokens(frame, "answer")
        # By the walls alone: the same walls with other ends are half a leak.
        forms = [form.tobytes() for form in maze.canonical(maze.without_ends(inputs), self.side)]
        return {
            **{name: all_pass(good, "maze") for name, good in self.example_checks(inputs, labels).items()},
            "no_leakage": leaks(frame["split"], forms),
        }

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        return overlap_of_forms(one, other)

    def augmented(self, frame: pl.DataFrame, split: str, augmentations: int, seed: int, sources: dict[str, str]) -> Augmented:
        part = frame.filter(pl.col("split") == split)
        inputs, labels = self._tokens(part, "question"), self._tokens(part, "answer")
        return Augmented(maze.MazeExamples(inputs, labels, self.side, augmentations if split == "train" else 0, seed, sources), part)

    def example_checks(self, inputs: Bytes2d, labels: Bytes2d) -> dict[str, npt.NDArray[np.bool_]]:
        well_formed, kept, shortest = maze.check_examples(inputs, labels, self.side)
        return {"well_formed": well_formed, "input_kept": kept, "shortest_path": shortest}

    def draw(self, axes: Any, question: Bytes2d, shown: Bytes2d, label: Bytes2d) -> None:
        wrong = (shown != label) & (shown != question)
        cells = np.where(wrong, _WRONG, shown).reshape(self.side, self.side)
        axes.imshow(cells, cmap=_COLOURS, vmin=0, vmax=_WRONG, interpolation="nearest")
