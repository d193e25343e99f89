"""How much memory a training takes, known before it starts.

Most of it is what calls with a gradient keep until that is computed. This is counted by letting a
few examples through each network: for a CPU truly, since what is kept there depends on the kernels
that serve (:mod:`trm_model.model.kernels`) and on torch's attention; for a GPU, which need not be
here, on torch's meta device, where nothing is computed and attention is counted as if it kept its
maps.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from storage.examples import Header
from trm_model.model.cost import in_order, model_on, shape_of
from trm_model.model.kernels.tiles import examples_of
from trm_model.model.size import Precision, Size
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.training.execution import Execution
from trm_model.training.losses import losses
from trm_model.training.recipe import Recipe


class _Saved(NamedTuple):
    """Bytes that are kept for a gradient: once, such as weights in another dtype, and for each
    example."""

    once: int
    each: int


class _Kept(NamedTuple):
    """Bytes of a model's weights, those of its largest layer, and, for one start of one example, of
    one of the tensors of its state; what each network's call and the reading of the answer keep for
    their gradients."""

    weights: int
    layer: int
    state: int
    calls: tuple[_Saved, ...]
    reading: _Saved


def saved_bytes(work: Callable[[], Tensor], weights: Iterable[Tensor]) -> int:
    """The bytes that are kept for the gradient of a tensor, without those of the ``weights``."""
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
        work()
    return total


@lru_cache(maxsize=256)
def _kept(
    shape: Variant,
    size: Size,
    precision: Precision,
    vocabulary: int,
    grid: tuple[int, int],
    device: str,
) -> _Kept:
    model = model_on(device, shape, size, vocabulary, grid, precision=precision)
    weights = list(model.parameters())

    def kept(work: Callable[[State], Tensor]) -> _Saved:
        def of(examples: int) -> int:
            items = torch.zeros(examples, dtype=torch.int64, device=device)
            answer, latents = model.start(Noise(0, items))
            x = torch.zeros_like(answer).requires_grad_()
            return saved_bytes(partial(work, State(x, latents)), weights)

        # Short examples share a tile of a kernel, which is kept whole.
        some = examples_of(size.prefix + model.length)
        one, two = of(some), of(2 * some)
        return _Saved(2 * one - two, (two - one) // some)

    def read(state: State) -> Tensor:
        labels = torch.zeros(len(state.answer), model.length, dtype=torch.int64, device=device)
        return losses(model.read(state), labels, shape).total

    def called(network: nn.Module, state: State) -> Tensor:
        return network(state.answer)

    return _Kept(
        sum(weight.nbytes for weight in weights),
        max(
            sum(weight.nbytes for weight in layer.parameters(recurse=False))
            for layer in model.networks.modules()
        ),
        (size.prefix + model.length) * size.width * model.dtype.itemsize,
        tuple(kept(partial(called, network)) for network in model.networks),
        kept(read),
    )


def memory_bytes(variant: Variant, recipe: Recipe, header: Header, execution: Execution) -> int:
    """How many bytes each process of a training holds at once, at most about: weights, gradients,
    the two moments of AdamW, the average, what is carried and what is kept for the gradient; on a
    CPU also the copies of which a checkpoint is written. Neither the data set nor what compiling
    saves is counted, nor what the C library keeps of memory that is free again.

    :raises ConfigurationError: the variant cannot have the size.
    """
    on_cpu = torch.device(execution.device).type == "cpu"
    kept = _kept(
        shape_of(variant),
        recipe.size,
        recipe.precision,
        len(header.vocabulary),
        header.grid,
        "cpu" if on_cpu else "meta",
    )
    written = 3 + int(variant.ema)  # Into a checkpoint: weights, two moments and the average.
    weights = kept.weights * (1 + written * (1 + on_cpu))
    rows = 4 * header.num_puzzle_ids * recipe.size.puzzle_width * (1 + on_cpu)
    calls = in_order(variant, kept.calls)[variant.calls - variant.graded_calls :]
    saved = [kept.reading, *calls]
    if execution.recompute:  # The inputs, and what one call keeps while its gradient is computed.
        saved = [kept.reading, max(calls), _Saved(0, len(calls) * kept.state)]
    # As carried on, with fresh examples in the places of the halted, and after the step.
    carried = (3 + on_cpu) * (1 + variant.latents) * kept.state
    share, at_once = recipe.batch_size // execution.processes, execution.at_once(recipe.batch_size)
    examples = share * carried + at_once * sum(part.each for part in saved)
    # The gradient of a layer's weights before it is added to those of other calls; on a CPU each
    # thread has one of its own before.
    threads = (execution.threads or torch.get_num_threads()) if on_cpu else 0
    once = sum(part.once for part in saved) + (1 + threads) * kept.layer
    return weights + rows + once + variant.training_rollouts * examples
