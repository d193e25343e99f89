"""The recursion networks: blocks that mix positions, then channels."""

from typing import Any

import torch
from torch import Tensor, nn

from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layout import Layout
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues


class Block(nn.Module):
    """Mix positions, then channels; each is added to its input and normalised after it (post-norm).
    [B, S, D] -> [B, S, D].
    """

    def __init__(
        self,
        mixer: Mixer,
        feed_forward: FeedForward,
        size: Size,
        layout: Layout,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> None:
        super().__init__()
        self.mix = mixer.mix
        self.mixer = mixer.build(size, layout, feed_forward, generator, causal=causal)
        self.channels = feed_forward.build(size.width, size.expansion, generator)

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        return self.channels.post_norm(self.mix(self.mixer, x, cache))


class Network(nn.ModuleList):
    """Blocks one after another: the f of the recursion. [B, P + L, D] -> [B, P + L, D]."""

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        for block in self:
            x = block(x, cache)
        return x

    def compile(self, *args: Any, **settings: Any) -> None:
        """Let torch compile the blocks, each by itself: as they are alike, it compiles one, and the
        others, also those of another network, take what it has made.
        """
        for block in self:
            block.compile(*args, **settings)
