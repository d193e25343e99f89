"""A learned vector for each position."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from trm_model.model.layout import Layout
from trm_model.model.positions.position import Position


@dataclass(frozen=True, slots=True)
class Learned(Position):
    """A vector for each position is added to what is embedded (the authors' option)."""

    name: ClassVar[str] = "learned"

    def lookups(self, layout: Layout) -> npt.NDArray[np.int64]:
        """See :class:`Position`."""
        return np.arange(layout.count)[None]
