"""Optimizers of the network's weights and the learning-rate schedule."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from trm_model.model.reasoner import Reasoner
from trm_model.training.recipe import Recipe


class AdamAtan2(torch.optim.Optimizer):
    """Adam with ``atan2(m, sqrt(v))`` in place of ``m / (sqrt(v) + eps)``: no epsilon, invariant to
    the loss's scale.

    Everett et al. 2024 (arXiv 2407.05872), with both constants 1 as in the package that HRM and TRM
    use; decoupled decay.
    """

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
        assert closure is None, "AdamAtan2 takes no closure"
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
                mean, square = (
                    state["exp_avg"] / (1.0 - beta1**count),
                    state["exp_avg_sq"] / (1.0 - beta2**count),
                )
                p.mul_(1.0 - group["lr"] * group["weight_decay"]).add_(
                    torch.atan2(mean, square.sqrt()), alpha=-group["lr"]
                )


def make_optimizers(reasoner: Reasoner, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimizers of a model's weights; their rates are set each step (:func:`warmup`).

    One, the recipe's; or, for variants with Muon (Jordan 2024), Muon for the networks' matrices and
    the recipe's for all else. Muon's step is rescaled to the size of an AdamW step (Liu et al.
    2025), so that the recipe's rate and decay serve both. Stacked matrices (queries, keys and
    values; gate and up) are orthogonalised as one.
    """
    matrices: list[nn.Parameter] = []
    if reasoner.variant.optimizer == "muon":
        matrices = [p for p in reasoner.networks.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in reasoner.parameters() if id(p) not in chosen]
    common: dict[str, Any] = {"lr": 0.0, "betas": recipe.betas, "weight_decay": recipe.weight_decay}
    others = (
        AdamAtan2(rest, **common)
        if recipe.optimizer == "adam_atan2"
        else torch.optim.AdamW(rest, **common, fused=True)
    )
    if not matrices:
        return [others]
    return [
        others,
        torch.optim.Muon(
            matrices, lr=0.0, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
    ]


def warmup(step: int, warmup_steps: int) -> float:
    """Factor on the rates at optimizer step 1, 2, …: linear up to 1 at ``warmup_steps``, constant
    after."""
    return min(1.0, step / warmup_steps) if warmup_steps else 1.0
