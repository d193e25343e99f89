"""``rms_norm(x + out @ attention(x))`` on CPUs in float32, in one pass over a few examples at a
time that stay in a core's cache.

Positions are columns, as many examples in a tile as fill its registers' width: products, turning,
softmax and the norm all run along rows of columns, and none needs a sum across a register. The
gradient reads the turned queries, keys and values that the forward pass kept, and computes the
weights of attention again, which costs less than keeping them. An example's result depends on that
example alone: it has the same bits in any batch. Figures are in docs/measurements.md.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trm_model.compiled import numba
from trm_model.model.kernels.instructions import (
    FIRST,
    LANES,
    WORDS,
    add_product,
    array_of,
    as_float,
    set_product,
)
from trm_model.model.kernels.tiles import (
    BY_THREAD,
    ONE,
    F,
    clear_sums,
    compiled,
    copy,
    examples_of,
    exp,
    norm_backward,
    normalise,
    padded,
    part,
    require_first_derivative,
    run,
    share,
    thread,
    threads_reached,
    transpose,
    wants_gradient,
    zero,
)

MOST_POSITIONS = 256
"""Longer examples are for torch: all weights of a head would not stay in the cache."""


def _columns_of(length: int, width: int) -> int:
    """Columns of a tile: those of the last example are padded, since products have whole registers
    of columns. The padding of the others is the next example, whose own results come later."""
    return padded((examples_of(length, width) - 1) * length + padded(length))


@compiled
def _turns_of(turns: Any, table: Any, length: int) -> None:
    """Cosines and sines [2, half a head, C] of a tile from those of a sequence
    [2, S, head width], whose halves are equal."""
    for which in range(2):
        for row in range(turns.shape[1]):
            for column in range(turns.shape[2]):
                turns[which, row, column] = table[which, column % length, row]


@compiled
def _turn(rows: Any, turns: Any, sign: Any) -> None:
    """Turn queries or keys of all heads [D, C], in place; ``sign`` -1: back."""
    half = turns.shape[1]
    for head in range(0, len(rows), 2 * half):
        for row in range(half):
            cosine, sine = turns[0, row], turns[1, row]
            left, right = rows[head + row], rows[head + half + row]
            for c in range(len(left)):
                one, other = left[c], right[c]
                left[c] = one * cosine[c] - sign * other * sine[c]
                right[c] = other * cosine[c] + sign * one * sine[c]


@compiled
def _weigh(weights: Any, query: Any, key: Any, peak: Any, share: Any, factor: Any) -> None:
    """The weights of attention [S keys, queries], from queries [head width, queries] and keys
    [head width, S], still to be multiplied by ``share``, one number for each query."""
    set_product(weights, key.T, query)
    keys, columns = weights.shape
    peak, share = peak[:columns], share[:columns]
    copy(peak, weights[0])
    for k in range(1, keys):
        row = weights[k]
        for c in range(columns):
            peak[c] = max(row[c], peak[c])
    zero(share)
    for k in range(keys):
        row = weights[k]
        for c in range(columns):
            row[c] = exp((row[c] - peak[c]) * factor)
            share[c] += row[c]
    for c in range(columns):
        share[c] = ONE / share[c]


@compiled
def _scale(matrix: Any, share: Any) -> None:
    """Multiply each column of a matrix by its number."""
    rows, columns = matrix.shape
    share = share[:columns]
    for k in range(rows):
        row = matrix[k]
        for c in range(columns):
            row[c] *= share[c]


@compiled
def _weights_backward(gradient: Any, weights: Any, total: Any, factor: Any) -> None:
    """From the gradient of the weights to that of the products of keys and queries, in place."""
    keys, columns = weights.shape
    total = total[:columns]
    zero(total)
    for k in range(keys):
        row, of_row = weights[k], gradient[k]
        for c in range(columns):
            total[c] += row[c] * of_row[c]
    for k in range(keys):
        row, of_row = weights[k], gradient[k]
        for c in range(columns):
            of_row[c] = factor * row[c] * (of_row[c] - total[c])


@compiled
def _forward_tile(
    x: Any,
    y: Any,
    qkv: Any,
    mixed: Any,
    weights: Any,
    turns: Any,
    scale: Any,
    peak: Any,
    to_qkv: Any,
    out: Any,
    heads: int,
    length: int,
    examples: int,
    epsilon: Any,
) -> None:
    width, head_width = len(out), len(out) // heads
    wide, factor = weights.shape[1], ONE / np.sqrt(F(head_width))
    used = padded(examples * length)
    set_product(qkv[:, :used], to_qkv, x[:, :used])
    if turns.shape[1]:
        _turn(qkv[: 2 * width], turns, ONE)
    for example in range(examples):
        first = example * length
        for head in range(0, width, head_width):
            query = qkv[head : head + head_width, first : first + wide]
            key = qkv[width + head : width + head + head_width, first : first + length]
            value = qkv[2 * width + head : 2 * width + head + head_width, first : first + length]
            gathered = mixed[head : head + head_width, first : first + wide]
            _weigh(weights, query, key, peak[0], scale[0], factor)
            set_product(gathered, value, weights)
            _scale(gathered, scale[0])
    copy(y.reshape(-1), x.reshape(-1))
    add_product(y[:, :used], out, mixed[:, :used])
    normalise(y, scale, epsilon)


@compiled
def _backward_tile(
    gradient: Any,
    qkv: Any,
    mixed: Any,
    of_mixed: Any,
    of_qkv: Any,
    weights: Any,
    of_weights: Any,
    turned_weights: Any,
    turned_gradient: Any,
    turns: Any,
    total: Any,
    peak: Any,
    out: Any,
    heads: int,
    length: int,
    examples: int,
) -> None:
    """From the gradient of ``x + out @ mixed`` [D, C] to those of the turned and then the plain
    queries, keys and values; ``mixed`` on the way."""
    width, head_width = len(out), len(out) // heads
    wide, factor = weights.shape[1], ONE / np.sqrt(F(head_width))
    used = padded(examples * length)
    set_product(of_mixed[:, :used], out.T, gradient[:, :used])
    for example in range(examples):
        first = example * length
        whole, last = first + wide, first + length
        for head in range(0, width, head_width):
            end = head + head_width
            query, key = qkv[head:end, first:whole], qkv[width + head : width + end, first:last]
            value = qkv[2 * width + head : 2 * width + end, first:last]
            _weigh(weights, query, key, peak[0], total[0], factor)
            _scale(weights, total[0])
            set_product(mixed[head:end, first:whole], value, weights)
            set_product(of_weights, value.T, of_mixed[head:end, first:whole])
            _weights_backward(of_weights, weights, total[0], factor)
            set_product(of_qkv[head:end, first:whole], key, of_weights)
            transpose(turned_weights, weights[:, :length])
            transpose(turned_gradient, of_weights[:, :length])
            set_product(
                of_qkv[width + head : width + end, first:whole], query[:, :length], turned_gradient
            )
            set_product(
                of_qkv[2 * width + head : 2 * width + end, first:whole],
                of_mixed[head:end, first:last],
                turned_weights,
            )
    if turns.shape[1]:
        _turn(of_qkv[: 2 * width], turns, -ONE)


@numba.njit(cache=True)
def _turns_in(memory: Any, half: int, columns: int) -> Any:
    """Memory for a tile's cosines and sines, and the rest."""
    size = 2 * half * columns
    return memory[:size].reshape(2, half, columns), memory[size:]


