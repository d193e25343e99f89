"""Each schedule's rates against its formula."""

import math
from typing import Any

import pytest

from trm_model.choices import choices
from trm_model.errors import ConfigurationError
from trm_model.schedules.constant import Constant
from trm_model.schedules.cosine import Cosine
from trm_model.schedules.linear import Linear
from trm_model.schedules.schedule import Schedule
from trm_model.schedules.trapezoid import Trapezoid
from trm_model.training.optimizers import rate_factor
from trm_model.training.recipe import Recipe


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        (Constant(), {0.01: 1.0, 0.5: 1.0, 1.0: 1.0}),
        (Linear(), {0.25: 0.75, 0.5: 0.5, 1.0: 0.0}),
        (Linear(final=0.2), {0.25: 0.8, 1.0: 0.2}),
        (Cosine(), {1 / 3: 0.75, 0.5: 0.5, 1.0: 0.0}),
        (Cosine(final=0.1), {0.25: 0.1 + 0.45 * (1 + math.sqrt(0.5)), 0.5: 0.55, 1.0: 0.1}),
        (Trapezoid(), {0.5: 1.0, 0.8: 1.0, 0.9: 0.5, 1.0: 0.0}),
        (Trapezoid(final=0.5, falling=0.5), {0.5: 1.0, 0.75: 0.75, 1.0: 0.5}),
        (Trapezoid(falling=1.0), {0.25: 0.75, 1.0: 0.0}),
    ],
)
def test_factors(schedule: Schedule, at: dict[float, float]) -> None:
    found = {share: schedule.factor(share) for share in at}
    assert found == pytest.approx(at, abs=1e-12)


def test_the_share_counts_the_steps_after_the_warm_up() -> None:
    recipe = Recipe(steps=12, warmup_steps=4, schedule=Linear())
    found = [rate_factor(step, recipe) for step in (1, 2, 4, 5, 8, 12)]
    assert found == [0.25, 0.5, 1.0, 0.875, 0.5, 0.0]
    assert [rate_factor(step, Recipe(warmup_steps=4)) for step in (1, 4, 5)] == [0.25, 1.0, 1.0]
    # A training may end in its warm-up.
    assert rate_factor(3, Recipe(steps=3, warmup_steps=6)) == 0.5


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), Trapezoid()])
def test_rates_that_change_need_steps_after_the_warm_up(schedule: Schedule) -> None:
    Recipe(steps=4, warmup_steps=3, schedule=schedule).require_schedule()
    expected = f"warmup_steps=3 of steps=3, and schedule={schedule.name}.*; lower warmup_steps"
    with pytest.raises(ConfigurationError, match=expected):
        Recipe(steps=3, warmup_steps=3, schedule=schedule).require_schedule()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Cosine, {"final": -0.1}),
        (Linear, {"final": 1.1}),
        (Trapezoid, {"final": 2.0}),
        (Trapezoid, {"falling": 0.0}),
        (Trapezoid, {"falling": 1.1}),
    ],
)
def test_what_cannot_be_is_refused(kind: Any, given: dict[str, float]) -> None:
    ((name, value),) = given.items()
    with pytest.raises(ConfigurationError, match=rf"{name}={value}: expected .*; change {name}"):
        kind(**given)


def test_all_but_the_constant_one_depend_on_the_number_of_steps() -> None:
    built_in = {name: cls for name, cls in choices(Schedule).items() if ":" not in name}
    assert set(built_in) == {"constant", "cosine", "linear", "trapezoid"}
    for name, cls in built_in.items():
        recipes = [Recipe(steps=steps, warmup_steps=0, schedule=cls()) for steps in (100, 200)]
        short, long = ([rate_factor(step, each) for step in range(1, 100)] for each in recipes)
        assert cls.depends_on_steps == (short != long), name
