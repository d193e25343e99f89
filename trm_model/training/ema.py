"""Exponential moving average of the weights: what is evaluated (TRM §4.7)."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """``average = decay * average + (1 - decay) * weight`` after each optimizer step, starting from
    the first weights."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._update = get_ema_multi_avg_fn(decay)
        self.average: dict[str, Tensor] = {
            name: p.detach().clone() for name, p in module.named_parameters()
        }

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        weights = dict(module.named_parameters())
        self._update(
            list(self.average.values()), [weights[name].detach() for name in self.average], 0
        )
