"""Generation of minimal Sudoku puzzles: a random grid, then clues taken away while the solution
stays the only one. The inner loops are compiled.

Random numbers are explicit seeds, so that puzzle ``i`` of a seed is the same whatever is made
beside it.
"""

from typing import NamedTuple

import numpy as np

from trm_model.compiled import numba
from trm_model.errors import require
from trm_model.puzzles.distinct import first_of_each
from trm_model.puzzles.sudoku.canonical_form import canonical
from trm_model.puzzles.sudoku.search import ALL, new_states, search
from trm_model.puzzles.sudoku.solving import difficulty
from trm_model.puzzles.sudoku.symmetry import below, line_order, permute
from trm_model.puzzles.sudoku.tokens import Grids, Ints, Shape
from trm_model.seeding import numpy_generator

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


RAREST = 100_000
"""Attempts per puzzle of the difficulty asked for after which :func:`generate` gives up."""


class Generated(NamedTuple):
    """Puzzles, their answers [N, n * n], difficulties [N] and canonical forms [N, 2 n * n]; no two
    of one symmetry class."""

    puzzles: Grids
    answers: Grids
    difficulty: Ints
    forms: Grids


def generate(
    count: int,
    shape: Shape,
    seed: int,
    extra_clues: tuple[int, int] = (0, 0),
    min_difficulty: int = 0,
) -> Generated:
    """Generate ``count`` puzzles with one solution and at least ``min_difficulty``
    (:func:`difficulty`), pairwise different up to symmetry.

    Clues are taken away in random order while the solution stays the only one, which leaves a
    minimal puzzle; then between ``extra_clues[0]`` and ``extra_clues[1]`` of them (uniformly) are
    put back: small grids have few minimal puzzles (4 x 4: 36 classes), but thousands with a few
    clues more. The answers come from a random search, not uniformly from all grids. Attempt ``a``
    depends on the seed and ``a`` alone.

    :raises ConfigurationError: when new classes, or puzzles that are hard enough, have become too
        rare to reach ``count``.
    """
    low, high = extra_clues
    require(count >= 1, f"count={count}: expected at least 1")
    require(0 <= low <= high, f"extra_clues={extra_clues}: expected 0 <= low <= high")
    require(min_difficulty >= 0, f"min_difficulty={min_difficulty}: expected at least 0")
    seen: set[bytes] = set()
    parts: list[Generated] = []
    base, attempts, hard = numpy_generator(seed, "sudoku", shape.n).integers(0, 2**63), 0, 0
    while len(seen) < count:
        chunk = max(64, min(4096, count - len(seen)))
        require(
            hard <= 20 * len(seen) + 10_000,
            f"count={count}: only {len(seen)} different {shape.n} x {shape.n} puzzles with {low} "
            f"to {high} extra clues found in "
            f"{attempts} attempts; ask for fewer puzzles or allow more extra clues",
        )
        require(
            attempts <= RAREST * (hard + 1),
            f"min_difficulty={min_difficulty}: {hard} of {attempts} puzzles were that hard; ask "
            "for less",
        )
        seeds = (
            np.arange(attempts, attempts + chunk, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)
        ) ^ np.uint64(base)
        puzzles, answers = (
            np.empty((chunk, shape.cells), np.uint8),
            np.empty((chunk, shape.cells), np.uint8),
        )
        generate_all(seeds, shape.box_rows, shape.box_columns, low, high, puzzles, answers)
        difficulties = difficulty(puzzles, shape)
        kept = difficulties >= min_difficulty
        puzzles, answers, difficulties = puzzles[kept], answers[kept], difficulties[kept]
        forms = canonical(puzzles, answers, shape)
        fresh = first_of_each(forms, seen)
        parts.append(Generated(puzzles[fresh], answers[fresh], difficulties[fresh], forms[fresh]))
        attempts += chunk
        hard += len(puzzles)
    return Generated(*(np.concatenate(columns)[:count] for columns in zip(*parts, strict=True)))