@numba.njit(cache=True)
def _described(task: Any) -> Any:
    """What the tasks of both passes begin with: x [B S, D], the weights, the table of cosines and
    sines, the result [B S, D], the tiles' scale, and their queries, keys and values."""
    return (
        array_of(task, 0)[0],
        array_of(task, 1)[0],
        array_of(task, 2)[0],
        array_of(task, 3),
        array_of(task, 4)[0],
        array_of(task, 5),
        array_of(task, 6),
    )


def _forward(pointer: Any) -> None:
    """The forward pass on one thread. The task describes x [1, B S, D], the weights, the table of
    cosines and sines, the result, the tiles' scale, queries, keys and values (of each tile, or
    memory of each thread), and the threads' memory; its first word holds heads and positions."""
    task = numba.carray(pointer, FIRST + 8 * WORDS)
    x, to_qkv, out, table, result, scales, all_qkv = _described(task)
    memory = array_of(task, 7)[0, thread()]
    heads, length = task[0] >> 32, task[0] & 0xFFFFFFFF
    width, columns = len(out), scales.shape[2]
    tiles, wide = len(scales), padded(length)
    examples = examples_of(length, width)
    tile, memory = part(memory, width, columns)
    y, memory = part(memory, width, columns)
    mixed, memory = part(memory, width, columns)
    peak, memory = part(memory, 1, columns)
    weights, memory = part(memory, length, wide)
    half = width // heads // 2 if table.shape[1] else 0
    turns, memory = _turns_in(memory, half, columns)
    _turns_of(turns, table, length)
    zero(tile.reshape(-1))
    zero(mixed.reshape(-1))
    begin, end = share(tiles)
    for number in range(begin, end):
        first = number * examples * length
        rows = x[first : first + examples * length]
        if len(rows) < examples * length:
            zero(tile.reshape(-1))
        transpose(tile, rows)
        qkv = all_qkv[number if len(all_qkv) == tiles else thread()]
        _forward_tile(
            tile,
            y,
            qkv,
            mixed,
            weights,
            turns,
            scales[number],
            peak,
            to_qkv,
            out,
            heads,
            length,
            len(rows) // length,
            as_float(np.int32(task[1])),
        )
        transpose(result[first : first + len(rows)], y[:, : len(rows)])


