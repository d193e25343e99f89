"""Positions that nothing tells apart."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.positions.position import Position


@dataclass(frozen=True, slots=True)
class NoPosition(Position):
    """Nothing is added and nothing turned."""

    name: ClassVar[str] = "none"
