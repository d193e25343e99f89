"""Sudoku in the graph: its table, where its puzzles come from, their checks."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

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
    declared_checks,
    more_than,
    number_splits,
    silent,
    split_rows,
)
from assets.families.puzzle_files import (
    Rows,
    characters,
    every_row,
    read_table,
    refuse,
    refuse_repeated,
)
from assets.outcomes import Check, CheckOutcome, all_pass, leaks
from assets.tables import Puzzles
from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.puzzles import sudoku
from trm_model.puzzles.sudoku import Sudoku, SudokuExamples
from trm_model.seeding import derive, numpy_generator

BALANCE = 0.02
"""Largest distance of a digit's share among the clues from 1 / n, beside chance."""


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
    """Columns of :class:`SudokuPuzzles` that describe the puzzles themselves."""
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


class SudokuOrigin(Origin):
    """This class holds what all origins of Sudoku have in common."""

    __slots__ = ()

    schema: ClassVar[type[Puzzles]] = SudokuPuzzles
    checks: ClassVar[Mapping[str, Check]] = {
        "unique_solution": Check("Every puzzle has exactly one solution."),
        **declared_checks(Sudoku),
        **NO_LEAKAGE,
        "class_balance": Check(
            "Digits are about equally frequent among the clues.", blocking=False
        ),
    }
    distributions: ClassVar[Mapping[str, str]] = {
        "difficulty": "difficulty (fewest guesses over orientations)",
        "clues": "clues",
    }

    @property
    @abstractmethod
    def family(self) -> Sudoku: ...

    def check_puzzles(self, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
        shape = self.family.shape
        puzzles, answers = grids(frame, "question", shape), grids(frame, "answer", shape)
        solved = sudoku.solve(puzzles, shape)
        return {
            "unique_solution": all_pass(solved.counts == 1, "puzzle"),
            "label_solves_input": all_pass(
                sudoku.is_solution(answers, shape) & (solved.answers == answers).all(axis=1),
                "puzzle",
            ),
            "clues_kept": all_pass(sudoku.keeps_clues(puzzles, answers), "puzzle"),
            "class_balance": _balance(puzzles, shape.n),
            # Computed again, not read from the table: the check must not trust what it checks.
            "no_leakage": leaks(
                frame["split"],
                [form.tobytes() for form in sudoku.canonical(puzzles, answers, shape)],
            ),
        }

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        shape = self.family.shape
        part, copies = split_rows(frame, split, augmentations)
        questions, answers = grids(part, "question", shape), grids(part, "answer", shape)
        return Augmented(SudokuExamples(questions, answers, shape, copies, seed, sources), part)


def _balance(puzzles: sudoku.Grids, n: int) -> CheckOutcome:
    """Answers hold each digit equally often; whether the clues do is up to the generator."""
    share = 1 / n
    counts = np.bincount(puzzles.ravel(), minlength=n + 1)[1:]
    distance = float(np.abs(counts / counts.sum() - share).max())
    # Four standard deviations of chance, for small tables, and a margin.
    allowed = BALANCE + 4 * (share * (1 - share) / int(counts.sum())) ** 0.5
    return CheckOutcome(distance <= allowed, {"largest_distance": distance, "allowed": allowed})


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedSudoku(SudokuOrigin):
    """Puzzles made by :func:`trm_model.puzzles.sudoku.generation.generate`.

    :param digits: 4, 6 or 9.
    :param extra_clues: clues put back into the minimal puzzle, from .. to.
    :param min_difficulty: keep puzzles that take our solver at least so many guesses.
    """

    digits: int
    train: int
    test: int
    extra_clues: tuple[int, int] = (0, 0)
    min_difficulty: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, train=1, test=1, min_difficulty=0)
        require(self.digits in (4, 6, 9), f"digits={self.digits}: expected 4, 6 or 9")

    @property
    def family(self) -> Sudoku:
        return Sudoku(self.digits)

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        """Generate the puzzles; no symmetry class is in both splits."""
        del config, log
        shape, count = self.family.shape, self.train + self.test
        made = sudoku.generate(
            count, shape, self.seed, self.extra_clues, min_difficulty=self.min_difficulty
        )
        # Classes with few members are found early: without a shuffle the test puzzles would have
        # more clues than the training puzzles.
        order = numpy_generator(self.seed, "split").permutation(count)
        described = columns(
            made.puzzles[order],
            made.answers[order],
            made.difficulty[order],
            made.forms[order],
            [f"generated, seed {self.seed}"] * count,
        )
        frame = number_splits(described, self.train, f"{self.digits}x{self.digits}")
        return Imported(frame, further=partial(self.further, frame))

    def further(self, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """See :attr:`Imported.further`: puzzles of another seed."""
        seed = derive(self.seed, "validation")
        others = replace(self, seed=seed, train=more_than(count), test=1)
        return self.unlike(others.puzzles().frame, frame, count)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SudokuFile(PuzzleFile, SudokuOrigin):
    """Sudoku from files in the format of sapientinc/sudoku-extreme; see :class:`PuzzleFile`."""

    @property
    def family(self) -> Sudoku:
        return Sudoku(self.side)

    def open(self, path: str) -> "SudokuRows":
        return read_sudoku_csv(path, self.side)


@dataclass(frozen=True, slots=True)
class SudokuRows:
    """The rows of the file at ``path``: solved puzzles, grids uint8 [N, n * n], and their sources;
    see :class:`RowsOfFile`."""

    path: str
    shape: sudoku.Shape
    puzzles: sudoku.Grids
    answers: sudoku.Grids
    sources: pl.Series
    file_hash: str

    def __len__(self) -> int:
        return len(self.puzzles)

    def take(self, rows: Rows) -> pl.DataFrame:
        """See :meth:`RowsOfFile.take`: each puzzle must have one solution and be there once."""
        puzzles, answers = self.puzzles[rows], self.answers[rows]
        forms = sudoku.canonical(puzzles, answers, self.shape)
        refuse_repeated(self.path, rows, forms, "puzzle")
        solved = sudoku.solve(puzzles, self.shape)
        refuse(
            self.path,
            rows,
            solved.counts != 1,
            "the question has more than one solution, expected exactly one",
        )
        difficulty = sudoku.difficulty(puzzles, self.shape, seed=0)
        return columns(puzzles, answers, difficulty, forms, self.sources.gather(rows).to_list())


def read_sudoku_csv(path: str, digits: int = 9) -> SudokuRows:
    """Read a file and check that every row is a solved puzzle.

    :raises PuzzleFileError: the first thing that is wrong.
    """
    shape = sudoku.SHAPES[digits]
    table, file_hash = read_table(path)
    frame = table.with_columns(pl.col("question", "answer").str.strip_chars())
    symbols = "".join(str(digit) for digit in range(1, digits + 1))
    puzzles = sudoku.from_characters(
        characters(path, frame, "question", shape.cells, f".0{symbols}")
    )
    answers = sudoku.from_characters(characters(path, frame, "answer", shape.cells, symbols))
    rows = every_row(len(frame))
    refuse(
        path,
        rows,
        ~sudoku.is_solution(answers, shape),
        "answer repeats a digit in a row, column or box, expected a solved grid",
    )
    refuse(
        path,
        rows,
        ~sudoku.keeps_clues(puzzles, answers),
        "answer contradicts a clue of the question, expected the same digits there",
    )
    return SudokuRows(path, shape, puzzles, answers, frame["source"], file_hash)
