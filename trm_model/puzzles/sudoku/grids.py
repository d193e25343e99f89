"""Sudoku on n x n grids with r x c boxes (n = r c): parse, validate, solve, generate, shuffle,
canonicalise, draw.

Grids are uint8 arrays [N, n * n], flattened row by row; 0 is a blank, 1..n are digits. Random
numbers are explicit seeds, so that puzzle ``i`` of a seed is the same whatever is made beside it.
The compiled inner loops are in ``sudoku_search``, ``sudoku_symmetry`` and ``sudoku_generate``.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from trm_model.errors import require
from trm_model.puzzles.sudoku.generate import generate_all
from trm_model.puzzles.sudoku.search import solve_all
from trm_model.puzzles.sudoku.symmetry import canonical_all, shuffle_all
from trm_model.seeding import derive, numpy_generator

Grids = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RAREST = 100_000
"""Attempts per puzzle of the difficulty asked for after which :func:`generate` gives up."""

PAD, BLANK, FIRST_DIGIT = 0, 1, 2
"""Tokens as the authors': 0 pad, 1 blank, then the digits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Boxes of ``box_rows`` x ``box_columns`` cells; the grid has as many rows, columns and digits
    as a box has cells.

    :raises ConfigurationError: sizes without a known printing (more than 9 digits), smaller than 2
        x 2, or boxes taller than wide.
    """

    box_rows: int
    box_columns: int

    def __post_init__(self) -> None:
        require(
            2 <= self.box_rows <= self.box_columns and self.n <= 9,
            f"boxes of {self.box_rows} x {self.box_columns}: expected at least 2 x 2, no more "
            "rows than columns (transpose the grid) "
            "and at most 9 cells",
        )

    @property
    def n(self) -> int:
        """Rows, columns and digits."""
        return self.box_rows * self.box_columns

    @property
    def cells(self) -> int:
        """Cells of the grid, L."""
        return self.n * self.n

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the tokens."""
        return ("pad", "blank", *(str(digit) for digit in range(1, self.n + 1)))


SHAPES = {4: Shape(2, 2), 6: Shape(2, 3), 9: Shape(3, 3)}


def to_tokens(grids: Grids) -> Grids:
    """Grids as model tokens: 1 blank, 2.. digits."""
    return grids + np.uint8(BLANK)


def from_tokens(tokens: Grids) -> Grids:
    """The inverse of :func:`to_tokens`; pad becomes blank."""
    return np.where(tokens >= BLANK, tokens - np.uint8(BLANK), 0).astype(np.uint8)


def to_text(grid: Grids) -> str:
    """One grid [n * n] as the usual string of digits, ``.`` for a blank."""
    return "".join("." if digit == 0 else str(digit) for digit in grid)


def from_characters(characters: Grids) -> Grids:
    """ASCII codes of ``.`` and digits as grids, of any shape; the caller has checked that there are
    no others."""
    return np.where(characters == ord("."), 0, characters - np.uint8(ord("0"))).astype(np.uint8)


def from_text(text: str, shape: Shape) -> Grids:
    """The inverse of :func:`to_text` (``0`` is a blank too).

    :raises ValueError: wrong length or a character that is no digit of the shape.
    """
    if len(text) != shape.cells:
        raise ValueError(f"{len(text)} characters: expected {shape.cells}")
    digits = [0 if c in ".0" else (int(c) if "1" <= c <= str(shape.n) else -1) for c in text]
    if -1 in digits:
        raise ValueError(
            f"character {text[digits.index(-1)]!r} at cell {digits.index(-1) + 1}: expected . or "
            f"1..{shape.n}"
        )
    return np.array(digits, dtype=np.uint8)


@numba.njit(cache=True, nogil=True)
def _is_solution_all(grids, box_rows, box_columns, result):
    n = box_rows * box_columns
    seen = np.empty((3, n), np.int64)
    for index in range(len(grids)):
        seen[:] = 0
        for cell in range(n * n):
            row, column = cell // n, cell % n
            bit = 1 << min(grids[index, cell], 31)  # No digit is 31.
            seen[0, row] |= bit
            seen[1, column] |= bit
            seen[2, row // box_rows * (n // box_columns) + column // box_columns] |= bit
        # Digits 1..n, each once: n cells that cover all n bits.
        result[index] = (seen == (1 << (n + 1)) - 2).all()


def is_solution(grids: Grids, shape: Shape) -> Bools:
    """Whether every row, column and box holds every digit once. [N, n * n] -> [N]."""
    result = np.empty(len(grids), np.bool_)
    _is_solution_all(np.ascontiguousarray(grids), shape.box_rows, shape.box_columns, result)
    return result


def keeps_clues(puzzles: Grids, answers: Grids) -> Bools:
    """Whether the answer has the puzzle's digit wherever the puzzle has one. [N, n * n] x 2 ->
    [N]."""
    return ((puzzles == 0) | (puzzles == answers)).all(axis=1)


# Solving


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


# Symmetries


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


# Generating


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
        fresh = [
            i
            for i, form in enumerate(forms)
            if (key := form.tobytes()) not in seen and not seen.add(key)
        ]
        parts.append(Generated(puzzles[fresh], answers[fresh], difficulties[fresh], forms[fresh]))
        attempts += chunk
        hard += len(puzzles)
    return Generated(*(np.concatenate(columns)[:count] for columns in zip(*parts, strict=True)))


# Drawing


def to_drawing(grid: Grids, shape: Shape) -> str:
    """One grid [n * n] as lines of text with its boxes ruled off."""
    rule = "+".join("-" * (2 * shape.box_columns + 1) for _ in range(shape.n // shape.box_columns))
    lines: list[str] = []
    for number, row in enumerate(grid.reshape(shape.n, shape.n)):
        if number and number % shape.box_rows == 0:
            lines.append(rule)
        cells = ["." if digit == 0 else str(digit) for digit in row]
        boxes = [
            " ".join(cells[start : start + shape.box_columns])
            for start in range(0, shape.n, shape.box_columns)
        ]
        lines.append(" " + " | ".join(boxes) + " ")
    return "\n".join(lines)
