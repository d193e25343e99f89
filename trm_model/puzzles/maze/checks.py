"""Whether mazes and their labels are what they should be, compiled."""

from typing import NamedTuple

import numpy as np

from trm_model.compiled import numba
from trm_model.puzzles.maze.cell_sets import widen
from trm_model.puzzles.maze.tokens import (
    GOAL,
    PATH,
    SPACE,
    START,
    WALL,
    Bools,
    Tokens,
    require_side,
)


@numba.njit(cache=True)
def _distance(free, side, start, goal, limit, ball, scratch):
    """Moves from start to goal, -1 if there is no way within ``limit``."""
    row, bit = goal // side + 1, np.uint64(1) << np.uint64(goal % side)
    ball[:] = np.uint64(0)
    ball[start // side + 1] = np.uint64(1) << np.uint64(start % side)
    steps = 0
    while steps < limit:
        if not widen(free, ball, scratch):
            return -1
        if scratch[row] & bit:
            return steps + 1
        if not widen(free, scratch, ball):
            return -1
        if ball[row] & bit:
            return steps + 2
        steps += 2
    return -1


@numba.njit(cache=True, nogil=True)
def _check_all(inputs, labels, side, well_formed, keeps_input, shortest, path):
    """See :func:`check_examples`."""
    free, marked = np.zeros(side + 2, np.uint64), np.zeros(side + 2, np.uint64)
    ball, wider = np.zeros(side + 2, np.uint64), np.zeros(side + 2, np.uint64)
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
        shortest[k] = path[k] = False
        if well_formed[k] and kept:
            # The shortest way over marked cells needs all of them: then they are one path.
            path[k] = _distance(marked, side, start, goal, inner + 1, ball, wider) == inner + 1
            shortest[k] = path[k] and (
                _distance(free, side, start, goal, inner + 1, ball, wider) == inner + 1
            )


class Checked(NamedTuple):
    """Per example [N]: ``well_formed`` (tokens of mazes and labels; one start and one goal in
    each), ``keeps_input`` (the label is the maze but for path marks on free cells), ``shortest``
    (both, and the marks are the inner cells of a shortest path) and ``path`` (of a path of any
    length that does not touch itself: none of its marks could be left out)."""

    well_formed: Bools
    keeps_input: Bools
    shortest: Bools
    path: Bools


def check_examples(inputs: Tokens, labels: Tokens, side: int) -> Checked:
    """Check labels against their mazes: tokens [N, side * side] x 2."""
    require_side(side)
    checked = Checked(*(np.empty(len(inputs), np.bool_) for _ in Checked._fields))
    _check_all(np.ascontiguousarray(inputs), np.ascontiguousarray(labels), side, *checked)
    return checked
