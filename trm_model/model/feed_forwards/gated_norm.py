"""SwiGLU that stays stable under Muon."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import Sublayer, SwiGlu


class GatedNormSwiGlu(SwiGlu):
    """``(silu(x @ gate.T) * rms_norm(x @ up.T)) @ down.T``."""

    normed: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class GatedNorm(FeedForward):
    """SwiGLU whose up product is RMS-normalised before it meets the gate, over channels and, with
    a token MLP, over positions (SiC, arXiv 2601.19085).
    """

    name: ClassVar[str] = "gated_norm"

    def build(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        """See :class:`FeedForward`."""
        return GatedNormSwiGlu(width, expansion, generator)

    def across_positions(
        self, length: int, expansion: float, generator: torch.Generator
    ) -> Sublayer:
        """See :class:`FeedForward`."""
        return GatedNormSwiGlu(length, expansion, generator)
