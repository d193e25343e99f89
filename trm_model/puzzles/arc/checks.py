"""Whether ARC's token grids are well formed, compiled."""

import math

import numpy as np
import numpy.typing as npt

from trm_model.compiled import numba
from trm_model.puzzles.arc.tokens import COLOURS, END, FIRST_COLOUR, PAD, Bools


@numba.njit(cache=True, inline="always")
def _frame(tokens, side):
    """The place of a well-formed token grid's top-left cell; -1 if it is malformed."""
    first = 0
    while first < len(tokens) and tokens[first] == PAD:
        first += 1
    if first == len(tokens) or tokens[first] < FIRST_COLOUR:
        return -1
    top, left = first // side, first % side
    columns = 1
    while left + columns < side and tokens[first + columns] >= FIRST_COLOUR:
        columns += 1
    rows = 1
    while top + rows < side and tokens[first + rows * side] >= FIRST_COLOUR:
        rows += 1
    # Colours fill the rectangle, its marks are there; then nothing else may be in the frame.
    wrong = 0
    for row in range(rows):
        for column in range(columns):
            token = tokens[first + row * side + column]
            wrong += (token < FIRST_COLOUR) | (token >= FIRST_COLOUR + COLOURS)
    filled = rows * columns
    if left + columns < side:
        filled += rows
        for row in range(rows):
            wrong += tokens[first + row * side + columns] != END
    if top + rows < side:
        filled += columns
        for column in range(columns):
            wrong += tokens[first + rows * side + column] != END
    used = 0
    for place in range(len(tokens)):
        used += tokens[place] != PAD
    return first if wrong == 0 and used == filled else -1


@numba.njit(cache=True, nogil=True)
def _check_all(inputs, labels, side, result):
    for index in range(len(inputs)):
        place = _frame(inputs[index], side)
        result[index] = place >= 0 and place == _frame(labels[index], side)


def check_examples(inputs: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Bools:
    """Whether input and label [N, L] each are one rectangle of colours with its end marks and pad
    everywhere else, at one place: [N]."""
    result = np.empty(len(inputs), np.bool_)
    _check_all(
        np.ascontiguousarray(inputs),
        np.ascontiguousarray(labels),
        math.isqrt(inputs.shape[1]),
        result,
    )
    return result
