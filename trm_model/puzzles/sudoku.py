"""Sudoku on n x n grids with r x c boxes (n = r c): parse, validate, solve, generate, shuffle, canonicalise, draw.

Grids are uint8 arrays [N, n * n], flattened row by row; 0 is a blank, 1..n are digits. The inner loops are compiled by numba;
random numbers are explicit seeds, so that puzzle ``i`` of a seed is the same whatever is made beside it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from trm_model.puzzles.splitmix import below, permute
from trm_model.seeding import numpy_generator
from trm_model.variant import require

Grids = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PAD, BLANK, FIRST_DIGIT = 0, 1, 2
"""Tokens as the authors': 0 pad, 1 blank, then the digits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Boxes of ``box_rows`` x ``box_columns`` cells; the grid has as many rows, columns and digits as a box has cells.

    :raises ConfigurationError: sizes without a known printing (more than 9 digits) or smaller than 2 x 2.
    """

    box_rows: int
    box_columns: int

    def __post_init__(self) -> None:
        require(
            self.box_rows >= 2 and self.box_columns >= 2 and self.n <= 9,
            f"boxes of {self.box_rows} x {self.box_columns}: expected at least 2 x 2 and at most 9 cells",
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
    def transposable(self) -> bool:
        """Whether swapping rows and columns keeps boxes boxes."""
        return self.box_rows == self.box_columns

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
    """ASCII codes of ``.`` and digits as grids, of any shape; the caller has checked that there are no others."""
    return np.where(characters == ord("."), 0, characters - np.uint8(ord("0"))).astype(np.uint8)


def from_text(text: str, shape: Shape) -> Grids:
    """The inverse of :func:`to_text` (``0`` is a blank too).

    :raises ValueError: wrong length or a character that is no digit of the shape.
    """
    if len(text) != shape.cells:
        raise ValueError(f"{len(text)} characters: expected {shape.cells}")
    digits = [0 if c in ".0" else (int(c) if "1" <= c <= str(shape.n) else -1) for c in text]
    if -1 in digits:
        raise ValueError(f"character {text[digits.index(-1)]!r} at cell {digits.index(-1) + 1}: expected . or 1..{shape.n}")
    return np.array(digits, dtype=np.uint8)


@numba.njit(cache=True, nogil=True)
def _is_solution_all(grids, box_rows, box_columns, result):
    n = box_rows * box_columns
    seen = np.empty((3, n), np.int64)
    for index in range(len(grids)):
        seen[:] = 0
        for cell in range(n * n):
            row, column = cell // n, cell % n
            bit = 1 << grids[index, cell]
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
    """Whether the answer has the puzzle's digit wherever the puzzle has one. [N, n * n] x 2 -> [N]."""
    return ((puzzles == 0) | (puzzles == answers)).all(axis=1)


# Solver


