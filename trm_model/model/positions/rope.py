"""Rotary positions along a line."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.layout import Layout
from trm_model.model.positions.position import Position


def require_base(base: float) -> None:
    """Whether a base of rotary positions is above 1, so that pairs turn at different rates.

    :raises ConfigurationError: it is not.
    """
    require(base > 1.0, f"base={base}: expected a number above 1; change base")


def turned(places: Tensor, channels: int, base: float) -> Tensor:
    """Angles of the pairs of ``channels`` at ``places`` [S]: pair i turns by
    ``base ** (-2 i / channels)`` from one place to the next. float32 [S, channels / 2].
    """
    rates = base ** (-torch.arange(0, channels, 2, dtype=torch.float32) / channels)
    return torch.outer(places.to(torch.float32), rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotary(Position):
    """Rotary positions along the flattened grid, prefix included (Su et al. 2021; the papers').

    :param base: ratio of the fastest pair's rate to that of a pair just past the slowest.
    """

    name: ClassVar[str] = "rope"
    turns: ClassVar[bool] = True
    base: float = 10_000.0

    def __post_init__(self) -> None:
        check_fields(self)
        require_base(self.base)

    def angles(self, layout: Layout, head_width: int) -> Tensor:
        """See :class:`Position`."""
        return turned(torch.arange(layout.positions), head_width, self.base)
