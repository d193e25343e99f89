"""Mixing positions by self-attention."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trm_model.choices import check_fields
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.kernels import attention as kernel
from trm_model.model.layers import (
    NORM_EPSILON,
    at_least_float32,
    linear,
    rms_norm,
    truncated_normal,
)
from trm_model.model.layout import Layout
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.positions.position import Position, require_distinct
from trm_model.model.positions.rope import Rotary
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues


def rotary_table(angles: Tensor) -> Tensor:
    """Cosines and sines of ``angles`` [S, head_width / 2], float32 [2, S, head_width]; the two
    halves of a head pair up.
    """
    angles = angles.repeat(1, 2)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Apply :func:`rotary_table` to queries or keys [B, H, S, head_width] (at least
    float32 inside).
    """
    cosine, sine = table[0], table[1]
    wide = at_least_float32(x)
    left, right = wide.chunk(2, dim=-1)
    return (wide * cosine + torch.cat((-right, left), dim=-1) * sine).to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head attention over all positions, or (``causal``) over those up to one's own.
    [B, S, D] -> [B, S, D].
    """

    rotary: Tensor | None

    def __init__(
        self,
        size: Size,
        layout: Layout,
        generator: torch.Generator,
        *,
        positions: Sequence[Position],
        causal: bool,
        query_norm: bool = False,
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        self.query_norm, self.output_norm = query_norm, output_norm
        self.heads, self.causal, width = size.heads, causal, size.width
        self.qkv = nn.Parameter(truncated_normal((3 * width, width), width**-0.5, generator))
        self.out = nn.Parameter(truncated_normal((width, width), width**-0.5, generator))
        # Turning by one and then by another is turning by the sum.
        angles = [each.angles(layout, width // size.heads) for each in positions if each.turns]
        table = rotary_table(torch.stack(angles).sum(0)) if angles else None
        self.register_buffer("rotary", table, persistent=False)

    def heads_of(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [B, H, S, head_width], of positions from ``start`` on."""
        batch, length, _ = x.shape
        heads = linear(x, self.qkv).view(batch, length, 3, self.heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if self.query_norm:
            query, key = rms_norm(query), rms_norm(key)
        if self.rotary is not None:
            table = self.rotary[:, start : start + length]
            query, key = rotate(query, table), rotate(key, table)
        return query, key, value

    def post_norm(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        """``rms_norm(x + self(x))``."""
        weights = self.qkv, self.out, self.rotary, self.heads
        # The kernel has neither a mask nor norms of its own.
        plain = not (self.causal or self.query_norm or self.output_norm)
        if cache is None and plain and kernel.serves(x, *weights):
            return kernel.post_norm_attention(x, *weights, NORM_EPSILON)
        return rms_norm(x + self(x, cache))

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        batch, length, width = x.shape
        query, key, value = self.heads_of(x, 0 if cache is None else cache.start)
        if cache is not None:
            key, value = cache.extend(key, value)
        # The last position sees all keys: alone it needs no mask.
        masked = self.causal and length > 1
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=masked)
        gathered = mixed.transpose(1, 2).reshape(batch, length, width)
        return linear(rms_norm(gathered) if self.output_norm else gathered, self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention(Mixer):
    """Multi-head self-attention (HRM §2; TRM, Table 1 "self-attention").

    :param positions: what tells positions apart; several add up (``trm_model/model/positions``).
    :param query_norm: RMS-normalise each head's queries and keys before they are turned (an option
        of SiC's code, arXiv 2601.19085).
    :param output_norm: RMS-normalise what all heads have gathered, over channels, before the output
        matrix (SiC's attention, which Muon trains).
    """

    name: ClassVar[str] = "attention"
    positions: tuple[Position, ...] = (Rotary(),)
    query_norm: bool = False
    output_norm: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        require_distinct(self.positions)

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
        del feed_forward
        return SelfAttention(
            size,
            layout,
            generator,
            positions=self.positions,
            causal=causal,
            query_norm=self.query_norm,
            output_norm=self.output_norm,
        )

    def mix(self, module: nn.Module, x: Tensor, cache: KeysAndValues | None) -> Tensor:
        """See :class:`Mixer`; normalised over channels."""
        return cast(SelfAttention, module).post_norm(x, cache)

    def maps(self, module: nn.Module, x: Tensor) -> Tensor:
        """The weights of attention of each head. See :class:`Mixer`."""
        query, key, _ = cast(SelfAttention, module).heads_of(x)
        scores = query.float() @ key.float().mT / math.sqrt(query.shape[-1])
        if cast(SelfAttention, module).causal:
            later = torch.ones_like(scores, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return scores.softmax(-1)
