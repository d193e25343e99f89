"""What is minimised: the answer loss over labelled cells plus half the halting losses."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.model.batch import IGNORE
from trm_model.model.state import Output
from trm_model.model.variant import Halting, Loss


def log_stablemax(logits: Tensor) -> Tensor:
    """Log of stablemax over the last axis, in float64: s(x) = x + 1 for x >= 0, 1 / (1 - x) below
    (Prieto et al. 2025, eq. 5)."""
    logits = logits.double()
    scores = torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)
    return torch.log(scores / scores.sum(dim=-1, keepdim=True))


class Losses(NamedTuple):
    """Per example, each [B]: ``answer`` (float64), ``halt`` and ``go_on`` (float32) losses,
    ``weight`` of them all; ``cells`` right and labelled (int64)."""

    answer: Tensor
    halt: Tensor
    go_on: Tensor
    right_cells: Tensor
    labelled_cells: Tensor
    weight: Tensor

    @property
    def total(self) -> Tensor:
        """Sum over the batch of answer loss + halting losses / 2 (TRM, Figure 3; authors' weights).
        Scalar."""
        return (self.weight * (self.answer + 0.5 * (self.halt + self.go_on))).sum()

    @property
    def solved(self) -> Tensor:
        """Whether every labelled cell is right, bool [B]."""
        return self.right_cells == self.labelled_cells

    def winners(self, starts: int) -> tuple["Losses", Tensor]:
        """Of [starts * B] the start of each example with the lowest answer loss, and where it
        stands, int64 [B].

        The halting loss is the mean over the starts: at test it must tell them apart.
        """
        size = len(self.answer) // starts
        where = self.answer.detach().view(starts, size).argmin(0) * size + torch.arange(
            size, device=self.answer.device
        )
        picked = Losses(*(value[where] for value in self))
        return picked._replace(halt=self.halt.view(starts, size).mean(0)), where


def losses(
    output: Output, labels: Tensor, *, halting: Halting = "bce", loss: Loss = "stablemax"
) -> Losses:
    """Losses of one supervision step.

    :param labels: int64 [B, L], :data:`IGNORE` where a cell is not counted. An example's answer
        loss is the mean cross-entropy over its labelled cells.
    :param halting: where it has a head, the halting loss is the cross-entropy of "every labelled
        cell is right" (HRM §2, TRM §4.6); where the head judges cells, the mean over labelled cells
        of that of "this cell is right".
    """
    labelled = labels != IGNORE
    count = labelled.sum(-1)
    cell_right = (output.logits.argmax(-1) == labels) & labelled
    right = cell_right.sum(-1)
    log_shares = (
        log_stablemax(output.logits)
        if loss == "stablemax"
        else output.logits.double().log_softmax(-1)
    )
    picked = log_shares.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    answer = -torch.where(labelled, picked, 0.0).sum(-1) / count.clamp(min=1)
    zero = torch.zeros_like(count, dtype=torch.float32)
    halt = zero
    if halting in ("bce", "q_learning", "compared"):
        cells = output.halt_logits.ndim == 2
        halt = F.binary_cross_entropy_with_logits(
            output.halt_logits, (cell_right if cells else right == count).float(), reduction="none"
        )
        if cells:
            halt = torch.where(labelled, halt, 0.0).sum(-1) / count.clamp(min=1)
    return Losses(answer, halt, zero, right, count, torch.ones_like(zero))


def going_on(now: Output, following: Output, last: Tensor) -> Tensor:
    """Q-learning's loss of the continuing head, float32 [B]: its target is the best head of the
    step that follows (HRM §2).

    :param last: bool [B], examples at their last step, which can only halt.
    """
    best = torch.where(
        last, following.halt_logits, torch.maximum(following.halt_logits, following.continue_logits)
    )
    return F.binary_cross_entropy_with_logits(
        now.continue_logits, best.sigmoid().detach(), reduction="none"
    )
