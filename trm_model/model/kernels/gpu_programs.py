"""Programs in Triton for :mod:`trm_model.model.kernels.gpu_swiglu`, each of whose instances works
on a tile.

Products take their operands in the type of the activations and are summed in float32.
"""

# Triton compiles these functions and has no types for what is in them.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false

import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

__all__ = ["TensorDescriptor"]


@triton.jit
def _sigmoid(x):
    """By the hardware's tanh, one instruction. It is off by at most 2^-12, an eighth of what
    bfloat16 rounds numbers next to 1 by; where it is very small, its relative error is larger."""
    tanh = tl.inline_asm_elementwise(
        "tanh.approx.f32 $0, $1;", "=f,f", [0.5 * x], dtype=tl.float32, is_pure=True, pack=1
    )
    return 0.5 + 0.5 * tanh


@triton.jit
def _gated_and_slopes(gate, up, of_hidden):
    """``silu(gate) * up``, and the gradients of gate and up from that of it."""
    opened = _sigmoid(gate)
    silu = gate * opened
    return silu * up, of_hidden * up * (opened + silu * (1.0 - opened)), of_hidden * silu


@triton.jit
def pack(
    gate_up,
    down,
    pairs,
    downs,
    width: tl.constexpr,
    inner: tl.constexpr,
    padded: tl.constexpr,
):
    """Weights [2 I, W] and [W, I] as [I, 2, padded] and [I, padded], with zeros beyond W; one inner
    activation to an instance."""
    row, w = tl.program_id(0), tl.arange(0, padded)
    there = w < width
    gate = tl.load(gate_up + row * width + w, mask=there, other=0.0)
    up = tl.load(gate_up + (inner + row) * width + w, mask=there, other=0.0)
    back = tl.load(down + w * inner + row, mask=there, other=0.0)
    tl.store(pairs + 2 * row * padded + w, gate)
    tl.store(pairs + (2 * row + 1) * padded + w, up)
    tl.store(downs + row * padded + w, back)


@triton.jit
def positions_forward(
    x,
    pairs,
    downs,
    y,
    scale,
    length: tl.constexpr,
    width: tl.constexpr,
    inner: tl.constexpr,
    epsilon,
    padded: tl.constexpr,
    tile: tl.constexpr,
    chunk: tl.constexpr,
    stages: tl.constexpr,
):
    """``y = rms_norm(x + swiglu(x))`` over the positions of x [B, L, W], and its ``scale`` [B, W];
    ``tile`` channels of one example to an instance."""
    tiles: tl.constexpr = width // tile
    item, first = tl.program_id(0) // tiles, tl.program_id(0) % tiles * tile
    s, d = tl.arange(0, padded), first + tl.arange(0, tile)
    offsets = item.to(tl.int64) * length * width + (s[:, None] * width + d[None, :])
    inside = (s < length)[:, None]
    cells = tl.trans(tl.load(x + offsets, mask=inside, other=0.0))
    mixed = tl.zeros((tile, padded), tl.float32)
    two, one = tl.arange(0, 2 * chunk), tl.arange(0, chunk)
    for start in tl.range(0, inner, chunk, num_stages=stages):
        pair = tl.load(pairs + (2 * start + two[None, :]) * padded + s[:, None])
        gate, up = tl.split(tl.reshape(tl.dot(cells, pair), (tile, chunk, 2)))
        hidden = gate * _sigmoid(gate) * up
        back = tl.load(downs + (start + one[:, None]) * padded + s[None, :])
        mixed = tl.dot(hidden.to(cells.dtype), back, mixed)
    value = mixed + cells.to(tl.float32)
    factor = tl.rsqrt(tl.sum(value * value, 1) / length + epsilon)
    tl.store(scale + item * width + d, factor)
    tl.store(y + offsets, tl.trans((value * factor[:, None]).to(cells.dtype)), mask=inside)


