"""What a variant costs: parameters, calls and floating-point operations.

Floating-point operations count a multiplication and an addition as two, in matrix products,
convolutions and attention; what is done element by element and by the optimizer is left out (a few
percent), and what a causal mask hides is counted. A product's gradient costs twice the product.
"""

from dataclasses import dataclass

import torch

from trm_model.model.blocks import inner_width
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import Experts, ShortConvolution, TokenMlp, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one model and batch.

    :param parameters: trained numbers, puzzle rows included.
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


def layer_flops(variant: Variant, size: Size, length: int) -> int:
    """Of one block on one example; ``length``: P + L."""
    width = size.width
    dense = 2 * length * 3 * width * inner_width(width, size.expansion)
    match variant.feed_forward:
        case Experts(count, active):
            channels = active * dense + 2 * length * width * count
        case ShortConvolution(taps):
            channels = dense + 2 * length * inner_width(width, size.expansion) * taps
        case _:
            channels = dense
    if isinstance(variant.mixer, TokenMlp):
        return channels + 2 * width * 3 * length * inner_width(length, size.expansion)
    return channels + 2 * length * 4 * width * width + 2 * 2 * length * length * width


def forward_flops(
    variant: Variant, size: Size, *, length: int, rows: int, graded: bool = False
) -> int:
    """Of one supervision step on one start of one example.

    :param length: cells, L.
    :param rows: tokens that the head tells apart.
    :param graded: only what has a gradient.
    """
    layer = layer_flops(variant, size, size.prefix + length)
    per_cycle = variant.latent_updates + 1
    first = variant.calls - variant.graded_calls if graded else 0
    layers = sum(
        variant.layers
        if call % per_cycle < variant.latent_updates
        else variant.answer_layers or variant.layers
        for call in range(first, variant.calls)
    )
    judged = length if variant.autoregressive else 1
    return layers * layer + 2 * length * size.width * rows + 2 * judged * size.width * 2


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
    model = Reasoner(
        variant,
        size,
        vocabulary=vocabulary,
        length=length,
        num_puzzles=num_puzzles,
        generator=torch.Generator().manual_seed(0),
        grid=(1, length),
    )
    rows = len(model.tokens)
    forward = forward_flops(variant, size, length=length, rows=rows)
    backward = 2 * forward_flops(variant, size, length=length, rows=rows, graded=True)
    return Cost(
        parameters=model.num_parameters,
        calls=variant.calls,
        depth=variant.depth,
        forward_passes=variant.forward_passes,
        training_flops=batch_size
        * variant.training_rollouts
        * (variant.forward_passes * forward + backward),
        test_flops=variant.test_rollouts * variant.test_steps(max_steps) * forward,
        state_numbers=variant.training_rollouts
        * (1 + variant.latents)
        * (size.prefix + length)
        * size.width,
    )
