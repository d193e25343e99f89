"""Rotary positions over rows and columns."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.layout import Layout
from trm_model.model.positions.position import Position
from trm_model.model.positions.rope import require_base, turned


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRotary(Position):
    """Half of a head's channels turn with the row, half with the column; the prefix lies at rows
    and columns -P..-1. Where all cells are in one row, only the column tells them apart.

    :param base: of each half, as of rotary positions along a line.
    """

    name: ClassVar[str] = "grid_rotary"
    turns: ClassVar[bool] = True
    base: float = 10_000.0

    def __post_init__(self) -> None:
        check_fields(self)
        require_base(self.base)

    def angles(self, layout: Layout, head_width: int) -> Tensor:
        """See :class:`Position`."""
        require(
            head_width % 4 == 0,
            f"grid_rotary positions with heads of {head_width} channels: expected a multiple of 4, "
            "half for the row and half for the column; change width or heads",
        )
        rows, columns = torch.tensor(layout.places("grid_rotary positions"))
        half = head_width // 2
        return torch.cat([turned(places, half, self.base) for places in (rows, columns)], dim=1)
