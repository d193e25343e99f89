"""``rms_norm(x + swiglu(x))`` on NVIDIA's Hopper GPUs, in bfloat16, by Triton.

A training step spends more time carrying inner activations to memory and back than multiplying
them, most of all where the 97 positions of a Sudoku are mixed: there a tile of channels goes
through both products, the gate and the norm at once, and its gradient computes the inner
activations again. Where channels are mixed, whose weights do not fit beside a tile, the gate is
computed with the first product, and gradients keep both products. Figures are in
docs/measurements.md.

The sublayers are operators of torch's, which ``torch.compile`` takes as they are: they are as fast
without it. Sums have an order that does not change, so that results have the same bits each time.
"""

import importlib.util
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.model.kernels.tiles import wants_gradient

MOST_POSITIONS = 128
"""More are not mixed in one pass: their tile would not stay in registers."""
SMALLEST = 64
"""Widths are multiples of it, as tiles are."""
CHUNK = 128
"""Inner widths are multiples of it."""
TILE = 64
"""Channels of an example that are worked on at a time where positions are mixed."""
SHARES = 33
"""Parts of all examples over which a gradient of such weights is summed, each by itself."""
NORM_ROWS = 4
"""Rows that are normalised at a time."""
FORWARD = {"tile": TILE, "chunk": 32, "stages": 2, "num_warps": 4}
BACKWARD = {"tile": TILE, "chunk": 32, "stages": 3, "num_warps": 4}
WEIGHTS = {"tile": 16, "chunk": 64, "stages": 4, "num_warps": 4}
PRODUCTS = {
    "block": 128,
    "chunk": CHUNK,
    "depth": 64,
    "together": 8,
    "num_warps": 8,
    "num_stages": 3,
}
GATE = {"block": 8, "part": CHUNK}
"""Sizes of the programs' tiles, and how many are loaded ahead: the fastest of those that were tried
on an H200 (docs/measurements.md)."""
HAS_TRITON = importlib.util.find_spec("triton") is not None


_COUNTED: ContextVar[bool] = ContextVar("counted", default=False)


@contextmanager
def counted(*, there: bool) -> Generator[None]:
    """Let tensors on torch's meta device be served inside as those of a GPU that can do it, if it
    is ``there``: to count what is kept for gradients without computing."""
    token = _COUNTED.set(there)
    try:
        yield
    finally:
        _COUNTED.reset(token)


def is_hopper(device: int) -> bool:
    """Whether a GPU is of NVIDIA's Hopper, on which the programs were tried: later ones for desks
    have less shared memory, and AMD's other instructions."""
    return torch.version.hip is None and torch.cuda.get_device_capability(device) == (9, 0)


# What torch.compiler.assume_constant_result does, which would load torch's compiler wherever a
# model is looked at.
is_hopper._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def is_there(device: torch.device) -> bool:
    """Whether this is a GPU of this machine that can do it."""
    number = device.index or 0
    is_here = device.type == "cuda" and number < torch.cuda.device_count()
    return HAS_TRITON and is_here and is_hopper(number)


def _is_on_hopper(x: Tensor) -> bool:
    if x.is_cuda:
        return HAS_TRITON and is_hopper(x.device.index)
    return x.is_meta and _COUNTED.get()


def serves(x: Tensor, gate_up: Tensor, down: Tensor) -> bool:
    """Whether :func:`post_norm_swiglu` takes these: x is in bfloat16 and the weights in float32, on
    a GPU that can do it, and their shapes fit. What it does not take is for torch's formula, which
    refuses what cannot be.
    """
    width, inner = x.shape[-1], down.shape[-1]
    return (
        x.dtype == torch.bfloat16
        and gate_up.dtype == down.dtype == torch.float32
        and x.numel() > 0
        and inner % CHUNK == 0
        and gate_up.shape == (2 * inner, width)
        and down.shape == (width, inner)
        and gate_up.is_contiguous()
        and down.is_contiguous()
        and (_mixes_positions(x) or width % SMALLEST == 0)
        and _is_on_hopper(x)
    )


def serves_sizes(width: int, positions: int | None = None) -> bool:
    """Whether :func:`serves` holds on a GPU that can do it for all sublayers of so many channels
    and, where one mixes positions, of so many of them."""
    return width % SMALLEST == 0 and (positions is None or positions <= MOST_POSITIONS)


