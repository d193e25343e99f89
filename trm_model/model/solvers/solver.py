"""The axis of how a cycle's latent calls without gradient are used."""

from typing import Protocol

from torch import Tensor

from trm_model.model.part import Part


class Solving(Protocol):
    """One cycle's latent calls under way."""

    def next(self, point: Tensor, value: Tensor) -> Tensor:
        """``point`` z and ``value`` f(z), both [B, S, D] -> the next z."""
        ...


class Solver(Part, axis=True):
    """How the latent calls without gradient seek the latent that the answer is made from."""

    __slots__ = ()

    def begin(self) -> Solving:
        """What to ask after each latent call of one cycle."""
        raise NotImplementedError
