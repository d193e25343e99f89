"""Rates that stay, and fall in the end."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.choices import check_fields
from trm_model.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Trapezoid(Schedule):
    """The full rates, which fall along a line in the last part of the training (Hägele et al. 2024,
    arXiv 2405.18392). With the warm-up this is a trapezoid.

    :param final: share of the full rates that the last step has.
    :param falling: share of the steps after the warm-up in which the rates fall.
    """

    name: ClassVar[str] = "trapezoid"
    final: float = 0.0
    falling: float = 0.2

    def __post_init__(self) -> None:
        check_fields(self, final=(0.0, 1.0), falling=(1e-6, 1.0))

    def factor(self, share: float) -> float:
        """See :class:`Schedule`."""
        fallen = max(0.0, 1.0 - (1.0 - share) / self.falling)
        return 1.0 - (1.0 - self.final) * fallen
