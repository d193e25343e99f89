"""Adam without an epsilon."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from trm_model.optimizers.optimizer import Optimizer, Weights


class Atan2Steps(torch.optim.Optimizer):
    """Adam with ``atan2(m, sqrt(v))`` in place of ``m / (sqrt(v) + eps)`` and decoupled decay."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; ``closure`` is torch's interface and is not called."""
        del closure
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = torch.zeros((), dtype=torch.float32)
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                state["step"] += 1
                count = float(state["step"])
                state["exp_avg"].lerp_(p.grad, 1.0 - beta1)
                state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1.0 - beta2)
                mean = state["exp_avg"] / (1.0 - beta1**count)
                square = state["exp_avg_sq"] / (1.0 - beta2**count)
                p.mul_(1.0 - group["lr"] * group["weight_decay"])
                p.add_(torch.atan2(mean, square.sqrt()), alpha=-group["lr"])


@dataclass(frozen=True, slots=True)
class AdamAtan2(Optimizer):
    """Adam with ``atan2``: no epsilon, invariant to the loss's scale (Everett et al. 2024,
    arXiv 2407.05872), with both constants 1 as in the package that HRM and TRM use.
    """

    name: ClassVar[str] = "adam_atan2"

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
        return [Atan2Steps(weights.all, 0.0, betas, weight_decay)]
