"""Search for solutions, depth-first and exact: 9 x 9 grids on :mod:`sudoku_lanes`, smaller ones (up
to 64 cells) with a word per digit.

A guess tries a digit in a cell, and later, if need be, the cell without that digit. Guesses are
comparable within one size of grid.
"""

import numpy as np

from trm_model.compiled import numba
from trm_model.puzzles.sudoku.lanes import (
    CELLS,
    DEAD,
    LANES,
    OPEN,
    STATE,
    first_bit,
    propagate,
    reach,
)

LEVELS = 81
"""States that the search keeps: each guess fills a cell."""
ALL = np.int64(0)
"""For :func:`search`: no digit is excluded. Typed, since numba would compile the whole search again
for a literal."""


def _peers() -> np.ndarray:
    """For each cell the other cells of its row, column and box, as bits per band: int64 [81, 3]."""
    cell = np.arange(81)
    row, column = cell // 9, cell % 9
    box = row // 3 * 3 + column // 3
    sees = (row[:, None] == row) | (column[:, None] == column) | (box[:, None] == box)
    np.fill_diagonal(sees, False)
    return (sees.reshape(81, 3, 27) << np.arange(27)).sum(axis=2)


PEERS = _peers()


@numba.njit(cache=True, nogil=True)
def place_clues(puzzle, states):
    """Write the state of a 9 x 9 puzzle [81] to the first of ``states``: clues may hold their digit
    alone, blanks any."""
    for band in range(3):
        clues = 0
        for lane in range(9):
            states[LANES * band + lane] = 0
        for place in range(27):
            digit = puzzle[27 * band + place]
            if digit:
                clues |= 1 << place
                states[LANES * band + digit - 1] |= np.uint32(1 << place)
        blanks = np.uint32(CELLS & ~clues)
        for lane in range(9):
            states[LANES * band + lane] |= blanks


@numba.njit(cache=True, nogil=True)
def _choose(states, start):
    """The cell to guess in: of those with two digits the one whose digits meet most candidates in
    its row, column and box (those in cells with two digits count four times), since both guesses
    then change much; without any, the first open cell."""
    summary = start + 3 * LANES
    a = np.int64(states[summary] & ~states[summary + 3])
    b = np.int64(states[summary + 1] & ~states[summary + 4])
    c = np.int64(states[summary + 2] & ~states[summary + 5])
    best, best_cell = np.int64(-1), np.int64(-1)
    for band in range(3):
        left = (a, b, c)[band]
        while left:
            cell = 27 * band + first_bit(left)
            left &= left - 1
            p, q, r = PEERS[cell, 0], PEERS[cell, 1], PEERS[cell, 2]
            score = reach(states, start, cell, p, q, r, p & a, q & b, r & c)
            if score > best:
                best, best_cell = score, cell
    band = 0
    while best_cell < 0:
        if states[summary + band]:
            best_cell = 27 * band + first_bit(np.int64(states[summary + band]))
        band += 1
    return best_cell


