"""How much memory a training takes, known before it starts.

Most of it is what calls with a gradient keep until that is computed (:mod:`trm_model.model.kept`):
counted for a CPU on the CPU, since what is kept there depends on the kernels that serve and on
torch's attention; for a GPU on torch's meta device, with its programs if it is here and
has them, and else without, which keeps more. Models that are too large to be made for it are
counted on the meta device too.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from storage.examples import Header
from trm_model.model.cost import graded, model_on, shape_of
from trm_model.model.kept import Kept, kept, kept_by_calls
from trm_model.model.kernels import gpu_swiglu
from trm_model.model.recursion import Recursion
from trm_model.model.size import Precision, Size
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.training.execution import Execution
from trm_model.training.losses import losses
from trm_model.training.recipe import Recipe

LARGE = 1 << 30
"""Models whose weights have so many bytes, or more, are not made to be counted."""


class _Counted(NamedTuple):
    """Bytes of a model's weights, those of its largest layer, and, for one start of one example, of
    one of the tensors of its state; what each network's call and the reading of the answer keep for
    their gradients."""

    weights: int
    layer: int
    state: int
    calls: tuple[Kept, ...]
    reading: Kept


@lru_cache(maxsize=256)
def _counted(
    shape: Variant,
    size: Size,
    precision: Precision,
    vocabulary: int,
    grid: tuple[int, int],
    device: str,
    served: bool,
) -> _Counted:
    model = model_on("meta", shape, size, vocabulary, grid, precision=precision)
    weights = sum(weight.nbytes for weight in model.parameters())
    if device != "meta" and weights < LARGE:
        model = model_on(device, shape, size, vocabulary, grid, precision=precision)
    with gpu_swiglu.counted(there=served):
        calls = kept_by_calls(model)

    def read(state: State) -> Tensor:
        empty = torch.zeros_like(state.answer[:, :1, 0], dtype=torch.int64)
        labels = empty.expand(-1, model.length)
        return losses(model.read(state), labels, shape).total

    return _Counted(
        weights,
        max(
            sum(weight.nbytes for weight in layer.parameters(recurse=False))
            for layer in model.networks.modules()
        ),
        (size.prefix + model.length) * size.width * model.dtype.itemsize,
        calls,
        kept(model, read),
    )


def memory_bytes(
    variant: Variant,
    recipe: Recipe,
    header: Header,
    execution: Execution,
    *,
    examples: int = 0,
    programs: bool | None = None,
) -> int:
    """About how many bytes each process of a training holds at once: the data set, weights,
    gradients, the two moments of AdamW, the average, what is carried, what is kept for the gradient
    or, if that is more, what the update copies; on a CPU also the copies of which a checkpoint is
    written. Neither what compiling saves is counted, nor what the C library keeps of memory that is
    free again.

    :param examples: that are stored, and lie on the device; 0 where they are computed.
    :param programs: whether the GPU has programs of our own, as Hopper has; None: as
        the device has that is here.
    :raises ConfigurationError: the variant cannot have the size.
    """
    device = torch.device(execution.device)
    on_cpu = device.type == "cpu"
    counted = _counted(
        shape_of(variant),
        recipe.size,
        recipe.precision,
        len(header.vocabulary),
        header.grid,
        "cpu" if on_cpu else "meta",
        gpu_swiglu.is_there(device) if programs is None else programs,
    )
    written = 3 + int(variant.ema)  # Into a checkpoint: weights, two moments and the average.
    weights = counted.weights * (1 + written * (1 + on_cpu))
    rows = 4 * header.num_puzzle_ids * recipe.size.puzzle_width * (1 + on_cpu)
    share, at_once = recipe.batch_size // execution.processes, execution.at_once(recipe.batch_size)
    threads = max(1, (execution.threads or torch.get_num_threads()) // execution.processes)

    def for_gradient(recursion: Recursion) -> int:
        calls = graded(recursion, counted.calls)
        saved = [counted.reading, *calls]
        if execution.recompute:  # The inputs, and what one call keeps while its gradient is due.
            saved = [counted.reading, max(calls), Kept(0, len(calls) * counted.state)]
        # The gradient of a layer's weights before it is added to those of other calls.
        once = sum(part.once for part in saved) + counted.layer
        by_threads = threads * max(part.by_thread for part in saved)
        each = sum(part.each for part in saved)
        return once + by_threads + variant.training_rollouts * at_once * each

    # As carried on, with fresh examples in the places of the halted, and after the step.
    carried = (3 + on_cpu) * (1 + variant.latents) * counted.state
    # The gradients in the messages to the other processes, or what a skipped step is undone with.
    copies = max(int(execution.processes > 1), written * (recipe.on_nonfinite == "skip"))
    carried *= variant.training_rollouts * share
    most = max(for_gradient(recursion) for _, recursion in variant.stages())
    cells = 2 * header.length * examples
    return cells + weights + rows + carried + max(most, copies * counted.weights)