def _mixes_positions(x: Tensor) -> bool:
    """Whether [B, W, L] is [B, L, W] in memory, few positions of wide channels."""
    return (
        x.dim() == 3
        and x.shape[2] <= MOST_POSITIONS
        and x.shape[1] % SMALLEST == 0
        and x.transpose(1, 2).is_contiguous()
    )


def post_norm_swiglu(x: Tensor, gate_up: Tensor, down: Tensor, epsilon: float) -> Tensor:
    """``rms_norm(x + swiglu(x))``, both over the last axis (:mod:`trm_model.model.blocks`), of what
    :func:`serves` accepts. It has a first derivative alone.

    :param x: bfloat16 [..., W].
    :param gate_up: float32 [2 I, W], I a multiple of :data:`CHUNK`.
    :param down: float32 [W, I].
    :param epsilon: of the norm.
    """
    if _mixes_positions(x):
        return over_positions(x.transpose(1, 2), gate_up, down, epsilon)[0].transpose(1, 2)
    rows = x.contiguous().view(-1, x.shape[-1])
    kept = wants_gradient(x, gate_up, down)
    return over_channels(rows, gate_up, down, epsilon, kept)[0].view(x.shape)


def _padded(width: int) -> int:
    """A width as programs work on it: a power of two."""
    return max(16, 1 << (width - 1).bit_length())


@cache
def _programs() -> Any:
    """The programs, which only a machine with Triton can load."""
    from trm_model.model.kernels import gpu_programs

    return gpu_programs


@cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


