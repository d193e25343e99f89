"""What a variant costs.

Floating-point operations are counted by torch on its meta device, where nothing is computed: a
multiplication and an addition are two, in matrix products, convolutions and attention. What is done
element by element and by the optimizer is left out (a few percent), and what a causal mask hides is
counted.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from trm_model.model.backprop.last_cycles import LastCycles
from trm_model.model.curricula.constant import Constant
from trm_model.model.evaluation import Evaluation
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.reasoner import Reasoner
from trm_model.model.recursion import Recursion
from trm_model.model.size import Precision, Size
from trm_model.model.solvers.iteration import Iteration
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one model and batch.

    :param parameters: trained numbers, puzzle rows included.
    :param puzzle_parameters: those of them that are puzzle rows.
    :param calls: network calls per supervision step.
    :param depth: layers applied per supervision step, ``calls`` times the networks' layers.
    :param forward_passes: per optimizer step.
    :param training_flops: per optimizer step, the mean over a training where a curriculum changes
        the recursion.
    :param test_flops: of all test steps (and rollouts) of one example.
    :param state_numbers: numbers carried per example, all starts together.
    """

    parameters: int
    puzzle_parameters: int
    calls: int
    depth: int
    forward_passes: int
    training_flops: int
    test_flops: int
    state_numbers: int


def convolution_backward_flops(
    gradient: torch.Size,
    x: torch.Size,
    weight: torch.Size,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    wanted: list[bool],
    **_: Any,
) -> int:
    """Operations of a convolution's gradients, from the arguments' shapes: as many for the input,
    and as many for the weight, as the convolution itself takes.

    torch's own formula counts the gradient of a depthwise kernel as if all channels were mixed.
    """
    return sum(wanted[:2]) * conv_flop_count(list(x), list(weight), list(gradient), transposed)


FORMULAS: dict[Any, Any] = {torch.ops.aten.convolution_backward: convolution_backward_flops}
"""In place of torch's own formulas, by operation."""


class Flops(NamedTuple):
    """Operations forward and backward."""

    forward: int
    backward: int


def count_flops(work: Callable[[], Tensor]) -> Flops:
    """The operations that compute a tensor, and those of the gradients of its sum."""
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        result = work()
        forward = counter.get_total_flops()
        result.sum().backward()
    return Flops(forward, counter.get_total_flops() - forward)


class Measured(NamedTuple):
    """What the weights' shapes alone decide: the number of trained numbers, and the operations of
    one call of each network and of reading the answer, for one start of one example.
    """

    parameters: int
    networks: tuple[Flops, ...]
    reading: Flops


def model_on(
    device: str,
    variant: Variant,
    size: Size,
    vocabulary: int,
    grid: tuple[int, int],
    num_puzzles: int = 1,
    precision: Precision = "float32",
) -> Reasoner:
    """A model of these sizes; on torch's device ``meta`` without any numbers."""
    with torch.device(device):
        return Reasoner(
            variant,
            size,
            vocabulary=vocabulary,
            length=grid[0] * grid[1],
            num_puzzles=num_puzzles,
            generator=torch.Generator().manual_seed(0),
            precision=precision,
            grid=grid,
        )


@lru_cache(maxsize=256)
def require_size(variant: Variant, size: Size, vocabulary: int, grid: tuple[int, int]) -> None:
    """Whether a variant can have a size on puzzles of a grid (rows and columns), known without any
    puzzles.

    :raises ConfigurationError: it cannot.
    """
    model_on("meta", variant, size, vocabulary, grid)


@lru_cache(maxsize=256)
def _measure(
    shape: Variant, size: Size, vocabulary: int, grid: tuple[int, int], num_puzzles: int
) -> Measured:
    model = model_on("meta", shape, size, vocabulary, grid, num_puzzles)
    start = model.start(Noise(0, torch.zeros(1, dtype=torch.int64, device="meta")))
    x = torch.empty_like(start.answer).requires_grad_()

    def read() -> Tensor:
        output = model.read(State(x, start.latents))
        return output.logits.sum() + output.halt_logits.sum()

    calls = [partial(network, x) for network in model.networks]
    return Measured(model.num_parameters, tuple(map(count_flops, calls)), count_flops(read))


