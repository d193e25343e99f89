"""SwiGLU with a short convolution over positions."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trm_model.choices import check_fields
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import Gated, Sublayer, linear, truncated_normal


class ConvolvedSwiGlu(Gated):
    """SwiGLU over channels, with ``silu`` of a depthwise convolution over positions before the last
    product. [B, S, D] -> [B, S, D].

    Position i sees the ``taps`` positions up to i; ``kernel`` [I, 1, taps].
    """

    def __init__(self, width: int, expansion: float, taps: int, generator: torch.Generator) -> None:
        super().__init__(width, expansion, generator)
        shape = (self.down.shape[1], 1, taps)
        self.kernel = nn.Parameter(truncated_normal(shape, taps**-0.5, generator))

    def forward(self, x: Tensor) -> Tensor:
        gate, up = linear(x, self.gate_up).chunk(2, dim=-1)
        inner = F.pad((F.silu(gate) * up).transpose(1, 2), (self.kernel.shape[-1] - 1, 0))
        inner = F.conv1d(inner, self.kernel.to(x.dtype), groups=len(self.kernel))
        return linear(F.silu(inner).transpose(1, 2), self.down)


@dataclass(frozen=True, slots=True)
class ShortConvolution(FeedForward):
    """SwiGLU over channels with a depthwise convolution over positions before its last product
    (URM, arXiv 2512.14693).

    :param width: positions that the convolution covers.
    """

    name: ClassVar[str] = "short_convolution"
    not_causal: ClassVar[str] = (
        "a convolution needs earlier cells' activations, which are not kept; use "
        "feed_forward=Dense()"
    )
    width: int = 2

    def __post_init__(self) -> None:
        check_fields(self, width=(2, 1_000))

    def build(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        """See :class:`FeedForward`."""
        return ConvolvedSwiGlu(width, expansion, self.width, generator)
