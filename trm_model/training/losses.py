"""What is minimised: the answer loss over labelled cells plus, by weight, the halting losses."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from trm_model.model.batch import IGNORE
from trm_model.model.state import Output
from trm_model.model.variant import Loss, Variant

HALTING_WEIGHT = 0.5
"""The authors' weight of the halting losses (TRM, Figure 3)."""


class _Shares(NamedTuple):
    """Of logits over the last axis: ``share``, stablemax itself, and ``rest``, 1 minus it without
    cancellation, of their shape; ``best``, where the largest stands, and what ``others`` have
    together for each unit that it has, [..., 1]."""

    share: Tensor
    rest: Tensor
    best: Tensor
    others: Tensor

    @staticmethod
    def of(logits: Tensor) -> "_Shares":
        size = logits.abs() + 1.0
        score = torch.where(logits < 0, size.reciprocal(), size)
        best = score.argmax(-1, keepdim=True)
        top = score.gather(-1, best)
        unit = score / top
        # Infinite scores, of which no shares can be made, give NaN.
        others = unit.scatter(-1, best, top - top).sum(-1, keepdim=True)
        share = unit / (1.0 + others)
        # No other share is above one half, so that 1 minus it loses nothing.
        rest = (1.0 - share).scatter(-1, best, others / (1.0 + others))
        return _Shares(share, rest, best, others)


class _LogStablemax(torch.autograd.Function):
    """:func:`log_stablemax`; each step keeps its relative precision, also of the gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        share, _, best, others = _Shares.of(logits)
        score = logits.sign() * logits.abs().log1p()
        # Where a share is too small to be written, its logarithm is not.
        small = score - score.gather(-1, best) - others.log1p()
        logs = torch.where(share > torch.finfo(share.dtype).tiny, share.log(), small)
        return logs.scatter(-1, best, -others.log1p())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (logits,) = ctx.saved_tensors
        share, rest, _, _ = _Shares.of(logits)
        of_others = gradient.sum(-1, keepdim=True) - gradient
        return (gradient * rest - share * of_others) / (logits.abs() + 1.0)


def log_stablemax(logits: Tensor) -> Tensor:
    """Log of stablemax over the last axis, of the shape and type of ``logits``: s(x) = x + 1 for
    x >= 0, 1 / (1 - x) below (Prieto et al. 2025, eq. 5).

    In float32 it and its gradient have relative errors below 1e-6, for logits up to 1e37 of either
    sign.
    """
    return cast(Tensor, _LogStablemax.apply(logits))


def log_softmax(logits: Tensor) -> Tensor:
    """Log of softmax over the last axis, of the shape and type of ``logits``."""
    return logits.log_softmax(-1)


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
    tokens: int | None = None,
) -> Losses:
    """Losses of one supervision step of a variant.

    An example's answer loss is the mean cross-entropy over its labelled cells.

    :param labels: int64 [B, L], :data:`IGNORE` where a cell is not counted.
    :param label_smoothing: share of a cell's target that is spread evenly over the vocabulary.
    :param unsmoothed: a token that has no part of that share; None: all have.
    :param tokens: the size of the vocabulary: further logits, such as a mask's, are of no token
        that a label can be; None: there are none.
    """
    labelled = labels != IGNORE
    count = labelled.sum(-1)
    cell_right = (output.logits.argmax(-1) == labels) & labelled
    right = cell_right.sum(-1)
    log_shares = LOG_SHARES[variant.loss](output.logits)
    picked = log_shares.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    if label_smoothing:
        of_tokens = log_shares[..., :tokens]
        spread, size = of_tokens.mean(-1), of_tokens.shape[-1]
        if unsmoothed is not None:
            spread = (size * spread - of_tokens[..., unsmoothed]) / (size - 1)
        picked = (1.0 - label_smoothing) * picked + label_smoothing * spread
    answer = -torch.where(labelled, picked, 0.0).sum(-1, dtype=torch.float64) / count.clamp(min=1)
    judged_right = variant.generation.judged_right(cell_right, right == count)
    judged = variant.halting.loss(output.halt_logits, judged_right)
    halt = variant.generation.halting_loss(judged, labelled)
    return Losses(answer, halt, torch.zeros_like(halt), right, count, torch.ones_like(halt))
