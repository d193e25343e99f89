"""Import of Sudoku files in the format of sapientinc/sudoku-extreme (:mod:`assets.sources`)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.sources import characters, read_table, refuse, refuse_repeated
from trm_model.puzzles import sudoku


@dataclass(frozen=True, slots=True)
class SudokuTable:
    """Valid puzzles: grids uint8 [N, n * n], their source, the solver's guesses [N], canonical forms, and the file's hash."""

    puzzles: sudoku.Grids
    answers: sudoku.Grids
    sources: list[str]
    guesses: npt.NDArray[np.int64]
    forms: sudoku.Grids
    file_hash: str


def read_sudoku_csv(path: str, digits: int = 9) -> SudokuTable:
    """Read and check a file; every row must be a puzzle with exactly one solution, which is its answer.

    :raises SourceError: the first thing that is wrong.
    """
    shape = sudoku.SHAPES[digits]
    table, file_hash = read_table(path)
    frame = table.with_columns(pl.col("question", "answer").str.strip_chars())
    symbols = "".join(str(digit) for digit in range(1, digits + 1))
    puzzles = sudoku.from_characters(characters(path, frame, "question", shape.cells, f".0{symbols}"))
    answers = sudoku.from_characters(characters(path, frame, "answer", shape.cells, symbols))
    refuse(path, ~sudoku.is_solution(answers, shape), "answer repeats a digit in a row, column or box, expected a solved grid")
    refuse(path, ~sudoku.keeps_clues(puzzles, answers), "answer contradicts a clue of the question, expected the same digits there")
    forms = sudoku.canonical(puzzles, answers, shape)
    refuse_repeated(path, forms, "puzzle")
    solved = sudoku.solve(puzzles, shape)
    refuse(path, solved.counts != 1, "the question has more than one solution, expected exactly one")
    return SudokuTable(puzzles, answers, frame["source"].to_list(), solved.guesses, forms, file_hash)