def _packed(gate_up: Tensor, down: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights of a mix of positions as its programs read them."""
    width, inner = down.shape
    padded = _padded(width)
    pairs = gate_up.new_empty(inner, 2, padded, dtype=dtype)
    downs = gate_up.new_empty(inner, padded, dtype=dtype)
    _programs().pack[(inner,)](gate_up, down, pairs, downs, width, inner, padded)
    return pairs, downs


@torch.library.custom_op("trm::over_positions", mutates_args=())
def over_positions(
    x: Tensor, gate_up: Tensor, down: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """:func:`post_norm_swiglu` over the positions of x [B, L, W]: the result, and the norm's scale,
    float32 [B, W]."""
    batch, length, width = x.shape
    y, scale = torch.empty_like(x), x.new_empty(batch, width, dtype=torch.float32)
    with torch.cuda.device_of(x):
        _programs().positions_forward[(batch * (width // TILE),)](
            x,
            *_packed(gate_up, down, x.dtype),
            y,
            scale,
            length,
            width,
            down.shape[1],
            epsilon,
            _padded(length),
            **FORWARD,
        )
    return y, scale


@over_positions.register_fake
def _(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(x.shape[0], x.shape[2], dtype=torch.float32)


@torch.library.custom_op("trm::over_positions_backward", mutates_args=())
def over_positions_backward(
    x: Tensor, gate_up: Tensor, down: Tensor, y: Tensor, scale: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x and of the weights."""
    batch, length, width = x.shape
    inner, padded = down.shape[1], _padded(length)
    of_value, of_x = torch.empty_like(x), torch.empty_like(x)
    sums = x.new_empty(SHARES, 3, inner, padded, dtype=torch.float32)
    with torch.cuda.device_of(x):
        packed = _packed(gate_up, down, x.dtype)
        _programs().positions_backward[(batch * (width // TILE),)](
            x,
            y,
            scale,
            gradient,
            *packed,
            of_value,
            of_x,
            length,
            width,
            inner,
            padded,
            **BACKWARD,
        )
        _programs().positions_weights[(inner // WEIGHTS["chunk"], SHARES)](
            x,
            of_value,
            *packed,
            sums,
            batch,
            length,
            width,
            inner,
            padded,
            shares=SHARES,
            **WEIGHTS,
        )
    of_gate_up, of_down = sums.sum(0)[..., :length].split((2, 1))
    of_gate_up = of_gate_up.reshape(2 * inner, length).contiguous()
    return of_x, of_gate_up, of_down[0].t().contiguous()


@torch.library.custom_op("trm::over_channels", mutates_args=())
def over_channels(
    x: Tensor, gate_up: Tensor, down: Tensor, epsilon: float, kept: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`post_norm_swiglu` of x [M, W]: the result, the norm's scale, float32 [M], and, if they
    are ``kept`` for a gradient, the products of gate and up, [M, 2 I], else nothing."""
    (rows, width), inner = x.shape, down.shape[1]
    y, scale = torch.empty_like(x), x.new_empty(rows, dtype=torch.float32)
    with torch.cuda.device_of(x):
        if kept:
            both = F.linear(x, gate_up.to(x.dtype))
            hidden = x.new_empty(rows, inner)
            _programs().gate_forward[_tiles(rows, inner)](both, hidden, rows, inner, **GATE)
        else:
            both, hidden = x.new_empty(0), _gated(x, gate_up, inner)
        added = F.linear(hidden, down.to(x.dtype))
        _programs().norm_forward[(-(-rows // NORM_ROWS),)](
            x, added, y, scale, rows, width, epsilon, NORM_ROWS, _padded(width)
        )
    return y, scale, both


def _tiles(rows: int, inner: int) -> tuple[int, int]:
    return -(-rows // GATE["block"]), inner // GATE["part"]


def _gated(x: Tensor, gate_up: Tensor, inner: int) -> Tensor:
    """``silu(x @ gate.T) * (x @ up.T)``, [M, I]."""
    rows, width = x.shape
    hidden = x.new_empty(rows, inner)
    # The rows of gate and up in turns, so that one tile has both.
    pairs = x.new_empty(inner, 2, width)
    pairs.copy_(gate_up.view(2, inner, width).transpose(0, 1))
    block_rows, chunk, depth = (PRODUCTS[name] for name in ("block", "chunk", "depth"))
    describe = _programs().TensorDescriptor.from_tensor
    _programs().gated_products[(_processors(x.device),)](
        describe(x, [block_rows, depth]),
        describe(pairs.view(2 * inner, width), [2 * chunk, depth]),
        describe(hidden, [block_rows, chunk]),
        rows,
        width,
        inner,
        programs=_processors(x.device),
        **PRODUCTS,
    )
    return hidden


@over_channels.register_fake
def _(
    x: Tensor, gate_up: Tensor, _down: Tensor, _epsilon: float, kept: bool
) -> tuple[Tensor, Tensor, Tensor]:
    rows = x.shape[0]
    both = x.new_empty(rows, gate_up.shape[0]) if kept else x.new_empty(0)
    return torch.empty_like(x), x.new_empty(rows, dtype=torch.float32), both


@torch.library.custom_op("trm::over_channels_backward", mutates_args=())
def over_channels_backward(
    x: Tensor,
    gate_up: Tensor,
    down: Tensor,
    y: Tensor,
    scale: Tensor,
    both: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x and of the weights."""
    (rows, width), inner = x.shape, down.shape[1]
    of_value, of_both = torch.empty_like(x), torch.empty_like(both)
    hidden = x.new_empty(rows, inner)
    with torch.cuda.device_of(x):
        _programs().norm_backward[(-(-rows // NORM_ROWS),)](
            y, scale, gradient, of_value, rows, width, NORM_ROWS, _padded(width)
        )
        of_hidden = of_value @ down.to(x.dtype)
        _programs().gate_backward[_tiles(rows, inner)](
            both, of_hidden, of_both, hidden, rows, inner, **GATE
        )
        of_x = torch.addmm(of_value, of_both, gate_up.to(x.dtype))
        return of_x, (of_both.t() @ x).float(), (of_value.t() @ hidden).float()


@over_positions_backward.register_fake
@over_channels_backward.register_fake
def _(x: Tensor, gate_up: Tensor, down: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(gate_up), torch.empty_like(down)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)
    ctx.set_materialize_grads(False)


def _positions_gradient(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *over_positions_backward(*ctx.saved_tensors, gradient.contiguous()), None


def _channels_gradient(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    return *over_channels_backward(*ctx.saved_tensors, gradient.contiguous()), None, None


over_positions.register_autograd(_positions_gradient, setup_context=_keep)
over_channels.register_autograd(_channels_gradient, setup_context=_keep)
