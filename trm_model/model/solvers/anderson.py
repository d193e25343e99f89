"""Anderson's acceleration of a fixed-point iteration (Walker and Ni 2011)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.errors import require
from trm_model.model.part import Facts
from trm_model.model.solvers.solver import Solver, Solving

MEMORY = 6
RIDGE = 1e-4


class FixedPoint:
    """Seeks z = f(z): give it each z and f(z), and it tells where to evaluate f next.

    The next point is the combination of the last values of f, with weights that sum to 1, whose
    residuals f(z) - z cancel best in least squares, each example of the batch by itself; after the
    first evaluation it is f(z) itself.
    """

    def __init__(self) -> None:
        self.points: list[Tensor] = []
        self.values: list[Tensor] = []

    def next(self, point: Tensor, value: Tensor) -> Tensor:
        """``point`` z and ``value`` f(z), both [B, ...] -> the next z."""
        self.points = [*self.points, point][-MEMORY:]
        self.values = [*self.values, value][-MEMORY:]
        if len(self.points) == 1:
            return value
        values = torch.stack([value.float().flatten(1) for value in self.values], dim=1)
        points = torch.stack([point.float().flatten(1) for point in self.points], dim=1)
        residuals, count = values - points, len(self.points)
        # Lagrange's conditions of min |sum a_i r_i|^2 + RIDGE |a|^2 with sum a_i = 1.
        system = values.new_ones(len(values), count + 1, count + 1)
        system[:, 0, 0] = 0.0
        ridge = RIDGE * torch.eye(count, device=values.device)
        system[:, 1:, 1:] = residuals @ residuals.mT + ridge
        target = values.new_zeros(len(values), count + 1, 1)
        target[:, 0] = 1.0
        # Not solve(), which asks a GPU whether there was a solution, and waits for its answer.
        weights = torch.linalg.solve_ex(system, target).result[:, 1:]
        return (weights.mT @ values).view_as(value).to(value.dtype)


@dataclass(frozen=True, slots=True)
class Anderson(Solver):
    """Anderson's acceleration seeks the fixed point of the latent calls (TRM, ideas that failed:
    fixed-point iteration with TorchDEQ).
    """

    name: ClassVar[str] = "anderson"
    not_causal: ClassVar[str] = "its weights depend on all cells; use solver=Iteration()"

    def check(self, variant: Facts) -> None:
        """One latent, and several updates of it to accelerate."""
        require(
            variant.latents == 1 and variant.latent_updates >= 2,
            f"solver={self} with latents={variant.latents}, latent_updates="
            f"{variant.latent_updates}: a fixed point is sought for one latent over several "
            "updates; use latents=1 and at least 2 latent updates",
        )

    def begin(self) -> Solving:
        """See :class:`Solver`."""
        return FixedPoint()
