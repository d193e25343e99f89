"""SwiGLU on CPUs in float32, by oneDNN.

torch sends float32 products on CPUs to MKL, which leaves AVX-512 unused on AMD processors: 185 GFLOP/s against 400 here on two
cores. ``mkldnn::_linear_pointwise``, the operator that torch's own compiler emits, reaches oneDNN and applies the gate inside the
product, so that the recursion's ungraded calls make no extra pass over the inner activations. Measured in docs/log.md.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def serves(x: Tensor) -> bool:
    """Whether the functions below take ``x``: float32, on a CPU, with torch built with oneDNN."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()


def as_pixels(rows: Tensor) -> Tensor:
    """Rows [R, C] seen as one channels-last image [1, C, R, 1]: a product over C is its 1x1 convolution, which oneDNN serves."""
    return rows.view(1, -1, 1, rows.shape[-1]).permute(0, 3, 1, 2)


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """See :func:`trm_model.layers.swiglu`, for an ``x`` that :func:`serves` accepts."""
    rows = x.reshape(-1, x.shape[-1])
    if torch.is_grad_enabled():
        return _SwiGlu.apply(rows, gate_up, down).view(x.shape)
    gate, up = gate_up.chunk(2)
    silu = torch.ops.mkldnn._linear_pointwise(rows, gate, None, "swish", [], "")
    hidden = torch.ops.mkldnn._linear_pointwise.binary(rows, silu, up, None, "mul")
    return _product(hidden, down).view(x.shape)


def _product(rows: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")


def _weight_gradient(gradient: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """``gradient.T @ rows``, a sum over many rows: oneDNN's convolution gradient is faster at it than its products."""
    one, none = (1, 1), (0, 0)
    _, result, _ = torch.ops.aten.convolution_backward(
        as_pixels(gradient), as_pixels(rows), weight[:, :, None, None], None, one, none, one, False, none, 1, (False, True, False)
    )
    return result.reshape(weight.shape)


class _SwiGlu(torch.autograd.Function):
    """The formula with its gradient. Only gate and up are kept: computing the rest again costs less than fresh memory for it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        gate, up = (_product(rows, half) for half in gate_up.chunk(2))
        ctx.save_for_backward(rows, gate_up, down, gate, up)
        return _product(F.silu(gate).mul_(up), down)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, gate_up, down, gate, up = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        silu = F.silu(gate)
        of_down = _weight_gradient(gradient, silu * up, down)
        of_hidden = _product(gradient, down.t())
        of_up = silu.mul_(of_hidden)
        of_gate = torch.ops.aten.silu_backward(of_hidden.mul_(up), gate)
        gate_weight, up_weight = gate_up.chunk(2)
        return (
            _product(of_gate, gate_weight.t()).add_(_product(of_up, up_weight.t())),
            torch.cat((_weight_gradient(of_gate, rows, gate_weight), _weight_gradient(of_up, rows, up_weight))),
            of_down,
        )
