"""A mixture of experts."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import Sublayer, SwiGlu, at_least_float32, linear, truncated_normal


class MixtureOfExperts(Sublayer):
    """SwiGLU experts over channels; each position is answered by the ``active`` ones with the
    highest router score, weighted by the softmax of those scores.

    Every expert computes every position, and what is not chosen has weight 0: with fixed shapes an
    answer does not depend on the batch that it is in, and nothing waits for the device.
    """

    def __init__(
        self, width: int, expansion: float, count: int, active: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.active = active
        self.router = nn.Parameter(truncated_normal((count, width), width**-0.5, generator))
        self.experts = nn.ModuleList(SwiGlu(width, expansion, generator) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        scores = at_least_float32(linear(x, self.router))
        best, chosen = scores.topk(self.active, dim=-1)
        weights = torch.zeros_like(scores).scatter(-1, chosen, best.softmax(-1)).to(x.dtype)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            result = result + weights[..., number : number + 1] * expert(x)
        return result


@dataclass(frozen=True, slots=True)
class Experts(FeedForward):
    """A mixture of SwiGLU experts over channels (TRM, ideas that failed).

    :param count: of experts.
    :param active: experts per position.
    """

    name: ClassVar[str] = "experts"
    count: int = 4
    active: int = 2

    def __post_init__(self) -> None:
        check_fields(self, count=(2, 1_000), active=1)
        require(
            self.active <= self.count,
            f"active={self.active} of count={self.count} experts: expected at most all; lower "
            "active",
        )

    def build(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        """See :class:`FeedForward`."""
        return MixtureOfExperts(width, expansion, self.count, self.active, generator)
