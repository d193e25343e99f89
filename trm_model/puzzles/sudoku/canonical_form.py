"""The canonical form of a Sudoku puzzle, which all its symmetric versions share, compiled."""

import numpy as np

from trm_model.compiled import numba
from trm_model.puzzles.sudoku.checks import is_solution
from trm_model.puzzles.sudoku.tokens import Grids, Shape


@numba.njit(cache=True)
def _permutations(count):
    """All orders of 0..count - 1, [count!, count], each from its number in the factorial number
    system."""
    total = 1
    for k in range(2, count + 1):
        total *= k
    result = np.empty((total, count), np.int64)
    for code in range(total):
        rest = code
        for k in range(count):
            result[code, k] = k
        for k in range(count - 1, 0, -1):
            other = rest % (k + 1)
            rest //= k + 1
            result[code, k], result[code, other] = result[code, other], result[code, k]
    return result


@numba.njit(cache=True)
def _stack_order(grid, n, box_columns, second, head, home, stacks):
    """The order of stacks that can make the second row smallest if ``head`` comes first, written to
    ``stacks``.

    The one whose digits in the first row make up most of the second row's first box comes next, as
    they have the next names. ``home`` [n + 1]: the column of each digit in the first row. Returns
    whether they make it up entirely.
    """
    count = n // box_columns
    stacks[0] = head
    order = 1
    for stack in range(count):
        if stack != head:
            stacks[order] = stack
            order += 1
    shared = 0
    for column in range(head * box_columns, (head + 1) * box_columns):
        shared += home[grid[second * n + column]] // box_columns == stacks[1]
    if 2 * shared < box_columns:
        stacks[1], stacks[2] = stacks[2], stacks[1]
    return shared in (0, box_columns)


