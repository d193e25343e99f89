"""Selection by the halting head."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.model.selections.selection import Selection


@dataclass(frozen=True, slots=True)
class HaltingLogit(Selection):
    """The rollout with the highest halting logit answers (SiC, arXiv 2601.19085; PTRM,
    arXiv 2605.19943).
    """

    name: ClassVar[str] = "halting_logit"

    def select(self, predictions: Tensor, halt_logits: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Selection`."""
        best = halt_logits.argmax(0)
        return predictions[best, torch.arange(len(best), device=best.device)], halt_logits.amax(0)
