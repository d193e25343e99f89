"""Selection by the time of halting."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection, Tries, earliest


@dataclass(frozen=True, slots=True)
class FirstToHalt(Selection):
    """The rollout at which the variant's halting rule held first answers, with what it said then.
    Of several at the same step, and where none has halted yet, it is the one with the highest
    halting logit.
    """

    name: ClassVar[str] = "first_to_halt"

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`."""
        return earliest(tries.halted, tries.now.halt_logits)
