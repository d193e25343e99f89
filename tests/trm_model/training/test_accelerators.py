"""What a training would take on GPUs that are not here."""

import re
from dataclasses import replace
from typing import Any

import pytest

from storage.examples import Header
from trm_model.model.size import Size
from trm_model.training.accelerators import ACCELERATORS, Expected, expected
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.variants import VARIANTS

HEADER = Header(vocabulary=tuple("0123456789."), grid=(9, 9))
RECIPE = Recipe(steps=65_000, precision="bfloat16")


def on(name: str, variant: str = "trm_mlp", recipe: Recipe = RECIPE, **execution: Any) -> Expected:
    found = expected(VARIANTS[variant], recipe, HEADER, Execution(**execution))
    assert [each.accelerator for each in found] == list(ACCELERATORS)
    (one,) = (each for each in found if each.accelerator.name == name)
    return one


@pytest.mark.parametrize(
    ("variant", "milliseconds", "gibibytes"), [("trm_mlp", 89.3, 9.99), ("trm", 96.3, 17.07)]
)
def test_an_h200_takes_what_was_measured(
    variant: str, milliseconds: float, gibibytes: float
) -> None:
    """docs/measurements.md, 2026-11-27."""
    found = on("H200", variant)
    assert found.hours == pytest.approx(RECIPE.steps * milliseconds / 3.6e6, rel=0.05)
    assert found.memory_bytes / 2**30 == pytest.approx(gibibytes, rel=0.2)
    assert found.measured
    assert found.remedy == ""


@pytest.mark.parametrize("variant", ["gated_norm", "short_convolution"])
def test_what_no_program_serves_is_not_said_to_be_measured(variant: str) -> None:
    found = on("H200", variant)
    assert (found.programs, found.measured) == (False, False)
    assert "programs" not in str(found)
    without = on("L40S", variant)
    assert (found.share, found.memory_bytes) == (without.share, without.memory_bytes)
    served = on("H200")
    assert (served.programs, served.measured) == (True, True)
    assert served.share > on("H200", "gated_norm").share


def test_programs_serve_whole_tiles_alone() -> None:
    def served(width: int) -> bool:
        size = Size(width=width, heads=4, puzzle_width=width)
        return on("H200", recipe=replace(RECIPE, size=size)).programs

    assert served(128)
    assert not served(96)


def test_programs_mix_few_positions_alone() -> None:
    def share(side: int) -> float:
        header = replace(HEADER, grid=(side, side))
        (found,) = (
            each
            for each in expected(VARIANTS["trm_mlp"], RECIPE, header, Execution())
            if each.accelerator.name == "H200"
        )
        assert found.measured == found.programs
        return found.share

    assert share(30) < share(9)


def test_the_examples_lie_on_the_card_too() -> None:
    needed, whole = (
        next(
            each
            for each in expected(VARIANTS["trm"], RECIPE, HEADER, Execution(), examples)
            if each.accelerator.name == "RTX 4090"
        )
        for examples in (0, 100_000_000)
    )
    assert whole.memory_bytes - needed.memory_bytes == 100_000_000 * 162
    half, less = (int(each.remedy.removeprefix("micro_batch=")) for each in (needed, whole))
    assert less < half


def test_smaller_cards_take_longer_and_may_not_hold_the_batch() -> None:
    small = on("RTX 4090")
    assert small.hours > 5 * on("H100").hours
    together = on("RTX 4090", processes=4)
    assert together.remedy == ""
    assert together.hours == pytest.approx(small.hours / 4)
    assert str(together).startswith("4 x RTX 4090 (23.6 GiB): about ")
    assert str(small).startswith("RTX 4090 (23.6 GiB): about ")
    assert str(small).endswith(
        "computed, at 21% of its peak (assumed); above 90% of it: give micro_batch=384"
    )


@pytest.mark.parametrize("width", [512, 2048, 6144])
def test_what_a_card_needs_for_a_training_that_is_too_large_fits(width: int) -> None:
    recipe = replace(RECIPE, size=Size(width=width))
    remedy = on("RTX 4090", recipe=recipe).remedy
    found = re.fullmatch(r"micro_batch=(\d+)( and recompute=true)?", remedy)
    assert found, remedy
    part, recompute = int(found[1]), found[2] is not None
    assert recompute == (width == 6144)
    assert on("RTX 4090", recipe=recipe, micro_batch=part, recompute=recompute).remedy == ""
    # The next larger part of the batch does not.
    larger = next(size for size in range(part + 1, 769) if 768 % size == 0)
    assert on("RTX 4090", recipe=recipe, micro_batch=larger, recompute=recompute).remedy


def test_parts_are_equal_shares_whatever_part_was_asked_for() -> None:
    assert on("RTX 4090", micro_batch=500).remedy == on("RTX 4090").remedy
    assert on("RTX 4090", micro_batch=100).remedy == ""


@pytest.mark.parametrize(
    "recipe", [replace(RECIPE, size=Size(width=16384)), replace(RECIPE, batch_size=1_000_000)]
)
def test_what_no_part_of_a_batch_fits_into_needs_another_recipe(recipe: Recipe) -> None:
    remedy = "a smaller batch_size or width in the recipe, or more processes"
    assert on("RTX 4090", recipe=recipe).remedy == remedy


def test_short_trainings_are_told_in_minutes() -> None:
    short = Recipe(steps=100, precision="bfloat16")
    assert "about 9 s and " in str(on("H200", recipe=short))
