"""Sudoku's grids and tokens: n x n cells with r x c boxes (n = r c).

Grids are uint8 arrays [N, n * n], flattened row by row; 0 is a blank, 1..n are digits. Tokens as
the authors': 0 pad, 1 blank, then the digits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trm_model.errors import require

Grids = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
PAD, BLANK, FIRST_DIGIT = 0, 1, 2
"""Tokens as the authors': 0 pad, 1 blank, then the digits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Boxes of ``box_rows`` x ``box_columns`` cells; the grid has as many rows, columns and digits
    as a box has cells.

    :raises ConfigurationError: sizes without a known printing (more than 9 digits), smaller than 2
        x 2, or boxes taller than wide.
    """

    box_rows: int
    box_columns: int

    def __post_init__(self) -> None:
        require(
            2 <= self.box_rows <= self.box_columns and self.n <= 9,
            f"boxes of {self.box_rows} x {self.box_columns}: expected at least 2 x 2, no more "
            "rows than columns (transpose the grid) "
            "and at most 9 cells",
        )

    @property
    def n(self) -> int:
        """Rows, columns and digits."""
        return self.box_rows * self.box_columns

    @property
    def cells(self) -> int:
        """Cells of the grid, L."""
        return self.n * self.n

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the tokens."""
        return ("pad", "blank", *(str(digit) for digit in range(1, self.n + 1)))


SHAPES = {4: Shape(2, 2), 6: Shape(2, 3), 9: Shape(3, 3)}


def to_tokens(grids: Grids) -> Grids:
    """Grids as model tokens: 1 blank, 2.. digits."""
    return grids + np.uint8(BLANK)


def from_tokens(tokens: Grids) -> Grids:
    """The inverse of :func:`to_tokens`; pad becomes blank."""
    return np.where(tokens >= BLANK, tokens - np.uint8(BLANK), 0).astype(np.uint8)
