"""What a training would take on GPUs that are not here."""

import pytest

from storage.examples import Header
from trm_model.training.accelerators import ACCELERATORS, expected
from trm_model.training.execution import Execution
from trm_model.training.plan import plan
from trm_model.training.recipe import Recipe
from trm_model.variants import VARIANTS

HEADER = Header(vocabulary=tuple("0123456789."), grid=(9, 9))
RECIPE = Recipe(steps=65_000, precision="bfloat16")


@pytest.mark.parametrize(("variant", "hours"), [("trm_mlp", 2.8), ("trm", 65_000 * 0.112 / 3600)])
def test_an_h100_takes_what_was_measured(variant: str, hours: float) -> None:
    """docs/measurements.md, 2026-11-26: 155 and 112 ms a step, compiled."""
    takes = plan(VARIANTS[variant], RECIPE, HEADER, Execution())
    h100 = expected(VARIANTS[variant], takes)[0]
    assert h100.accelerator.name == "H100"
    assert h100.hours == pytest.approx(hours, rel=0.05)
    assert h100.measured
    assert h100.fits


def test_smaller_cards_take_longer_and_may_not_hold_the_batch() -> None:
    takes = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, Execution())
    found = {each.accelerator.name: each for each in expected(VARIANTS["trm_mlp"], takes)}
    assert list(found) == [each.name for each in ACCELERATORS]
    assert found["RTX 4090"].hours > 5 * found["H100"].hours
    assert not found["RTX 4090"].fits
    four = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, Execution(processes=4))
    together = expected(VARIANTS["trm_mlp"], four)[2]
    assert together.fits
    assert together.hours == pytest.approx(found["RTX 4090"].hours / 4)
    assert str(together).startswith("4 x RTX 4090 (24 GiB): about ")
    assert str(found["RTX 4090"]).startswith("RTX 4090 (24 GiB): about ")
    assert str(found["RTX 4090"]).endswith(
        "computed, at 21% of its peak (assumed); too little memory for so many examples "
        "at once: give a smaller micro_batch"
    )


def test_short_trainings_are_told_in_minutes() -> None:
    short = plan(VARIANTS["trm_mlp"], Recipe(steps=100, precision="bfloat16"), HEADER, Execution())
    assert "about 0.3 min and " in str(expected(VARIANTS["trm_mlp"], short)[0])
