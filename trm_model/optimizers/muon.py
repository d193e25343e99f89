"""Muon for the networks' matrices."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.optimizers.optimizer import Optimizer, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon(Optimizer):
    """Muon (Jordan 2024) for the networks' matrices, and another optimizer for all else. Stacked
    matrices (queries, keys and values; gate and up) are orthogonalised as one.

    :param momentum: how slowly its mean of gradients moves.
    :param iterations: of Newton and Schulz, which orthogonalise it.
    :param scale: of a step: ``adamw``, the size of an AdamW step (Liu et al. 2025), so that one
        rate and decay serve both; ``original``, Jordan's, for rates such as 0.02.
    """

    name: ClassVar[str] = "muon"
    takes_all: ClassVar[bool] = False
    momentum: float = 0.95
    iterations: int = 5
    scale: Literal["adamw", "original"] = "adamw"

    def __post_init__(self) -> None:
        check_fields(self, iterations=(1, 99))
        require(
            0.0 <= self.momentum < 1.0,
            f"momentum={self.momentum}: expected a number in [0, 1)",
        )

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
            weights.matrices,
            lr=0.0,
            weight_decay=weight_decay,
            momentum=self.momentum,
            ns_steps=self.iterations,
            adjust_lr_fn="match_rms_adamw" if self.scale == "adamw" else self.scale,
        )
        return [*others, muon]
