"""Puzzle tables as arrays."""

import numpy as np
import polars as pl

from trm_model.puzzles import sudoku


def grids(frame: pl.DataFrame, column: str, digits: int) -> sudoku.Grids:
    """A text column of a puzzle table as grids uint8 [N, n * n]."""
    raw = np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), digits * digits)
    return sudoku.from_characters(raw)