def _backward(pointer: Any) -> None:
    """The backward pass on one thread. The task describes x, the weights, the table, the result,
    scale, queries, keys and values, the gradient of the result, that of x, the threads' sums for
    the gradients of the weights, and their memory."""
    task = numba.carray(pointer, FIRST + 11 * WORDS)
    x, to_qkv, out, table, result, scales, all_qkv = _described(task)
    of_result, of_x, all_sums = array_of(task, 7)[0], array_of(task, 8)[0], array_of(task, 9)
    memory = array_of(task, 10)[0, thread()]
    heads, length = task[0] >> 32, task[0] & 0xFFFFFFFF
    width, columns = len(out), scales.shape[2]
    tiles, wide = len(scales), padded(length)
    examples = examples_of(length, width)
    y, memory = part(memory, width, columns)
    gradient, memory = part(memory, width, columns)
    mixed, memory = part(memory, width, columns)
    of_mixed, memory = part(memory, width, columns)
    of_qkv, memory = part(memory, 3 * width, columns)
    mixed_rows, memory = part(memory, columns, width)
    weights, memory = part(memory, length, wide)
    of_weights, memory = part(memory, length, wide)
    turned_weights, memory = part(memory, length, wide)
    turned_gradient, memory = part(memory, length, wide)
    total, memory = part(memory, 1, columns)
    peak, memory = part(memory, 1, columns)
    half = width // heads // 2 if table.shape[1] else 0
    turns, memory = _turns_in(memory, half, columns)
    _turns_of(turns, table, length)
    clear_sums(all_sums)
    for each in (y, gradient, mixed, of_mixed, of_qkv):
        zero(each.reshape(-1))
    zero(turned_weights.reshape(-1))
    zero(turned_gradient.reshape(-1))
    sums = all_sums[thread()]
    begin, end = share(tiles)
    for number in range(begin, end):
        first = number * examples * length
        rows = x[first : first + examples * length]
        count = len(rows)
        if count < examples * length:
            zero(y.reshape(-1))
            zero(gradient.reshape(-1))
        transpose(y, result[first : first + count])
        transpose(gradient, of_result[first : first + count])
        norm_backward(gradient, y, scales[number], total)
        _backward_tile(
            gradient,
            all_qkv[number],
            mixed,
            of_mixed,
            of_qkv,
            weights,
            of_weights,
            turned_weights,
            turned_gradient,
            turns,
            total,
            peak,
            out,
            heads,
            length,
            count // length,
        )
        transpose(mixed_rows, mixed)
        add_product(sums[: 3 * width], of_qkv[:, :count], rows)
        add_product(sums[3 * width :], gradient[:, :count], mixed_rows[:count])
        used = padded(count)
        add_product(gradient[:, :used], to_qkv.T, of_qkv[:, :used])
        transpose(of_x[first : first + count], gradient[:, :count])


