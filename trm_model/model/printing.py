"""Variants as text: what each changes, and what one costs. ``trm variants`` prints it."""

from collections.abc import Iterator, Mapping
from typing import Any

from trm_model.choices import differing
from trm_model.model.cost import cost
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.texts import in_bytes, in_operations


def differences(base: Any, other: Any) -> list[str]:
    """The fields in which one frozen dataclass differs from another of its class.

    >>> from dataclasses import replace
    >>> from trm_model import VARIANTS
    >>> differences(VARIANTS["trm_mlp"], replace(VARIANTS["trm_mlp"], cycles=2, ema=False))
    ['cycles=2', 'ema=False']

    :returns: ``field=value`` or, for a field of a choice that stays, ``choice.field=value``.
    """
    return [f"{name}={new}" for name, _, new in differing(base, other)]


def variant_lines(variants: Mapping[str, Variant]) -> Iterator[str]:
    """A line for each variant: its name, the earlier variant that it is nearest to, and the fields
    in which it differs from that one."""
    width = max(len(name) for name in variants)
    earlier: dict[str, Variant] = {}
    for name, variant in variants.items():
        changes = {base: differences(other, variant) for base, other in earlier.items()}
        nearest = min(changes, key=lambda base: len(changes[base]), default=None)
        if nearest is None:
            text = (
                f"the base of the others: {variant.depth} layers per supervision step in "
                f"{variant.calls} calls"
            )
        elif not changes[nearest]:
            text = f"the same as {nearest}"
        else:
            text = f"{nearest} with {', '.join(changes[nearest])}"
        yield f"{name:{width}}  {text}"
        earlier[name] = variant


def cost_lines(
    variant: Variant,
    size: Size,
    *,
    vocabulary: int,
    length: int,
    num_puzzles: int,
    batch_size: int,
    max_steps: int,
) -> list[str]:
    """What a variant costs at a size (:func:`trm_model.model.cost.cost`), a line for each figure.

    :raises ConfigurationError: a variant and a size that do not go together.
    """
    result = cost(
        variant,
        size,
        vocabulary=vocabulary,
        length=length,
        num_puzzles=num_puzzles,
        batch_size=batch_size,
        max_steps=max_steps,
    )
    layers = f"{variant.layers}"
    if variant.answer_layers is not None:
        layers += f" (answer: {variant.answer_layers})"
    texts = {
        "parameters": f"{result.parameters:,}",
        "depth": f"{result.depth} layers per supervision step: {result.calls} calls x {layers}",
        "calls with gradient": f"{variant.graded_calls} of {result.calls}",
        "forward passes": f"{result.forward_passes} per optimizer step",
        "FLOPs": f"{in_operations(result.training_flops)} per optimizer step of "
        f"{batch_size} examples",
        "FLOPs at test": f"{in_operations(result.test_flops)} per example in "
        f"{variant.test_steps(max_steps)} steps",
        "state": f"{result.state_numbers:,} numbers per example, "
        f"{in_bytes(4 * result.state_numbers)} in float32",
    }
    return [f"{label:20} {text}" for label, text in texts.items()]
