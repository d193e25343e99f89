"""The axis of how one answer is chosen among the rollouts of an example."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from trm_model.choices import Choice

NEVER = 0
"""Number of the step at which something first held, where it has not."""
LONGEST_WINDOW = 64
"""Steps whose residuals are kept."""


class Judged(NamedTuple):
    """Answers and the halting head's judgement of each: ``prediction`` int64 [..., L],
    ``halt_logits`` and ``continue_logits`` float32 [...].
    """

    prediction: Tensor
    halt_logits: Tensor
    continue_logits: Tensor

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Judged":
        """The same with ``change`` applied to each tensor."""
        return Judged(*map(change, self))

    def where(self, mask: Tensor, other: "Judged") -> "Judged":
        """These answers where ``mask`` bool [...] holds, ``other``'s elsewhere."""
        return Judged(
            torch.where(mask.unsqueeze(-1), self.prediction, other.prediction),
            torch.where(mask, self.halt_logits, other.halt_logits),
            torch.where(mask, self.continue_logits, other.continue_logits),
        )


class First(NamedTuple):
    """The first answer of each rollout that something holds of: ``step`` int64 [K, B] from 1,
    :data:`NEVER` where there is none yet, and ``answer`` of [K, B], the present one there.
    """

    step: Tensor
    answer: Judged

    @classmethod
    def none(cls, now: Judged) -> "First":
        """Before the first step."""
        return cls(torch.full_like(now.prediction[..., 0], NEVER), now)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "First":
        """The same with ``change`` applied to each tensor."""
        return First(change(self.step), self.answer.mapped(change))

    def after(self, step: int, holds: Tensor, now: Judged) -> "First":
        """The same after the supervision step ``step``, at which ``holds`` bool [K, B]."""
        before = self.step != NEVER
        return First(torch.where(holds & ~before, step, self.step), self.answer.where(before, now))


class Tries(NamedTuple):
    """What is known of K rollouts of each of B examples after a supervision step; no more of the
    steps before it, so that memory does not grow with the depth.

    :param now: the answers, of [K, B]; of a rollout that has stopped, those it stopped with.
    :param confidence: float32 [K, B, L], the probability of each cell's token.
    :param residuals: float32 [K, B] each, how much each of the last up to :data:`LONGEST_WINDOW`
        steps has changed the latents (of a variant without: the answer), as the root of the mean
        square; the first step, before which nothing is known, has none.
    :param computed: float32 [K, B], steps that each has taken (of cells that halt one by one, the
        mean); one that has stopped takes no more.
    :param halted: the answers at which the variant's halting rule first held.
    :param valid: the first answers that the family's verifier accepts; None: there is none.
    """

    now: Judged
    confidence: Tensor
    residuals: tuple[Tensor, ...]
    computed: Tensor
    halted: First
    valid: First | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Tries":
        """The same with ``change`` applied to each tensor."""
        return Tries(
            self.now.mapped(change),
            change(self.confidence),
            tuple(map(change, self.residuals)),
            change(self.computed),
            self.halted.mapped(change),
            None if self.valid is None else self.valid.mapped(change),
        )

    def of_examples(self, size: int) -> "Tries":
        """Of [K, B] where these are of [K B], with B = ``size``."""
        return self.mapped(lambda each: each.unflatten(0, (-1, size)))

    @staticmethod
    def joined(parts: Sequence["Tries"]) -> "Tries":
        """Of the rollouts of the first part, then of those of the next, and so on."""
        if len(parts) == 1:
            return parts[0]
        leaves: list[list[Tensor]] = [[] for _ in parts]
        for part, found in zip(parts, leaves, strict=True):
            part.mapped(partial(_noted, found))
        each = zip(*leaves, strict=True)
        return parts[0].mapped(lambda _: torch.cat(next(each)))

    def first(self, count: int) -> "Tries":
        """Of the first ``count`` rollouts alone."""
        return self.mapped(lambda each: each[:count])


def _noted(found: list[Tensor], each: Tensor) -> Tensor:
    found.append(each)
    return each


class Selection(Choice, axis=True):
    """How one answer is chosen among the rollouts of an example."""

    __slots__ = ()
    uses_verifier: ClassVar[bool] = False
    """Whether it asks the family's verifier, which tells right answers without their labels."""

    def select(self, tries: Tries) -> Judged:
        """The answer chosen for each of B examples, with the logits that it is judged by, of
        [B].
        """
        raise NotImplementedError


def best(answers: Judged, score: Tensor) -> Judged:
    """Of answers of [K, B] those with the highest score [K, B], the first of equal ones."""
    chosen = score.argmax(0)
    examples = torch.arange(len(chosen), device=chosen.device)
    return Judged(*(each[chosen, examples] for each in answers))


def earliest(first: First, otherwise: Tensor) -> Judged:
    """The answer of the rollout at whose earliest step something held; of several at the same step,
    and where it never held, the one with the highest halting logit.

    :param otherwise: float32 [K, B], the halting logits of the present answers.
    """
    step = torch.where(first.step == NEVER, torch.iinfo(torch.int64).max, first.step)
    logits = torch.where(first.step == NEVER, otherwise, first.answer.halt_logits)
    candidate = step == step.amin(0)
    return best(first.answer, logits.masked_fill(~candidate, -torch.inf))
