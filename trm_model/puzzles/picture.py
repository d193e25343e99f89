"""Grids as pictures: what is to be seen, and two ways to show it, matplotlib's axes and SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from trm_model.errors import ConfigurationError

GIVEN, ANSWERED, RIGHT, WRONG = "black", "#1f5fbf", "#1a7f37", "#cf222e"
"""Inks of what the question gives, and of answers: with nothing to compare with, right, wrong."""
TINT = 0.45
"""How much of a marked cell its mark hides, 0..1."""
CELL, GAP, LINE = 26, 18, 20
"""Of SVG, in pixels: a cell of a small grid, the space between grids, a line of text."""
MOST = 280
"""Of SVG: the most pixels that a grid is wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A grid of R x C cells, row by row.

    :param grid: rows and columns.
    :param fills: the colour of each cell, ``#rrggbb``; empty: none is filled.
    :param texts: what stands in each cell; empty: nothing does.
    :param inks: the colour of each text.
    :param box: rows and columns between thick lines, with thin ones between all cells; None: no
        lines.
    :param marks: cell -> a colour laid over it.
    """

    grid: tuple[int, int]
    fills: Sequence[str] = ()
    texts: Sequence[str] = ()
    inks: Sequence[str] = ()
    box: tuple[int, int] | None = None
    marks: Mapping[int, str] = field(default_factory=dict[int, str])

    def marked(self, cells: npt.NDArray[np.bool_], colour: str) -> "Picture":
        """With a colour laid over some of the cells, bool [R C]."""
        new = dict.fromkeys(np.flatnonzero(cells).tolist(), colour)
        return replace(self, marks={**self.marks, **new})

    def rules(self) -> list[tuple[tuple[int, int], tuple[int, int], bool]]:
        """The lines between cells: from and to, each (column, row), and whether it is thick."""
        if self.box is None:
            return []
        rows, columns = self.grid
        high, wide = self.box
        return [
            *(((0, row), (columns, row), row % high == 0) for row in range(rows + 1)),
            *(((column, 0), (column, rows), column % wide == 0) for column in range(columns + 1)),
        ]


def letters(texts: Sequence[str], inks: Sequence[str] | None = None) -> Picture:
    """One row of cells with a letter each; ``inks``: None: all in the ink of answers."""
    return Picture(grid=(1, len(texts)), texts=texts, inks=inks or [ANSWERED] * len(texts))


def inks(
    given: npt.NDArray[np.bool_],
    shown: npt.NDArray[np.uint8],
    label: npt.NDArray[np.uint8] | None,
) -> list[str]:
    """The ink of each cell, [L]: whether the question gives it, and otherwise whether ``shown`` is
    what ``label`` is (None: nothing to compare with). A changed clue is wrong.
    """
    if label is None:
        return [GIVEN if clue else ANSWERED for clue in given]
    judged = zip(given, shown == label, strict=True)
    return [WRONG if not right else GIVEN if clue else RIGHT for clue, right in judged]


def new_figure(size: tuple[float, float]) -> Any:
    """An empty matplotlib figure, so many inches wide and high.

    :raises ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error}: expected matplotlib, which draws pictures; install it"
        ) from error
    return Figure(figsize=size, layout="constrained")


def paint(axes: Any, picture: Picture) -> None:
    """Paint a picture onto matplotlib axes; a cell is one unit wide and high, row 0 on top."""
    rows, columns = picture.grid
    axes.set_xlim(-0.02 * columns, 1.02 * columns)
    axes.set_ylim(1.02 * rows, -0.02 * rows)
    axes.set_aspect("equal")
    axes.axis("off")
    extent = (0, columns, rows, 0)
    if picture.fills:
        colours = [list(bytes.fromhex(fill[1:])) for fill in picture.fills]
        cells = np.array(colours, np.uint8).reshape(rows, columns, 3)
        axes.imshow(cells, interpolation="nearest", extent=extent)
    if picture.marks:
        tints = np.zeros((rows * columns, 4))
        for cell, mark in picture.marks.items():
            tints[cell] = [*(value / 255 for value in bytes.fromhex(mark[1:])), TINT]
        axes.imshow(tints.reshape(rows, columns, 4), interpolation="nearest", extent=extent)
    for (left, top), (right, bottom), thick in picture.rules():
        axes.plot((left, right), (top, bottom), color="black", linewidth=2 if thick else 0.5)
    for cell, text in enumerate(picture.texts):
        if text:
            axes.text(
                cell % columns + 0.5,
                cell // columns + 0.5,
                text,
                ha="center",
                va="center",
                color=picture.inks[cell],
                fontsize=64 / max(rows, columns, 4),
                family="monospace",
            )


def to_svg(panels: Sequence[tuple[str, Picture]], note: str = "") -> str:
    """Pictures side by side, each under its title, and a note below them, as SVG."""
    parts: list[str] = []
    left, bottom = GAP, 0.0
    for title, picture in panels:
        rows, columns = picture.grid
        size = min(CELL, MOST / columns)
        parts.append(_text(left + size * columns / 2, LINE * 0.7, title, 13, "#1f2328"))
        drawn = "".join(_cells(picture, size))
        parts.append(f'<g transform="translate({left:g},{LINE:g})">{drawn}</g>')
        left += size * columns + GAP
        bottom = max(bottom, LINE + size * rows)
    width, height = max(left, 8.0 * len(note) + 2 * GAP), bottom + (1.5 * LINE if note else 4)
    if note:
        parts.append(_text(width / 2, bottom + LINE, note, 13, "#1f2328"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}"><rect width="100%" height="100%" fill="#ffffff"/>'
        f"{''.join(parts)}</svg>"
    )


def _cells(picture: Picture, size: float) -> list[str]:
    """The elements of one grid, whose cells are ``size`` pixels wide."""
    _, columns = picture.grid

    def square(cell: int, colour: str, more: str = "") -> str:
        x, y = cell % columns * size, cell // columns * size
        return (
            f'<rect x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" fill="{colour}"{more}/>'
        )

    return [
        *(square(cell, fill) for cell, fill in enumerate(picture.fills)),
        *(square(cell, mark, f' opacity="{TINT}"') for cell, mark in picture.marks.items()),
        *(
            f'<path d="M{left * size:g} {top * size:g}L{right * size:g} {bottom * size:g}" '
            f'stroke="black" stroke-width="{2 if thick else 0.5}"/>'
            for (left, top), (right, bottom), thick in picture.rules()
        ),
        *(
            _text(
                (cell % columns + 0.5) * size,
                (cell // columns + 0.5) * size,
                text,
                size * 0.6,
                picture.inks[cell],
            )
            for cell, text in enumerate(picture.texts)
            if text
        ),
    ]


def _text(x: float, y: float, text: str, size: float, colour: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" text-anchor="middle" '
        f'dominant-baseline="central" font-family="sans-serif">{escape(text)}</text>'
    )
