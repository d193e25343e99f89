"""From a model and a recipe to optimizers, and the rates of each step."""

from collections.abc import Iterable

import torch

from trm_model.model.reasoner import Reasoner
from trm_model.optimizers.optimizer import Weights
from trm_model.training.recipe import Recipe

FULL = "initial_lr"
"""Where torch keeps the full rate of a group of weights, which a schedule makes smaller."""


def make_optimizers(reasoner: Reasoner, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimizers of a model's weights: of the networks' matrices the variant's or else the
    recipe's, and of all other weights the same unless the recipe names another. Their rates are set
    before each step (:func:`set_rates`).
    """
    matrices = [p for p in reasoner.networks.parameters() if p.ndim == 2]
    weights = Weights(list(reasoner.parameters()), matrices)
    chosen, other = reasoner.variant.optimizer or recipe.optimizer, recipe.embedding_optimizer
    parts = [(chosen, weights)]
    if other is not None and chosen.takes_all:
        parts = [(other, Weights(weights.others, [])), (chosen, Weights(matrices, matrices))]
    made = [
        optimizer
        for kind, part in parts
        for optimizer in kind.build(
            part,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
            base=other or recipe.optimizer,
        )
    ]
    for optimizer in made:
        _set_own(optimizer, weights, recipe)
    return made


def _set_own(optimizer: torch.optim.Optimizer, weights: Weights, recipe: Recipe) -> None:
    """Give matrices and other weights their full rates and decays, where need be as two groups."""
    rate, decay = recipe.embedding_learning_rate, recipe.embedding_weight_decay
    of_matrices = {FULL: recipe.learning_rate, "weight_decay": recipe.weight_decay}
    of_others = {
        FULL: recipe.learning_rate if rate is None else rate,
        "weight_decay": recipe.weight_decay if decay is None else decay,
    }
    others = {id(weight) for weight in weights.others}
    for group in list(optimizer.param_groups):
        second = [weight for weight in group["params"] if id(weight) in others]
        first = [weight for weight in group["params"] if id(weight) not in others]
        if of_matrices == of_others or not (first and second):
            group.update(of_others if second else of_matrices)
        else:
            group.update(of_matrices, params=first)
            optimizer.add_param_group({**group, **of_others, "params": second})


def set_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Let the next step have ``factor`` times the full rates."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group[FULL] * factor


def rate_factor(step: int, recipe: Recipe) -> float:
    """Factor on all rates at optimizer step 1, 2, …: linear up to 1 at the end of the warm-up, then
    the schedule's."""
    past = max(0, step - recipe.warmup_steps)
    share = past / max(1, recipe.steps - recipe.warmup_steps)
    return warmup(step, recipe.warmup_steps) * recipe.schedule.factor(share)


def warmup(step: int, warmup_steps: int) -> float:
    """Factor on the rates at optimizer step 1, 2, …: linear up to 1 at ``warmup_steps``, 1 after
    it.
    """
    return min(1.0, step / warmup_steps) if warmup_steps else 1.0
