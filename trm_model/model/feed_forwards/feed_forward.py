"""The axis of what acts on the channels of each position in a block."""

import torch

from trm_model.model.layers import Sublayer, SwiGlu
from trm_model.model.part import Part


class FeedForward(Part, axis=True):
    """What acts on channels in a block, and, with a token MLP, on positions."""

    __slots__ = ()

    def build(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        """A module [B, S, D] -> [B, S, D] that acts on channels; D is ``width``."""
        raise NotImplementedError

    def across_positions(
        self, length: int, expansion: float, generator: torch.Generator
    ) -> Sublayer:
        """The module of a token MLP, [B, D, S] -> [B, D, S]; S is ``length``."""
        return SwiGlu(length, expansion, generator)
