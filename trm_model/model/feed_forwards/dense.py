"""The papers' feed-forward."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import Sublayer, SwiGlu


@dataclass(frozen=True, slots=True)
class Dense(FeedForward):
    """SwiGLU (HRM §2, TRM §5)."""

    name: ClassVar[str] = "dense"

    def build(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        """See :class:`FeedForward`."""
        return SwiGlu(width, expansion, generator)
