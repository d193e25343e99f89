"""The axis of how gradients become steps of the weights."""

from typing import ClassVar, NamedTuple

import torch
from torch import nn

from trm_model.choices import Choice


class Weights(NamedTuple):
    """``all`` trained weights in the order of the model's parameters, and those among them that are
    ``matrices`` of the networks, which some optimizers treat in another way than embeddings, heads
    and vectors.
    """

    all: list[nn.Parameter]
    matrices: list[nn.Parameter]

    @property
    def others(self) -> list[nn.Parameter]:
        """All but the matrices."""
        matrices = {id(weight) for weight in self.matrices}
        return [weight for weight in self.all if id(weight) not in matrices]


class Optimizer(Choice, axis=True):
    """How gradients become steps of the weights. Rates are set before each step by the loop."""

    __slots__ = ()
    takes_all: ClassVar[bool] = True
    """Whether it can be the optimizer of all weights, vectors and embeddings among them."""

    def build(
        self,
        weights: Weights,
        *,
        betas: tuple[float, float],
        weight_decay: float,
        base: "Optimizer",
    ) -> list[torch.optim.Optimizer]:
        """Optimizers that have each weight once.

        :param weight_decay: decoupled.
        :param base: the recipe's optimizer, for optimizers that are for some weights only.
        """
        raise NotImplementedError
