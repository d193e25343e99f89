"""Selection by the halting head."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection, Tries, best


@dataclass(frozen=True, slots=True)
class HaltingLogit(Selection):
    """The rollout with the highest halting logit answers (SiC, arXiv 2601.19085; PTRM,
    arXiv 2605.19943).
    """

    name: ClassVar[str] = "halting_logit"

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`."""
        return best(tries.now, tries.now.halt_logits)
