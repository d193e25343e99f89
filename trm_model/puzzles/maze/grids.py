"""Mazes on a square grid of cells: parse, check, solve, generate, draw.

A move goes to a neighbouring free cell (up, down, left, right); the **length of a path is its
number of moves**, one less than its cells. A maze is a grid of walls and free cells with a start
and a goal; its label is the same grid with a shortest path's inner cells marked. Grids are tokens,
uint8 [N, side * side], flattened row by row.

**Distribution** (Lehnert et al. 2024, arXiv 2402.14083, and their code): the number of walls w is
uniform among the whole numbers from ``walls[0]`` to ``walls[1]`` of the cells; the w walls are
uniform among all sets of w cells; start s and goal g are uniform among the ordered pairs of
different free cells. The maze is kept if d(s, g) > ``longer_than`` (HRM, arXiv 2506.21734: 110;
neither paper says whether it counts moves or cells; here moves).

**Sampling.** Drawing until one is kept takes about 70,000 draws for 30 x 30 and 110. Write L for a
layout with w walls, F for its free cells, good(L) for its ordered pairs with d > ``longer_than``
and p(L) = good(L) / (F (F - 1)). A kept maze (L, s, g) has probability proportional to P(w) P(L |
w) / (F (F - 1)). We draw w with probability proportional to P(w) / c(w), L given w uniformly, v
uniform in [0, 1), and emit n = floor(c(w) p(L) + v) mazes, each with a pair that is uniform among
the good(L). E[n | L] = c(w) p(L), so that the expected number of times that (L, s, g) comes out of
one layout is proportional to P(w) / c(w) * P(L | w) * c(w) p(L) / good(L) = P(w) P(L | w) / (F (F -
1)): the distribution above, *for any* c > 0. While c(w) p(L) <= 1, n is 0 or 1 and mazes are
independent; only layouts beyond that give several mazes (with different pairs). c is tuned by a
pilot that depends on the sizes alone, as a compromise: twice the c is twice the speed, and more
mazes that share their walls with another (30 x 30, 110: 40 of 2,000 at 210 mazes/s; 2 of 2,000 at
100 mazes/s with :data:`SAFETY` 1.4). Each maze by itself has the distribution above in either case.

A layout is given up as soon as it is proven that n = 0, that is good(L) < (1 - v) F (F - 1) / c.
The bounds, all exact:

- Peeling: a shortest path of d moves loses at most its two end cells when every cell with fewer
  than two free neighbours goes, since its inner cells have two; after k rounds a shortest path of
  more than ``longer_than - 2 k`` moves is left, also in the graph that is left.
- A connected part of m cells has no path of m moves, and at most m (m - longer_than - 1) good
  pairs, since of the m cells at least one is at each distance 0..longer_than from a start that has
  any goal.
- With e the greatest distance from a cell v, d(s, g) <= d(s, v) + e: cells within ``longer_than -
  e`` of v are in no good pair.

Distances are found by widening a set of cells by one move at a time, with one 64-bit word per row
of cells.
"""

from functools import cache
from typing import Literal, NamedTuple, get_args

import numba
import numpy as np
import numpy.typing as npt

from storage.examples import Header
from trm_model.errors import require
from trm_model.puzzles.splitmix import below, next_bits, uniform
from trm_model.puzzles.symmetry import COUNT, images, smallest_images
from trm_model.seeding import derive

Tokens = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PAD, WALL, SPACE, START, GOAL, PATH = range(6)
"""Tokens as the authors': 0 pad, then ``# SGo``."""

VOCABULARY = ("pad", "wall", "space", "start", "goal", "path")
CHARACTERS = "?# SGo"
"""How tokens are written; pad is never read."""

MAX_SIDE = 63
FAR = MAX_SIDE * MAX_SIDE
"""More moves than any path has."""

Tie = Literal["first", "uniform"]
"""Which shortest path is the label, where there are several. ``first``: breadth-first from the
start, neighbours in the order up, down, left, right; each cell is entered from the cell that met it
first. ``uniform``: each shortest path with the same probability."""


