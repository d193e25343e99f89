"""A learned vector for each row and each column, and for each box where there are boxes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.layout import Layout
from trm_model.model.positions.position import Lookups, Position, joined_lookups


@dataclass(frozen=True, slots=True, kw_only=True)
class RowColumn(Position):
    """The vectors of a cell's row, column and box are added to what is embedded. A position of the
    prefix has as many vectors of its own.

    :param box_height: rows of a box, as in Sudoku; None, with ``box_width``: no boxes.
    :param box_width: columns of a box.
    """

    name: ClassVar[str] = "row_column"
    box_height: int | None = None
    box_width: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, box_height=1, box_width=1)
        require(
            (self.box_height is None) == (self.box_width is None),
            f"box_height={self.box_height}, box_width={self.box_width}: expected both or neither",
        )

    def lookups(self, layout: Layout) -> Lookups:
        """See :class:`Position`."""
        rows, columns = layout.known_grid("row_column positions")
        row, column = np.indices((rows, columns)).reshape(2, -1)
        kinds = [row, column]
        if self.box_height and self.box_width:
            require(
                rows % self.box_height == columns % self.box_width == 0,
                f"boxes of {self.box_height} x {self.box_width} on a grid of {rows} x {columns}: "
                "expected boxes that fill the grid; change box_height and box_width",
            )
            across = columns // self.box_width
            kinds.append(row // self.box_height * across + column // self.box_width)
        before = np.arange(layout.prefix)
        tables = (np.concatenate((before, layout.prefix + kind))[None] for kind in kinds)
        return joined_lookups(tables, layout)
