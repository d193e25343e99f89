"""Variants and recipes as data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trm_model.recipe import Recipe, Size, recipe_from_dict, recipe_to_dict
from trm_model.variant import (
    VARIANTS,
    Attention,
    ConfigurationError,
    LastCalls,
    LastCycles,
    TokenMlp,
    Variant,
    load_variants,
    variant_from_dict,
    variant_to_dict,
)

# TRM (arXiv 2510.04871), Tables 1 and 3.
DEPTHS = {"trm_mlp": 42, "trm": 42, "separate_networks": 42, "no_ema": 42, "four_layers": 48, "two_cycles": 12, "one_step_gradient": 42}


@pytest.mark.parametrize(("name", "depth"), DEPTHS.items())
def test_depth_as_in_the_paper(name: str, depth: int) -> None:
    assert VARIANTS[name].depth == depth


@pytest.mark.parametrize(("updates", "cycles", "depth"), [(4, 2, 20), (6, 3, 42), (8, 4, 72), (12, 3, 78), (6, 6, 84), (12, 6, 156)])
def test_depths_of_the_grid(updates: int, cycles: int, depth: int) -> None:
    assert replace(VARIANTS["trm_mlp"], latent_updates=updates, cycles=cycles).depth == depth


@pytest.mark.parametrize("name", list(VARIANTS))
def test_round_trip(name: str) -> None:
    assert variant_from_dict(variant_to_dict(VARIANTS[name])) == VARIANTS[name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers=0: expected a whole number of at least 1"),
        ({"latents": 7}, "latents=7 with latent_updates=6"),
        ({"cycles": 1, "backprop": LastCycles(2)}, "expected a count of 1 to 1"),
        ({"backprop": LastCalls(22)}, "expected a count of 1 to 21"),
        ({"networks": "both"}, "networks='both': expected one of shared, separate"),
        ({"halting": "dice"}, "halting='dice': expected one of bce, q_learning, compared, solved, none"),
    ],
)
def test_invalid_variants_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Variant(**changes)


def test_invalid_mixers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="rotary positions act on attention heads"):
        TokenMlp(positions="rope")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="positions='sine'"):
        Attention(positions="sine")  # type: ignore[arg-type]


def test_own_variants_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "deeper.yaml").write_text("base: trm_mlp\nchanges: {cycles: 4, backprop: {kind: last_calls, count: 3}, mixer: attention}\n")
    assert load_variants(tmp_path) == {"deeper": replace(VARIANTS["trm_mlp"], cycles=4, backprop=LastCalls(3), mixer=Attention())}
    assert load_variants(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mine", "base: trm_mlp", "expected two keys"),
        ("mine", "base: nobody\nchanges: {}", "base 'nobody' is none of trm_mlp"),
        ("mine", "base: trm\nchanges: {depth: 3}", "unknown variant field 'depth'"),
        ("mine", "base: trm\nchanges: {mixer: {kind: attention, heads: 3}}", "has no option 'heads'"),
        ("mine", "base: trm\nchanges: {mixer: blender}", "mixer='blender'"),
        ("mine", "base: trm\nchanges: {layers: -1}", "layers=-1"),
        ("trm", "base: trm\nchanges: {}", "taken by a built-in"),
        ("mine", "base: [", "expected"),
    ],
)
def test_wrong_yaml_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_variants(tmp_path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_recipes_round_trip_and_refuse_nonsense() -> None:
    recipe = Recipe(size=Size(width=64, heads=4, prefix=2, puzzle_width=100), optimizer="adam_atan2")
    assert recipe_from_dict(recipe_to_dict(recipe)) == recipe
    for changes, message in (
        ({"steps": 0}, "steps=0"),
        ({"optimizer": "sgd"}, "optimizer='sgd': expected one of adamw, adam_atan2"),
        ({"exploration": 2.0}, "exploration=2.0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            Recipe(**changes)  # type: ignore[arg-type]
    for changes, message in (
        ({"width": 30, "heads": 4}, "make width a multiple"),
        ({"prefix": 1, "puzzle_width": 600}, "a row must fit"),
        ({"prefix": 0}, "both are 0"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            Size(**changes)
    with pytest.raises(ConfigurationError, match="unknown size field 'depth'"):
        recipe_from_dict({"size": {"depth": 3}})
