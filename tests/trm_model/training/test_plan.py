"""What is said of a training before it starts."""

from dataclasses import replace

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
    found = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, Execution(device="cuda"))
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
    assert "PFLOP in all; about " in str(found)


def test_a_training_that_is_all_warm_up_says_so() -> None:
    def told(warmup_steps: int) -> str:
        recipe = replace(RECIPE, warmup_steps=warmup_steps)
        return str(plan(VARIANTS["trm_mlp"], recipe, HEADER, Execution()))

    assert told(400).endswith("; all of it is warm-up, to 25% of the full rates")
    assert told(100).endswith(" of memory on cpu")


def test_what_is_computed_again_counts() -> None:
    """One of three forward cycles, where a backward cycle takes twice a forward one: 6 for 5."""
    execution = Execution(device="cuda")
    found = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, execution)
    again = plan(VARIANTS["trm_mlp"], RECIPE, HEADER, replace(execution, recompute=True))
    assert again.flops / found.flops == pytest.approx(6 / 5, rel=0.01)


def test_a_plan_says_for_how_many_processes_it_is() -> None:
    execution = Execution(device="cuda", processes=4)
    told = str(plan(VARIANTS["trm"], RECIPE, HEADER, execution))
    assert " examples; " in told
    assert " of memory on cuda for each of 4 processes;" in told
    told = str(plan(VARIANTS["trm"], RECIPE, HEADER, replace(execution, micro_batch=5)))
    assert " examples, 5 at once; " in told
