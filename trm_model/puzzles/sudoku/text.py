"""Sudoku grids as the usual strings of digits."""

import numpy as np

from trm_model.puzzles.sudoku.tokens import Grids, Shape


def to_text(grid: Grids) -> str:
    """One grid [n * n] as the usual string of digits, ``.`` for a blank."""
    return "".join("." if digit == 0 else str(digit) for digit in grid)


def from_characters(characters: Grids) -> Grids:
    """ASCII codes of ``.`` and digits as grids, of any shape; the caller has checked that there are
    no others."""
    return np.where(characters == ord("."), 0, characters - np.uint8(ord("0"))).astype(np.uint8)


def from_text(text: str, shape: Shape) -> Grids:
    """The inverse of :func:`to_text` (``0`` is a blank too).

    :raises ValueError: wrong length or a character that is no digit of the shape.
    """
    if len(text) != shape.cells:
        raise ValueError(f"{len(text)} characters: expected {shape.cells}")
    digits = [0 if c in ".0" else (int(c) if "1" <= c <= str(shape.n) else -1) for c in text]
    if -1 in digits:
        raise ValueError(
            f"character {text[digits.index(-1)]!r} at cell {digits.index(-1) + 1}: expected . or "
            f"1..{shape.n}"
        )
    return np.array(digits, dtype=np.uint8)
