"""A learned vector for each position."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trm_model.model.layout import Layout
from trm_model.model.positions.position import Lookups, Position


@dataclass(frozen=True, slots=True)
class Learned(Position):
    """A vector for each position is added to what is embedded (the authors' option)."""

    name: ClassVar[str] = "learned"

    def lookups(self, layout: Layout) -> Lookups:
        """See :class:`Position`."""
        return np.arange(layout.positions)[None]
