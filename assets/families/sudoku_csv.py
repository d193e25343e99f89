"""Import of Sudoku files in the format of sapientinc/sudoku-extreme
(:mod:`assets.data.puzzle_files`)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.data.puzzle_files import (
    Choose,
    characters,
    every_row,
    read_table,
    refuse,
    refuse_repeated,
)
from trm_model.puzzles import sudoku


@dataclass(frozen=True, slots=True)
class SudokuTable:
    """Valid puzzles: grids uint8 [N, n * n], their sources, difficulty [N]
    (:func:`trm_model.puzzles.sudoku.grids.difficulty`), canonical forms, and the file's hash."""

    puzzles: sudoku.Grids
    answers: sudoku.Grids
    sources: list[str]
    difficulty: npt.NDArray[np.int64]
    forms: sudoku.Grids
    file_hash: str


def read_sudoku_csv(path: str, digits: int = 9, choose: Choose = every_row) -> SudokuTable:
    """Read a file and check it: every row must be a solved puzzle, every chosen one must have that
    solution only and be there once.

    :raises SourceError: the first thing that is wrong.
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
    rows = choose(len(frame))
    puzzles, answers = puzzles[rows], answers[rows]
    forms = sudoku.canonical(puzzles, answers, shape)
    refuse_repeated(path, rows, forms, "puzzle")
    solved = sudoku.solve(puzzles, shape)
    refuse(
        path,
        rows,
        solved.counts != 1,
        "the question has more than one solution, expected exactly one",
    )
    return SudokuTable(
        puzzles,
        answers,
        frame["source"].gather(rows).to_list(),
        sudoku.difficulty(puzzles, shape, seed=0),
        forms,
        file_hash,
    )
