"""Solutions of Sudoku puzzles, and how hard they are to find."""

from typing import NamedTuple

import numpy as np

from trm_model.errors import require
from trm_model.puzzles.sudoku.search import solve_all
from trm_model.puzzles.sudoku.symmetry import shuffle
from trm_model.puzzles.sudoku.tokens import Grids, Ints, Shape
from trm_model.seeding import derive


class Solved(NamedTuple):
    """``answers`` [N, n * n]: the solution last found (0 where there is none); ``counts`` [N]:
    solutions up to the limit; ``guesses`` [N]: places where the search had to try a digit."""

    answers: Grids
    counts: Ints
    guesses: Ints


def solve(puzzles: Grids, shape: Shape, limit: int = 2) -> Solved:
    """Solve puzzles [N, n * n], counting solutions up to ``limit`` (2: enough to prove that there
    is one).

    :raises ValueError: a digit that the shape does not have.
    """
    wrong = np.flatnonzero((puzzles > shape.n).any(axis=1))
    if len(wrong):
        raise ValueError(
            f"puzzle {wrong[0]} has the digit {puzzles[wrong[0]].max()}: expected 0 (blank) to "
            f"{shape.n}"
        )
    answers = np.zeros_like(puzzles)
    counts, guesses = np.zeros(len(puzzles), np.int64), np.zeros(len(puzzles), np.int64)
    solve_all(
        np.ascontiguousarray(puzzles),
        shape.box_rows,
        shape.box_columns,
        limit,
        answers,
        counts,
        guesses,
    )
    return Solved(answers, counts, guesses)


def difficulty(puzzles: Grids, shape: Shape, seed: int = 0, orientations: int = 4) -> Ints:
    """How hard puzzles [N, n * n] are to search: the solver's fewest guesses over some
    orientations. [N] -> int64 [N].

    The orientations are the puzzle itself and ``orientations - 1`` random symmetries of it. One
    count alone depends on which of several equally promising cells is met first; the minimum
    depends on that less. The symmetries depend on the seed alone, so that a puzzle has the same
    difficulty in whatever company. 0: propagation alone solves it. Comparable within one size of
    grid.

    :raises ConfigurationError: no orientation.
    """
    require(orientations >= 1, f"orientations={orientations}: expected at least 1")
    least = solve(puzzles, shape).guesses
    for orientation in range(1, orientations):
        seeds = np.full(len(puzzles), derive(seed, "orientation", orientation), np.uint64)
        turned, _ = shuffle(puzzles, puzzles, seeds, shape)
        np.minimum(least, solve(turned, shape).guesses, out=least)
    return least
