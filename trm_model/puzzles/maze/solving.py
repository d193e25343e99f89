"""Shortest paths of mazes: how long they are, how many there are, and which one is marked.

A move goes to a neighbouring free cell (up, down, left, right); the **length of a path is its
number of moves**, one less than its cells.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

from trm_model.compiled import numba
from trm_model.errors import require
from trm_model.puzzles.maze.tokens import (
    GOAL,
    PATH,
    START,
    WALL,
    Floats,
    Ints,
    Tokens,
    require_side,
)
from trm_model.puzzles.splitmix import uniform
from trm_model.seeding import derive

Tie = Literal["first", "uniform"]
"""Which shortest path is the label, where there are several. ``first``: breadth-first from the
start, neighbours in the order up, down, left, right; each cell is entered from the cell that met it
first. ``uniform``: each shortest path with the same probability."""


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
def search(maze, side, start, goal, queue, distance, parent, paths):
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
def mark_path(label, side, start, goal, uniform_tie, distance, parent, paths, state):
    """Mark the inner cells of a shortest path, walking back from the goal after :func:`search`.

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
            lengths[k] = search(inputs[k], side, start, goal, queue, distance, parent, paths)
            if lengths[k] >= 0:
                counts[k] = paths[goal]
                state[0] = seeds[k]
                mark_path(labels[k], side, start, goal, uniform_tie, distance, parent, paths, state)


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
    require_side(side)
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
