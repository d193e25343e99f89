"""When a carried example is replaced by a fresh one (adaptive computation time; HRM §2, TRM
§4.6)."""

import torch
from torch import Tensor

from trm_model.model.variant import Halting


def earliest_halts(
    batch_size: int, max_steps: int, exploration: float, generator: torch.Generator
) -> Tensor:
    """The step before which each example may not halt, int64 [B] on the generator's device.

    With probability ``exploration`` a step drawn uniformly from 2..max_steps, else 0 (HRM §2).
    """
    device = generator.device
    explores = torch.rand(batch_size, generator=generator, device=device) < exploration
    drawn = torch.randint(
        min(2, max_steps), max_steps + 1, (batch_size,), generator=generator, device=device
    )
    return torch.where(explores, drawn, 0)


def example_logits(halt_logits: Tensor, counted: Tensor) -> Tensor:
    """One halting logit per example, [B]: its own, or the least of those of its cells [B, L] that
    are ``counted``, bool [B, L], since an example is finished when its last cell is."""
    return (
        halt_logits
        if halt_logits.ndim == 1
        else halt_logits.masked_fill(~counted, torch.inf).amin(-1)
    )


def halts(
    halt_logits: Tensor,
    continue_logits: Tensor,
    solved: Tensor,
    steps: Tensor,
    *,
    halting: Halting,
    max_steps: int,
    earliest: Tensor | int = 0,
) -> Tensor:
    """Which examples halt after ``steps`` [B] supervision steps, bool [B].

    All at ``max_steps``; others, from step ``earliest`` on, by a positive halting logit (``bce``),
    by one above the continuing logit (``q_learning``, ``compared``) or when ``solved`` [B]; with
    ``none``, no others.
    """
    last = steps >= max_steps
    match halting:
        case "bce":
            wants = halt_logits > 0
        case "q_learning" | "compared":
            wants = halt_logits > continue_logits
        case "solved":
            wants = solved
        case "none":
            return last
    return last | (wants & (steps >= earliest))
