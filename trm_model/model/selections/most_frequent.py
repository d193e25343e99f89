"""Selection by votes on whole answers."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.model.selections.selection import Judged, Selection, Tries, best


@dataclass(frozen=True, slots=True)
class MostFrequent(Selection):
    """The answer that most rollouts gave; of equally frequent ones, that of the earlier rollout."""

    name: ClassVar[str] = "most_frequent"

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`."""
        answers = tries.now.prediction
        # One rollout after the other, which needs K times less memory than all pairs.
        votes = [(answers == one).all(-1).sum(0) for one in answers]
        return best(tries.now, torch.stack(votes))
