"""When a training is over: after its last step, or before it where the recipe has patience."""

from collections.abc import Sequence
from pathlib import Path

from trm_model.training.figures import METRICS
from trm_model.training.recipe import Recipe
from trm_model.training.validation import Validated, best_of, read_validated


def gave_up(found: Sequence[Validated], recipe: Recipe) -> bool:
    """Whether the last validation is ``recipe.patience`` steps or more after the best one.

    :param found: all validations of a training, in order.
    """
    best = best_of(found)
    if recipe.patience is None or best is None:
        return False
    return found[-1].step - best.step >= recipe.patience


def is_over(run: Path, recipe: Recipe, step: int) -> bool:
    """Whether nothing is left to train for the run in a folder, whose newest checkpoint is that of
    ``step``."""
    if step >= recipe.steps:
        return True
    found = [] if recipe.patience is None else read_validated(run / METRICS)
    return gave_up([each for each in found if each.step <= step], recipe)
