"""What is minimised: the answer loss over labelled cells plus, by weight, the halting losses."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from trm_model.model.batch import IGNORE
from trm_model.model.state import Output
from trm_model.model.variant import Loss, Variant

HALTING_WEIGHT = 0.5
"""The authors' weight of the halting losses (TRM, Figure 3)."""


def log_stablemax(logits: Tensor) -> Tensor:
    """Log of stablemax over the last axis, float64 of the shape of ``logits``: s(x) = x + 1 for
    x >= 0, 1 / (1 - x) below (Prieto et al. 2025, eq. 5).
    """
    logits = logits.double()
    scores = torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)
    return torch.log(scores / scores.sum(dim=-1, keepdim=True))


def log_softmax(logits: Tensor) -> Tensor:
    """Log of softmax over the last axis, float64 of the shape of ``logits``."""
    return logits.double().log_softmax(-1)


LOG_SHARES: dict[Loss, Callable[[Tensor], Tensor]] = {
    "stablemax": log_stablemax,
    "softmax": log_softmax,
}


class Losses(NamedTuple):
    """Of each example, [B]: ``answer`` (float64), ``halt`` and ``go_on`` (float32) losses and the
    ``weight`` of them all (float32); cells that are right and that are labelled (int64).
    """

    answer: Tensor
    halt: Tensor
    go_on: Tensor
    right_cells: Tensor
    labelled_cells: Tensor
    weight: Tensor

    @property
    def total(self) -> Tensor:
        """:meth:`weighted` with the authors' weight."""
        return self.weighted(HALTING_WEIGHT)

    def weighted(self, halting: float) -> Tensor:
        """Sum over the batch of answer loss + ``halting`` times the halting losses, float64
        scalar.
        """
        return (self.weight * (self.answer + halting * (self.halt + self.go_on))).sum()

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
        best = self.answer.detach().view(starts, size).argmin(0)
        where = best * size + torch.arange(size, device=self.answer.device)
        picked = Losses(*(value[where] for value in self))
        return picked._replace(halt=self.halt.view(starts, size).mean(0)), where


def losses(
    output: Output,
    labels: Tensor,
    variant: Variant,
    label_smoothing: float = 0.0,
    unsmoothed: int | None = None,
) -> Losses:
    """Losses of one supervision step of a variant.

    An example's answer loss is the mean cross-entropy over its labelled cells.

    :param labels: int64 [B, L], :data:`IGNORE` where a cell is not counted.
    :param label_smoothing: share of a cell's target that is spread evenly over the vocabulary.
    :param unsmoothed: a token that has no part of that share; None: all have.
    """
    labelled = labels != IGNORE
    count = labelled.sum(-1)
    cell_right = (output.logits.argmax(-1) == labels) & labelled
    right = cell_right.sum(-1)
    log_shares = LOG_SHARES[variant.loss](output.logits)
    picked = log_shares.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    if label_smoothing:
        spread = log_shares.mean(-1)
        if unsmoothed is not None:
            tokens = log_shares.shape[-1]
            spread = (tokens * spread - log_shares[..., unsmoothed]) / (tokens - 1)
        picked = (1.0 - label_smoothing) * picked + label_smoothing * spread
    answer = -torch.where(labelled, picked, 0.0).sum(-1) / count.clamp(min=1)
    judged_right = variant.generation.judged_right(cell_right, right == count)
    judged = variant.halting.loss(output.halt_logits, judged_right)
    halt = variant.generation.halting_loss(judged, labelled)
    return Losses(answer, halt, torch.zeros_like(halt), right, count, torch.ones_like(halt))
