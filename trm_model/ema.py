"""Exponential moving average of the weights: what is evaluated (TRM §4.7)."""

import torch
from torch import Tensor, nn


class Ema:
    """``average = decay * average + (1 - decay) * weight`` after each optimizer step, starting from the first weights."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        weights = dict(module.named_parameters())
        torch._foreach_lerp_(
            list(self.average.values()), [weights[name].detach() for name in self.average], 1.0 - self.decay
        )
