"""A plain Sudoku search, cell by cell, that shares nothing with the library: counts and answers to
compare with."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def plain_search(puzzle, box_rows, box_columns, limit, order, answer):
    """Depth-first search with naked and hidden singles; returns (solutions up to limit, guesses).
    ``answer`` is the last found.

    ``order`` [n] is the order in which digits are tried.
    """
    n = box_rows * box_columns
    cells = n * n
    full = (1 << n) - 1
    used = np.zeros((3, n), np.int64)
    grid = puzzle.copy()
    box_of = np.empty(cells, np.int64)
    for cell in range(cells):
        box_of[cell] = (cell // n // box_rows) * (n // box_columns) + (cell % n) // box_columns
    for cell in range(cells):
        if grid[cell]:
            bit = 1 << (grid[cell] - 1)
            row, column, box = cell // n, cell % n, box_of[cell]
            if (used[0, row] | used[1, column] | used[2, box]) & bit:
                return 0, 0
            used[0, row] |= bit
            used[1, column] |= bit
            used[2, box] |= bit
    trail = np.empty(cells, np.int64)  # cells filled, in order
    filled = 0
    guess_cell = np.empty(cells, np.int64)
    guess_left = np.empty(cells, np.int64)  # digits of that cell still to try
    guess_filled = np.empty(cells, np.int64)
    depth = 0
    solutions = 0
    guesses = 0
    once = np.empty((3, n), np.int64)
    twice = np.empty((3, n), np.int64)
    while True:
        # Scan: candidates of every blank; places of every digit in every unit.
        once[:] = 0
        twice[:] = 0
        fewest, fewest_cell, fewest_mask = n + 1, -1, 0
        dead = False
        single_cell, single_mask = -1, 0
        for cell in range(cells):
            if grid[cell]:
                continue
            row, column, box = cell // n, cell % n, box_of[cell]
            mask = full & ~(used[0, row] | used[1, column] | used[2, box])
            if mask == 0:
                dead = True
                break
            twice[0, row] |= once[0, row] & mask
            once[0, row] |= mask
            twice[1, column] |= once[1, column] & mask
            once[1, column] |= mask
            twice[2, box] |= once[2, box] & mask
            once[2, box] |= mask
            count = 0
            left = mask
            while left:
                left &= left - 1
                count += 1
            if count < fewest:
                fewest, fewest_cell, fewest_mask = count, cell, mask
                if count == 1:
                    break
        if not dead and fewest > 1 and fewest_cell >= 0:
            for kind in range(3):
                for unit in range(n):
                    if (once[kind, unit] | used[kind, unit]) != full:
                        dead = True
            if not dead:
                for cell in range(cells):
                    if grid[cell]:
                        continue
                    row, column, box = cell // n, cell % n, box_of[cell]
                    mask = full & ~(used[0, row] | used[1, column] | used[2, box])
                    hidden = mask & (
                        (once[0, row] & ~twice[0, row])
                        | (once[1, column] & ~twice[1, column])
                        | (once[2, box] & ~twice[2, box])
                    )
                    if hidden:
                        single_cell, single_mask = cell, hidden & -hidden
                        break
        if not dead:
            if fewest_cell < 0:
                solutions += 1
                answer[:] = grid
                if solutions >= limit:
                    return solutions, guesses
                dead = True
            elif fewest == 1:
                single_cell, single_mask = fewest_cell, fewest_mask
        if not dead and single_cell < 0:
            guess_cell[depth] = fewest_cell
            guess_left[depth] = fewest_mask
            guess_filled[depth] = filled
            depth += 1
            guesses += 1
        if dead or single_cell < 0:
            # The next untried digit of the deepest guess that has one.
            found = False
            while depth > 0 and not found:
                while filled > guess_filled[depth - 1]:
                    filled -= 1
                    cell = trail[filled]
                    bit = 1 << (grid[cell] - 1)
                    used[0, cell // n] ^= bit
                    used[1, cell % n] ^= bit
                    used[2, box_of[cell]] ^= bit
                    grid[cell] = 0
                if guess_left[depth - 1]:
                    found = True
                else:
                    depth -= 1
            if not found:
                return solutions, guesses
            single_cell = guess_cell[depth - 1]
            for digit in order:
                if guess_left[depth - 1] >> (digit - 1) & 1:
                    single_mask = 1 << (digit - 1)
                    break
            guess_left[depth - 1] ^= single_mask
        digit = 1
        while single_mask >> digit:
            digit += 1
        grid[single_cell] = digit
        used[0, single_cell // n] |= single_mask
        used[1, single_cell % n] |= single_mask
        used[2, box_of[single_cell]] |= single_mask
        trail[filled] = single_cell
        filled += 1


@numba.njit(cache=True, nogil=True)
def plain_solve_all(puzzles, box_rows, box_columns, limit, answers, counts, guesses):
    order = np.arange(1, box_rows * box_columns + 1)
    for index in range(len(puzzles)):
        counts[index], guesses[index] = plain_search(
            puzzles[index], box_rows, box_columns, limit, order, answers[index]
        )
