"""Anderson's acceleration of a fixed-point iteration (Walker and Ni 2011): the solver of the
deep-equilibrium variant."""

import torch
from torch import Tensor

MEMORY = 6
RIDGE = 1e-4


class Anderson:
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
        self.points, self.values = [*self.points, point][-MEMORY:], [*self.values, value][-MEMORY:]
        if len(self.points) == 1:
            return value
        values = torch.stack([value.float().flatten(1) for value in self.values], dim=1)
        residuals = values - torch.stack([point.float().flatten(1) for point in self.points], dim=1)
        count = len(self.points)
        # Lagrange's conditions of min |sum a_i r_i|^2 + RIDGE |a|^2 with sum a_i = 1.
        system = values.new_ones(len(values), count + 1, count + 1)
        system[:, 0, 0] = 0.0
        system[:, 1:, 1:] = residuals @ residuals.mT + RIDGE * torch.eye(
            count, device=values.device
        )
        target = values.new_zeros(len(values), count + 1, 1)
        target[:, 0] = 1.0
        weights = torch.linalg.solve(system, target)[:, 1:]
        return (weights.mT @ values).view_as(value).to(value.dtype)