def shape_of(variant: Variant) -> Variant:
    """The variant without what decides no shape, so that variants of one shape are measured
    once.
    """
    return replace(
        variant,
        latent_updates=max(1, variant.latents),
        cycles=1,
        solver=Iteration(),
        backprop=LastCycles(),
        state_noise=0.0,
        deep_supervision=True,
        curriculum=Constant(),
        halting=BinaryCrossEntropy(),
        loss="stablemax",
        optimizer=None,
        ema=True,
        evaluation=Evaluation(),
    )


_Each = TypeVar("_Each")


def in_order(recursion: Recursion, of_networks: Sequence[_Each]) -> list[_Each]:
    """The items of ``of_networks``, one for each network call of a supervision step, in order."""
    # A cycle without latent updates has one call, of the first network.
    cycle = [of_networks[0]] * max(1, recursion.latent_updates)
    if recursion.latent_updates:
        cycle.append(of_networks[-1])
    return cycle * recursion.cycles


def graded(recursion: Recursion, of_networks: Sequence[_Each]) -> list[_Each]:
    """Of :func:`in_order` the calls that have a gradient."""
    return in_order(recursion, of_networks)[recursion.calls - recursion.graded_calls :]


def step_flops(recursion: Recursion, measured: Measured, *, recompute: bool = False) -> Flops:
    """Operations of one supervision step on one start of one example: each network's, times how
    often it is called, and how often with a gradient. The few of a solver are left out.

    :param recompute: whether calls with a gradient are computed again for it.
    """
    calls, for_gradient = (each(recursion, measured.networks) for each in (in_order, graded))
    again = sum(call.forward for call in for_gradient) * recompute
    return Flops(
        sum(call.forward for call in calls) + measured.reading.forward,
        sum(call.backward for call in for_gradient) + measured.reading.backward + again,
    )


def cost(
    variant: Variant,
    size: Size,
    *,
    vocabulary: int,
    length: int,
    grid: tuple[int, int] | None = None,
    num_puzzles: int = 1,
    batch_size: int = 768,
    max_steps: int = 16,
    recompute: bool = False,
) -> Cost:
    """The cost of a variant at a size.

    :param recompute: whether calls with a gradient are computed again for it.
    :param grid: rows and columns of the ``length`` cells; None: the square of so many cells, or one
        row where there is none.
    :raises ConfigurationError: a variant and a size that do not go together.
    """
    side = math.isqrt(length)
    grid = grid or ((side, side) if side**2 == length else (1, length))
    measured = _measure(shape_of(variant), size, vocabulary, grid, num_puzzles)

    def optimizer_step(recursion: Recursion) -> int:
        forward, backward = step_flops(recursion, measured, recompute=recompute)
        return batch_size * rollouts * (variant.forward_passes * forward + backward)

    stages = variant.stages()
    begins = [0.0, *(until for until, _ in stages)]
    rollouts, positions = variant.training_rollouts, size.prefix + length
    puzzle_parameters = num_puzzles * size.puzzle_width
    state_numbers = rollouts * (1 + variant.latents) * positions * size.width
    return Cost(
        parameters=measured.parameters,
        puzzle_parameters=puzzle_parameters,
        calls=variant.calls,
        depth=variant.depth,
        forward_passes=variant.forward_passes,
        training_flops=round(
            sum(
                (until - begin) * optimizer_step(recursion)
                for begin, (until, recursion) in zip(begins, stages, strict=False)
            )
        ),
        test_flops=variant.evaluation.rollouts
        * variant.test_steps(max_steps)
        * step_flops(variant.recursion, measured).forward,
        state_numbers=state_numbers,
    )
