"""What is said of a training before it starts."""

from dataclasses import replace
from typing import Any

import pytest

from storage.examples import Header
from trm_model.model.cost import cost
from trm_model.model.size import Size
from trm_model.training.execution import Execution
from trm_model.training.plan import plan
from trm_model.training.recipe import Recipe
from trm_model.variants import VARIANTS

HEADER = Header(vocabulary=tuple("0123456789."), grid=(9, 9), num_puzzle_ids=5)
RECIPE = Recipe(size=Size(), steps=100, precision="bfloat16")


def test_a_plan_counts_what_a_training_takes() -> None:
    found = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, Execution())
    of_step = cost(
        VARIANTS["trm_mlp"], Size(), vocabulary=11, length=81, grid=(9, 9), num_puzzles=5
    )
    assert (found.steps, found.batch_size) == (100, 768)
    assert found.flops == 100 * of_step.training_flops
    assert found.parameters == of_step.parameters
    assert found.puzzle_parameters == 5 * 512
    assert str(found).startswith(
        f"100 steps of 768 examples; {found.parameters:,} parameters "
        f"({found.parameters - 2560:,} without puzzle rows); "
    )
    assert "PFLOP in all; at most about " in str(found)


@pytest.mark.parametrize(("variant", "measured"), [("trm_mlp", 40), ("trm", 25), ("hrm", 16)])
def test_memory_is_about_what_was_measured(variant: str, measured: float) -> None:
    """On an H100, not compiled (docs/measurements.md, 2026-11-26)."""
    found = plan(VARIANTS[variant], RECIPE, replace(HEADER, num_puzzle_ids=1), Execution())
    assert found.memory_bytes / 2**30 == pytest.approx(measured, rel=0.15)


def test_memory_grows_with_what_is_graded_and_with_the_batch() -> None:
    def memory(name: str, recipe: Recipe = RECIPE, **execution: Any) -> int:
        return plan(VARIANTS[name], recipe, HEADER, Execution(**execution)).memory_bytes

    assert memory("one_step_gradient") < memory("trm_mlp") / 2
    assert memory("no_ema") < memory("trm_mlp")
    # Weights are float32 whatever the precision of what is computed.
    weights = cost(VARIANTS["trm_mlp"], Size(), vocabulary=11, length=81, num_puzzles=5)
    assert memory("trm_mlp", replace(RECIPE, precision="float32")) == pytest.approx(
        2 * memory("trm_mlp") - weights.weight_bytes, rel=1e-6
    )
    halved = memory("trm_mlp", replace(RECIPE, batch_size=384))
    assert 0.5 < halved / memory("trm_mlp") < 0.6
    assert memory("trm_mlp", processes=2) == halved
    assert halved < memory("trm_mlp", micro_batch=384) < 0.6 * memory("trm_mlp")
    assert memory("trm_mlp", micro_batch=768) == memory("trm_mlp", processes=1)
    assert memory("trm_mlp", processes=2, micro_batch=1_000) == halved
    assert memory("trm_mlp", recompute=True) < 0.3 * memory("trm_mlp")


def test_what_is_computed_again_counts() -> None:
    """One of three forward cycles, where a backward cycle takes twice a forward one: 6 for 5."""
    found = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, Execution())
    again = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, Execution(recompute=True))
    assert again.flops / found.flops == pytest.approx(6 / 5, rel=0.01)


def test_a_plan_says_for_how_many_processes_it_is() -> None:
    told = str(plan(VARIANTS["trm"], RECIPE, HEADER, Execution(processes=4)))
    assert told.endswith(" of memory for each of 4 processes")
