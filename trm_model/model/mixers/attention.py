"""Mixing positions by self-attention."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trm_model.choices import check_fields
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layers import linear, rms_norm, truncated_normal
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues

ROPE_BASE = 10_000.0
Positions = Literal["rope", "learned", "none"]


def rotary_table(length: int, head_width: int) -> Tensor:
    """Cosines and sines of the rotary positions (Su et al. 2021), float32 [2, length, head_width];
    the two halves of a head pair up.
    """
    rates = ROPE_BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), rates).repeat(1, 2)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Apply :func:`rotary_table` to queries or keys [B, H, S, head_width] (float32 inside)."""
    cosine, sine = table[0], table[1]
    left, right = x.float().chunk(2, dim=-1)
    return (x.float() * cosine + torch.cat((-right, left), dim=-1) * sine).to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head attention over all positions, or (``causal``) over those up to one's own.
    [B, S, D] -> [B, S, D].
    """

    rotary: Tensor | None

    def __init__(
        self, size: Size, length: int, generator: torch.Generator, *, rope: bool, causal: bool
    ) -> None:
        super().__init__()
        self.heads, self.causal, width = size.heads, causal, size.width
        self.qkv = nn.Parameter(truncated_normal((3 * width, width), width**-0.5, generator))
        self.out = nn.Parameter(truncated_normal((width, width), width**-0.5, generator))
        table = rotary_table(length, width // size.heads) if rope else None
        self.register_buffer("rotary", table, persistent=False)

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        batch, length, width = x.shape
        heads = linear(x, self.qkv).view(batch, length, 3, self.heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if self.rotary is not None:
            start = 0 if cache is None else cache.start
            table = self.rotary[:, start : start + length]
            query, key = rotate(query, table), rotate(key, table)
        if cache is not None:
            key, value = cache.extend(key, value)
        # The last position sees all keys: alone it needs no mask.
        masked = self.causal and length > 1
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=masked)
        return linear(mixed.transpose(1, 2).reshape(batch, length, width), self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention(Mixer):
    """Multi-head self-attention (HRM §2; TRM, Table 1 "self-attention").

    :param positions: ``rope``: rotary positions along the flattened grid; ``learned``: a vector per
        position, added to what is embedded; ``none``.
    """

    name: ClassVar[str] = "attention"
    positions: Positions = "rope"

    def __post_init__(self) -> None:
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
        del feed_forward
        rope = self.positions == "rope"
        return SelfAttention(size, length, generator, rope=rope, causal=causal)

    def mix(self, module: nn.Module, x: Tensor, cache: KeysAndValues | None) -> Tensor:
        """See :class:`Mixer`; normalised over channels."""
        return rms_norm(x + module(x, cache))
