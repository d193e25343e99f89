"""Layers that several choices are built from, as the authors' code has them: no biases, RMSNorm
without weight.

Weights are float32 and are cast to the activations' dtype where they are used.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trm_model.model.kernels import gpu_swiglu as gpu_kernel
from trm_model.model.kernels import swiglu as kernel

NORM_EPSILON = 1e-5
ALIGNED = 8
"""Tensor cores work at full speed on rows that begin at multiples of 16 bytes, which are so many
numbers of bfloat16."""
HAS_ONEDNN = torch.backends.mkldnn.is_available()


def truncated_normal(shape: tuple[int, ...], std: float, generator: torch.Generator) -> Tensor:
    """Normal numbers cut at two standard deviations, float32, rescaled so that ``std`` is that of
    the result (JAX's definition). ``std`` 0 gives zeros.

    The authors initialise every weight this way (HRM §2, "truncated LeCun normal").
    """
    # Moments of a standard normal cut at +-2: variance 1 - 2 * 2 phi(2) / (Phi(2) - Phi(-2)).
    mass = math.erf(math.sqrt(2.0))
    density = math.exp(-2.0) / math.sqrt(2.0 * math.pi)
    scale = std / math.sqrt(1.0 - 4.0 * density / mass)
    if torch.get_default_device().type == "meta":  # torch would load its compiler for the product.
        return torch.empty(shape)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64) * 2.0 - 1.0
    normal = torch.erfinv(uniform * mass) * math.sqrt(2.0) * scale
    return normal.clamp_(-2.0 * scale, 2.0 * scale).to(torch.float32)


def aligned_linear(x: Tensor, weight: Tensor) -> Tensor:
    """:func:`linear`, of equal numbers, with both sides of the weight padded by zeros to a multiple
    of :data:`ALIGNED`: the 97 positions of a Sudoku and the 11 tokens of its answers are none.
    """
    outs, ins = weight.shape
    inner, outer = -ins % ALIGNED, -outs % ALIGNED
    if inner:
        x = F.pad(x, (0, inner))
    if inner or outer:
        weight = F.pad(weight, (0, inner, 0, outer))
    return F.linear(x, weight)[..., :outs]


def _is_for_onednn() -> bool:
    """Whether torch would send a convolution of one image to oneDNN: not on one thread."""
    return HAS_ONEDNN and not torch.compiler.is_compiling() and torch.get_num_threads() > 1


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T`` in the dtype of ``x``. x [..., in], weight [out, in] -> [..., out]."""
    weight = weight.to(x.dtype)
    if x.device.type == "cpu" and x.dtype == torch.float32 and _is_for_onednn():
        # As a 1x1 convolution over one channels-last image of all rows: torch sends convolutions to
        # oneDNN and products to MKL, which leaves AVX-512 unused on AMD processors (docs/log.md).
        pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
        image = F.conv2d(pixels, weight[:, :, None, None])
        return image.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))
    if x.is_cuda:
        return aligned_linear(x, weight)
    return F.linear(x, weight)


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32; in float64 as it is."""
    return x if x.dtype == torch.float64 else x.float()


def rms_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over the last axis (at least float32 inside, eps 1e-5, no
    weight)."""
    return F.rms_norm(at_least_float32(x), (x.shape[-1],), eps=NORM_EPSILON).to(x.dtype)


def inner_width(width: int, expansion: float) -> int:
    """SwiGLU's inner width: two thirds of ``expansion * width``, rounded up to a multiple of
    256.
    """
    return -(-round(expansion * width * 2 / 3) // 256) * 256


class Sublayer(nn.Module):
    """What mixes the last axis in a block. [..., W] -> [..., W]."""

    def post_norm(self, x: Tensor) -> Tensor:
        """``rms_norm(x + self(x))``."""
        return rms_norm(x + self(x))


class Gated(Sublayer):
    """A sublayer with the weights of SwiGLU: ``gate_up`` [2 I, W], ``down`` [W, I]."""

    def __init__(self, width: int, expansion: float, generator: torch.Generator) -> None:
        super().__init__()
        inner = inner_width(width, expansion)
        self.gate_up = nn.Parameter(truncated_normal((2 * inner, width), width**-0.5, generator))
        self.down = nn.Parameter(truncated_normal((width, inner), inner**-0.5, generator))


INNER: dict[int, Callable[[Tensor, Tensor], Tensor]] = {
    kernel.NO_NORM: lambda gate, up: F.silu(gate) * up,
    kernel.UP_NORM: lambda gate, up: F.silu(gate) * rms_norm(up),
    kernel.PRODUCT_NORM: lambda gate, up: gate.sigmoid() * rms_norm(gate * up),
}
"""Inner activations [..., I] from both products, by what is normalised of them."""


class SwiGlu(Gated):
    """``(silu(x @ gate.T) * (x @ up.T)) @ down.T`` (Shazeer 2020)."""

    norm: ClassVar[int] = kernel.NO_NORM
    """A key of :data:`INNER`."""

    def forward(self, x: Tensor) -> Tensor:
        gate, up = linear(x, self.gate_up).chunk(2, dim=-1)
        return linear(INNER[self.norm](gate, up), self.down)

    def post_norm(self, x: Tensor) -> Tensor:
        weights = self.gate_up, self.down
        if kernel.serves(x, *weights):
            return kernel.post_norm_swiglu(x, *weights, NORM_EPSILON, self.norm)
        if self.norm == kernel.NO_NORM and gpu_kernel.serves(x, *weights):
            return gpu_kernel.post_norm_swiglu(x, *weights, NORM_EPSILON)
        return super().post_norm(x)
