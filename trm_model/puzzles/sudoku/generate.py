"""Generation of minimal Sudoku puzzles, compiled: random grid, then clues taken away while the
solution stays the only one."""

import numba
import numpy as np

from trm_model.puzzles.sudoku.search import ALL, new_states, search
from trm_model.puzzles.sudoku.symmetry import below, line_order, permute

ONE = np.int64(1)
"""Typed, since numba would compile the whole search again for a literal; and copies are loops,
since slices compile for seconds."""


@numba.njit(cache=True)
def _fill(box_rows, box_columns, state, order, answer, scratch, states):
    """A random solved grid: boxes along the diagonal (which share no line) at random, the rest by
    search, lines shuffled."""
    n = box_rows * box_columns
    box = np.empty(n, np.uint8)
    solutions = 0
    while solutions == 0:  # Small grids have diagonals without a solution.
        scratch[:] = 0
        for k in range(min(box_rows, box_columns)):
            for digit in range(n):
                box[digit] = digit + 1
            permute(box, 0, n, state)
            for digit in range(n):
                scratch[
                    (k * box_rows + digit // box_columns) * n
                    + k * box_columns
                    + digit % box_columns
                ] = box[digit]
        permute(order, 0, n, state)
        solutions, _ = search(scratch, ALL, ALL, box_rows, box_columns, ONE, order, answer, states)
    rows, columns = np.empty(n, np.int64), np.empty(n, np.int64)
    line_order(rows, box_rows, state)
    line_order(columns, box_columns, state)
    for cell in range(n * n):
        scratch[cell] = answer[cell]
    for row in range(n):
        for column in range(n):
            answer[row * n + column] = scratch[rows[row] * n + columns[column]]


@numba.njit(cache=True, nogil=True)
def generate_all(seeds, box_rows, box_columns, low, high, puzzles, answers):
    """Make puzzle i of ``seeds[i]`` with between ``low`` and ``high`` clues more than a minimal
    one, into [N, n * n] arrays."""
    n = box_rows * box_columns
    cells = n * n
    state, states, scratch = np.empty(1, np.uint64), new_states(), np.empty(cells, np.uint8)
    removed = np.empty(cells, np.int64)
    for index in range(len(seeds)):
        state[0] = seeds[index]
        puzzle, answer = puzzles[index], answers[index]
        order = np.arange(1, n + 1)
        _fill(box_rows, box_columns, state, order, answer, scratch, states)
        for cell in range(cells):
            puzzle[cell] = answer[cell]
        removal = np.arange(cells)
        permute(removal, 0, cells, state)
        count = 0
        for cell in removal:
            puzzle[cell] = 0
            another, _ = search(
                puzzle,
                cell,
                np.int64(answer[cell]),
                box_rows,
                box_columns,
                ONE,
                order,
                scratch,
                states,
            )
            if another:
                puzzle[cell] = answer[cell]
            else:
                removed[count] = cell
                count += 1
        extra = low + below(state, high - low + 1)
        permute(removed, 0, count, state)
        for k in range(min(extra, count - 1)):
            puzzle[removed[k]] = answer[removed[k]]
