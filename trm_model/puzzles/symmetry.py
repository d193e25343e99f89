"""The eight symmetries of the square (the dihedral group D4) acting on grids, numbered as the
authors' code numbers them.

0 identity; 1-3 rotation by 90, 180, 270 degrees counter-clockwise (:func:`numpy.rot90`); 4
left-right flip; 5 up-down flip; 6 transposition; 7 transposition along the other diagonal.
"""

from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from trm_model.compiled import numba
from trm_model.errors import require

COUNT = 8
"""Number of symmetries."""

Scalar = TypeVar("Scalar", bound=np.generic)


def _require_symmetry(which: int) -> None:
    require(0 <= which < COUNT, f"symmetry {which}: expected 0..{COUNT - 1}")


def dihedral(grid: npt.NDArray[Scalar], which: int) -> npt.NDArray[Scalar]:
    """The image of a grid [H, W] (or of grids [..., H, W]): a view; 1, 3, 6 and 7 swap height and
    width.

    :raises ConfigurationError: no such symmetry.
    """
    _require_symmetry(which)
    if which < 4:
        return np.rot90(grid, which, axes=(-2, -1))
    if which == 4:
        return np.flip(grid, -1)
    if which == 5:
        return np.flip(grid, -2)
    swapped = np.swapaxes(grid, -2, -1)
    return swapped if which == 6 else np.flip(swapped, (-2, -1))


@cache
def _table() -> npt.NDArray[np.int64]:
    """``[a, b]`` is the symmetry "first a, then b"; found by acting on a grid that no symmetry but
    the identity keeps."""
    mark = np.arange(4).reshape(2, 2)
    images = [dihedral(mark, which).tobytes() for which in range(COUNT)]
    return np.array(
        [
            [images.index(dihedral(dihedral(mark, a), b).tobytes()) for b in range(COUNT)]
            for a in range(COUNT)
        ]
    )


def compose(a: int, b: int) -> int:
    """The symmetry "first a, then b".

    ``dihedral(dihedral(g, a), b)`` equals ``dihedral(g, compose(a, b))``.

    :raises ConfigurationError: no such symmetry.
    """
    _require_symmetry(a)
    _require_symmetry(b)
    return int(_table()[a, b])


def inverse(which: int) -> int:
    """The symmetry that undoes ``which``.

    :raises ConfigurationError: no such symmetry.
    """
    _require_symmetry(which)
    return int(np.flatnonzero(_table()[which] == 0)[0])


@cache
def dihedral_index(side: int) -> npt.NDArray[np.int64]:
    """For flattened square grids: cell ``j`` of image ``k`` is cell ``dihedral_index(side)[k, j]``
    of the grid; [8, side * side].

    The array is shared and read-only.
    """
    cells = np.arange(side * side).reshape(side, side)
    index = np.stack([dihedral(cells, which).ravel() for which in range(COUNT)])
    index.setflags(write=False)
    return index


@numba.njit(cache=True, nogil=True)
def _images(grids, rows, which, index, result):
    for k in range(len(rows)):
        source, cells = grids[rows[k]], index[which[k]]
        for cell in range(len(cells)):
            result[k, cell] = source[cells[cell]]


def images(
    grids: npt.NDArray[Any], rows: npt.NDArray[np.int64], which: npt.NDArray[np.int64], side: int
) -> npt.NDArray[Any]:
    """Image ``which[k]`` of the flattened square grid ``grids[rows[k]]``: [N, side * side], [K],
    [K] -> [K, side * side]."""
    if len(rows) and not (
        rows.min() >= 0 and rows.max() < len(grids) and which.min() >= 0 and which.max() < COUNT
    ):
        raise IndexError(
            f"rows {rows.min()}..{rows.max()} and symmetries {which.min()}..{which.max()} of "
            f"{len(grids)} grids"
        )
    result = np.empty((len(rows), side * side), grids.dtype)
    _images(np.ascontiguousarray(grids), rows, which, dihedral_index(side), result)
    return result


@numba.njit(cache=True, nogil=True)
def _smallest_images(grids, index, result):
    cells = index.shape[1]
    for k in range(len(grids)):
        grid, best = grids[k], 0
        for which in range(1, len(index)):
            for cell in range(cells):
                mine, least = grid[index[which, cell]], grid[index[best, cell]]
                if mine != least:
                    if mine < least:
                        best = which
                    break
        for cell in range(cells):
            result[k, cell] = grid[index[best, cell]]


def smallest_images(grids: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """Of each flattened square grid the lexicographically smallest image: equal exactly for grids
    of one class. [N, side * side]."""
    result = np.empty_like(grids)
    _smallest_images(np.ascontiguousarray(grids), dihedral_index(side), result)
    return result
