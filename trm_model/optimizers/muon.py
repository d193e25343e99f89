"""Muon for the networks' matrices."""

# torch documents its operations on several tensors by names that begin so.
# pyright: reportPrivateUsage=false

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.optimizers.optimizer import Optimizer, Weights

ADJUSTED: dict[str, Callable[[int, int], float]] = {
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
    "original": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
}
"""torch's name -> factor on the rate of a matrix by its shape."""


def orthogonalised(
    matrices: Tensor, coefficients: tuple[float, float, float], iterations: int, epsilon: float
) -> Tensor:
    """Each of [K, M, N] with all its singular values brought near 1 by Newton and Schulz's
    iteration, in bfloat16 as in torch's Muon, which takes one matrix at a time.
    """
    a, b, c = coefficients
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=epsilon)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class MuonSteps(torch.optim.Muon):
    """torch's Muon with Nesterov's momentum, its settings and state, in few operations: one for all
    weights, or for all matrices of a shape.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One step; ``closure`` is torch's interface and is not called."""
        del closure
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            means = [self._mean(p) for p in weights]
            torch._foreach_lerp_(means, gradients, 1.0 - momentum)
            updates = torch._foreach_lerp(gradients, means, momentum)
            torch._foreach_mul_(weights, 1.0 - rate * group["weight_decay"])
            for rows, columns in {p.shape for p in weights}:
                alike = [n for n, p in enumerate(weights) if p.shape == (rows, columns)]
                steps = orthogonalised(
                    torch.stack([updates[n] for n in alike]),
                    group["ns_coefficients"],
                    group["ns_steps"],
                    group["eps"],
                )
                torch._foreach_add_(
                    [weights[n] for n in alike],
                    list(steps.float().unbind()),
                    alpha=-rate * ADJUSTED[group["adjust_lr_fn"]](rows, columns),
                )

    def _mean(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        return state["momentum_buffer"]


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
        muon = MuonSteps(
            weights.matrices,
            lr=0.0,
            weight_decay=weight_decay,
            momentum=self.momentum,
            ns_steps=self.iterations,
            adjust_lr_fn="match_rms_adamw" if self.scale == "adamw" else self.scale,
        )
        return [*others, muon]
