"""The axis of how positions exchange information inside a block."""

import torch
from torch import Tensor, nn

from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layout import Layout
from trm_model.model.part import Part
from trm_model.model.positions.position import Position
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues


class Mixer(Part, axis=True):
    """How positions exchange information inside a block."""

    __slots__ = ()

    @property
    def told_by(self) -> tuple[Position, ...]:
        """What tells positions apart, beside the mixing itself; what they learn is added to what is
        embedded.
        """
        return ()

    def build(
        self,
        size: Size,
        layout: Layout,
        feed_forward: FeedForward,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> nn.Module:
        """The module with the weights of one block.

        :param layout: where the P + L positions lie.
        :param feed_forward: the variant's, for mixers that are feed-forwards over positions.
        :param causal: a position must not see later ones.
        """
        raise NotImplementedError

    def mix(self, module: nn.Module, x: Tensor, cache: KeysAndValues | None) -> Tensor:
        """Apply what :meth:`build` made, add it to ``x`` and normalise. [B, S, D] -> [B, S, D].

        :param cache: of earlier positions, where ``x`` is a part of the sequence.
        """
        raise NotImplementedError
