"""The recipes of the papers' scale: steps at their true width and length, of two examples."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch

from assets.benchmarks import BENCHMARKS
from assets.configs import TrainingConfig
from assets.families.arc import ArcTasks
from assets.families.maze import GeneratedMaze
from assets.families.origin import Origin
from assets.families.sudoku import GeneratedSudoku
from assets.studies.study import SHIPPED, load_studies
from storage.examples import ExampleSet
from trm_model.model.variant import Variant
from trm_model.puzzles.family import Family
from trm_model.training.accelerators import ACCELERATORS
from trm_model.training.execution import Execution
from trm_model.training.plan import plan
from trm_model.training.recipe import Recipe
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

FEW: dict[Family, Origin] = {
    origin.family: origin
    for origin in (
        GeneratedSudoku(digits=9, train=2, test=1),
        GeneratedMaze(side=30, longer_than=110, train=2, test=1),
        ArcTasks(train=("arc_agi_1/training",), test="arc_agi_1/evaluation", tasks=1),
    )
}
"""Few puzzles of each of the papers' families, at their size."""


class Training(NamedTuple):
    """What a recipe says of a training."""

    variant: Variant
    recipe: Recipe
    family: Family
    execution: Execution

    @property
    def shape(self) -> object:
        """Equal where all calls of a supervision step are: of which networks, of how many
        positions."""
        variant = self.variant
        of_variant = (
            variant.mixer,
            variant.feed_forward,
            variant.layers,
            variant.networks,
            variant.latents,
            variant.recursion,
            variant.forward_passes,
        )
        return of_variant, self.recipe.size, self.family.grid


def trainings() -> dict[str, Training]:
    """Each benchmark's own recipe with the variant of the paper, and each point of the studies that
    have a published figure, by name."""
    found = dict[str, Training]()
    for name, benchmark in BENCHMARKS.items():
        if benchmark.paper_variant is not None:
            variant, family = VARIANTS[benchmark.paper_variant], benchmark.origin.family
            found[name] = Training(variant, benchmark.recipe, family, Execution())
    studies = load_studies([SHIPPED], BENCHMARKS, VARIANTS)
    for name, study in studies.known.items():
        benchmark = BENCHMARKS[study.benchmark]
        for point in study.trainings() if study.published else ():
            config: TrainingConfig = study.training(point)
            recipe = config.recipe_of(benchmark.recipe)
            found[f"{name} {point.variant}"] = Training(
                config.variant_of(VARIANTS[point.variant]),
                recipe,
                benchmark.origin.family,
                Execution(micro_batch=config.micro_batch, recompute=config.recompute),
            )
    return found


TRAININGS = trainings()
ONE_OF_EACH_SHAPE = {training.shape: name for name, training in reversed(TRAININGS.items())}
# Recipes that differ in their length alone train alike.
ONE_OF_EACH_KIND = {
    (training.variant, replace(training.recipe, steps=1), training.family): name
    for name, training in reversed(TRAININGS.items())
}


@cache
def few(family: Family) -> ExampleSet:
    origin = FEW[family]
    return origin.augmented(origin.puzzles().frame, "train", 1, 0, {}).examples


def quicker(training: Training) -> Training:
    """In float32, since some processors take many times as long in bfloat16, and all examples of a
    batch at once."""
    return training._replace(
        recipe=replace(training.recipe, precision="float32"),
        execution=replace(training.execution, micro_batch=None),
    )


def take_steps(training: Training, steps: int) -> None:
    """Train on two examples, and look at what changed."""
    recipe = replace(training.recipe, batch_size=2)
    execution = replace(training.execution, log_steps=1)
    trainer = Trainer(training.variant, recipe, few(training.family), 0, execution)
    model = trainer.reasoner
    assert model.size.width == 512
    before = {name: p.detach().clone() for name, p in model.networks.named_parameters()}
    rows = list[torch.Tensor]()

    def note(_: Trainer, totals: torch.Tensor | None) -> bool:
        assert totals is not None
        rows.append(totals)
        # Before the end of the recipe, where the rates of some have fallen to 0.
        return len(rows) < steps

    trainer.run(note)
    assert len(rows) == steps
    assert torch.stack(rows).isfinite().all()
    for name, parameter in model.networks.named_parameters():
        assert parameter.isfinite().all(), name
        assert not torch.equal(parameter, before[name]), name
    # Only the rows of puzzles in the batches have changed.
    changed = model.puzzle_rows.ne(0).any(1).sum()
    assert 1 <= changed <= 2 * steps
    assert trainer.carry is not None
    length = training.family.grid[0] * training.family.grid[1]
    shape = (2, recipe.size.prefix + length, 512)
    assert trainer.carry.state.answer.shape == shape
    assert trainer.carry.state.answer.isfinite().all()


@pytest.mark.parametrize("name", ONE_OF_EACH_SHAPE.values())
def test_one_step_of_each_shape(name: str) -> None:
    take_steps(quicker(TRAININGS[name]), 1)


def test_one_step_in_the_precision_of_gpus_and_in_parts() -> None:
    """Of the recipe whose step takes the least time."""
    training = TRAININGS["authors_sudoku drm"]
    assert training.recipe.precision == "bfloat16"
    take_steps(training._replace(execution=replace(training.execution, micro_batch=1)), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND.values())
def test_twenty_steps_of_each_recipe(name: str) -> None:
    take_steps(quicker(TRAININGS[name]), 20)


@pytest.mark.parametrize("name", [name for name in TRAININGS if " " in name])
def test_a_study_of_a_recipe_fits_on_a_card(name: str) -> None:
    """As it is computed, in parts where it must be: on the first card that is told of."""
    training = TRAININGS[name]
    takes = plan(training.variant, training.recipe, few(training.family).header, training.execution)
    assert takes.memory_bytes < ACCELERATORS[0].gibibytes * 2**30
    # Weights, gradients and two moments alone take so much.
    assert takes.memory_bytes > 16 * (takes.parameters - takes.puzzle_parameters)