class _PostNormAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        qkv: Tensor,
        out: Tensor,
        table: Tensor,
        heads: int,
        epsilon: float,
        graded: bool,
    ) -> Tensor:
        (batch, length, width), columns = x.shape, _columns_of(*x.shape[1:])
        tiles = -(-batch // examples_of(length, width))
        count = min(torch.get_num_threads(), tiles)
        kept = tiles if graded else count
        result, scale = torch.empty_like(x), x.new_empty(tiles, 1, columns)
        heads_of = x.new_empty(kept, 3 * width, columns)
        turning = 2 * (width // heads // 2) * columns
        size = columns * (3 * width + 1) + length * padded(length) + turning
        run(
            _forward,
            count,
            heads << 32 | length,
            epsilon,
            x.view(1, -1, width),
            qkv[None],
            out[None],
            table,
            result.view(1, -1, width),
            scale,
            heads_of,
            x.new_empty(1, count, size),
        )
        ctx.save_for_backward(x, qkv, out, table, result, scale, heads_of)
        ctx.metadata[BY_THREAD] = qkv.nbytes + out.nbytes
        ctx.heads = heads
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        require_first_derivative("attention")
        x, qkv, out, table, result, scale, heads_of = ctx.saved_tensors
        (_, length, width), columns = x.shape, scale.shape[2]
        count = min(torch.get_num_threads(), len(scale))
        of_x, sums = torch.empty_like(x), x.new_empty(count, 4 * width, width)
        turning = 2 * (width // ctx.heads // 2) * columns
        size = columns * (8 * width + 2) + 4 * length * padded(length) + turning
        run(
            _backward,
            count,
            ctx.heads << 32 | length,
            0.0,
            x.view(1, -1, width),
            qkv[None],
            out[None],
            table,
            result.view(1, -1, width),
            scale,
            heads_of,
            gradients[0].contiguous().view(1, -1, width),
            of_x.view(1, -1, width),
            sums,
            x.new_empty(1, count, size),
        )
        of_weights = sums.sum(0)
        return of_x, of_weights[: 3 * width], of_weights[3 * width :], None, None, None, None


def serves(x: Tensor, qkv: Tensor, out: Tensor, table: Tensor | None, heads: int) -> bool:
    """Whether :func:`post_norm_attention` takes these, as it reads and writes plain memory: all are
    float32 on a CPU, none is empty, their shapes fit, channels fill whole registers, and examples
    are short enough; torch is not compiling and its threads can be reached. What it does not take
    is for torch's formula, which refuses what cannot be.
    """
    tensors = (x, qkv, out) if table is None else (x, qkv, out, table)
    width = x.shape[-1]
    return (
        all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
        and x.dim() == 3
        and x.numel() > 0
        and x.shape[1] <= MOST_POSITIONS
        and width % LANES == 0
        and width % heads == 0
        and qkv.shape == (3 * width, width)
        and out.shape == (width, width)
        and (table is None or table.shape == (2, x.shape[1], width // heads))
        and (table is None or width // heads % 2 == 0)
        and not torch.compiler.is_compiling()
        and threads_reached()
    )


def post_norm_attention(
    x: Tensor, qkv: Tensor, out: Tensor, table: Tensor | None, heads: int, epsilon: float
) -> Tensor:
    """``rms_norm(x + attention(x) @ out.T)`` of what :func:`serves` accepts. It has a first
    derivative; a graph of that is refused.

    :param x: float32 [B, S, D].
    :param qkv: float32 [3 D, D]: queries, keys and values, each head after head.
    :param out: float32 [D, D].
    :param table: cosines and sines that turn queries and keys, float32 [2, S, D / heads], the two
        halves of a head equal; None: nothing is turned.
    :param heads: H.
    :param epsilon: of the norm.
    """
    turns = x.new_empty(0, 0, 0) if table is None else table.contiguous()
    tensors = x.contiguous(), qkv.contiguous(), out.contiguous()
    return _PostNormAttention.apply(*tensors, turns, heads, epsilon, wants_gradient(*tensors))
