"""Exponential moving average of the weights: what is evaluated (TRM §4.7)."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """``average = decay * average + (1 - decay) * weight`` after each optimizer step.

    :param start: for so many steps the average equals the weights; 0: it starts from the first
        weights.
    """

    def __init__(self, module: nn.Module, decay: float, start: int = 0) -> None:
        self._start = start
        self._update = get_ema_multi_avg_fn(decay)
        self.average: dict[str, Tensor] = {
            name: p.detach().clone() for name, p in module.named_parameters()
        }

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after optimizer step 1, 2 and so on."""
        weights = dict(module.named_parameters())
        averages = list(self.average.values())
        current = [weights[name].detach() for name in self.average]
        if step > self._start:
            self._update(averages, current, 0)
        else:
            for average, weight in zip(averages, current, strict=True):
                average.copy_(weight)
