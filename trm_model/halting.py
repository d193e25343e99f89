"""When a carried example is replaced by a fresh one (adaptive computation time; HRM §2, TRM §4.6)."""

import torch
from torch import Tensor

from trm_model.variant import Halting


def earliest_halts(batch_size: int, max_steps: int, exploration: float, generator: torch.Generator) -> Tensor:
    """The step before which each example may not halt, int64 [B] on the generator's device.

    With probability ``exploration`` a step drawn uniformly from 2..max_steps, else 0 (HRM §2).
    """
    device = generator.device
    explores = torch.rand(batch_size, generator=generator, device=device) < exploration
    drawn = torch.randint(min(2, max_steps), max_steps + 1, (batch_size,), generator=generator, device=device)
    return torch.where(explores, drawn, 0)


def halts(halt_logits: Tensor, steps: Tensor, *, halting: Halting, max_steps: int, earliest: Tensor | int = 0) -> Tensor:
    """Which examples halt after ``steps`` [B] supervision steps, bool [B]: all at ``max_steps``, others by a positive logit."""
    last = steps >= max_steps
    if halting == "none":
        return last
    return last | ((halt_logits > 0) & (steps >= earliest))
