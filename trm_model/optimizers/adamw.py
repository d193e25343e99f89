"""The papers' optimizer."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.optimizers.optimizer import Optimizer, Weights


@dataclass(frozen=True, slots=True)
class AdamW(Optimizer):
    """Adam with decoupled decay (Loshchilov and Hutter 2019), torch's fused implementation."""

    name: ClassVar[str] = "adamw"

    def build(
        self,
        weights: Weights,
        *,
        betas: tuple[float, float],
        weight_decay: float,
        base: Optimizer,
    ) -> list[torch.optim.Optimizer]:
        """See :class:`Optimizer`."""
        del base
        optimizer = torch.optim.AdamW(
            weights.all, lr=0.0, betas=betas, weight_decay=weight_decay, fused=True
        )
        return [optimizer]
