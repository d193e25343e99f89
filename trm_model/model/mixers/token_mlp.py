"""Mixing positions by an MLP."""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import Sublayer
from trm_model.model.layout import Layout
from trm_model.model.mixers.mixer import Mixer, influence
from trm_model.model.positions.none import NoPosition
from trm_model.model.positions.position import Position, require_distinct
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMlp(Mixer):
    """A SwiGLU over the position axis, as in MLP-Mixer (TRM §4.5). The sequence length is fixed.

    :param positions: what tells positions apart beside the mixing: vectors added to what is
        embedded.
    """

    name: ClassVar[str] = "token_mlp"
    not_causal: ClassVar[str] = (
        "a token MLP mixes later cells into earlier ones; use mixer=Attention()"
    )
    positions: tuple[Position, ...] = (NoPosition(),)

    def __post_init__(self) -> None:
        check_fields(self)
        require_distinct(self.positions)
        turning = [position.name for position in self.positions if position.turns]
        require(
            not turning,
            f"TokenMlp with positions {turning}: rotary positions act on attention heads, which a "
            "token MLP lacks; use learned ones or none, or mixer=Attention()",
        )

    @property
    def told_by(self) -> tuple[Position, ...]:
        """See :class:`Mixer`."""
        return self.positions

    def build(
        self,
        size: Size,
        layout: Layout,
        feed_forward: FeedForward,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> nn.Module:
        """See :class:`Mixer`."""
        del causal
        return feed_forward.across_positions(layout.positions, size.expansion, generator)

    def mix(self, module: nn.Module, x: Tensor, cache: KeysAndValues | None) -> Tensor:
        """See :class:`Mixer`; normalised over positions, as in the authors' code."""
        del cache
        return cast(Sublayer, module).post_norm(x.transpose(1, 2)).transpose(1, 2)

    def maps(self, module: nn.Module, x: Tensor) -> Tensor:
        """How the MLP's result depends on ``x``. See :class:`Mixer`."""
        return influence(lambda part: module(part.transpose(1, 2)).transpose(1, 2), x)
