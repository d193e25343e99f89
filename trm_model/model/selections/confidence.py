"""Selection by votes on cells that count as much as they are sure."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection, Tries


@dataclass(frozen=True, slots=True)
class ConfidenceVote(Selection):
    """Each cell has the token with the highest sum of the probabilities that the rollouts which
    chose it give it, the smallest of equal ones; its logits are the means of theirs.
    """

    name: ClassVar[str] = "confidence"

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`."""
        answers, halting, going_on = tries.now
        votes = tries.confidence.new_zeros(*answers.shape[1:], int(answers.max()) + 1)
        for tokens, sure in zip(answers, tries.confidence, strict=True):
            votes.scatter_add_(-1, tokens.unsqueeze(-1), sure.unsqueeze(-1))
        return Judged(votes.argmax(-1), halting.mean(0), going_on.mean(0))
