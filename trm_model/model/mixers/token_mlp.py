"""Mixing positions by an MLP."""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import Sublayer
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMlp(Mixer):
    """A SwiGLU over the position axis, as in MLP-Mixer (TRM §4.5). The sequence length is fixed.

    :param positions: ``learned``: a vector per position is added to what is embedded; ``none``.
    """

    name: ClassVar[str] = "token_mlp"
    not_causal: ClassVar[str] = (
        "a token MLP mixes later cells into earlier ones; use mixer=Attention()"
    )
    positions: Literal["learned", "none"] = "none"

    def __post_init__(self) -> None:
        require(
            str(self.positions) != "rope",
            f"TokenMlp(positions={self.positions!r}): rotary positions act on attention heads, "
            "which a token MLP lacks; use 'learned' or 'none', or mixer=Attention()",
        )
        check_fields(self)

    @property
    def learned_positions(self) -> bool:
        """See :class:`Mixer`."""
        return self.positions == "learned"

    def build(
        self,
        size: Size,
        length: int,
        feed_forward: FeedForward,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> nn.Module:
        """See :class:`Mixer`."""
        del causal
        return feed_forward.across_positions(length, size.expansion, generator)

    def mix(self, module: nn.Module, x: Tensor, cache: KeysAndValues | None) -> Tensor:
        """See :class:`Mixer`; normalised over positions, as in the authors' code."""
        del cache
        return cast(Sublayer, module).post_norm(x.transpose(1, 2)).transpose(1, 2)
