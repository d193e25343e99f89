"""Exploration of longer thinking: some examples may not halt at once (HRM §2)."""

import torch
from torch import Tensor


def earliest_halts(
    batch_size: int, max_steps: int, exploration: float, generator: torch.Generator
) -> Tensor:
    """The step before which each example may not halt, int64 [B].

    With probability ``exploration`` a step drawn uniformly from 2..max_steps, else 0 (HRM §2).
    """
    explores = torch.rand(batch_size, generator=generator) < exploration
    drawn = torch.randint(min(2, max_steps), max_steps + 1, (batch_size,), generator=generator)
    return torch.where(explores, drawn, 0)
