"""Mazes as tokens: a square grid of walls and free cells with a start and a goal.

Grids are tokens, uint8 [N, side * side], flattened row by row: 0 pad, then ``# SGo`` as the
authors'. A label is the same grid with a shortest path's inner cells marked.
"""

import numpy as np
import numpy.typing as npt

from trm_model.errors import require

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


def require_side(side: int) -> None:
    require(2 <= side <= MAX_SIDE, f"side={side}: expected 2..{MAX_SIDE}")


def without_ends(inputs: Tokens) -> Tokens:
    """Mazes [N, side * side] with spaces in place of start and goal: the layout of their walls."""
    return np.where(inputs == WALL, np.uint8(WALL), np.uint8(SPACE))
