"""Random mazes: their distribution, and how we sample it fast.

A move goes to a neighbouring free cell (up, down, left, right); the **length of a path is its
number of moves**, one less than its cells.

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
"""

from functools import cache
from typing import NamedTuple, get_args

import numpy as np

from trm_model.compiled import numba
from trm_model.errors import require
from trm_model.puzzles.distinct import first_of_each
from trm_model.puzzles.maze.canonical_form import canonical
from trm_model.puzzles.maze.cell_sets import lowest, remove, spread
from trm_model.puzzles.maze.layouts import draw_layout, good_pairs, may_exceed
from trm_model.puzzles.maze.solving import Tie, mark_path, search
from trm_model.puzzles.maze.tokens import (
    FAR,
    GOAL,
    SPACE,
    START,
    WALL,
    Floats,
    Ints,
    Tokens,
    require_side,
)
from trm_model.puzzles.splitmix import below, uniform
from trm_model.seeding import derive


@numba.njit(cache=True, nogil=True)
def good_shares(side, longer_than, low, high, draws, seed):
    """Shares of good pairs of ``draws`` layouts with low..high walls; 0 for most."""
    free, sets = np.zeros(side + 2, np.uint64), np.zeros((6, side + 2), np.uint64)
    starts, goals = np.empty(side * side, np.int64), np.empty(side * side, np.int64)
    state = np.empty(1, np.uint64)
    state[0] = seed
    shares = np.zeros(draws)
    for k in range(draws):
        walls = low + below(state, high - low + 1)
        draw_layout(free, side, walls, state)
        if may_exceed(free, longer_than, sets):
            pairs, _ = good_pairs(free, longer_than, 1, sets, starts, goals)
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
            good_shares(side, longer_than, int(part[0]), int(part[-1]), PILOT_DRAWS, k)
            for k, part in enumerate(parts)
        ]
    )
    found = shares.sum(axis=1)
    scales = np.where(found < RARE * found.sum(), RARE_SCALE, 1.0) / max(
        SAFETY * shares.max(), 1e-2
    )
    return np.repeat(scales, [len(part) for part in parts])


@numba.njit(cache=True, nogil=True)
def sample_layouts(
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
        draw_layout(free, side, walls, state)
        rounding = uniform(state)
        if not may_exceed(free, longer_than, sets):
            continue
        scale = scales[walls - low] / ((cells - walls) * (cells - walls - 1))
        pairs, _ = good_pairs(
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
            spread(free, start // side, start % side, FAR, part, scratch)
            spread(free, start // side, start % side, longer_than, ball, scratch)
            remove(part, ball)
            for row in range(side):
                word = part[row + 1]
                while word and pair >= 0:
                    goal = row * side + lowest(word)
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
            lengths[made] = search(maze, side, start, goal, queue, distance, parent, paths)
            if unique and paths[goal] > 1:
                continue
            labels[made] = maze
            mark_path(labels[made], side, start, goal, uniform_tie, distance, parent, paths, state)
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
    require_side(side)
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
        attempt, made = sample_layouts(
            base,
            attempt,
            attempt + 250_000,
            side,
            longer_than,
            low,
            cumulative,
            scales,
            tie == "uniform",
            unique,
            inputs,
            labels,
            lengths,
        )
        forms = canonical(inputs[:made], side)
        fresh = first_of_each(forms, seen)
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
