"""The eight symmetries of a square, numbered as the authors number them: 0 identity, 1-3 counter-clockwise quarter turns,
4 left-right, 5 up-down, 6 transposition, 7 transposition at the other diagonal."""

from typing import Any

import numpy as np
import numpy.typing as npt

COUNT = 8
_INVERSES = (0, 3, 2, 1, 4, 5, 6, 7)


def dihedral(grid: npt.NDArray[Any], which: int) -> npt.NDArray[Any]:
    """The image of a 2-D array (a view; 1, 3, 6 and 7 swap its sides)."""
    if which < 4:
        return np.rot90(grid, which)
    if which < 6:
        return np.flip(grid, axis=5 - which)
    return grid.T if which == 6 else grid[::-1, ::-1].T


def inverse(which: int) -> int:
    """The symmetry that undoes ``which``."""
    return _INVERSES[which]
