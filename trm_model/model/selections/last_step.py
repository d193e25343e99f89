"""No selection."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection, Tries


@dataclass(frozen=True, slots=True)
class LastStep(Selection):
    """The first rollout answers, with what it says after the last step: what a single one does."""

    name: ClassVar[str] = "last_step"

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`."""
        return Judged(*(each[0] for each in tries.now))
