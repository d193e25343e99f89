"""No halting."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.model.haltings.halting import Halting, untrained


@dataclass(frozen=True, slots=True)
class AllSteps(Halting):
    """Every example takes all its supervision steps; no head learns."""

    name: ClassVar[str] = "none"

    def loss(self, halt_logits: Tensor, right: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del right
        return untrained(halt_logits)

    def wants(self, halt_logits: Tensor, continue_logits: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del halt_logits, continue_logits
        return torch.zeros_like(solved)
