"""The programs for GPUs, which Triton interprets on a CPU, against their formula in float64:
``TRITON_INTERPRET=1 python -m tests.trm_model.model.interpreted``. In a process of its own, since
Triton decides when it is loaded."""

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from tests.trm_model.model.kernels import with_gradients
from trm_model.model.kernels import gpu_programs, gpu_swiglu
from trm_model.model.layers import NORM_EPSILON


@triton.jit
def sigmoid(x: Any) -> Any:
    """The interpreter has no instructions of the GPU."""
    return tl.sigmoid(x)


def weights(width: int, inner: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return (
        torch.randn(2 * inner, width, generator=g) * width**-0.5,
        torch.randn(width, inner, generator=g) * inner**-0.5,
    )


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def formula(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    value = x + (F.silu(gate) * up) @ down.T
    return value * (value.square().mean(-1, keepdim=True) + NORM_EPSILON).rsqrt()


def formula_over_positions(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    return formula(x.mT, gate_up, down).mT


def over_positions(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    return gpu_swiglu.over_positions(x, gate_up, down, NORM_EPSILON)[0]


def over_channels(x: Tensor, gate_up: Tensor, down: Tensor, *, kept: bool = True) -> Tensor:
    return gpu_swiglu.over_channels(x, gate_up, down, NORM_EPSILON, kept)[0]


def compare(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *inputs: Tensor) -> None:
    mine = with_gradients(ours, torch.float32, *inputs)
    for one, other in zip(mine, with_gradients(theirs, torch.float64, *inputs), strict=True):
        torch.testing.assert_close(
            one.double(), other, rtol=1e-4, atol=1e-5 * other.abs().max().item()
        )


def equal_the_formula() -> None:
    """Results and gradients, of shapes that fill tiles and that do not."""
    for shape in ((2, 13, 64), (1, 97, 128), (3, 2, 64), (1, 128, 64)):
        compare(over_positions, formula_over_positions, drawn(*shape), *weights(shape[1], 128))
    for shape in ((37, 64), (1, 64), (300, 192)):
        inputs = drawn(*shape), *weights(shape[1], 256)
        compare(over_channels, formula, *inputs)
        alone = over_channels(*inputs, kept=False)
        torch.testing.assert_close(alone, formula(*inputs), rtol=1e-4, atol=1e-5)


def same_bits_in_any_batch() -> None:
    x, pair = drawn(5, 20, 64), weights(20, 128)
    assert torch.equal(over_positions(x[1:3], *pair), over_positions(x, *pair)[1:3])
    rows, pair = drawn(9, 64), weights(64, 128)
    few, many = (over_channels(part, *pair, kept=False) for part in (rows[4:], rows))
    torch.testing.assert_close(few, many[4:])


def as_torch_expects() -> None:
    """What the operators tell of shapes and strides is so: a compiler relies on it."""
    tests = "test_schema", "test_autograd_registration", "test_faketensor"
    x, pair = drawn(2, 20, 64), weights(20, 128)
    torch.library.opcheck(gpu_swiglu.over_positions, (x, *pair, NORM_EPSILON), test_utils=tests)
    y, scale = gpu_swiglu.over_positions(x, *pair, NORM_EPSILON)
    arguments = (x, *pair, y, scale, drawn(2, 20, 64))
    torch.library.opcheck(gpu_swiglu.over_positions_backward, arguments, test_utils=tests)
    x, pair = drawn(9, 64), weights(64, 128)
    for kept in (True, False):
        arguments = (x, *pair, NORM_EPSILON, kept)
        torch.library.opcheck(gpu_swiglu.over_channels, arguments, test_utils=tests)
    y, scale, both = gpu_swiglu.over_channels(x, *pair, NORM_EPSILON, True)
    arguments = (x, *pair, y, scale, both, drawn(9, 64))
    torch.library.opcheck(gpu_swiglu.over_channels_backward, arguments, test_utils=tests)


if __name__ == "__main__":
    gpu_programs._sigmoid = sigmoid  # pyright: ignore[reportPrivateUsage]
    gpu_swiglu._processors = lambda device: 3  # pyright: ignore[reportPrivateUsage]
    equal_the_formula()
    same_bits_in_any_batch()
    as_torch_expects()
