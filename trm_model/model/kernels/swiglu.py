"""``rms_norm(x + swiglu(x))`` on CPUs in float32, in one pass over tiles that stay in a core's
cache; also with a norm of the inner activations before they meet the gate.

The recursion is one such sublayer after another, narrow ones: torch spends most of a step carrying
inner activations to memory and back, and where 20 positions are mixed its products leave registers
half empty. Here a tile of 64 columns (positions where channels are mixed, channels where positions
are) goes through both products, the gate and the norm before the next is begun. Calls whose
gradient is wanted keep gate and up, others nothing. A column's result depends on that column alone:
it has the same bits in any batch. Figures are in docs/measurements.md.

numba compiles the loops, once per machine, for whatever vector registers it has. They run on
torch's own threads, since a second pool would fight with those, which spin between products.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trm_model.compiled import numba
from trm_model.model.kernels.instructions import (
    FIRST,
    WORDS,
    add_product,
    array_of,
    as_float,
    set_product,
)
from trm_model.model.kernels.tiles import (
    BY_THREAD,
    ONE,
    clear_sums,
    compiled,
    copy,
    norm_backward,
    normalise,
    padded,
    part,
    require_first_derivative,
    run,
    share,
    sigmoid,
    thread,
    threads_reached,
    transpose,
    wants_gradient,
    zero,
)

TILE = 64
"""Columns that are worked on at a time."""
CHUNK = 256
"""Inner activations that are worked on at a time, unless they are normalised together; inner widths
are multiples of it."""
NO_NORM, UP_NORM, PRODUCT_NORM = 0, 1, 2
"""What is normalised over the inner activations: nothing, ``silu(gate) * up``; the up product,
``silu(gate) * rms_norm(up)``; its product with the gate, ``sigmoid(gate) * rms_norm(gate * up)``.
"""
MOST_GRADED_WIDTH = 256
"""Wider sublayers whose gradient is wanted are for torch, whose products are large enough there
(docs/measurements.md)."""


@compiled
def _load(tile: Any, source: Any, item: int, first: int, turned: bool) -> None:
    """Copy columns from ``first`` on into a tile, from ``source`` [B, W, C] or, turned, [1, C, W];
    those beyond the last are zeros."""
    columns = min(TILE, source.shape[1 if turned else 2] - first)
    if columns < TILE:
        zero(tile.reshape(-1))
    if turned:
        transpose(tile, source[item, first : first + columns])
    else:
        for k in range(len(tile)):
            copy(tile[k, :columns], source[item, k, first : first + columns])


@compiled
def _store(target: Any, item: int, first: int, turned: bool, tile: Any) -> None:
    columns = min(TILE, target.shape[1 if turned else 2] - first)
    if turned:
        transpose(target[item, first : first + columns], tile[:, :columns])
    else:
        for k in range(len(tile)):
            copy(target[item, k, first : first + columns], tile[k, :columns])


@compiled
def _gate(gate: Any, hidden: Any) -> None:
    """``hidden *= silu(gate)``; both [.] in one piece, which LLVM makes faster loops of than of
    matrices."""
    for i in range(len(gate)):
        hidden[i] *= gate[i] * sigmoid(gate[i])


@compiled
def _gated(gate: Any, up: Any, hidden: Any) -> None:
    """``hidden = silu(gate) * up``; all [.] in one piece."""
    for i in range(len(gate)):
        hidden[i] = up[i] * (gate[i] * sigmoid(gate[i]))


@compiled
def _open(gate: Any, hidden: Any) -> None:
    """``hidden *= sigmoid(gate)``; both [.] in one piece."""
    for i in range(len(gate)):
        hidden[i] *= sigmoid(gate[i])


@compiled
def _normed(gate: Any, up: Any, normed: Any, norm: int, scale: Any, epsilon: Any) -> None:
    """``normed = rms_norm(up)`` or, for :data:`PRODUCT_NORM`, ``rms_norm(gate * up)``."""
    copy(normed.reshape(-1), up.reshape(-1))
    if norm == PRODUCT_NORM:
        for k in range(len(gate)):
            for c in range(TILE):
                normed[k, c] *= gate[k, c]
    normalise(normed, scale, epsilon)


@compiled
def _forward_tile(
    x: Any,
    y: Any,
    scale: Any,
    gates: Any,
    ups: Any,
    hidden: Any,
    gate_up: Any,
    down: Any,
    norm: int,
    epsilon: Any,
) -> None:
    """``gates`` and ``ups`` take all inner activations, where they are kept, or as many as
    ``hidden`` does."""
    copy(y.reshape(-1), x.reshape(-1))
    inner, chunk = down.shape[1], len(hidden)
    for first in range(0, inner, chunk):
        last, at = first + chunk, first % len(gates)
        gate, up = gates[at : at + chunk], ups[at : at + chunk]
        set_product(gate, gate_up[first:last], x)
        set_product(up, gate_up[inner + first : inner + last], x)
        if norm == NO_NORM:
            _gated(gate.reshape(-1), up.reshape(-1), hidden.reshape(-1))
        else:
            _normed(gate, up, hidden, norm, scale, epsilon)
            if norm == PRODUCT_NORM:
                _open(gate.reshape(-1), hidden.reshape(-1))
            else:
                _gate(gate.reshape(-1), hidden.reshape(-1))
        add_product(y, down[:, first:last], hidden)
    normalise(y, scale, epsilon)


@compiled
def _gate_backward(gate: Any, up: Any, hidden: Any, of_gate: Any, of_up: Any) -> None:
    """From gate, up and, in ``hidden``, the gradient of ``silu(gate) * up`` to the gradients of
    gate and up; ``hidden`` becomes ``silu(gate) * up``."""
    for i in range(len(gate)):
        g, u, gradient = gate[i], up[i], hidden[i]
        open_ = sigmoid(g)
        silu = g * open_
        of_gate[i] = gradient * u * (open_ + silu * (ONE - open_))
        of_up[i] = gradient * silu
        hidden[i] = silu * u


@compiled
def _product_norm_backward(
    gate: Any,
    up: Any,
    hidden: Any,
    of_gate: Any,
    of_up: Any,
    normed: Any,
    scale: Any,
    mean: Any,
) -> None:
    """As :func:`_gate_backward`, of ``sigmoid(gate) * normed``, where ``normed`` is the normalised
    ``gate * up``."""
    width, columns = gate.shape
    for k in range(width):
        for c in range(columns):
            of_up[k, c] = hidden[k, c] * sigmoid(gate[k, c])
            # The part of the gate's gradient that does not come through the norm.
            hidden[k, c] *= normed[k, c]
    norm_backward(of_up, normed, scale, mean)
    for k in range(width):
        for c in range(columns):
            g, of_product, opened = gate[k, c], of_up[k, c], sigmoid(gate[k, c])
            of_gate[k, c] = of_product * up[k, c] + hidden[k, c] * opened * (ONE - opened)
            of_up[k, c] = of_product * g
            hidden[k, c] = opened * normed[k, c]


@compiled
def _backward_tile(
    gradient: Any,
    of_x: Any,
    gates: Any,
    ups: Any,
    of_gate: Any,
    of_up: Any,
    hidden: Any,
    normed: Any,
    norm: int,
    scale: Any,
    mean: Any,
    rows: Any,
    gradient_rows: Any,
    gate_up: Any,
    down: Any,
    sums: Any,
    epsilon: Any,
) -> None:
    """``gradient`` is that of ``x + swiglu(x)``; ``normed`` is empty where nothing is; ``rows`` and
    ``gradient_rows`` are x and the gradient as rows [TILE, W padded]."""
    inner, chunk = down.shape[1], len(hidden)
    copy(of_x.reshape(-1), gradient.reshape(-1))
    for first in range(0, inner, chunk):
        last = first + chunk
        gate, up = gates[first:last], ups[first:last]
        set_product(hidden, down[:, first:last].T, gradient)
        if norm != NO_NORM:
            _normed(gate, up, normed, norm, scale, epsilon)
        if norm == PRODUCT_NORM:
            _product_norm_backward(gate, up, hidden, of_gate, of_up, normed, scale, mean)
        else:
            _gate_backward(
                gate.reshape(-1),
                (up if norm == NO_NORM else normed).reshape(-1),
                hidden.reshape(-1),
                of_gate.reshape(-1),
                of_up.reshape(-1),
            )
            if norm == UP_NORM:
                norm_backward(of_up, normed, scale, mean)
        add_product(of_x, gate_up[first:last].T, of_gate)
        add_product(of_x, gate_up[inner + first : inner + last].T, of_up)
        add_product(sums[first:last], of_gate, rows)
        add_product(sums[inner + first : inner + last], of_up, rows)
        add_product(sums[2 * inner + first : 2 * inner + last], hidden, gradient_rows)


@numba.njit(cache=True)
def _setting(task: Any) -> tuple[bool, int]:
    """Whether columns are turned, and what is normalised."""
    return task[0] & 1 == 1, task[0] >> 1


def _forward(pointer: Any) -> None:
    """The forward pass on one thread. The task describes x, gate_up, down, the result, its scale,
    gate and up of each tile (of none where no gradient is wanted), and the threads' memory."""
    task = numba.carray(pointer, FIRST + 8 * WORDS)
    x, gate_up, down = array_of(task, 0), array_of(task, 1)[0], array_of(task, 2)[0]
    result, scale = array_of(task, 3), array_of(task, 4)
    all_gates, all_ups = array_of(task, 5), array_of(task, 6)
    memory = array_of(task, 7)[0, thread()]
    (width, inner), (turned, norm) = down.shape, _setting(task)
    epsilon = as_float(np.int32(task[1]))
    chunk = CHUNK if norm == NO_NORM else inner
    batch, columns = x.shape[0], x.shape[1 if turned else 2]
    tile, memory = part(memory, width, TILE)
    y, memory = part(memory, width, TILE)
    hidden, memory = part(memory, chunk, TILE)
    gates, memory = part(memory, chunk, TILE)
    ups, memory = part(memory, chunk, TILE)
    factor, memory = part(memory, 1, TILE)
    tiles = -(-columns // TILE)
    begin, end = share(batch * tiles)
    for number in range(begin, end):
        item, first = number // tiles, number % tiles * TILE
        if len(all_gates) > 0:
            gates, ups = all_gates[number], all_ups[number]
        _load(tile, x, item, first, turned)
        _forward_tile(tile, y, factor, gates, ups, hidden, gate_up, down, norm, epsilon)
        _store(result, item, first, turned, y)
        _store(scale, item, first, False, factor)


def _backward(pointer: Any) -> None:
    """The backward pass on one thread. The task describes x, gate_up, down, the result, its scale,
    gate and up, the result's gradient, that of x, the threads' sums for the weights' gradients, and
    their memory."""
    task = numba.carray(pointer, FIRST + 11 * WORDS)
    x, gate_up, down = array_of(task, 0), array_of(task, 1)[0], array_of(task, 2)[0]
    result, scale = array_of(task, 3), array_of(task, 4)
    gates, ups = array_of(task, 5), array_of(task, 6)
    of_result, of_x = array_of(task, 7), array_of(task, 8)
    all_sums, memory = array_of(task, 9), array_of(task, 10)[0, thread()]
    (width, inner), (turned, norm) = down.shape, _setting(task)
    epsilon = as_float(np.int32(task[1]))
    chunk = CHUNK if norm == NO_NORM else inner
    batch, columns = x.shape[0], x.shape[1 if turned else 2]
    sums, whole = all_sums[thread()], all_sums.shape[2]
    tile, memory = part(memory, width, TILE)
    y, memory = part(memory, width, TILE)
    gradient, memory = part(memory, width, TILE)
    of_gate, memory = part(memory, chunk, TILE)
    of_up, memory = part(memory, chunk, TILE)
    hidden, memory = part(memory, chunk, TILE)
    normed, memory = part(memory, 0 if norm == NO_NORM else inner, TILE)
    factor, memory = part(memory, 1, TILE)
    mean, memory = part(memory, 1, TILE)
    rows, memory = part(memory, TILE, whole)
    gradient_rows, memory = part(memory, TILE, whole)
    clear_sums(all_sums)
    zero(rows.reshape(-1))
    zero(gradient_rows.reshape(-1))
    tiles = -(-columns // TILE)
    begin, end = share(batch * tiles)
    for number in range(begin, end):
        item, first = number // tiles, number % tiles * TILE
        _load(tile, x, item, first, turned)
        _load(y, result, item, first, turned)
        _load(gradient, of_result, item, first, turned)
        _load(factor, scale, item, first, False)
        norm_backward(gradient, y, factor, mean)
        transpose(rows, tile)
        transpose(gradient_rows, gradient)
        _backward_tile(
            gradient,
            y,
            gates[number],
            ups[number],
            of_gate,
            of_up,
            hidden,
            normed,
            norm,
            factor,
            mean,
            rows,
            gradient_rows,
            gate_up,
            down,
            sums,
            epsilon,
        )
        _store(of_x, item, first, turned, y)


class _PostNormSwiGlu(torch.autograd.Function):
    """On columns [B, W, C] or, ``turned``, [1, C, W], in one piece like the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gate_up: Tensor,
        down: Tensor,
        turned: bool,
        norm: int,
        epsilon: float,
        graded: bool,
    ) -> Tensor:
        batch, (width, inner), columns = len(x), down.shape, x.shape[1 if turned else 2]
        tiles = batch * -(-columns // TILE)
        count = min(torch.get_num_threads(), tiles)
        result, scale = torch.empty_like(x), x.new_empty(batch, 1, columns)
        # In two pieces: one of more than 32 MB would be mapped anew at each call (docs/log.md).
        kept = [x.new_empty(tiles if graded else 0, inner, TILE) for _ in ("gates", "ups")]
        chunk = CHUNK if norm == NO_NORM else inner
        ctx.setting, ctx.epsilon = turned | norm << 1, epsilon
        run(
            _forward,
            count,
            ctx.setting,
            epsilon,
            x,
            gate_up[None],
            down[None],
            result,
            scale,
            *kept,
            x.new_empty(1, count, TILE * (2 * width + 3 * chunk + 1)),
        )
        ctx.save_for_backward(x, gate_up, down, result, scale, *kept)
        ctx.metadata[BY_THREAD] = x.itemsize * 3 * inner * padded(width)
        return result

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None, None, None]:
        require_first_derivative("SwiGLU")
        x, gate_up, down, result, scale, gates, ups = ctx.saved_tensors
        width, inner = down.shape
        whole = padded(width)
        inner_memory = 3 * CHUNK if ctx.setting >> 1 == NO_NORM else 4 * inner
        count = min(torch.get_num_threads(), len(gates))
        of_x, sums = torch.empty_like(x), x.new_empty(count, 3 * inner, whole)
        run(
            _backward,
            count,
            ctx.setting,
            ctx.epsilon,
            x,
            gate_up[None],
            down[None],
            result,
            scale,
            gates,
            ups,
            gradients[0].contiguous(),
            of_x,
            sums,
            x.new_empty(1, count, TILE * (3 * width + inner_memory + 2 + 2 * whole)),
        )
        of_weights = sums.sum(0)[:, :width]
        return (
            of_x,
            of_weights[: 2 * inner].contiguous(),
            of_weights[2 * inner :].t().contiguous(),
            None,
            None,
            None,
            None,
        )


def serves(x: Tensor, gate_up: Tensor, down: Tensor) -> bool:
    """Whether :func:`post_norm_swiglu` takes these, as it reads and writes plain memory: all are
    float32 on a CPU, none is empty and their shapes fit; torch is not compiling and its threads can
    be reached; and it is faster there than torch. What it does not take is for torch's formula,
    which refuses what cannot be.
    """
    width, inner = x.shape[-1], down.shape[-1]
    tensors = (x, gate_up, down)
    return (
        all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
        and (width <= MOST_GRADED_WIDTH or not wants_gradient(*tensors))
        and x.numel() > 0
        and inner > 0
        and inner % CHUNK == 0
        and gate_up.shape == (2 * inner, width)
        and down.shape == (width, inner)
        and not torch.compiler.is_compiling()
        and threads_reached()
    )


def post_norm_swiglu(
    x: Tensor, gate_up: Tensor, down: Tensor, epsilon: float, norm: int = NO_NORM
) -> Tensor:
    """``rms_norm(x + swiglu(x))``, both over the last axis (:mod:`trm_model.model.blocks`), of what
    :func:`serves` accepts. It has a first derivative; a graph of that is refused.

    :param x: float32 [..., W].
    :param gate_up: float32 [2 I, W], I a multiple of :data:`CHUNK`.
    :param down: float32 [W, I].
    :param epsilon: of the norms.
    :param norm: what is normalised over I: one of :data:`NO_NORM` and its neighbours.
    """
    weights = gate_up.contiguous(), down.contiguous()
    setting = norm, epsilon, wants_gradient(x, gate_up, down)
    if x.dim() == 3 and x.transpose(1, 2).is_contiguous():
        columns = x.transpose(1, 2)
        return _PostNormSwiGlu.apply(columns, *weights, False, *setting).transpose(1, 2)
    rows = x.contiguous().view(1, -1, x.shape[-1])
    return _PostNormSwiGlu.apply(rows, *weights, True, *setting).view(x.shape)
