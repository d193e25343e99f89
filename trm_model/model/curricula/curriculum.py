"""The axis of how the recursion changes during training."""

import torch
from torch import Tensor

from trm_model.model.part import Part


class Curriculum(Part, axis=True):
    """How the recursion changes during training."""

    __slots__ = ()

    def stages(self) -> tuple[tuple[float, int, int], ...]:
        """What differs from the variant's own recursion, in order: until which share (0..1) of the
        training, T and n.
        """
        return ()

    def weight(self, steps: Tensor) -> Tensor:
        """Weight of the loss of examples after ``steps`` int64 [B] supervision steps, float32
        [B].
        """
        return torch.ones_like(steps, dtype=torch.float32)