@numba.njit(cache=True)
def _name(
    grid,
    n,
    box_columns,
    first,
    second,
    home,
    stacks,
    inside,
    best,
    columns,
    relabel,
    following,
    rank,
):
    """Name the digits so that the first row reads 1..n and the second is smallest.

    Given the order of stacks and that of the columns inside the first stack; writes the order of
    columns and the new name of each digit. Returns the sign of the second row minus that of
    ``best``.

    Names inside the other stacks are given as the second row, read from the left, needs them: any
    other choice makes it larger. When a stack's own columns are read, all but at most one have been
    met, as boxes have no more rows than columns. ``following`` and ``rank`` [n] are scratch: the
    next free name and the place of each stack.
    """
    relabel[:] = 0
    for k in range(n // box_columns):
        rank[stacks[k]] = k
        following[k] = k * box_columns
    for j in range(box_columns):
        columns[j] = stacks[0] * box_columns + inside[j]
        relabel[grid[first * n + columns[j]]] = j + 1
    following[0] = box_columns
    verdict = 0
    for place in range(n):
        k = place // box_columns
        if place % box_columns == 0 and following[k] < place + box_columns:
            for column in range(stacks[k] * box_columns, (stacks[k] + 1) * box_columns):
                if relabel[grid[first * n + column]] == 0:
                    columns[following[k]] = column
                    following[k] += 1
                    relabel[grid[first * n + column]] = following[k]
        digit = grid[second * n + columns[place]]
        if relabel[digit] == 0:
            k = rank[home[digit] // box_columns]
            columns[following[k]] = home[digit]
            following[k] += 1
            relabel[digit] = following[k]
        if verdict == 0 and relabel[digit] != best[n + place]:
            if relabel[digit] > best[n + place]:
                return 1
            verdict = -1
    return verdict


@numba.njit(cache=True)
def _arrange(grid, n, box_rows, columns, relabel, rows, starts):
    """The order of rows that makes the relabelled grid smallest, given its column order; written to
    ``rows``.

    Rows sort by their first entry, inside their band and the bands among themselves. The row whose
    relabelling reads 1..n comes first, since it alone starts with 1.
    """
    bands = n // box_rows
    for row in range(n):
        starts[row] = relabel[grid[row * n + columns[0]]]
    order = 0
    taken = 0
    while order < n:
        best, best_start = -1, n + 1
        for band in range(bands):
            if taken >> band & 1:
                continue
            smallest = n + 1
            for k in range(box_rows):
                smallest = min(smallest, starts[band * box_rows + k])
            if smallest < best_start:
                best, best_start = band, smallest
        taken |= 1 << best
        for k in range(box_rows):
            rows[order + k] = best * box_rows + k
        for a in range(order + 1, order + box_rows):
            b = a
            while b > order and starts[rows[b]] < starts[rows[b - 1]]:
                rows[b], rows[b - 1] = rows[b - 1], rows[b]
                b -= 1
        order += box_rows


@numba.njit(cache=True, nogil=True)
def canonical_all(puzzles, answers, box_rows, box_columns, result):
    """Canonical forms of pairs of grids [N, n * n] into ``result`` [N, 2 n * n].

    Every symmetry that could give the smallest grid is tried: which rows come first and second,
    which stack comes first and how its columns lie decide the second row (:func:`_name`), and the
    few symmetries that give the smallest are compared in full.
    """
    n = box_rows * box_columns
    insides = _permutations(box_columns)
    relabel, home = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    rows, columns, starts, stacks = (
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
    )
    following, rank = np.empty(n, np.int64), np.empty(n, np.int64)
    grid, clues = np.empty(n * n, np.uint8), np.empty(n * n, np.uint8)
    for index in range(len(puzzles)):
        best = result[index]
        best[:] = 255
        for transposed in range(2 if box_rows == box_columns else 1):
            for row in range(n):
                for column in range(n):
                    source = column * n + row if transposed else row * n + column
                    grid[row * n + column] = answers[index, source]
                    clues[row * n + column] = puzzles[index, source] > 0
            for first in range(n):
                for column in range(n):
                    home[grid[first * n + column]] = column
                band = first // box_rows * box_rows
                for second in range(band, band + box_rows):
                    if second == first:
                        continue
                    for head in range(n // box_columns):
                        pure = _stack_order(grid, n, box_columns, second, head, home, stacks)
                        if not pure and best[n + box_columns - 1] == 2 * box_columns:
                            # 4 5 6 has been found; here the second row would start with 4 5 7 at
                            # best.
                            continue
                        for inside in insides:
                            verdict = _name(
                                grid,
                                n,
                                box_columns,
                                first,
                                second,
                                home,
                                stacks,
                                inside,
                                best,
                                columns,
                                relabel,
                                following,
                                rank,
                            )
                            if verdict > 0:
                                continue
                            _arrange(grid, n, box_rows, columns, relabel, rows, starts)
                            verdict = 0
                            for cell in range(2 * n * n):
                                source = rows[cell % (n * n) // n] * n + columns[cell % n]
                                value = relabel[grid[source]] if cell < n * n else clues[source]
                                if verdict == 0 and value != best[cell]:
                                    if value > best[cell]:
                                        break
                                    verdict = -1
                                if verdict < 0:
                                    best[cell] = value


def canonical(puzzles: Grids, answers: Grids, shape: Shape) -> Grids:
    """A form that is equal exactly for puzzles of one symmetry class: [N, n * n] x 2 -> [N, 2 n *
    n].

    The first half is the smallest grid that symmetries make of the answer, read row by row; the
    second half marks the clues, the smallest marking among the symmetries that give that grid. (A
    puzzle with one solution is its answer and its clues' places.) An answer that is not a solved
    grid is taken as it is: the search relies on each row holding each digit.
    """
    result = np.concatenate((answers, puzzles > 0), axis=1, dtype=np.uint8)
    solved = np.flatnonzero(is_solution(answers, shape))
    forms = np.empty((len(solved), 2 * shape.cells), np.uint8)
    canonical_all(puzzles[solved], answers[solved], shape.box_rows, shape.box_columns, forms)
    result[solved] = forms
    return result
