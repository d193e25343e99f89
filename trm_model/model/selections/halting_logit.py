"""Selection by the halting head."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.model.selections.selection import Judged, Selection


@dataclass(frozen=True, slots=True)
class HaltingLogit(Selection):
    """The rollout with the highest halting logit answers (SiC, arXiv 2601.19085; PTRM,
    arXiv 2605.19943).
    """

    name: ClassVar[str] = "halting_logit"

    def select(self, tries: Judged) -> Judged:
        """See :class:`Selection`."""
        best = tries.halt_logits.argmax(0)
        examples = torch.arange(len(best), device=best.device)
        return Judged(*(each[best, examples] for each in tries))