@numba.njit(cache=True, nogil=True)
def search_nine(states, limit, order, answer):
    """Search on from the first of ``states`` [LEVELS + 1 states], which is overwritten; returns
    (solutions up to limit, guesses).

    ``order`` [9] is the order in which digits are tried; ``answer`` [81] is the solution last
    found.
    """
    level = solutions = guesses = 0
    while level >= 0:
        here = level * STATE
        status = propagate(states, here)
        if status == OPEN:
            guesses += 1
            cell = _choose(states, here)
            word, bit = here + LANES * (cell // 27), np.uint32(1 << cell % 27)
            chosen = 0
            for digit in order:
                if states[word + digit - 1] & bit:
                    chosen = digit - 1
                    break
            # Above: the cell is this digit. Here, for later: it is another one.
            for lane in range(3 * LANES):
                states[here + STATE + lane] = states[here + lane]
            for lane in range(9):
                if lane != chosen:
                    states[word + STATE + lane] &= ~bit
            states[word + chosen] &= ~bit
            level += 1
            continue
        if status != DEAD:
            solutions += 1
            for band in range(3):
                for lane in range(9):
                    left = np.int64(states[here + LANES * band + lane])
                    while left:
                        answer[27 * band + first_bit(left)] = lane + 1
                        left &= left - 1
            if solutions == limit:
                break
        level -= 1
    return solutions, guesses


@numba.njit(cache=True, nogil=True)
def _settle(board, units, everything):
    """Apply naked and hidden singles to a small grid until nothing changes.

    ``board`` int64 [n]: the cells where each digit is possible, a bit each; ``units`` int64 [3 n]:
    the cells of rows, columns and boxes. Returns (alive, cells with two digits or more).
    """
    while True:
        once, twice = np.int64(0), np.int64(0)
        for cells in board:
            twice |= once & cells
            once |= cells
        if once != everything:
            return False, twice
        changed = np.int64(0)
        for digit in range(len(board)):
            certain = board[digit] & ~twice
            for unit in units:
                places = board[digit] & unit
                if places == 0:
                    return False, twice
                if places & (places - 1) == 0:
                    certain |= places
            kept = board[digit]
            for unit in units:
                if certain & unit:
                    kept &= certain | ~unit
            changed |= kept ^ board[digit]
            board[digit] = kept
            for other in range(len(board)):
                if other != digit:
                    changed |= board[other] & certain
                    board[other] &= ~certain
        if changed == 0:
            return True, twice


@numba.njit(cache=True, nogil=True)
def search_small(board, units, everything, limit, order, answer):
    """As :func:`search_nine`, for a small grid: ``board`` [cells + 1, n] holds a state per guess,
    the first one given (:func:`_settle`)."""
    n = len(order)
    level = solutions = guesses = 0
    while level >= 0:
        here = board[level]
        alive, twice = _settle(here, units, everything)
        if alive and twice:
            guesses += 1
            fewest, bit, chosen = n + 1, np.int64(0), 0
            while twice:
                candidate = twice & -twice
                twice ^= candidate
                count, first = 0, 0
                for digit in order:
                    if here[digit - 1] & candidate:
                        count += 1
                        if count == 1:
                            first = digit - 1
                if count < fewest:
                    fewest, bit, chosen = count, candidate, first
            level += 1
            for digit in range(n):
                board[level, digit] = here[digit] if digit == chosen else here[digit] & ~bit
            here[chosen] &= ~bit
            continue
        if alive:
            solutions += 1
            for cell in range(n * n):
                for digit in range(n):
                    if here[digit] >> cell & 1:
                        answer[cell] = digit + 1
            if solutions == limit:
                break
        level -= 1
    return solutions, guesses


@numba.njit(cache=True)
def new_states():
    """Scratch for :func:`search`."""
    return np.zeros((LEVELS + 1) * STATE, np.uint32)


@numba.njit(cache=True, nogil=True)
def search(puzzle, cell, digit, box_rows, box_columns, limit, order, answer, states):
    """Count the solutions of a puzzle [n * n], up to ``limit``, that do not have ``digit`` in
    ``cell`` (digit 0: all solutions).

    Whether a puzzle with a known solution has another one is asked much faster without the known
    one's digit in a cell than by counting to two. Returns (solutions, guesses); ``states`` is
    scratch (:func:`new_states`), the rest as in :func:`search_nine`.
    """
    if box_rows * box_columns == 9:
        place_clues(puzzle, states)
        if digit:
            states[LANES * (cell // 27) + digit - 1] &= ~np.uint32(1 << cell % 27)
        return search_nine(states, limit, order, answer)
    n = box_rows * box_columns
    units, board = np.zeros(3 * n, np.int64), np.zeros((n * n + 1, n), np.int64)
    everything = np.int64(0)
    for place in range(n * n):
        row, column, bit = place // n, place % n, np.int64(1) << place
        everything |= bit
        units[row] |= bit
        units[n + column] |= bit
        units[2 * n + row // box_rows * box_rows + column // box_columns] |= bit
        for candidate in range(1, n + 1):
            if puzzle[place] in (0, candidate) and not (place == cell and candidate == digit):
                board[0, candidate - 1] |= bit
    return search_small(board, units, everything, limit, order, answer)


@numba.njit(cache=True, nogil=True)
def solve_all(puzzles, box_rows, box_columns, limit, answers, counts, guesses):
    """Solve puzzles [N, n * n] into ``answers`` [N, n * n], ``counts`` [N], ``guesses`` [N]."""
    order, states = np.arange(1, box_rows * box_columns + 1), new_states()
    for index in range(len(puzzles)):
        counts[index], guesses[index] = search(
            puzzles[index], ALL, ALL, box_rows, box_columns, limit, order, answers[index], states
        )
