"""Random symmetries of Sudoku, compiled.

Random numbers are drawn inside the compiled loops by splitmix64 from a seed per item, so that an
item depends on its seed alone.
"""

import numpy as np
import numpy.typing as npt

from trm_model.compiled import numba
from trm_model.puzzles.splitmix import below
from trm_model.puzzles.sudoku.tokens import Grids, Shape


@numba.njit(cache=True)
def permute(values, start, count, state):
    """Fisher-Yates on ``values[start:start + count]``, in place (a view would cost more than the
    permutation)."""
    for last in range(start + count - 1, start, -1):
        other = start + below(state, last - start + 1)
        values[last], values[other] = values[other], values[last]


@numba.njit(cache=True)
def line_order(order, band, state):
    """A random order of lines that keeps bands of ``band`` lines together, written to ``order``."""
    bands = len(order) // band
    for position in range(bands):
        order[position] = position
    permute(order, 0, bands, state)
    for position in range(
        bands - 1, -1, -1
    ):  # Backwards, so that no band is overwritten before it is spread.
        first = order[position] * band
        for line in range(band):
            order[position * band + line] = first + line
    for position in range(bands):
        permute(order, position * band, band, state)


@numba.njit(cache=True)
def draw_symmetry(state, box_rows, box_columns, digits, rows, columns):
    """Draw from the whole group, uniformly, by the generator ``state`` [1].

    Digit d becomes ``digits[d]`` (d = 0..n; a blank stays), and the cell in row r and column c is
    the one that was at ``rows[r] + columns[c]`` ([n] each) of the flattened grid: transposition,
    where boxes are square, decides which of the two counts in n.
    """
    n = box_rows * box_columns
    for digit in range(n + 1):
        digits[digit] = digit
    permute(digits, 1, n, state)
    line_order(rows, box_rows, state)
    line_order(columns, box_columns, state)
    scaled = columns if box_rows == box_columns and below(state, 2) == 1 else rows
    for line in range(n):
        scaled[line] *= n


@numba.njit(cache=True, nogil=True)
def shuffle_all(puzzles, answers, seeds, box_rows, box_columns, out_puzzles, out_answers):
    """Apply the symmetry of ``seeds[i]`` to pair i of grids [N, n * n]."""
    n = box_rows * box_columns
    state = np.empty(1, np.uint64)
    rows, columns = np.empty(n, np.int64), np.empty(n, np.int64)
    digits = np.empty(n + 1, np.uint8)
    for index in range(len(puzzles)):
        state[0] = seeds[index]
        draw_symmetry(state, box_rows, box_columns, digits, rows, columns)
        for row in range(n):
            for column in range(n):
                source = rows[row] + columns[column]
                out_puzzles[index, row * n + column] = digits[puzzles[index, source]]
                out_answers[index, row * n + column] = digits[answers[index, source]]


def shuffle(
    puzzles: Grids, answers: Grids, seeds: npt.NDArray[np.uint64], shape: Shape
) -> tuple[Grids, Grids]:
    """Apply a random symmetry to each (puzzle, answer) [N, n * n]: digits, rows and columns within
    bands and stacks, bands, stacks, transposition where boxes are square. Element ``i`` depends on
    ``seeds[i]`` alone; uniform over the group.
    """
    out_puzzles, out_answers = np.empty_like(puzzles), np.empty_like(answers)
    shuffle_all(
        np.ascontiguousarray(puzzles),
        np.ascontiguousarray(answers),
        seeds,
        shape.box_rows,
        shape.box_columns,
        out_puzzles,
        out_answers,
    )
    return out_puzzles, out_answers
