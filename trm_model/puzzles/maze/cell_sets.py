"""Sets of a maze's cells as bits, compiled: uint64 [side + 2], one word per row of cells, column c
at bit c, with an empty row above and below.

Distances are found by widening a set of cells by one move at a time.
"""

import numpy as np

from trm_model.compiled import numba


@numba.njit(cache=True, inline="always")
def ones(word):
    """Bits set in an uint64."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(cache=True)
def cell_count(cells):
    """Cells in the set."""
    total = 0
    for row in range(len(cells)):
        total += ones(cells[row])
    return total


@numba.njit(cache=True, inline="always")
def lowest(word):
    """Position of the lowest set bit of a word that has one."""
    return ones((word & (~word + np.uint64(1))) - np.uint64(1))


@numba.njit(cache=True, inline="always")
def widen(free, ball, wider):
    """``wider`` becomes the free cells in ``ball`` or beside it; returns whether it has more."""
    changed = np.uint64(0)
    for row in range(len(free) - 2):
        middle = ball[row + 1]
        cells = (
            middle | (middle << np.uint64(1)) | (middle >> np.uint64(1)) | ball[row] | ball[row + 2]
        ) & free[row + 1]
        wider[row + 1] = cells
        changed |= cells ^ middle
    return changed != np.uint64(0)


@numba.njit(cache=True, nogil=True)
def spread(free, row, column, limit, ball, scratch):
    """``ball`` becomes the cells within ``limit`` moves of a free cell; returns the greatest
    distance among them."""
    ball[:] = np.uint64(0)
    ball[row + 1] = np.uint64(1) << np.uint64(column)
    steps = 0
    while steps < limit:
        if not widen(free, ball, scratch):
            return steps
        steps += 1
        if steps == limit:
            ball[:] = scratch
            return steps
        if not widen(free, scratch, ball):
            return steps
        steps += 1
    return steps


@numba.njit(cache=True, inline="always")
def remove(cells, others):
    for row in range(len(cells)):
        cells[row] &= ~others[row]


@numba.njit(cache=True)
def any_cell(cells):
    """(row, column) of one cell of the set, near the middle of the grid; (-1, -1) if it is
    empty."""
    side = len(cells) - 2
    middle = side // 2
    for k in range(side + 1):
        row = middle + (k + 1) // 2 if k % 2 else middle - k // 2
        if row < side and cells[row + 1]:
            right = cells[row + 1] >> np.uint64(middle)
            return row, (middle + lowest(right) if right else lowest(cells[row + 1]))
    return -1, -1