@triton.jit
def positions_backward(
    x,
    y,
    scale,
    gradient,
    pairs,
    downs,
    of_value,
    of_x,
    length: tl.constexpr,
    width: tl.constexpr,
    inner: tl.constexpr,
    padded: tl.constexpr,
    tile: tl.constexpr,
    chunk: tl.constexpr,
    stages: tl.constexpr,
):
    """From the gradient of y those of ``x + swiglu(x)`` and of x, all [B, L, W]."""
    tiles: tl.constexpr = width // tile
    item, first = tl.program_id(0) // tiles, tl.program_id(0) % tiles * tile
    s, d = tl.arange(0, padded), first + tl.arange(0, tile)
    offsets = item.to(tl.int64) * length * width + (s[:, None] * width + d[None, :])
    inside = (s < length)[:, None]
    result = tl.load(y + offsets, mask=inside, other=0.0).to(tl.float32)
    above = tl.load(gradient + offsets, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(result * above, 0) / length
    factor = tl.load(scale + item * width + d)
    sloped = ((above - result * mean[None, :]) * factor[None, :]).to(x.dtype.element_ty)
    tl.store(of_value + offsets, sloped, mask=inside)
    slopes = tl.trans(sloped)
    cells = tl.trans(tl.load(x + offsets, mask=inside, other=0.0))
    total = tl.zeros((tile, padded), tl.float32)
    two, one = tl.arange(0, 2 * chunk), tl.arange(0, chunk)
    for start in tl.range(0, inner, chunk, num_stages=stages):
        pair = tl.load(pairs + (2 * start + two[:, None]) * padded + s[None, :])
        back = tl.load(downs + (start + one[:, None]) * padded + s[None, :])
        gate, up = tl.split(tl.reshape(tl.dot(cells, tl.trans(pair)), (tile, chunk, 2)))
        _, of_gate, of_up = _gated_and_slopes(gate, up, tl.dot(slopes, tl.trans(back)))
        of_pair = tl.reshape(tl.join(of_gate, of_up), (tile, 2 * chunk)).to(cells.dtype)
        total = tl.dot(of_pair, pair, total)
    total += slopes.to(tl.float32)
    tl.store(of_x + offsets, tl.trans(total.to(cells.dtype)), mask=inside)


@triton.jit
def positions_weights(
    x,
    of_value,
    pairs,
    downs,
    sums,
    items,
    length: tl.constexpr,
    width: tl.constexpr,
    inner: tl.constexpr,
    padded: tl.constexpr,
    tile: tl.constexpr,
    chunk: tl.constexpr,
    shares: tl.constexpr,
    stages: tl.constexpr,
):
    """Gradients of the weights, ``sums`` float32 [shares, 3, I, padded]: of gate, up and turned
    down; ``chunk`` inner activations and one share of all tiles to an instance."""
    tiles: tl.constexpr = width // tile
    share = tl.program_id(1)
    s, row = tl.arange(0, padded), tl.program_id(0) * chunk + tl.arange(0, chunk)
    inside = (s < length)[:, None]
    gates = tl.load(pairs + 2 * row[:, None] * padded + s[None, :])
    ups = tl.load(pairs + (2 * row[:, None] + 1) * padded + s[None, :])
    backs = tl.load(downs + row[:, None] * padded + s[None, :])
    of_gates = tl.zeros((chunk, padded), tl.float32)
    of_ups = tl.zeros((chunk, padded), tl.float32)
    of_downs = tl.zeros((chunk, padded), tl.float32)
    for number in tl.range(share, items * tiles, shares, num_stages=stages):
        d = number % tiles * tile + tl.arange(0, tile)
        offsets = tl.cast(number // tiles, tl.int64) * length * width + (
            s[:, None] * width + d[None, :]
        )
        cells = tl.load(x + offsets, mask=inside, other=0.0)
        slopes = tl.load(of_value + offsets, mask=inside, other=0.0)
        hidden, of_gate, of_up = _gated_and_slopes(
            tl.dot(gates, cells), tl.dot(ups, cells), tl.dot(backs, slopes)
        )
        of_gates = tl.dot(of_gate.to(cells.dtype), tl.trans(cells), of_gates)
        of_ups = tl.dot(of_up.to(cells.dtype), tl.trans(cells), of_ups)
        of_downs = tl.dot(hidden.to(cells.dtype), tl.trans(slopes), of_downs)
    at = sums + share * 3 * inner * padded + row[:, None] * padded + s[None, :]
    tl.store(at, of_gates)
    tl.store(at + inner * padded, of_ups)
    tl.store(at + 2 * inner * padded, of_downs)


@triton.jit
def gated_products(
    x,
    pairs,
    hidden,
    rows,
    width: tl.constexpr,
    inner: tl.constexpr,
    block: tl.constexpr,
    chunk: tl.constexpr,
    depth: tl.constexpr,
    together: tl.constexpr,
    programs: tl.constexpr,
):
    """``silu(x @ gate.T) * (x @ up.T)`` by tensor descriptors of x [M, W], pairs [2 I, W] and the
    result [M, I]. Each of ``programs`` instances works on one tile after the other, and a tile of
    weights is met by ``together`` tiles of x, while it is in cache."""
    across: tl.constexpr = inner // chunk
    down = tl.cdiv(rows, block)
    for number in tl.range(tl.program_id(0), down * across, programs, flatten=True):
        group, member = number // (together * across), number % (together * across)
        size = min(down - group * together, together)
        row, column = (group * together + member % size) * block, member // size * chunk
        both = tl.zeros((block, 2 * chunk), tl.float32)
        for first in range(0, width, depth):
            pair = tl.trans(pairs.load([2 * column, first]))
            both = tl.dot(x.load([row, first]), pair, both)
        gate, up = tl.split(tl.reshape(both, (block, chunk, 2)))
        hidden.store([row, column], (gate * _sigmoid(gate) * up).to(hidden.dtype))


@triton.jit
def _tile(rows, inner: tl.constexpr, block: tl.constexpr, part: tl.constexpr):
    """Where numbers of a tile are in [M, I], where in [M, 2 I], and which are there."""
    row = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)[:, None]
    column = tl.program_id(1) * part + tl.arange(0, part)[None, :]
    return row * inner + column, row * (2 * inner) + column, row < rows


