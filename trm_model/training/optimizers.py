"""From a model and a recipe to optimizers, and the rates' schedule."""

import torch

from trm_model.model.reasoner import Reasoner
from trm_model.optimizers.optimizer import Weights
from trm_model.training.recipe import Recipe


def make_optimizers(reasoner: Reasoner, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimizers of a model's weights, the variant's or else the recipe's; their rates are set
    before each step (:func:`warmup`).
    """
    matrices = [p for p in reasoner.networks.parameters() if p.ndim == 2]
    weights = Weights(list(reasoner.parameters()), matrices)
    chosen = reasoner.variant.optimizer or recipe.optimizer
    return chosen.build(
        weights, betas=recipe.betas, weight_decay=recipe.weight_decay, base=recipe.optimizer
    )


def warmup(step: int, warmup_steps: int) -> float:
    """Factor on the rates at optimizer step 1, 2, …: linear up to 1 at ``warmup_steps``, constant
    after it.
    """
    return min(1.0, step / warmup_steps) if warmup_steps else 1.0
