"""One supervision step of training, on the carried examples: the deep supervision of HRM and TRM."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trm_model.halting import halts
from trm_model.losses import Losses, losses
from trm_model.reasoner import Output, Reasoner, State


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples on one device: ``inputs`` int64 [B, L], ``labels`` int64 [B, L] (IGNORE: not counted), ``puzzle_ids`` int64 [B]."""

    inputs: Tensor
    labels: Tensor
    puzzle_ids: Tensor

    def where(self, mask: Tensor, other: "Batch") -> "Batch":
        """These examples where ``mask`` [B] holds, ``other``'s elsewhere."""
        rows = mask.unsqueeze(-1)
        return Batch(
            torch.where(rows, self.inputs, other.inputs),
            torch.where(rows, self.labels, other.labels),
            torch.where(mask, self.puzzle_ids, other.puzzle_ids),
        )


@dataclass(frozen=True, slots=True)
class Carry:
    """What training carries between optimizer steps: examples, their state, their steps so far [B] and who has halted [B]."""

    batch: Batch
    state: State
    steps: Tensor
    halted: Tensor

    @staticmethod
    def fresh(reasoner: Reasoner, batch: Batch) -> "Carry":
        """Every example of ``batch`` at its first step."""
        size = len(batch.inputs)
        device = batch.inputs.device
        return Carry(
            batch,
            reasoner.start(size),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros(size, dtype=torch.bool, device=device),
        )

    def refill(self, reasoner: Reasoner, batch: Batch) -> "Carry":
        """Halted examples replaced by the fresh ones at their place in ``batch``."""
        return Carry(
            batch.where(self.halted, self.batch),
            reasoner.start(len(self.steps)).where(self.halted, self.state),
            torch.where(self.halted, 0, self.steps),
            torch.zeros_like(self.halted),
        )


@dataclass(frozen=True, slots=True)
class Supervision:
    """Result of one supervision step; ``carry`` is detached; ``rows`` are the puzzle rows read, with ``grad`` after backward."""

    output: Output
    losses: Losses
    carry: Carry
    rows: Tensor


def supervise(reasoner: Reasoner, carry: Carry, *, max_steps: int, earliest: Tensor | int = 0) -> Supervision:
    """Run one supervision step on ``carry`` (already refilled) and decide who halts.

    :param earliest: see :func:`trm_model.halting.earliest_halts`.
    """
    rows = reasoner.puzzle_rows[carry.batch.puzzle_ids].requires_grad_(torch.is_grad_enabled())
    output = reasoner(carry.batch.inputs, rows, carry.state)
    result = losses(output, carry.batch.labels, reasoner.variant.halting)
    steps = carry.steps + 1
    halted = halts(output.halt_logits.detach(), steps, halting=reasoner.variant.halting, max_steps=max_steps, earliest=earliest)
    return Supervision(output, result, Carry(carry.batch, output.state.detach(), steps, halted), rows)
