"""Adam without an epsilon."""

# torch documents its operations on several tensors by names that begin so.
# pyright: reportPrivateUsage=false

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from trm_model.optimizers.optimizer import Optimizer, Weights


class Atan2Steps(torch.optim.Optimizer):
    """Adam with ``atan2(m, sqrt(v))`` in place of ``m / (sqrt(v) + eps)`` and decoupled decay, for
    all weights in few operations.
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
        """One step; ``closure`` is torch's interface and is not called."""
        del closure
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            states = [self._state(p) for p in weights]
            steps, means, squares = (
                [state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq")
            )
            torch._foreach_add_(steps, 1.0)
            counts = [float(step) for step in steps]
            torch._foreach_lerp_(means, gradients, 1.0 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, value=1.0 - beta2)
            mean = torch._foreach_div(means, [1.0 - beta1**count for count in counts])
            root = torch._foreach_div(squares, [1.0 - beta2**count for count in counts])
            torch._foreach_sqrt_(root)
            # There is no such function for several tensors.
            for one, other in zip(mean, root, strict=True):
                one.atan2_(other)
            torch._foreach_mul_(weights, 1.0 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, mean, alpha=-group["lr"])

    def _state(self, p: nn.Parameter) -> dict[str, Tensor]:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        return state


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
