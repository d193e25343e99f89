"""The blocks of the recursion networks, as the authors' code has them: post-norm, no biases,
RMSNorm without weight.

Weights are float32 and are cast to the activations' dtype where they are used.
"""

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trm_model.model.kernels import swiglu as fused
from trm_model.model.size import Size
from trm_model.model.variant import (
    Attention,
    Experts,
    GatedNorm,
    ShortConvolution,
    TokenMlp,
    Variant,
)

NORM_EPSILON = 1e-5
ROPE_BASE = 10_000.0
HAS_ONEDNN = torch.backends.mkldnn.is_available()


def truncated_normal(shape: tuple[int, ...], std: float, generator: torch.Generator) -> Tensor:
    """Normal numbers cut at two standard deviations, rescaled so that ``std`` is that of the result
    (JAX's definition).

    The authors initialise every weight this way (HRM §2 "truncated LeCun normal"). ``std`` 0 gives
    zeros.
    """
    # Moments of a standard normal cut at +-2: variance 1 - 2 * 2 phi(2) / (Phi(2) - Phi(-2)).
    mass = math.erf(math.sqrt(2.0))
    density = math.exp(-2.0) / math.sqrt(2.0 * math.pi)
    scale = std / math.sqrt(1.0 - 4.0 * density / mass)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64) * 2.0 - 1.0
    return (
        (torch.erfinv(uniform * mass) * math.sqrt(2.0) * scale)
        .clamp_(-2.0 * scale, 2.0 * scale)
        .to(torch.float32)
    )


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T`` in the dtype of ``x``. x [..., in], weight [out, in] -> [..., out]."""
    weight = weight.to(x.dtype)
    if x.device.type == "cpu" and x.dtype == torch.float32 and HAS_ONEDNN:
        # As a 1x1 convolution over one channels-last image of all rows: torch sends convolutions to
        # oneDNN and products to MKL, which leaves AVX-512 unused on AMD processors (docs/log.md).
        pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
        return (
            F.conv2d(pixels, weight[:, :, None, None])
            .permute(0, 2, 3, 1)
            .reshape(*x.shape[:-1], len(weight))
        )
    return F.linear(x, weight)


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """``(silu(x @ gate.T) * (x @ up.T)) @ down.T`` (Shazeer 2020). x [..., W], gate_up [2 I, W],
    down [W, I] -> [..., W]."""
    gate, up = linear(x, gate_up).chunk(2, dim=-1)
    return linear(F.silu(gate) * up, down)


def rms_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over the last axis (float32 inside, eps 1e-5, no weight)."""
    return F.rms_norm(x.float(), (x.shape[-1],), eps=NORM_EPSILON).to(x.dtype)


def inner_width(width: int, expansion: float) -> int:
    """SwiGLU inner width: two thirds of ``expansion * width``, rounded up to a multiple of 256."""
    return -(-round(expansion * width * 2 / 3) // 256) * 256


class Sublayer(nn.Module):
    """What mixes the last axis in a block. [..., W] -> [..., W]."""

    def post_norm(self, x: Tensor) -> Tensor:
        """``rms_norm(x + self(x))``."""
        return rms_norm(x + self(x))


class Gated(Sublayer):
    """A sublayer with the weights of SwiGLU."""

    def __init__(self, width: int, expansion: float, generator: torch.Generator) -> None:
        super().__init__()
        inner = inner_width(width, expansion)
        self.gate_up = nn.Parameter(truncated_normal((2 * inner, width), width**-0.5, generator))
        self.down = nn.Parameter(truncated_normal((width, inner), inner**-0.5, generator))


class SwiGlu(Gated):
    """:func:`swiglu`."""

    def forward(self, x: Tensor) -> Tensor:
        return swiglu(x, self.gate_up, self.down)

    def post_norm(self, x: Tensor) -> Tensor:
        if fused.serves(x):
            return fused.post_norm_swiglu(x, self.gate_up, self.down, NORM_EPSILON)
        return super().post_norm(x)


class GatedNormSwiGlu(Gated):
    """SwiGLU whose up product is RMS-normalised: ``(silu(x @ gate.T) * rms_norm(x @ up.T)) @
    down.T``."""

    def forward(self, x: Tensor) -> Tensor:
        gate, up = linear(x, self.gate_up).chunk(2, dim=-1)
        return linear(F.silu(gate) * rms_norm(up), self.down)


class ConvolvedSwiGlu(Gated):
    """SwiGLU over channels with ``silu`` of a depthwise convolution over positions before the last
    product (URM). [B, S, D] -> same.

    Position i sees the ``taps`` positions up to i; ``kernel`` [I, 1, taps].
    """

    def __init__(self, width: int, expansion: float, taps: int, generator: torch.Generator) -> None:
        super().__init__(width, expansion, generator)
        self.kernel = nn.Parameter(
            truncated_normal((self.down.shape[1], 1, taps), taps**-0.5, generator)
        )

    def forward(self, x: Tensor) -> Tensor:
        gate, up = linear(x, self.gate_up).chunk(2, dim=-1)
        inner = (F.silu(gate) * up).transpose(1, 2)
        inner = F.conv1d(
            F.pad(inner, (self.kernel.shape[-1] - 1, 0)),
            self.kernel.to(x.dtype),
            groups=len(self.kernel),
        )
        return linear(F.silu(inner).transpose(1, 2), self.down)


class MixtureOfExperts(Sublayer):
    """SwiGLU experts over channels; each position goes to the ``active`` ones with the highest
    router score, weighted by its softmax."""

    def __init__(
        self, width: int, expansion: float, kind: Experts, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.active = kind.active
        self.router = nn.Parameter(truncated_normal((kind.count, width), width**-0.5, generator))
        self.experts = nn.ModuleList(SwiGlu(width, expansion, generator) for _ in range(kind.count))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        scores, chosen = linear(rows, self.router).float().topk(self.active, dim=-1)
        weights = scores.softmax(-1).to(x.dtype)
        result = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            where, place = (chosen == number).nonzero(as_tuple=True)
            if len(where):
                result = result.index_add(
                    0, where, expert(rows[where]) * weights[where, place].unsqueeze(-1)
                )
        return result.view(x.shape)


def channel_mixer(variant: Variant, size: Size, generator: torch.Generator) -> Sublayer:
    """What acts on channels in a block of the variant."""
    kind = variant.feed_forward
    if isinstance(kind, Experts):
        return MixtureOfExperts(size.width, size.expansion, kind, generator)
    if isinstance(kind, ShortConvolution):
        return ConvolvedSwiGlu(size.width, size.expansion, kind.width, generator)
    if isinstance(kind, GatedNorm):
        return GatedNormSwiGlu(size.width, size.expansion, generator)
    return SwiGlu(size.width, size.expansion, generator)


def rotary_table(length: int, head_width: int) -> Tensor:
    """Cosines and sines of the rotary positions (Su et al. 2021), [2, length, head_width] float32;
    the two halves of a head pair up."""
    rates = ROPE_BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), rates).repeat(1, 2)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Apply :func:`rotary_table` to queries or keys [B, H, S, head_width] (float32 inside)."""
    cosine, sine = table[0], table[1]
    left, right = x.float().chunk(2, dim=-1)
    return (x.float() * cosine + torch.cat((-right, left), dim=-1) * sine).to(x.dtype)


class KeysAndValues(Protocol):
    """Of earlier positions, for attention that sees a part of a sequence
    (:class:`trm_model.model.generation.Cache`)."""

    start: int
    """Position of the first of the part."""

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the part's keys and values, both [B, H, S, head_width], and return those of all
        positions up to its last."""
        ...


