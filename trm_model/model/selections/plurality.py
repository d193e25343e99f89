"""Selection by votes on cells."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection


@dataclass(frozen=True, slots=True)
class Plurality(Selection):
    """Each cell has the token that most rollouts gave it, the smallest of equally frequent ones
    (DRM); its logits are the means of theirs.
    """

    name: ClassVar[str] = "plurality"

    def select(self, tries: Judged) -> Judged:
        """See :class:`Selection`."""
        cells = tries.prediction.mode(0).values
        return Judged(cells, tries.halt_logits.mean(0), tries.continue_logits.mean(0))
