"""Plain iteration."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.model.solvers.solver import Solver, Solving


@dataclass(frozen=True, slots=True)
class Iteration(Solver):
    """Each latent call starts from what the call before it gave (HRM, TRM)."""

    name: ClassVar[str] = "iteration"

    def begin(self) -> Solving:
        """See :class:`Solver`."""
        return self

    def next(self, point: Tensor, value: Tensor) -> Tensor:
        """The value itself."""
        del point
        return value
