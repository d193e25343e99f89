"""Layouts of walls, compiled: drawing one, and counting its pairs of cells that are far apart.

A layout is a set of free cells (:mod:`trm_model.puzzles.maze.cell_sets`). A pair is good if a
shortest path between its cells has more than ``longer_than`` moves. The bounds by which a layout is
given up early are exact; :mod:`trm_model.puzzles.maze.sampling` states them.
"""

import numpy as np

from trm_model.compiled import numba
from trm_model.puzzles.maze.cell_sets import any_cell, cell_count, lowest, ones, remove, spread
from trm_model.puzzles.maze.tokens import FAR
from trm_model.puzzles.splitmix import below, next_bits


@numba.njit(cache=True)
def draw_layout(free, side, walls, state):
    """``free`` becomes the complement of ``walls`` cells drawn uniformly.

    Every cell is a wall with a probability near the wanted share (a multiple of 1 / 32); then cells
    drawn uniformly are changed until the number is right. Given their number the walls are uniform
    before, and so they are after it.
    """
    cells = side * side
    share = min(31, round(32 * walls / cells))
    full = (np.uint64(1) << np.uint64(side)) - np.uint64(1)
    left = 0
    word = np.uint64(0)
    for row in range(side):
        if side <= 32 and row % 2:
            word = word >> np.uint64(32)
        else:
            word = np.uint64(0)
            for bit in range(
                5
            ):  # one digit of the share after the other, the least significant first
                word = (word | next_bits(state)) if share >> bit & 1 else (word & next_bits(state))
        free[row + 1] = ~word & full
        left += ones(free[row + 1])
    while left != cells - walls:
        cell = below(state, cells)
        row, bit = cell // side + 1, np.uint64(1) << np.uint64(cell % side)
        is_free = free[row] & bit != np.uint64(0)
        if is_free and left > cells - walls:
            free[row] ^= bit
            left -= 1
        elif not is_free and left < cells - walls:
            free[row] ^= bit
            left += 1


@numba.njit(cache=True, inline="always")
def _peel(cells, core):
    """``core`` becomes the cells with at least two neighbours in ``cells``."""
    for row in range(len(cells) - 2):
        middle = cells[row + 1]
        left, right, up, down = (
            middle << np.uint64(1),
            middle >> np.uint64(1),
            cells[row],
            cells[row + 2],
        )
        core[row + 1] = middle & ((left & right) | (up & down) | ((left | right) & (up | down)))


@numba.njit(cache=True, nogil=True)
def may_exceed(free, longer_than, sets):
    """Whether peeling leaves open that there is a shortest path of more than ``longer_than`` moves.
    ``sets`` [4, side + 2] is scratch."""
    left, other, ball, scratch = sets[0], sets[1], sets[2], sets[3]
    left[:] = free
    for _ in range(2):
        if longer_than >= 4:  # two rounds of peeling; more cost more than they find
            _peel(left, other)
            _peel(other, left)
            longer_than -= 4
    size = cell_count(left)
    while size >= longer_than + 2:
        row, column = any_cell(left)
        if 2 * spread(left, row, column, longer_than // 2 + 1, ball, scratch) > longer_than:
            return True
        remove(left, ball)
        size = cell_count(left)
    return False


@numba.njit(cache=True)
def _farthest(free, row, column, distance, ball, scratch, shell):
    """(row, column) of a cell at the greatest distance from a cell, which is ``distance`` (at least
    1)."""
    spread(free, row, column, distance, shell, scratch)
    spread(free, row, column, distance - 1, ball, scratch)
    remove(shell, ball)
    return any_cell(shell)


@numba.njit(cache=True)
def _drop_near(free, row, column, longer_than, depth, ends, ball, scratch):
    """Take from ``ends`` the cells that are in no good pair, seen from a cell whose greatest
    distance is ``depth``; returns a bound on the ordered good pairs among those left: one of the
    two is more than ``longer_than / 2`` away."""
    if depth <= longer_than:
        spread(free, row, column, longer_than - depth, ball, scratch)
        remove(ends, ball)
    count = cell_count(ends)
    if count:
        spread(free, row, column, longer_than // 2, ball, scratch)
    outer = 0
    for k in range(len(ends)):
        outer += ones(ends[k] & ~ball[k])
    return min(count * (count - 1), 2 * outer * (count - 1))


@numba.njit(cache=True, nogil=True)
def good_pairs(free, longer_than, enough, sets, starts, goals):
    """Ordered pairs of free cells more than ``longer_than`` moves apart: (pairs, starts); (0, 0) if
    there are fewer than ``enough``.

    Cells that are the start of a pair go to ``starts`` [side * side], the number of their goals to
    ``goals``. ``sets`` [6, side + 2] is scratch.
    """
    side = len(free) - 2
    left, part, ends, ball, scratch, shell = sets[0], sets[1], sets[2], sets[3], sets[4], sets[5]
    left[:] = free
    size_left = cell_count(left)
    pairs = found = 0
    while True:
        # At most so many more pairs in all parts that are left.
        rest = size_left * max(0, size_left - longer_than - 1)
        if rest == 0 or pairs + rest < enough:
            break
        row, column = any_cell(left)
        depth = spread(free, row, column, FAR, part, scratch)
        size = cell_count(part)
        remove(left, part)
        size_left -= size
        if 2 * depth <= longer_than or size < longer_than + 2:
            continue
        known = pairs + size_left * max(0, size_left - longer_than - 1)
        ends[:] = part
        if known + _drop_near(free, row, column, longer_than, depth, ends, ball, scratch) < enough:
            continue
        # The middle of a long shortest path is near to all cells.
        row, column = _farthest(free, row, column, depth, ball, scratch, shell)
        depth = spread(free, row, column, FAR, ball, scratch)
        last_row, last_column = _farthest(free, row, column, depth, ball, scratch, shell)
        spread(free, row, column, depth // 2, shell, scratch)
        spread(free, last_row, last_column, depth - depth // 2, ball, scratch)
        for k in range(len(shell)):
            shell[k] &= ball[k]
        row, column = any_cell(shell)
        depth = spread(free, row, column, FAR, ball, scratch)
        bound = known + _drop_near(free, row, column, longer_than, depth, ends, ball, scratch)
        if bound < enough:
            continue
        count = cell_count(ends)
        bound = known + count * max(0, count - 1)
        for row in range(side):
            word = ends[row + 1]
            while word and bound >= enough:
                column = lowest(word)
                word &= word - np.uint64(1)
                spread(free, row, column, longer_than, ball, scratch)
                far = size - cell_count(ball)
                bound += far - (count - 1)
                if far:
                    starts[found], goals[found] = row * side + column, far
                    found += 1
                    pairs += far
        if bound < enough:
            break
    if pairs < enough:
        return 0, 0
    return pairs, found
