"""TRM's halting."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.model.haltings.halting import Halting


@dataclass(frozen=True, slots=True)
class BinaryCrossEntropy(Halting):
    """The halting head learns whether the answer is right; a positive logit halts (TRM §4.6)."""

    name: ClassVar[str] = "bce"

    def wants(self, halt_logits: Tensor, continue_logits: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del continue_logits, solved
        return halt_logits > 0