@triton.jit
def gate_forward(both, hidden, rows, inner: tl.constexpr, block: tl.constexpr, part: tl.constexpr):
    """``silu(gate) * up`` of both [M, 2 I]; the result is [M, I]."""
    at, source, there = _tile(rows, inner, block, part)
    gate = tl.load(both + source, mask=there, other=0.0).to(tl.float32)
    up = tl.load(both + source + inner, mask=there, other=0.0).to(tl.float32)
    tl.store(hidden + at, gate * _sigmoid(gate) * up, mask=there)


@triton.jit
def gate_backward(
    both,
    of_hidden,
    of_both,
    hidden,
    rows,
    inner: tl.constexpr,
    block: tl.constexpr,
    part: tl.constexpr,
):
    """The gradient of both [M, 2 I] from that of :func:`gate_forward`'s result, and the result."""
    at, source, there = _tile(rows, inner, block, part)
    gate = tl.load(both + source, mask=there, other=0.0).to(tl.float32)
    up = tl.load(both + source + inner, mask=there, other=0.0).to(tl.float32)
    above = tl.load(of_hidden + at, mask=there, other=0.0).to(tl.float32)
    value, of_gate, of_up = _gated_and_slopes(gate, up, above)
    tl.store(hidden + at, value, mask=there)
    tl.store(of_both + source, of_gate, mask=there)
    tl.store(of_both + source + inner, of_up, mask=there)


@triton.jit
def norm_forward(
    x,
    added,
    y,
    scale,
    rows,
    width: tl.constexpr,
    epsilon,
    block: tl.constexpr,
    padded: tl.constexpr,
):
    """``y = rms_norm(x + added)`` over the channels of [M, W], and its ``scale`` [M]."""
    row, w = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block), tl.arange(0, padded)
    at, there = row[:, None] * width + w[None, :], (row < rows)[:, None] & (w < width)[None, :]
    value = tl.load(x + at, mask=there, other=0.0).to(tl.float32)
    value += tl.load(added + at, mask=there, other=0.0).to(tl.float32)
    factor = tl.rsqrt(tl.sum(value * value, 1) / width + epsilon)
    tl.store(scale + row, factor, mask=row < rows)
    tl.store(y + at, value * factor[:, None], mask=there)


@triton.jit
def norm_backward(
    y,
    scale,
    gradient,
    of_value,
    rows,
    width: tl.constexpr,
    block: tl.constexpr,
    padded: tl.constexpr,
):
    """From the gradient of :func:`norm_forward`'s result that of what is normalised."""
    row, w = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block), tl.arange(0, padded)
    at, there = row[:, None] * width + w[None, :], (row < rows)[:, None] & (w < width)[None, :]
    result = tl.load(y + at, mask=there, other=0.0).to(tl.float32)
    above = tl.load(gradient + at, mask=there, other=0.0).to(tl.float32)
    mean = tl.sum(result * above, 1) / width
    factor = tl.load(scale + row, mask=row < rows, other=0.0)
    tl.store(of_value + at, (above - result * mean[:, None]) * factor[:, None], mask=there)
