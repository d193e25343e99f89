"""Optimizers of the network's weights and the learning-rate schedule."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from trm_model.recipe import Recipe


class AdamAtan2(torch.optim.Optimizer):
    """Adam with ``atan2(m, sqrt(v))`` in place of ``m / (sqrt(v) + eps)``: no epsilon, invariant to the loss's scale.

    Everett et al. 2024 (arXiv 2407.05872), with both constants 1 as in the package that HRM and TRM use; decoupled decay.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "AdamAtan2 takes no closure"
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            params: list[nn.Parameter] = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if not self.state[p]:
                    self.state[p].update(
                        step=torch.zeros((), dtype=torch.float32),
                        exp_avg=torch.zeros_like(p),
                        exp_avg_sq=torch.zeros_like(p),
                    )
            gradients: list[Tensor] = [p.grad for p in params if p.grad is not None]
            means: list[Tensor] = [self.state[p]["exp_avg"] for p in params]
            squares: list[Tensor] = [self.state[p]["exp_avg_sq"] for p in params]
            for p in params:
                self.state[p]["step"] += 1
            torch._foreach_lerp_(means, gradients, 1.0 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - beta2)
            torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])
            for p, mean, square in zip(params, means, squares, strict=True):
                count = float(self.state[p]["step"])
                update = torch.atan2(mean / (1.0 - beta1**count), (square / (1.0 - beta2**count)).sqrt())
                p.add_(update, alpha=-group["lr"])


def make_optimizer(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer; its rate is set each step (:func:`warmup`)."""
    common: dict[str, Any] = {"lr": 0.0, "betas": recipe.betas, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "adam_atan2":
        return AdamAtan2(parameters, **common)
    return torch.optim.AdamW(parameters, **common, fused=True)


def warmup(step: int, warmup_steps: int) -> float:
    """Factor on the rates at optimizer step 1, 2, …: linear up to 1 at ``warmup_steps``, constant after."""
    return min(1.0, step / warmup_steps) if warmup_steps else 1.0
