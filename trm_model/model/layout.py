"""Where the positions of a sequence lie on the grid of a puzzle."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trm_model.errors import require


class Layout(NamedTuple):
    """P leading positions for the puzzle's row, then the L cells of a grid, row by row.

    :param prefix: P. :param length: L. :param grid: rows and columns; None: not known.
    """

    prefix: int
    length: int
    grid: tuple[int, int] | None = None

    @property
    def positions(self) -> int:
        """All positions, P + L."""
        return self.prefix + self.length

    def known_grid(self, reader: str) -> tuple[int, int]:
        """Rows and columns, for a ``reader`` that needs them.

        :raises ConfigurationError: they are not known, or not those of L cells.
        """
        require(
            self.grid is not None and self.grid[0] * self.grid[1] == self.length,
            f"{reader} with grid={self.grid}, length={self.length}: expected the grid's rows and "
            "columns; give grid, or use others",
        )
        return self.grid or (1, self.length)

    def places(self, reader: str) -> npt.NDArray[np.int64]:
        """Row and column of every position, [2, P + L]; those of the prefix are -P..-1 in both.

        :raises ConfigurationError: see :meth:`known_grid`.
        """
        before = np.arange(-self.prefix, 0)
        cells = np.indices(self.known_grid(reader)).reshape(2, -1)
        return np.concatenate((np.stack((before, before)), cells), axis=1)
