"""Sudoku in the graph."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from assets.benchmarks import GeneratedSudoku, PuzzleFile
from assets.checks import Verdict
from assets.configs import FileConfig
from assets.data.checks import all_pass, leaks, overlap_of_forms
from assets.data.puzzle_files import Choose
from assets.data.splits import FileRows, number_splits, read_split
from assets.families.family import Augmented, Imported, Overlap
from assets.families.sudoku_csv import read_sudoku_csv
from assets.tables import Puzzles
from storage.examples import Bytes2d, Codec
from trm_model.puzzles import sudoku
from trm_model.puzzles.sudoku.checks import check_examples
from trm_model.puzzles.sudoku.examples import SudokuExamples
from trm_model.seeding import numpy_generator

BALANCE = 0.02
"""Largest distance of a digit's share among the clues from 1 / n, beside chance."""
CLUE, RIGHT, WRONG = "black", "#1a7f37", "#cf222e"


class SudokuPuzzles(Puzzles):
    """``.`` is a blank; ``difficulty``: fewest guesses of our solver over several orientations."""

    form: Series[str] = pa.Field(unique=True)
    clues: Series[pl.Int64] = pa.Field(ge=1)


def grids(frame: pl.DataFrame, column: str, shape: sudoku.Shape) -> sudoku.Grids:
    """A text column of a puzzle table as grids uint8 [N, n * n]."""
    return sudoku.from_characters(
        np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), shape.cells)
    )


def columns(
    puzzles: sudoku.Grids,
    answers: sudoku.Grids,
    difficulty: npt.NDArray[np.int64],
    forms: sudoku.Grids,
    sources: list[str],
) -> pl.DataFrame:
    """Columns of :class:`assets.families.sudoku.SudokuPuzzles` that describe the puzzles
    themselves."""
    return pl.DataFrame(
        {
            "question": [sudoku.to_text(grid) for grid in puzzles],
            "answer": [sudoku.to_text(grid) for grid in answers],
            "difficulty": difficulty,
            "form": [hashlib.sha256(form.tobytes()).hexdigest()[:32] for form in forms],
            "source": sources,
            "clues": (puzzles > 0).sum(axis=1),
        }
    )


class SudokuKind:
    """Sudoku of one size."""

    schema: ClassVar[type[Puzzles]] = SudokuPuzzles
    codec: ClassVar[Codec] = "bitshuffle"
    distributions: ClassVar[Mapping[str, str]] = {
        "difficulty": "difficulty (fewest guesses over orientations)",
        "clues": "clues",
    }

    def __init__(self, digits: int) -> None:
        self.shape = sudoku.SHAPES[digits]
        self.chance = 1 / self.shape.n

    def puzzles(
        self, source: GeneratedSudoku | PuzzleFile, config: FileConfig, log: Callable[[str], None]
    ) -> Imported:
        if isinstance(source, GeneratedSudoku):
            return Imported(generated_puzzles(source))
        return read_split(config, source, partial(read_sudoku, digits=self.shape.n), log)

    def puzzle_checks(self, frame: pl.DataFrame, source: object) -> dict[str, Verdict]:
        del source
        puzzles, answers = grids(frame, "question", self.shape), grids(frame, "answer", self.shape)
        solved = sudoku.solve(puzzles, self.shape)
        return {
            "unique_solution": all_pass(solved.counts == 1, "puzzle"),
            "label_solves_input": all_pass(
                sudoku.is_solution(answers, self.shape) & (solved.answers == answers).all(axis=1),
                "puzzle",
            ),
            "clues_kept": all_pass(sudoku.keeps_clues(puzzles, answers), "puzzle"),
            "class_balance": self._balance(puzzles),
            # Computed again, not read from the table: the check must not trust what it checks.
            "no_leakage": leaks(
                frame["split"],
                [form.tobytes() for form in sudoku.canonical(puzzles, answers, self.shape)],
            ),
        }

    def _balance(self, puzzles: sudoku.Grids) -> Verdict:
        """Answers hold each digit equally often; whether the clues do is up to the generator."""
        counts = np.bincount(puzzles.ravel(), minlength=self.shape.n + 1)[1:]
        distance = float(np.abs(counts / counts.sum() - self.chance).max())
        # Four standard deviations of chance, for small tables, and a margin.
        allowed = BALANCE + 4 * (self.chance * (1 - self.chance) / int(counts.sum())) ** 0.5
        return Verdict(distance <= allowed, {"largest_distance": distance, "allowed": allowed})

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        return overlap_of_forms(one, other)

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        part = frame.filter(pl.col("split") == split)
        copies = augmentations if split == "train" else 0
        questions, answers = grids(part, "question", self.shape), grids(part, "answer", self.shape)
        return Augmented(
            SudokuExamples(questions, answers, self.shape, copies, seed, sources), part
        )

    def example_checks(self, inputs: Bytes2d, labels: Bytes2d) -> dict[str, npt.NDArray[np.bool_]]:
        solves, kept = check_examples(inputs, labels, self.shape)
        return {"label_solves_input": solves, "clues_kept": kept}

    def draw(self, axes: Any, question: Bytes2d, shown: Bytes2d, label: Bytes2d) -> None:
        shape, n = self.shape, self.shape.n
        puzzle, grid, answer = (sudoku.from_tokens(tokens) for tokens in (question, shown, label))
        for line in range(n + 1):
            axes.plot(
                (0, n),
                (line, line),
                color="black",
                linewidth=2 if line % shape.box_rows == 0 else 0.5,
            )
            axes.plot(
                (line, line),
                (0, n),
                color="black",
                linewidth=2 if line % shape.box_columns == 0 else 0.5,
            )
        for cell in range(n * n):
            if grid[cell]:
                color = WRONG if grid[cell] != answer[cell] else CLUE if puzzle[cell] else RIGHT
                x, y = cell % n + 0.5, n - 0.5 - cell // n
                axes.text(
                    x,
                    y,
                    str(grid[cell]),
                    ha="center",
                    va="center",
                    color=color,
                    fontsize=64 / n**1.1,
                )


def generated_puzzles(source: GeneratedSudoku) -> pl.DataFrame:
    """Rows of :class:`assets.families.sudoku.SudokuPuzzles`; no symmetry class is in both
    splits."""
    shape, count = sudoku.SHAPES[source.digits], source.train + source.test
    made = sudoku.generate(
        count, shape, source.seed, source.extra_clues, min_difficulty=source.min_difficulty
    )
    # Classes with few members are found early: without a shuffle the test puzzles would have more
    # clues than the training puzzles.
    order = numpy_generator(source.seed, "split").permutation(count)
    origin = [f"generated, seed {source.seed}"] * count
    described = columns(
        made.puzzles[order], made.answers[order], made.difficulty[order], made.forms[order], origin
    )
    return number_splits(described, source.train, f"{source.digits}x{source.digits}")


def read_sudoku(path: str, choose: Choose, digits: int) -> FileRows:
    """The chosen puzzles of a CSV file, checked
    (:func:`assets.families.sudoku_csv.read_sudoku_csv`)."""
    table = read_sudoku_csv(path, digits, choose)
    return FileRows(
        columns(table.puzzles, table.answers, table.difficulty, table.forms, table.sources),
        table.file_hash,
    )
