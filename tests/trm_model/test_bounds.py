"""What would never end, or fit no computer, is refused when it is written down."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from trm_model.choices import Choice, choices
from trm_model.errors import ConfigurationError
from trm_model.model.evaluation import Evaluation
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.variants import load_variants

UNBOUNDED = ("seed",)
"""Any whole number will do."""


def owners() -> list[Any]:
    """One of each configuration, and of each choice of each axis."""
    variant = Variant()
    hints = get_type_hints(Variant)
    # In a fixed order, since several processes share the tests.
    axes = dict.fromkeys(
        hint for hint in hints.values() if isinstance(hint, type) and issubclass(hint, Choice)
    )
    made = [cls() for axis in axes for cls in choices(axis).values() if ":" not in cls.name]
    # One network has one depth.
    two = replace(variant, networks="separate")
    return [two, Size(), Recipe(), Evaluation(), Execution(), *made]


COUNTS = [
    pytest.param(owner, field.name, id=f"{type(owner).__name__}.{field.name}")
    for owner in owners()
    for field in fields(owner)
    if get_type_hints(type(owner))[field.name] in (int, int | None) and field.name not in UNBOUNDED
]


def test_there_are_many_counts() -> None:
    assert len(COUNTS) > 20


@pytest.mark.parametrize(("owner", "name"), COUNTS)
def test_every_count_has_a_most(owner: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}=1{'0' * 30}: expected a whole number of"):
        replace(owner, **{name: 10**30})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("layers: 1000000000000", "layers=1000000000000: expected a whole number of at most 1000"),
        ("latent_updates: 1000000000", "latent_updates=1000000000: expected a whole number of at"),
        ("cycles: 1001", "cycles=1001: expected a whole number of at most 1000; change cycles"),
        ("start: {random: {count: 1000000000}}", "start: count=1000000000: expected"),
        ("feed_forward: {experts: {count: 1000000000}}", "feed_forward: count=1000000000: expe"),
        ("curriculum: {depth: {cycles: [1, 1000000000]}}", "cycles=1000000000: expected a whole"),
        ("evaluation: {rollouts: 1000000000}", "rollouts=1000000000: expected a whole number of"),
    ],
)
def test_a_variant_that_would_never_be_built_is_refused(
    change: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "huge.yaml").write_text(f"base: trm_mlp\nchanges: {{{change}}}\n")
    with pytest.raises(ConfigurationError) as error:
        load_variants(tmp_path).named("huge")
    assert str(tmp_path / "huge.yaml") in str(error.value)
    assert message in str(error.value)


def test_generous_counts_are_let_through() -> None:
    Variant(layers=1000, latent_updates=1000, cycles=1000, latents=1000)
    Size(width=1 << 16, heads=1 << 10)
    Recipe(steps=10**12, batch_size=10**6)
    Evaluation(depth=10**6, rollouts=10**6)
