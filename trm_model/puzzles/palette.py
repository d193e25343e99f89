"""Grids of tokens as coloured pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Palette = npt.NDArray[np.uint8]


def palette(colours: Sequence[str]) -> Palette:
    """Colours ``#rrggbb`` as uint8 [n, 3], by token."""
    return np.array([list(bytes.fromhex(colour[1:])) for colour in colours], np.uint8)


def paint_grid(axes: Any, cells: npt.NDArray[np.uint8], colours: Palette) -> None:
    """Paint tokens [R, C] onto matplotlib axes, a square of its colour each; tokens past the
    palette have the last colour."""
    axes.imshow(colours[np.minimum(cells, len(colours) - 1)], interpolation="nearest")
