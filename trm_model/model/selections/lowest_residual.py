"""Selection by how still the latents are."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.selections.selection import LONGEST_WINDOW, Judged, Selection, Tries, best


@dataclass(frozen=True, slots=True, kw_only=True)
class LowestResidual(Selection):
    """The rollout whose latents the last steps have changed least answers (EqR, arXiv 2605.21488):
    it is nearest to a fixed point.

    :param window: steps over which the change is averaged.
    """

    name: ClassVar[str] = "lowest_residual"
    window: int = 1

    def __post_init__(self) -> None:
        check_fields(self, window=1)
        require(
            self.window <= LONGEST_WINDOW,
            f"window={self.window}: expected at most {LONGEST_WINDOW} steps; change window",
        )

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`; after the first step, the first rollout answers."""
        # A sum orders as a mean does, and is 0 of no steps.
        changes = sum(
            tries.residuals[-self.window :], start=torch.zeros_like(tries.now.halt_logits)
        )
        return best(tries.now, -changes)
