"""Halting that looks at the label."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.model.haltings.halting import Halting, untrained


@dataclass(frozen=True, slots=True)
class WhenSolved(Halting):
    """An example is replaced as soon as its answer is right; no head learns (TRM, ideas that
    failed).
    """

    name: ClassVar[str] = "solved"

    def loss(self, halt_logits: Tensor, right: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del right
        return untrained(halt_logits)

    def wants(self, halt_logits: Tensor, continue_logits: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del halt_logits, continue_logits
        return solved