@numba.njit(cache=True, nogil=True)
def _search(puzzle, box_rows, box_columns, limit, order, answer):
    """Depth-first search with naked and hidden singles; returns (solutions up to limit, guesses). ``answer`` is the last found.

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
                        (once[0, row] & ~twice[0, row]) | (once[1, column] & ~twice[1, column]) | (once[2, box] & ~twice[2, box])
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
def _solve_all(puzzles, box_rows, box_columns, limit, answers, counts, guesses):
    order = np.arange(1, box_rows * box_columns + 1)
    for index in range(len(puzzles)):
        counts[index], guesses[index] = _search(puzzles[index], box_rows, box_columns, limit, order, answers[index])


class Solved(NamedTuple):
    """``answers`` [N, n * n]: the solution last found (0 where there is none); ``counts`` [N]: solutions up to the limit;
    ``guesses`` [N]: cells where the search had to try digits."""

    answers: Grids
    counts: Ints
    guesses: Ints


def solve(puzzles: Grids, shape: Shape, limit: int = 2) -> Solved:
    """Solve puzzles [N, n * n], counting solutions up to ``limit`` (2: enough to prove that there is one)."""
    answers = np.zeros_like(puzzles)
    counts, guesses = np.zeros(len(puzzles), np.int64), np.zeros(len(puzzles), np.int64)
    _solve_all(np.ascontiguousarray(puzzles), shape.box_rows, shape.box_columns, limit, answers, counts, guesses)
    return Solved(answers, counts, guesses)


# Symmetries


@numba.njit(cache=True)
def _line_order(order, band, state):
    """A random order of lines that keeps bands of ``band`` lines together, written to ``order``."""
    bands = np.arange(len(order) // band)
    permute(bands, state)
    inside = np.empty(band, np.int64)
    for position in range(len(bands)):
        for line in range(band):
            inside[line] = line
        permute(inside, state)
        for line in range(band):
            order[position * band + line] = bands[position] * band + inside[line]


# Shuffle group


@numba.njit(cache=True, nogil=True)
def _shuffle_all(puzzles, answers, seeds, box_rows, box_columns, out_puzzles, out_answers):
    n = box_rows * box_columns
    state = np.empty(1, np.uint64)
    rows, columns = np.empty(n, np.int64), np.empty(n, np.int64)
    digits = np.empty(n + 1, np.uint8)
    for index in range(len(puzzles)):
        state[0] = seeds[index]
        for digit in range(n + 1):
            digits[digit] = digit
        permute(digits[1:], state)
        _line_order(rows, box_rows, state)
        _line_order(columns, box_columns, state)
        transposed = box_rows == box_columns and below(state, 2) == 1
        for row in range(n):
            for column in range(n):
                source = columns[column] * n + rows[row] if transposed else rows[row] * n + columns[column]
                out_puzzles[index, row * n + column] = digits[puzzles[index, source]]
                out_answers[index, row * n + column] = digits[answers[index, source]]


def shuffle(puzzles: Grids, answers: Grids, seeds: npt.NDArray[np.uint64], shape: Shape) -> tuple[Grids, Grids]:
    """Apply a random symmetry to each (puzzle, answer) [N, n * n]: digits, rows and columns within bands and stacks, bands, stacks,
    transposition where boxes are square. Element ``i`` depends on ``seeds[i]`` alone; uniform over the group.
    """
    out_puzzles, out_answers = np.empty_like(puzzles), np.empty_like(answers)
    _shuffle_all(puzzles, answers, seeds, shape.box_rows, shape.box_columns, out_puzzles, out_answers)
    return out_puzzles, out_answers


# Canonical form


@numba.njit(cache=True)
def _orders(lines, band):
    """All orders of lines that keep bands together, [count, lines]."""
    bands = lines // band
    count = 1
    for k in range(2, bands + 1):
        count *= k
    inner = 1
    for k in range(2, band + 1):
        inner *= k
    total = count * inner**bands
    result = np.empty((total, lines), np.int64)
    picks = np.empty(lines, np.int64)
    for code in range(total):
        rest = code
        for k in range(bands):
            picks[k] = k
        for k in range(bands - 1, 0, -1):
            other = rest % (k + 1)
            rest //= k + 1
            picks[k], picks[other] = picks[other], picks[k]
        for position in range(bands):
            for k in range(band):
                result[code, position * band + k] = picks[position] * band + k
            for k in range(band - 1, 0, -1):
                other = rest % (k + 1)
                rest //= k + 1
                a, b = position * band + k, position * band + other
                result[code, a], result[code, b] = result[code, b], result[code, a]
    return result


@numba.njit(cache=True)
def _arrange(grid, n, box_rows, columns, relabel, rows, starts):
    """The order of rows that makes the relabelled grid smallest, given its column order; written to ``rows``.

    Rows sort by their first entry, inside their band and the bands among themselves. The row whose relabelling reads 1..n comes
    first, since it alone starts with 1.
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
def _canonical_all(puzzles, answers, box_rows, box_columns, result):
    n = box_rows * box_columns
    orders = _orders(n, box_columns)
    relabel = np.zeros(n + 1, np.int64)
    rows, starts = np.empty(n, np.int64), np.empty(n, np.int64)
    best = np.empty(2 * n * n, np.uint8)
    grid, clues = np.empty(n * n, np.uint8), np.empty(n * n, np.uint8)
    for index in range(len(puzzles)):
        best[:] = 255
        for transposed in range(2 if box_rows == box_columns else 1):
            for row in range(n):
                for column in range(n):
                    source = column * n + row if transposed else row * n + column
                    grid[row * n + column] = answers[index, source]
                    clues[row * n + column] = puzzles[index, source]
            for first in range(n):
                for number in range(len(orders)):
                    columns = orders[number]
                    for column in range(n):
                        relabel[grid[first * n + columns[column]]] = column + 1
                    # A cheap look at the second row before anything else: most candidates end here.
                    band = first // box_rows * box_rows
                    second, second_start = -1, n + 1
                    for row in range(band, band + box_rows):
                        start = relabel[grid[row * n + columns[0]]]
                        if row != first and start < second_start:
                            second, second_start = row, start
                    verdict = 0
                    for column in range(n):
                        value = relabel[grid[second * n + columns[column]]]
                        if value != best[n + column]:
                            verdict = -1 if value < best[n + column] else 1
                            break
                    if verdict > 0:
                        continue
                    _arrange(grid, n, box_rows, columns, relabel, rows, starts)
                    verdict = 0
                    for cell in range(2 * n * n):
                        source = rows[cell % (n * n) // n] * n + columns[cell % n]
                        value = relabel[grid[source]] if cell < n * n else (1 if clues[source] else 0)
                        if verdict == 0 and value != best[cell]:
                            if value > best[cell]:
                                break
                            verdict = -1
                        if verdict < 0:
                            best[cell] = value
        result[index] = best


def canonical(puzzles: Grids, answers: Grids, shape: Shape) -> Grids:
    """A form that is equal exactly for puzzles of one symmetry class: [N, n * n] x 2 -> [N, 2 n * n].

    The first half is the smallest grid that symmetries make of the answer, read row by row; the second half marks the clues, the
    smallest marking among the symmetries that give that grid. (A puzzle with one solution is its answer and its clues' places.)
    """
    result = np.empty((len(puzzles), 2 * shape.cells), np.uint8)
    _canonical_all(np.ascontiguousarray(puzzles), np.ascontiguousarray(answers), shape.box_rows, shape.box_columns, result)
    return result


# Generator


@numba.njit(cache=True, nogil=True)
def _generate(seed, box_rows, box_columns, low, high, puzzle, answer):
    n = box_rows * box_columns
    cells = n * n
    state = np.empty(1, np.uint64)
    state[0] = seed
    order = np.arange(1, n + 1)
    puzzle[:] = 0
    column = np.arange(1, n + 1).astype(np.uint8)
    permute(column, state)
    for row in range(n):
        puzzle[row * n] = column[row]
    permute(order, state)
    _search(puzzle, box_rows, box_columns, 1, order, answer)
    scratch = np.empty(cells, np.uint8)
    rows, columns = np.empty(n, np.int64), np.empty(n, np.int64)
    _line_order(rows, box_rows, state)
    _line_order(columns, box_columns, state)
    for row in range(n):
        for c in range(n):
            scratch[row * n + c] = answer[rows[row] * n + columns[c]]
    answer[:] = scratch
    puzzle[:] = answer
    removal = np.arange(cells)
    permute(removal, state)
    removed = np.empty(cells, np.int64)
    count = 0
    for cell in removal:
        puzzle[cell] = 0
        solutions, _ = _search(puzzle, box_rows, box_columns, 2, order, scratch)
        if solutions != 1:
            puzzle[cell] = answer[cell]
        else:
            removed[count] = cell
            count += 1
    extra = low + below(state, high - low + 1)
    permute(removed[:count], state)
    for k in range(min(extra, count - 1)):
        puzzle[removed[k]] = answer[removed[k]]


class Generated(NamedTuple):
    """Puzzles, their answers [N, n * n], the solver's guesses [N] and canonical forms [N, 2 n * n]; no two of one symmetry class."""

    puzzles: Grids
    answers: Grids
    guesses: Ints
    forms: Grids


def generate(count: int, shape: Shape, seed: int, extra_clues: tuple[int, int] = (0, 0)) -> Generated:
    """Generate ``count`` puzzles with one solution, pairwise different up to symmetry.

    Clues are taken away in random order while the solution stays the only one, which leaves a minimal puzzle; then between
    ``extra_clues[0]`` and ``extra_clues[1]`` of them (uniformly) are put back: small grids have few minimal puzzles (4 x 4: 36
    classes), but thousands with a few clues more. The answers come from a random search, not uniformly from all grids.

    :raises ConfigurationError: when new classes have become too rare to reach ``count``.
    """
    low, high = extra_clues
    require(count >= 1, f"count={count}: expected at least 1")
    require(0 <= low <= high, f"extra_clues={extra_clues}: expected 0 <= low <= high")
    seen: set[bytes] = set()
    parts: list[Generated] = []
    base, attempts = numpy_generator(seed, "sudoku", shape.n).integers(0, 2**63), 0
    while len(seen) < count:
        chunk = max(64, min(4096, 2 * (count - len(seen))))
        require(
            attempts <= 20 * len(seen) + 10_000,
            f"count={count}: only {len(seen)} different {shape.n} x {shape.n} puzzles with {low} to {high} extra clues found in "
            f"{attempts} attempts; ask for fewer puzzles or allow more extra clues",
        )
        seeds = (np.arange(attempts, attempts + chunk, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)) ^ np.uint64(base)
        puzzles, answers = np.empty((chunk, shape.cells), np.uint8), np.empty((chunk, shape.cells), np.uint8)
        _generate_all(seeds, shape.box_rows, shape.box_columns, low, high, puzzles, answers)
        forms = canonical(puzzles, answers, shape)
        fresh = [i for i, form in enumerate(forms) if (key := form.tobytes()) not in seen and not seen.add(key)]
        part = Generated(puzzles[fresh], answers[fresh], solve(puzzles[fresh], shape).guesses, forms[fresh])
        parts.append(part)
        attempts += chunk
    return Generated(*(np.concatenate(columns)[:count] for columns in zip(*parts, strict=True)))


@numba.njit(cache=True, nogil=True)
def _generate_all(seeds, box_rows, box_columns, low, high, puzzles, answers):
    for index in range(len(seeds)):
        _generate(seeds[index], box_rows, box_columns, low, high, puzzles[index], answers[index])


# Drawing


def to_drawing(grid: Grids, shape: Shape) -> str:
    """One grid [n * n] as lines of text with its boxes ruled off."""
    rule = "+".join("-" * (2 * shape.box_columns + 1) for _ in range(shape.n // shape.box_columns))
    lines: list[str] = []
    for number, row in enumerate(grid.reshape(shape.n, shape.n)):
        if number and number % shape.box_rows == 0:
            lines.append(rule)
        cells = ["." if digit == 0 else str(digit) for digit in row]
        boxes = [" ".join(cells[start : start + shape.box_columns]) for start in range(0, shape.n, shape.box_columns)]
        lines.append(" " + " | ".join(boxes) + " ")
    return "\n".join(lines)
