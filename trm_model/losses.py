"""What is minimised: the answer loss over labelled cells plus half the halting loss."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.reasoner import Output
from trm_model.variant import Halting

IGNORE = -100
"""Label of a cell that is not counted (the authors' value)."""


def log_stablemax(logits: Tensor) -> Tensor:
    """Log of stablemax over the last axis, in float64: s(x) = x + 1 for x >= 0, 1 / (1 - x) below (Prieto et al. 2025, eq. 5)."""
    logits = logits.double()
    scores = torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)
    return torch.log(scores / scores.sum(dim=-1, keepdim=True))


class Losses(NamedTuple):
    """Per example, each [B]: ``answer`` (float64) and ``halt`` (float32) losses; ``cells`` right and labelled (int64)."""

    answer: Tensor
    halt: Tensor
    right_cells: Tensor
    labelled_cells: Tensor

    @property
    def total(self) -> Tensor:
        """Sum over the batch of answer loss + halting loss / 2 (TRM, Figure 3; authors' weights). Scalar."""
        return self.answer.sum() + 0.5 * self.halt.sum()

    @property
    def solved(self) -> Tensor:
        """Whether every labelled cell is right, bool [B]."""
        return self.right_cells == self.labelled_cells


def losses(output: Output, labels: Tensor, halting: Halting) -> Losses:
    """Losses of one supervision step.

    :param labels: int64 [B, L], :data:`IGNORE` where a cell is not counted. An example's answer loss is the mean stablemax
        cross-entropy over its labelled cells.
    :param halting: ``bce``: the halting loss is the cross-entropy of "every labelled cell is right" (TRM §4.6).
    """
    labelled = labels != IGNORE
    count = labelled.sum(-1)
    right = ((output.logits.argmax(-1) == labels) & labelled).sum(-1)
    picked = log_stablemax(output.logits).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    answer = -torch.where(labelled, picked, 0.0).sum(-1) / count.clamp(min=1)
    if halting == "bce":
        halt = F.binary_cross_entropy_with_logits(output.halt_logits, (right == count).float(), reduction="none")
    else:
        halt = torch.zeros_like(output.halt_logits)
    return Losses(answer, halt, right, count)