def _require_side(side: int) -> None:
    require(2 <= side <= MAX_SIDE, f"side={side}: expected 2..{MAX_SIDE}")


# Text


def to_text(tokens: Tokens) -> str:
    """One grid [side * side] as a string of ``# SGo``; pad, which only a model writes, as ``?``."""
    return "".join(CHARACTERS[token] for token in tokens)


def from_characters(characters: Tokens) -> Tokens:
    """ASCII codes of ``# SGo`` as tokens, of any shape; the caller has checked that there are no
    others."""
    table = np.zeros(256, np.uint8)
    for token, character in enumerate(CHARACTERS):
        table[ord(character)] = token
    return table[characters]


def from_text(text: str, side: int) -> Tokens:
    """The inverse of :func:`to_text`: tokens [side * side].

    :raises ValueError: wrong length, or a character other than ``# SGo``.
    """
    if len(text) != side * side:
        raise ValueError(f"{len(text)} characters: expected {side * side}")
    for cell, character in enumerate(text):
        if character not in CHARACTERS[WALL:]:
            raise ValueError(
                f"character {character!r} at cell {cell + 1}: expected one of {CHARACTERS[WALL:]!r}"
            )
    return from_characters(np.frombuffer(text.encode("ascii"), np.uint8))


def to_drawing(tokens: Tokens, side: int) -> str:
    """One grid [side * side] as lines of text, two characters a cell, in a frame."""
    cells = {PAD: "??", WALL: "██", SPACE: "  ", START: "S ", GOAL: "G ", PATH: "· "}
    lines = ["".join(cells[int(token)] for token in row) for row in tokens.reshape(side, side)]
    rule = "─" * (2 * side)
    return "\n".join([f"┌{rule}┐", *(f"│{line}│" for line in lines), f"└{rule}┘"])


# Sets of cells: uint64 [side + 2], one word per row of cells, column c at bit c, with an empty row
# above and below.


