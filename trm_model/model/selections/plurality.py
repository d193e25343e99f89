"""Selection by votes on cells."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection, Tries


@dataclass(frozen=True, slots=True)
class Plurality(Selection):
    """Each cell has the token that most rollouts gave it, the smallest of equally frequent ones
    (DRM); its logits are the means of theirs.
    """

    name: ClassVar[str] = "plurality"

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`."""
        answers, halting, going_on = tries.now
        return Judged(answers.mode(0).values, halting.mean(0), going_on.mean(0))
