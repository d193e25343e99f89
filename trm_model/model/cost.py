"""What a variant costs.

Floating-point operations are counted by torch on its meta device, where nothing is computed: a
multiplication and an addition are two, in matrix products, convolutions and attention. What is done
element by element and by the optimizer is left out (a few percent), and what a causal mask hides is
counted.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one model and batch.

    :param parameters: trained numbers, puzzle rows included.
    :param calls: network calls per supervision step.
    :param depth: layers applied per supervision step, ``calls`` times the networks' layers.
    :param forward_passes: per optimizer step.
    :param training_flops: per optimizer step, with the recursion of the end of training.
    :param test_flops: of all test steps (and rollouts) of one example.
    :param state_numbers: numbers carried per example, all starts together.
    """

    parameters: int
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


def step_flops(model: Reasoner) -> tuple[int, int]:
    """Operations of one supervision step on one start of one example: forward, and backward.

    :param model: on the meta device.
    """
    noise = Noise(0, torch.zeros(1, dtype=torch.int64, device="meta"))
    inputs = torch.zeros(1, model.length, dtype=torch.int64, device="meta")
    answers = model.variant.generation.teacher(inputs)
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        output = model(inputs, model.puzzle_rows[:1], model.start(noise), noise, None, answers)
        forward = counter.get_total_flops()
        (output.logits.sum() + output.halt_logits.sum()).backward()
    return forward, counter.get_total_flops() - forward


def cost(
    variant: Variant,
    size: Size,
    *,
    vocabulary: int,
    length: int,
    num_puzzles: int = 1,
    batch_size: int = 768,
    max_steps: int = 16,
) -> Cost:
    """The cost of a variant at a size.

    :raises ConfigurationError: a variant and a size that do not go together.
    """
    with torch.device("meta"):
        model = Reasoner(
            variant,
            size,
            vocabulary=vocabulary,
            length=length,
            num_puzzles=num_puzzles,
            generator=torch.Generator().manual_seed(0),
            grid=(1, length),
        )
    forward, backward = step_flops(model)
    rollouts, positions = variant.training_rollouts, size.prefix + length
    return Cost(
        parameters=model.num_parameters,
        calls=variant.calls,
        depth=variant.depth,
        forward_passes=variant.forward_passes,
        training_flops=batch_size * rollouts * (variant.forward_passes * forward + backward),
        test_flops=variant.evaluation.rollouts * variant.test_steps(max_steps) * forward,
        state_numbers=rollouts * (1 + variant.latents) * positions * size.width,
    )
