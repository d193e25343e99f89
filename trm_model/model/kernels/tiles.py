"""What the kernels share: copies into tiles and back, the norm and its gradient, the exponential,
and how a loop compiled by numba runs on torch's own threads."""

import ctypes
import math
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import types
from torch import Tensor

from trm_model.compiled import numba
from trm_model.model.kernels.instructions import LANES, as_float, as_int, transpose_block

F = np.float32
ONE = F(1)
_LOG2_E = F(1 / math.log(2))
_MINUS_LOG2_E = F(-1 / math.log(2))
_EXPONENT_BITS = np.int32(23)
_ROUND = F(1.5 * 2**23 + 127)
"""Added to a number below 2^22 it leaves that number, rounded and raised by the exponent's bias, in
the lowest bits."""
_C0, _C1, _C2, _C3, _C4, _C5 = map(
    F, (1.00000012, 0.693146944, 0.240221202, 0.0555071309, 0.00967554096, 0.00132764713)
)
"""2^r on [-1/2, 1/2] with the least relative error, 7.5e-8."""


@numba.njit(cache=True, fastmath={"contract"}, inline="always")
def _two_to(power: Any) -> Any:
    """2^power for powers from -126 to 127, in operations that LLVM turns into vector
    instructions; NaN stays NaN."""
    raised = power + _ROUND
    r = power - (raised - _ROUND)
    fraction = ((((_C5 * r + _C4) * r + _C3) * r + _C2) * r + _C1) * r + _C0
    return fraction * as_float(as_int(raised) << _EXPONENT_BITS)


@numba.njit(cache=True, fastmath={"contract"}, inline="always")
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x); NaN stays NaN."""
    return ONE / (ONE + _two_to(max(max(x, F(-87)) * _MINUS_LOG2_E, F(-126))))


@numba.njit(cache=True, fastmath={"contract"}, inline="always")
def exp(x: Any) -> Any:
    """e^x for x up to 0; NaN stays NaN."""
    return _two_to(max(x * _LOG2_E, F(-126)))


def compiled(function: Callable[..., None]) -> Any:
    """The function compiled, with multiplications and additions joined."""
    return numba.njit(cache=True, fastmath={"contract"}, error_model="numpy")(function)


@compiled
def zero(target: Any) -> None:
    """Explicit loops, because numba compiles slice assignments into slower code."""
    for i in range(len(target)):
        target[i] = F(0)


@compiled
def copy(target: Any, source: Any) -> None:
    for i in range(len(target)):
        target[i] = source[i]


@compiled
def transpose(target: Any, source: Any) -> None:
    """``target[c, r] = source[r, c]``; the target may be larger."""
    rows, columns = source.shape
    for r in range(0, rows, LANES):
        for c in range(0, columns, LANES):
            if r + LANES <= rows and c + LANES <= columns:
                transpose_block(target, source, r, c)
            else:
                for i in range(r, min(r + LANES, rows)):
                    for j in range(c, min(c + LANES, columns)):
                        target[j, i] = source[i, j]


@numba.njit(cache=True)
def padded(number: int) -> int:
    """A number of columns or rows, raised to whole registers."""
    return -(-number // LANES) * LANES


COLUMNS = 64
"""Columns that a tile of whole examples should have: shorter examples share one."""
WIDE_COLUMNS, WIDE = 200, 256
"""So many where there are more channels than :data:`WIDE`: the sums for the weights' gradients do
not fit into a core's cache, and pass through memory once for each tile."""


