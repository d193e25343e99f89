"""Selection by votes on cells."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.model.selections.selection import Selection


@dataclass(frozen=True, slots=True)
class Plurality(Selection):
    """Each cell has the token that most rollouts gave it, the smallest of equally frequent ones
    (DRM); the halting logit is the mean of theirs.
    """

    name: ClassVar[str] = "plurality"

    def select(self, predictions: Tensor, halt_logits: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Selection`."""
        return predictions.mode(0).values, halt_logits.mean(0)