@numba.njit(cache=True, inline="always")
def _ones(word):
    """Bits set in an uint64."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(cache=True)
def _size(cells):
    """Cells in the set."""
    total = 0
    for row in range(len(cells)):
        total += _ones(cells[row])
    return total


@numba.njit(cache=True, inline="always")
def _lowest(word):
    """Position of the lowest set bit of a word that has one."""
    return _ones((word & (~word + np.uint64(1))) - np.uint64(1))


@numba.njit(cache=True, inline="always")
def _widen(free, ball, wider):
    """``wider`` becomes the free cells in ``ball`` or beside it; returns whether it has more."""
    changed = np.uint64(0)
    for row in range(len(free) - 2):
        middle = ball[row + 1]
        cells = (
            middle | (middle << np.uint64(1)) | (middle >> np.uint64(1)) | ball[row] | ball[row + 2]
        ) & free[row + 1]
        wider[row + 1] = cells
        changed |= cells ^ middle
    return changed != np.uint64(0)


@numba.njit(cache=True, nogil=True)
def _spread(free, row, column, limit, ball, scratch):
    """``ball`` becomes the cells within ``limit`` moves of a free cell; returns the greatest
    distance among them."""
    ball[:] = np.uint64(0)
    ball[row + 1] = np.uint64(1) << np.uint64(column)
    steps = 0
    while steps < limit:
        if not _widen(free, ball, scratch):
            return steps
        steps += 1
        if steps == limit:
            ball[:] = scratch
            return steps
        if not _widen(free, scratch, ball):
            return steps
        steps += 1
    return steps


@numba.njit(cache=True, inline="always")
def _remove(cells, others):
    for row in range(len(cells)):
        cells[row] &= ~others[row]


@numba.njit(cache=True)
def _any_cell(cells):
    """(row, column) of one cell of the set, near the middle of the grid; (-1, -1) if it is
    empty."""
    side = len(cells) - 2
    middle = side // 2
    for k in range(side + 1):
        row = middle + (k + 1) // 2 if k % 2 else middle - k // 2
        if row < side and cells[row + 1]:
            right = cells[row + 1] >> np.uint64(middle)
            return row, (middle + _lowest(right) if right else _lowest(cells[row + 1]))
    return -1, -1


# Layouts


@numba.njit(cache=True)
def _draw_layout(free, side, walls, state):
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
        left += _ones(free[row + 1])
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
def _may_exceed(free, longer_than, sets):
    """Whether peeling leaves open that there is a shortest path of more than ``longer_than`` moves.
    ``sets`` [4, side + 2] is scratch."""
    left, other, ball, scratch = sets[0], sets[1], sets[2], sets[3]
    left[:] = free
    for _ in range(2):
        if longer_than >= 4:  # two rounds of peeling; more cost more than they find
            _peel(left, other)
            _peel(other, left)
            longer_than -= 4
    size = _size(left)
    while size >= longer_than + 2:
        row, column = _any_cell(left)
        if 2 * _spread(left, row, column, longer_than // 2 + 1, ball, scratch) > longer_than:
            return True
        _remove(left, ball)
        size = _size(left)
    return False


@numba.njit(cache=True)
def _farthest(free, row, column, distance, ball, scratch, shell):
    """(row, column) of a cell at the greatest distance from a cell, which is ``distance`` (at least
    1)."""
    _spread(free, row, column, distance, shell, scratch)
    _spread(free, row, column, distance - 1, ball, scratch)
    _remove(shell, ball)
    return _any_cell(shell)


@numba.njit(cache=True)
def _drop_near(free, row, column, longer_than, depth, ends, ball, scratch):
    """Take from ``ends`` the cells that are in no good pair, seen from a cell whose greatest
    distance is ``depth``; returns a bound on the ordered good pairs among those left: one of the
    two is more than ``longer_than / 2`` away."""
    if depth <= longer_than:
        _spread(free, row, column, longer_than - depth, ball, scratch)
        _remove(ends, ball)
    count = _size(ends)
    if count:
        _spread(free, row, column, longer_than // 2, ball, scratch)
    outer = 0
    for k in range(len(ends)):
        outer += _ones(ends[k] & ~ball[k])
    return min(count * (count - 1), 2 * outer * (count - 1))


@numba.njit(cache=True, nogil=True)
def _good_pairs(free, longer_than, enough, sets, starts, goals):
    """Ordered pairs of free cells more than ``longer_than`` moves apart: (pairs, starts); (0, 0) if
    there are fewer than ``enough``.

    Cells that are the start of a pair go to ``starts`` [side * side], the number of their goals to
    ``goals``. ``sets`` [6, side + 2] is scratch.
    """
    side = len(free) - 2
    left, part, ends, ball, scratch, shell = sets[0], sets[1], sets[2], sets[3], sets[4], sets[5]
    left[:] = free
    size_left = _size(left)
    pairs = found = 0
    while True:
        # At most so many more pairs in all parts that are left.
        rest = size_left * max(0, size_left - longer_than - 1)
        if rest == 0 or pairs + rest < enough:
            break
        row, column = _any_cell(left)
        depth = _spread(free, row, column, FAR, part, scratch)
        size = _size(part)
        _remove(left, part)
        size_left -= size
        if 2 * depth <= longer_than or size < longer_than + 2:
            continue
        known = pairs + size_left * max(0, size_left - longer_than - 1)
        ends[:] = part
        if known + _drop_near(free, row, column, longer_than, depth, ends, ball, scratch) < enough:
            continue
        # The middle of a long shortest path is near to all cells.
        row, column = _farthest(free, row, column, depth, ball, scratch, shell)
        depth = _spread(free, row, column, FAR, ball, scratch)
        last_row, last_column = _farthest(free, row, column, depth, ball, scratch, shell)
        _spread(free, row, column, depth // 2, shell, scratch)
        _spread(free, last_row, last_column, depth - depth // 2, ball, scratch)
        for k in range(len(shell)):
            shell[k] &= ball[k]
        row, column = _any_cell(shell)
        depth = _spread(free, row, column, FAR, ball, scratch)
        bound = known + _drop_near(free, row, column, longer_than, depth, ends, ball, scratch)
        if bound < enough:
            continue
        count = _size(ends)
        bound = known + count * max(0, count - 1)
        for row in range(side):
            word = ends[row + 1]
            while word and bound >= enough:
                column = _lowest(word)
                word &= word - np.uint64(1)
                _spread(free, row, column, longer_than, ball, scratch)
                far = size - _size(ball)
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


@numba.njit(cache=True, nogil=True)
def _shares(side, longer_than, low, high, draws, seed):
    """Shares of good pairs of ``draws`` layouts with low..high walls; 0 for most."""
    free, sets = np.zeros(side + 2, np.uint64), np.zeros((6, side + 2), np.uint64)
    starts, goals = np.empty(side * side, np.int64), np.empty(side * side, np.int64)
    state = np.empty(1, np.uint64)
    state[0] = seed
    shares = np.zeros(draws)
    for k in range(draws):
        walls = low + below(state, high - low + 1)
        _draw_layout(free, side, walls, state)
        if _may_exceed(free, longer_than, sets):
            pairs, _ = _good_pairs(free, longer_than, 1, sets, starts, goals)
            shares[k] = pairs / ((side * side - walls) * (side * side - walls - 1))
    return shares


PILOT_PARTS, PILOT_DRAWS = 9, 20_000
"""Ranges of numbers of walls, and layouts drawn from each, to find c."""
SAFETY = 0.7
"""1 / c is this times the largest share of good pairs that the pilot sees; larger is slower and
gives fewer mazes of one layout."""
RARE, RARE_SCALE = 0.02, 8.0
"""Ranges with less than this part of the mazes are drawn that many times less often."""


@cache
def _scales(side: int, longer_than: int, low: int, high: int) -> Floats:
    """c of the module's docstring for w = low..high walls: any positive numbers make the
    distribution right; these make it fast."""
    parts = np.array_split(np.arange(low, high + 1), min(PILOT_PARTS, high - low + 1))
    shares = np.stack(
        [
            _shares(side, longer_than, int(part[0]), int(part[-1]), PILOT_DRAWS, k)
            for k, part in enumerate(parts)
        ]
    )
    found = shares.sum(axis=1)
    scales = np.where(found < RARE * found.sum(), RARE_SCALE, 1.0) / max(
        SAFETY * shares.max(), 1e-2
    )
    return np.repeat(scales, [len(part) for part in parts])


# Paths


@numba.njit(cache=True)
def _neighbour(cell, direction, side):
    """The cell above, below, left or right (direction 0..3) of a cell, or -1 beyond the border."""
    if direction == 0:
        return cell - side if cell >= side else -1
    if direction == 1:
        return cell + side if cell < side * (side - 1) else -1
    if direction == 2:
        return cell - 1 if cell % side else -1
    return cell + 1 if cell % side < side - 1 else -1


@numba.njit(cache=True)
def _search(maze, side, start, goal, queue, distance, parent, paths):
    """Breadth-first search from ``start`` up to ``goal``: its distance (-1: unreachable); fills
    distances (-1: not met), the cells from which cells were met first, and the numbers of shortest
    paths to cells no farther than the goal."""
    distance[:] = -1
    distance[start], paths[start], queue[0] = 0, 1.0, start
    head, tail = 0, 1
    while head < tail:
        cell = queue[head]
        head += 1
        if distance[goal] >= 0 and distance[cell] >= distance[goal]:
            break
        for direction in range(4):
            other = _neighbour(cell, direction, side)
            if other < 0 or maze[other] == WALL:
                continue
            if distance[other] < 0:
                distance[other], parent[other], paths[other], queue[tail] = (
                    distance[cell] + 1,
                    cell,
                    0.0,
                    other,
                )
                tail += 1
            if distance[other] == distance[cell] + 1:
                paths[other] += paths[cell]
    return distance[goal]


@numba.njit(cache=True)
def _mark_path(label, side, start, goal, uniform_tie, distance, parent, paths, state):
    """Mark the inner cells of a shortest path, walking back from the goal after :func:`_search`.

    Uniform among the shortest: a cell's predecessor is drawn in proportion to the number of
    shortest paths that reach it.
    """
    cell = goal
    while True:
        if uniform_tie:
            rest, before = uniform(state) * paths[cell], -1
            for direction in range(4):
                other = _neighbour(cell, direction, side)
                # A wall has no distance.
                if other >= 0 and distance[other] == distance[cell] - 1 and rest >= 0:
                    before = other
                    rest -= paths[other]
            cell = before
        else:
            cell = parent[cell]
        if cell == start:
            return
        label[cell] = PATH


# Generator


@numba.njit(cache=True, nogil=True)
def _sample(
    base,
    first,
    last,
    side,
    longer_than,
    low,
    cumulative,
    scales,
    uniform_tie,
    unique,
    inputs,
    labels,
    lengths,
):
    """Try layouts ``first`` to ``last - 1`` until the outputs are full: (next layout, mazes made).
    Layout k depends on ``base`` and k."""
    cells = side * side
    free, sets = np.zeros(side + 2, np.uint64), np.zeros((6, side + 2), np.uint64)
    part, ball, scratch = sets[0], sets[1], sets[2]
    starts, goals = np.empty(cells, np.int64), np.empty(cells, np.int64)
    queue, distance, parent, paths = (
        np.empty(cells, np.int64),
        np.empty(cells, np.int64),
        np.empty(cells, np.int64),
        np.empty(cells),
    )
    state = np.empty(1, np.uint64)
    made = 0
    for attempt in range(first, last):
        state[0] = (np.uint64(attempt) * np.uint64(0xD1342543DE82EF95)) ^ base
        walls = low + np.searchsorted(cumulative, uniform(state), side="right")
        _draw_layout(free, side, walls, state)
        rounding = uniform(state)
        if not _may_exceed(free, longer_than, sets):
            continue
        scale = scales[walls - low] / ((cells - walls) * (cells - walls - 1))
        pairs, _ = _good_pairs(
            free, longer_than, max(1, np.ceil((1 - rounding) / scale)), sets, starts, goals
        )
        copies = int(pairs * scale + rounding)
        if made + copies > len(inputs):
            return attempt, made
        chosen = below(state, max(1, pairs))
        for copy in range(copies):
            pair = (chosen + copy * pairs // copies) % pairs
            k = 0
            while pair >= goals[k]:
                pair -= goals[k]
                k += 1
            start, goal = starts[k], -1
            _spread(free, start // side, start % side, FAR, part, scratch)
            _spread(free, start // side, start % side, longer_than, ball, scratch)
            _remove(part, ball)
            for row in range(side):
                word = part[row + 1]
                while word and pair >= 0:
                    goal = row * side + _lowest(word)
                    word &= word - np.uint64(1)
                    pair -= 1
            maze = inputs[made]
            for cell in range(cells):
                maze[cell] = (
                    SPACE
                    if free[cell // side + 1] >> np.uint64(cell % side) & np.uint64(1)
                    else WALL
                )
            maze[start], maze[goal] = START, GOAL
            lengths[made] = _search(maze, side, start, goal, queue, distance, parent, paths)
            if unique and paths[goal] > 1:
                continue
            labels[made] = maze
            _mark_path(labels[made], side, start, goal, uniform_tie, distance, parent, paths, state)
            made += 1
    return last, made


class Generated(NamedTuple):
    """Mazes and labels (tokens uint8 [N, side * side]), moves of a shortest path [N], share of
    cells that are walls [N], and canonical forms [N, side * side]; no two of one symmetry class."""

    inputs: Tokens
    labels: Tokens
    path_length: Ints
    wall_share: Floats
    forms: Tokens


CHUNK = 1024
"""Mazes that one call of the compiled sampler may return; more than any layout gives."""
PATIENCE = 10_000_000
"""Layouts drawn without a new maze before generating gives up."""


def generate(
    count: int,
    side: int,
    seed: int,
    *,
    longer_than: int,
    walls: tuple[float, float] = (0.3, 0.5),
    tie: Tie = "first",
    unique: bool = False,
) -> Generated:
    """``count`` mazes, pairwise different up to symmetry, from the distribution in the module's
    docstring.

    :param longer_than: a shortest path has more moves than this (at least 1).
    :param walls: least and greatest share of cells that are walls; the number of walls is uniform
        between, both included.
    :param tie: which shortest path is the label (:data:`Tie`).
    :param unique: keep only mazes with one shortest path (the distribution above under that
        condition).
    :raises ConfigurationError: impossible sizes, or no new maze among :data:`PATIENCE` layouts.
    """
    _require_side(side)
    cells = side * side
    low, high = round(walls[0] * cells), round(walls[1] * cells)
    require(count >= 1, f"count={count}: expected at least 1")
    require(
        tie in get_args(Tie), f"tie={tie!r}: expected one of {', '.join(get_args(Tie))}; change tie"
    )
    require(
        0.0 <= walls[0] <= walls[1] <= 1.0, f"walls={walls}: expected shares 0 <= low <= high <= 1"
    )
    require(
        high <= cells - 2,
        f"walls={walls}: {cells - high} of {cells} cells would be free, expected at least 2; "
        "lower the share",
    )
    require(
        1 <= longer_than <= cells - low - 2,
        f"longer_than={longer_than}: expected 1..{cells - low - 2}, with {cells - low} of {side} "
        f"x {side} cells free; lower it",
    )
    scales = _scales(side, longer_than, low, high)
    cumulative = np.cumsum(1 / scales)[:-1] / np.sum(1 / scales)
    base = np.uint64(derive(seed, "maze", side))
    seen: set[bytes] = set()
    parts: list[Generated] = []
    attempt = last_new = 0
    while len(seen) < count:
        room = max(CHUNK, min(count - len(seen), 8 * CHUNK))
        inputs, labels = np.empty((room, cells), np.uint8), np.empty((room, cells), np.uint8)
        lengths = np.empty(room, np.int64)
        attempt, made = _sample(
            base, attempt, attempt + 250_000, side, longer_than, low, cumulative, scales, tie == "uniform", unique,
            inputs, labels, lengths,
        )  # fmt: skip
        forms = canonical(inputs[:made], side)
        fresh = [
            i
            for i, form in enumerate(forms)
            if (key := form.tobytes()) not in seen and not seen.add(key)
        ]
        if fresh:
            last_new = attempt
            share = (inputs[fresh] == WALL).mean(axis=1)
            parts.append(
                Generated(inputs[fresh], labels[fresh], lengths[fresh], share, forms[fresh])
            )
        require(
            attempt - last_new < PATIENCE,
            f"count={count}: only {len(seen)} different {side} x {side} mazes with paths longer "
            f"than {longer_than}"
            f"{' and one shortest path' if unique else ''} found, none in the last {PATIENCE} "
            "layouts; lower longer_than or count",
        )
    return Generated(*(np.concatenate(columns)[:count] for columns in zip(*parts, strict=True)))


# Checks


@numba.njit(cache=True, nogil=True)
def _check_all(inputs, labels, side, well_formed, keeps_input, shortest):
    """See :func:`check_examples`."""
    cells = side * side
    free, marked, ball, wider = (
        np.zeros(side + 2, np.uint64), np.zeros(side + 2, np.uint64), np.zeros(side + 2, np.uint64), np.zeros(side + 2, np.uint64)
    )  # fmt: skip
    for k in range(len(inputs)):
        maze, label = inputs[k], labels[k]
        starts = goals = label_starts = label_goals = inner = 0
        start = goal = 0
        known, kept = True, True
        for row in range(side):
            free_row, marked_row = np.uint64(0), np.uint64(0)
            for column in range(side):
                cell = row * side + column
                question, answer = maze[cell], label[cell]
                bit = np.uint64(1) << np.uint64(column)
                known &= (
                    (question >= WALL) & (question <= GOAL) & (answer >= WALL) & (answer <= PATH)
                )
                kept &= (answer == question) | ((answer == PATH) & (question == SPACE))
                if question != WALL:
                    free_row |= bit
                if answer >= START:
                    marked_row |= bit
                if question == START:
                    starts, start = starts + 1, cell
                if question == GOAL:
                    goals, goal = goals + 1, cell
                label_starts += answer == START
                label_goals += answer == GOAL
                inner += answer == PATH
            free[row + 1], marked[row + 1] = free_row, marked_row
        well_formed[k] = (
            known and starts == 1 and goals == 1 and label_starts == 1 and label_goals == 1
        )
        keeps_input[k] = kept
        shortest[k] = False
        if well_formed[k] and kept:
            # As many marked cells as a shortest path has inner cells, through which the goal is
            # reached: then they are one.
            length = _distance(free, side, start, goal, cells, ball, wider)
            shortest[k] = (
                length == inner + 1
                and _distance(marked, side, start, goal, length, ball, wider) == length
            )


@numba.njit(cache=True)
def _distance(free, side, start, goal, limit, ball, scratch):
    """Moves from start to goal, -1 if there is no way within ``limit``."""
    row, bit = goal // side + 1, np.uint64(1) << np.uint64(goal % side)
    ball[:] = np.uint64(0)
    ball[start // side + 1] = np.uint64(1) << np.uint64(start % side)
    steps = 0
    while steps < limit:
        if not _widen(free, ball, scratch):
            return -1
        if scratch[row] & bit:
            return steps + 1
        if not _widen(free, scratch, ball):
            return -1
        if ball[row] & bit:
            return steps + 2
        steps += 2
    return -1


class Checked(NamedTuple):
    """Per example [N]: ``well_formed`` (tokens of mazes and labels; one start and one goal in
    each), ``keeps_input`` (the label is the maze but for path marks on free cells) and ``shortest``
    (both, and the marks are the inner cells of a shortest path)."""

    well_formed: Bools
    keeps_input: Bools
    shortest: Bools


def check_examples(inputs: Tokens, labels: Tokens, side: int) -> Checked:
    """Check labels against their mazes: tokens [N, side * side] x 2."""
    _require_side(side)
    checked = Checked(*(np.empty(len(inputs), np.bool_) for _ in range(3)))
    _check_all(np.ascontiguousarray(inputs), np.ascontiguousarray(labels), side, *checked)
    return checked


@numba.njit(cache=True, nogil=True)
def _solve_all(inputs, side, uniform_tie, seeds, labels, lengths, counts):
    cells = side * side
    queue, distance, parent, paths = (
        np.empty(cells, np.int64),
        np.empty(cells, np.int64),
        np.empty(cells, np.int64),
        np.empty(cells),
    )
    state = np.empty(1, np.uint64)
    for k in range(len(inputs)):
        start = goal = -1
        ends = 0
        for cell in range(cells):
            if inputs[k, cell] == START:
                start, ends = cell, ends + 1
            elif inputs[k, cell] == GOAL:
                goal, ends = cell, ends + 1
        labels[k] = inputs[k]
        lengths[k], counts[k] = -1, 0.0
        if ends == 2 and start >= 0 and goal >= 0:
            lengths[k] = _search(inputs[k], side, start, goal, queue, distance, parent, paths)
            if lengths[k] >= 0:
                counts[k] = paths[goal]
                state[0] = seeds[k]
                _mark_path(
                    labels[k], side, start, goal, uniform_tie, distance, parent, paths, state
                )


class Solved(NamedTuple):
    """Labels (tokens [N, side * side]; the maze itself where there is no way), moves of a shortest
    path [N] (-1: no way, or not one start and one goal) and numbers of shortest paths [N] (float64:
    exact up to 2**53, to 15 digits beyond)."""

    labels: Tokens
    path_length: Ints
    shortest_paths: Floats


def solve(inputs: Tokens, side: int, tie: Tie = "first", seed: int = 0) -> Solved:
    """Shortest paths of mazes, tokens [N, side * side]. With ``tie="uniform"``, maze ``i``'s path
    depends on the seed and ``i``."""
    _require_side(side)
    require(
        tie in get_args(Tie), f"tie={tie!r}: expected one of {', '.join(get_args(Tie))}; change tie"
    )
    result = Solved(np.empty_like(inputs), np.empty(len(inputs), np.int64), np.empty(len(inputs)))
    seeds = (np.arange(len(inputs), dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)) ^ np.uint64(
        derive(seed, "maze path")
    )
    _solve_all(np.ascontiguousarray(inputs), side, tie == "uniform", seeds, *result)
    return result


def shortest_length(inputs: Tokens, side: int) -> Ints:
    """Moves from start to goal [N], -1 where there is no way."""
    return solve(inputs, side).path_length


def num_shortest_paths(inputs: Tokens, side: int) -> Floats:
    """Numbers of shortest paths [N], 0 where there is no way."""
    return solve(inputs, side).shortest_paths


def without_ends(inputs: Tokens) -> Tokens:
    """Mazes [N, side * side] with spaces in place of start and goal: the layout of their walls."""
    return np.where(inputs == WALL, np.uint8(WALL), np.uint8(SPACE))


def canonical(inputs: Tokens, side: int) -> Tokens:
    """A form that is equal exactly for mazes of one symmetry class: the smallest of the eight
    images. [N, side * side] -> the same."""
    return smallest_images(inputs, side)


# Examples


class MazeExamples:
    """Mazes and some of their symmetric images as a source of examples, made when they are asked
    for (``storage.examples.Source``).

    Example ``i * (copies + 1) + k`` is image ``k`` of maze ``i``
    (:mod:`trm_model.puzzles.symmetry`; 0 is the maze itself); each is a puzzle of its own, a maze
    and its images are a group.

    :param inputs: mazes, tokens uint8 [N, side * side]; ``labels`` likewise.
    :param copies: images besides the maze itself, 0..7.
    :param seed: of the mazes; recorded in the header. Nothing here is drawn.
    :param sources: name -> hash of what the mazes were made from.
    :raises ConfigurationError: shapes or ``copies`` that cannot be.
    """

    def __init__(
        self,
        inputs: Tokens,
        labels: Tokens,
        side: int,
        copies: int,
        seed: int,
        sources: dict[str, str] | None = None,
    ) -> None:
        self._set(
            inputs,
            labels,
            Header(
                vocabulary=VOCABULARY,
                grid=(side, side),
                seed=seed,
                augmentations=copies,
                sources=sources or {},
            ),
        )

    def _set(self, inputs: Tokens, labels: Tokens, header: Header) -> None:
        copies = header.augmentations
        require(
            0 <= copies < COUNT,
            f"copies={copies}: expected 0..{COUNT - 1}, since a square has {COUNT} symmetries",
        )
        require(
            inputs.shape == labels.shape == (len(inputs), header.length)
            and inputs.dtype == labels.dtype == np.uint8,
            f"inputs {inputs.dtype} {inputs.shape} and labels {labels.dtype} {labels.shape}: "
            f"expected uint8 [N, {header.length}] both",
        )
        token = max(inputs.max(initial=0), labels.max(initial=0))
        require(token < len(VOCABULARY), f"token {token}: expected 0..{len(VOCABULARY) - 1}")
        self.header = header
        self.inputs, self.labels = inputs, labels
        self.puzzle_ids = np.zeros(len(inputs) * (copies + 1), np.int32)
        self.example_offsets = np.arange(len(self.puzzle_ids) + 1, dtype=np.int64)
        self.group_offsets = np.arange(len(inputs) + 1, dtype=np.int64) * (copies + 1)

    def rows(self, index: Ints) -> tuple[Tokens, Tokens]:
        """Inputs and labels of the examples at ``index`` [K]: uint8 [K, side * side] x 2."""
        mazes, which = np.divmod(np.asarray(index, np.int64), self.header.augmentations + 1)
        side = self.header.grid[0]
        return images(self.inputs, mazes, which, side), images(self.labels, mazes, which, side)

    def plan(self) -> tuple[dict[str, int], dict[str, Tokens]]:
        """What :meth:`from_plan` needs besides the header: parameters (none) and arrays."""
        return {}, {"inputs": self.inputs, "labels": self.labels}

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, int], arrays: dict[str, Tokens]
    ) -> "MazeExamples":
        """The inverse of :meth:`plan`."""
        made = cls.__new__(cls)
        made._set(arrays["inputs"], arrays["labels"], header)
        return made
