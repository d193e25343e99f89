"""The direct baseline's halting."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.model.haltings.halting import Halting


@dataclass(frozen=True, slots=True)
class Compared(Halting):
    """The halting head learns whether the answer is right; its logit must exceed that of the
    continuing head, which nothing trains (the authors' direct baseline).
    """

    name: ClassVar[str] = "compared"
    not_causal: ClassVar[str] = (
        "there is no value of going on for single cells; use halting=BinaryCrossEntropy()"
    )

    def wants(self, halt_logits: Tensor, continue_logits: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del solved
        return halt_logits > continue_logits
