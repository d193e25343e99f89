"""HRM's halting."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.errors import require
from trm_model.model.haltings.halting import Halting
from trm_model.model.part import Facts
from trm_model.model.state import Output


@dataclass(frozen=True, slots=True)
class QLearning(Halting):
    """A second head learns the value of going on; halting must be worth more (HRM §2)."""

    name: ClassVar[str] = "q_learning"
    looks_ahead: ClassVar[bool] = True
    not_causal: ClassVar[str] = (
        "there is no value of going on for single cells; use halting=BinaryCrossEntropy()"
    )

    def check(self, variant: Facts) -> None:
        """There must be a step to go on to, and one start per example."""
        require(
            variant.carries_state,
            "halting=QLearning(): one supervision step per example leaves nothing to go on with; "
            "use halting=BinaryCrossEntropy() or deep_supervision=True with a start that is "
            "carried",
        )
        require(
            variant.training_rollouts == 1,
            "halting=QLearning() with several starts: the value of going on is one example's, not "
            "one start's; use halting=BinaryCrossEntropy()",
        )

    def going_on_loss(self, now: Output, following: Output, last: Tensor) -> Tensor:
        """The target is the best head of the step that follows (HRM §2)."""
        best = torch.maximum(following.halt_logits, following.continue_logits)
        target = torch.where(last, following.halt_logits, best).sigmoid().detach()
        return F.binary_cross_entropy_with_logits(now.continue_logits, target, reduction="none")

    def wants(self, halt_logits: Tensor, continue_logits: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Halting`."""
        del solved
        return halt_logits > continue_logits
