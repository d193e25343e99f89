"""ARC's grids and tokens.

Grids are uint8 arrays of 1..30 x 1..30 colours 0..9. Tokens as the authors': 0 pad, 1 end of grid,
2-11 colours; a grid stands somewhere on a square frame (30 x 30), the cells just below it and just
right of it (not the corner) marked as its end.
"""

import numpy as np
import numpy.typing as npt

SIDE, COLOURS = 30, 10
PAD, END, FIRST_COLOUR = 0, 1, 2
VOCABULARY = ("pad", "end", *(f"colour {colour}" for colour in range(COLOURS)))
Grid = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


def to_tokens(grid: Grid, side: int) -> npt.NDArray[np.uint8]:
    """A grid in the corner of its frame, as test inputs stand: tokens [side * side]; it must fit
    in."""
    rows, columns = grid.shape
    frame = np.full((side, side), PAD, np.uint8)
    frame[:rows, :columns] = grid + np.uint8(FIRST_COLOUR)
    frame[rows : rows + 1, :columns] = END
    frame[:rows, columns : columns + 1] = END
    return frame.reshape(-1)