@numba.njit(cache=True)
def examples_of(length: int, width: int) -> int:
    """How many examples of so many positions and channels share a tile."""
    return max(1, (WIDE_COLUMNS if width > WIDE else COLUMNS) // length)


@numba.njit(cache=True)
def part(memory: Any, rows: int, columns: int) -> Any:
    """The first numbers of ``memory`` as a matrix, and the rest of it."""
    return memory[: rows * columns].reshape(rows, columns), memory[rows * columns :]


@compiled
def normalise(y: Any, scale: Any, epsilon: Any) -> None:
    """Divide columns of ``y`` [W, C] by their root mean square, in place; ``scale`` [1, C] is what
    they were multiplied by."""
    width, columns = y.shape
    zero(scale[0])
    for k in range(width):
        for c in range(columns):
            scale[0, c] += y[k, c] * y[k, c]
    for c in range(columns):
        scale[0, c] = ONE / np.sqrt(scale[0, c] / F(width) + epsilon)
    for k in range(width):
        for c in range(columns):
            y[k, c] *= scale[0, c]


@compiled
def norm_backward(gradient: Any, y: Any, scale: Any, mean: Any) -> None:
    """From the gradient of the normalised ``y`` to that of what was normalised, in place."""
    width, columns = y.shape
    zero(mean[0])
    for k in range(width):
        for c in range(columns):
            mean[0, c] += gradient[k, c] * y[k, c]
    for c in range(columns):
        mean[0, c] /= F(width)
    for k in range(width):
        for c in range(columns):
            gradient[k, c] = scale[0, c] * (gradient[k, c] - y[k, c] * mean[0, c])


thread = types.ExternalFunction("omp_get_thread_num", types.int32())
"""The number of the thread that asks, from 0."""
threads = types.ExternalFunction("omp_get_num_threads", types.int32())
"""How many there are."""


@compiled
def clear_sums(sums: Any) -> None:
    """Zeros in each thread's sums [threads, ., .], this one's among them. OpenMP may grant fewer
    threads than asked for: the sums of those that are missing are zeros too.
    """
    for number in range(thread(), len(sums), threads()):
        zero(sums[number].reshape(-1))


@numba.njit(cache=True)
def share(items: int) -> tuple[int, int]:
    """This thread's part of the items: from the first to before the second number."""
    mine, all_threads = thread(), threads()
    return items * mine // all_threads, items * (mine + 1) // all_threads


@cache
def _kernel(function: Callable[[Any], None]) -> Any:
    """The compiled function, to be called by a thread with the address of its task."""
    compile_it = numba.cfunc(
        types.void(types.CPointer(types.int64)),
        cache=True,
        fastmath={"contract"},
        error_model="numpy",
    )
    return compile_it(function)


@cache
def _parallel() -> Callable[[int, int, int, int], None] | None:
    try:
        function = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, TypeError):
        return None
    function.argtypes, function.restype = (
        (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint),
        None,
    )
    return function


def threads_reached() -> bool:
    """Whether torch's threads are OpenMP's, and can be given work (not on macOS and Windows)."""
    return _parallel() is not None


def require_first_derivative(what: str) -> None:
    """Refuse a graph of the gradient: torch would take it for constants, and a second derivative
    for zero.

    :raises NotImplementedError: such a graph is asked for.
    """
    if torch.is_grad_enabled():
        raise NotImplementedError(
            f"create_graph=True: expected a first derivative alone, since {what} in one pass has "
            "no second one; use model.double(), which takes torch's formula"
        )


BY_THREAD = "bytes that each thread has of its own"
"""Under this name the metadata of a kernel's gradient say how much memory each thread takes for its
sums of the weights' gradients."""


def wants_gradient(*tensors: Tensor) -> bool:
    """Whether a gradient of one of the tensors will be asked for."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def run(
    function: Callable[[Any], None], count: int, setting: int, epsilon: float, *arrays: Tensor
) -> None:
    """Let each of ``count`` threads run the function.

    :param setting: the task's first word; its second is ``epsilon``.
    :param arrays: float32 [., ., .], each in one piece.
    """
    parallel = _parallel()
    assert parallel is not None, "threads_reached() was asked"
    words = [
        setting,
        *struct.unpack("i", struct.pack("f", epsilon)),
        *(word for array in arrays for word in (array.data_ptr(), *array.shape)),
    ]
    task = (ctypes.c_int64 * len(words))(*words)
    parallel(_kernel(function).address, ctypes.addressof(task), count, 0)
