"""The axis of when a carried example is replaced by a fresh one (adaptive computation time; HRM §2,
TRM §4.6).
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.model.part import Part
from trm_model.model.state import Output


class Halting(Part, axis=True):
    """When a carried example is replaced, and what the halting head learns."""

    __slots__ = ()
    looks_ahead: ClassVar[bool] = False
    """Whether the loss needs the outputs of the step that follows: a second forward pass."""

    def loss(self, halt_logits: Tensor, right: Tensor) -> Tensor:
        """Loss of the halting head, float32, of the shape of its logits: cross-entropy of "this is
        right" (HRM §2, TRM §4.6).

        :param halt_logits: float32, one per example or per cell.
        :param right: bool, whether what each of them judges is right.
        """
        return F.binary_cross_entropy_with_logits(halt_logits, right.float(), reduction="none")

    def going_on_loss(self, now: Output, following: Output, last: Tensor) -> Tensor:
        """Loss of the continuing head, float32 [B]; asked where :attr:`looks_ahead`.

        :param last: bool [B], examples at their last step, which can only halt.
        """
        raise NotImplementedError

    def wants(self, halt_logits: Tensor, continue_logits: Tensor, solved: Tensor) -> Tensor:
        """Which examples would halt, bool [B]; all arguments [B].

        :param solved: bool, whether every labelled cell is right.
        """
        raise NotImplementedError

    def halts(
        self,
        halt_logits: Tensor,
        continue_logits: Tensor,
        solved: Tensor,
        steps: Tensor,
        *,
        max_steps: int,
        earliest: Tensor | int = 0,
    ) -> Tensor:
        """Which examples halt after ``steps`` int64 [B] supervision steps, bool [B]: all at
        ``max_steps``, others if they want to, from step ``earliest`` on.
        """
        wants = self.wants(halt_logits, continue_logits, solved)
        return (steps >= max_steps) | (wants & (steps >= earliest))


def untrained(halt_logits: Tensor) -> Tensor:
    """The loss of a head that nothing trains: zeros."""
    return torch.zeros_like(halt_logits)
