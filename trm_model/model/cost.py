"""What a variant costs: ``python -m trm_model.model.variant NAME``.

Floating-point operations count a multiplication and an addition as two, in matrix products,
convolutions and attention; what is done element by element and by the optimizer is left out (a few
percent), and what a causal mask hides is counted. A product's gradient costs twice the product.
"""

import argparse
import sys
from dataclasses import dataclass

import torch

from trm_model.errors import ConfigurationError, require
from trm_model.model.blocks import inner_width
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import VARIANTS, Experts, ShortConvolution, TokenMlp, Variant


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


def _metric(value: float) -> str:
    for factor, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {letter}"
    return f"{value:.3g} "


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    paper = Size()
    parser = argparse.ArgumentParser(
        "python -m trm_model.model.variant",
        description="what a variant costs; sizes default to the paper's on Sudoku-Extreme",
    )
    parser.add_argument("name", help=f"one of {', '.join(VARIANTS)}")
    for name, default in (
        ("width", paper.width),
        ("heads", paper.heads),
        ("prefix", paper.prefix),
        ("puzzle-width", paper.puzzle_width),
        ("vocabulary", 11),
        ("length", 81),
        ("puzzles", 1),
        ("batch-size", 768),
        ("max-steps", 16),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    parser.add_argument(
        "--expansion", type=float, default=paper.expansion, help=f"default: {paper.expansion:g}"
    )
    given = parser.parse_args(arguments)
    try:
        require(
            given.name in VARIANTS,
            f"no variant {given.name!r}: expected one of {', '.join(VARIANTS)}",
        )
        variant = VARIANTS[given.name]
        size = Size(
            width=given.width,
            heads=given.heads,
            expansion=given.expansion,
            prefix=given.prefix,
            puzzle_width=given.puzzle_width,
        )
        result = cost(
            variant,
            size,
            vocabulary=given.vocabulary,
            length=given.length,
            num_puzzles=given.puzzles,
            batch_size=given.batch_size,
            max_steps=given.max_steps,
        )
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    layers = (
        f"{variant.layers}"
        if variant.answer_layers is None
        else f"{variant.layers} (answer: {variant.answer_layers})"
    )
    for label, text in (
        ("parameters", f"{result.parameters:,}"),
        ("depth", f"{result.depth} layers per supervision step: {result.calls} calls x {layers}"),
        ("calls with gradient", f"{variant.graded_calls} of {result.calls}"),
        ("forward passes", f"{result.forward_passes} per optimizer step"),
        (
            "FLOPs",
            f"{_metric(result.training_flops)}FLOP per optimizer step of {given.batch_size} "
            "examples",
        ),
        (
            "FLOPs at test",
            f"{_metric(result.test_flops)}FLOP per example in "
            f"{variant.test_steps(given.max_steps)} steps",
        ),
        (
            "state",
            f"{result.state_numbers:,} numbers per example, {_metric(4 * result.state_numbers)}B "
            "in float32",
        ),
    ):
        print(f"{label:20} {text}")
    return 0
