"""Muon for the networks' matrices."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.optimizers.optimizer import Optimizer, Weights


@dataclass(frozen=True, slots=True)
class Muon(Optimizer):
    """Muon (Jordan 2024) for the networks' matrices, and the recipe's optimizer for all else.

    A step is rescaled to the size of an AdamW step (Liu et al. 2025), so that the recipe's rate and
    decay serve both. Stacked matrices (queries, keys and values; gate and up) are orthogonalised as
    one.
    """

    name: ClassVar[str] = "muon"
    takes_all: ClassVar[bool] = False

    def build(
        self,
        weights: Weights,
        *,
        betas: tuple[float, float],
        weight_decay: float,
        base: Optimizer,
    ) -> list[torch.optim.Optimizer]:
        """See :class:`Optimizer`."""
        rest = Weights(weights.others, [])
        others = base.build(rest, betas=betas, weight_decay=weight_decay, base=base)
        muon = torch.optim.Muon(
            weights.matrices, lr=0.0, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        return [*others, muon]