class SelfAttention(nn.Module):
    """Multi-head attention over all positions, or (``causal``) over those up to one's own. [B, S,
    D] -> [B, S, D]."""

    rotary: Tensor | None

    def __init__(
        self, mixer: Attention, size: Size, length: int, generator: torch.Generator, *, causal: bool
    ) -> None:
        super().__init__()
        self.heads = size.heads
        self.causal = causal
        self.qkv = nn.Parameter(
            truncated_normal((3 * size.width, size.width), size.width**-0.5, generator)
        )
        self.out = nn.Parameter(
            truncated_normal((size.width, size.width), size.width**-0.5, generator)
        )
        table = (
            rotary_table(length, size.width // size.heads) if mixer.positions == "rope" else None
        )
        self.register_buffer("rotary", table, persistent=False)

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        batch, length, width = x.shape
        query, key, value = (
            linear(x, self.qkv).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        if self.rotary is not None:
            start = 0 if cache is None else cache.start
            table = self.rotary[:, start : start + length]
            query, key = rotate(query, table), rotate(key, table)
        if cache is not None:
            key, value = cache.extend(key, value)
        # The last position sees all keys: alone it needs no mask.
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=self.causal and length > 1
        )
        return linear(mixed.transpose(1, 2).reshape(batch, length, width), self.out)


class Block(nn.Module):
    """Mix positions, then channels; each is added to its input and normalised after (post-norm).
    [B, S, D] -> [B, S, D]."""

    def __init__(
        self, variant: Variant, size: Size, length: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        token_mixer = GatedNormSwiGlu if isinstance(variant.feed_forward, GatedNorm) else SwiGlu
        self.mixer = (
            token_mixer(length, size.expansion, generator)
            if isinstance(variant.mixer, TokenMlp)
            else SelfAttention(
                variant.mixer, size, length, generator, causal=variant.autoregressive
            )
        )
        self.channels = channel_mixer(variant, size, generator)

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        if isinstance(self.mixer, Sublayer):
            # The authors normalise over positions here, not over channels.
            x = self.mixer.post_norm(x.transpose(1, 2)).transpose(1, 2)
        else:
            x = rms_norm(x + self.mixer(x, cache))
        return self.channels.post_norm(x)


class Network(nn.ModuleList):
    """``layers`` blocks: the f of the recursion. [B, P + L, D] -> [B, P + L, D]."""

    def __init__(
        self, variant: Variant, layers: int, size: Size, length: int, generator: torch.Generator
    ) -> None:
        super().__init__(Block(variant, size, length, generator) for _ in range(layers))

    def forward(self, x: Tensor, cache: KeysAndValues | None = None) -> Tensor:
        for block in self:
            x = block(x, cache)
        return x
