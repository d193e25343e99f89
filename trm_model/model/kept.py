"""What is kept for gradients, counted by letting a few examples through a model.

On torch's meta device nothing is computed, and attention is that of GPUs, which keeps no maps.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from trm_model.model.kernels.tiles import BY_THREAD, examples_of
from trm_model.model.reasoner import Reasoner
from trm_model.model.state import State
from trm_model.noise import Noise

POSITIONS = 1_024
"""What one example keeps is counted as the difference that examples with about so many further
positions make, divided by their number."""


class Kept(NamedTuple):
    """Bytes that are kept for a gradient: once, such as weights in another dtype, and for each
    example; and those that each thread of a CPU has of its own while the gradient is computed."""

    once: int
    each: int
    by_thread: int = 0


class _FlashAttention(TorchFunctionMode):
    """Attention as GPUs compute it, where torch would take its formula."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        if func is F.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_flash_attention(*args, **(kwargs or {}))[0]
        return func(*args, **(kwargs or {}))


def _by_thread(result: Tensor) -> int:
    """The most bytes that each thread has of its own in one step of a tensor's gradient."""
    most, seen = 0, set[Any]()
    pending: list[Any] = [result.grad_fn]
    while pending:
        node = pending.pop()
        if node is not None and node not in seen:
            seen.add(node)
            most = max(most, node.metadata.get(BY_THREAD, 0))
            pending.extend(following for following, _ in node.next_functions)
    return most


def kept_bytes(work: Callable[[], Tensor], weights: Iterable[Tensor]) -> Kept:
    """The bytes that are kept for the gradient of a tensor, without those of the ``weights``. The
    result counts all of them as kept once."""
    seen = {StorageWeakRef(weight.untyped_storage()) for weight in weights}
    total = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = StorageWeakRef(tensor.untyped_storage())
        if storage not in seen:
            seen.add(storage)
            total += tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = work()
    return Kept(total, 0, _by_thread(result))


def kept(model: Reasoner, work: Callable[[State], Tensor]) -> Kept:
    """What is kept for the gradient of what is computed from a state of some examples."""
    weights, device = list(model.parameters()), model.answer_start.device

    attention = _FlashAttention() if device.type == "meta" else nullcontext()

    def of(examples: int) -> Kept:
        start = model.start(Noise(0, torch.zeros(examples, dtype=torch.int64, device=device)))
        x = torch.zeros_like(start.answer).requires_grad_()
        with attention:
            return kept_bytes(lambda: work(State(x, start.latents)), weights)

    # Tiles of a kernel are kept whole, and short examples share one.
    length = model.size.prefix + model.length
    some = examples_of(length, model.size.width)
    more = some * max(1, POSITIONS // length)
    few, many = of(some), of(some + more)
    each = (many.once - few.once) // more
    return Kept(few.once - some * each, each, few.by_thread)


def kept_by_calls(model: Reasoner) -> tuple[Kept, ...]:
    """What a call of each of a model's networks keeps."""

    def by(network: Callable[[Tensor], Tensor]) -> Kept:
        return kept(model, lambda state: network(state.answer))

    return tuple(map(by, model.networks))
