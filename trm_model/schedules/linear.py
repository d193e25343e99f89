"""Rates that fall along a line."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.choices import check_fields
from trm_model.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Schedule):
    """The rates fall along a line from the end of the warm-up to the last step.

    :param final: share of the full rates that the last step has.
    """

    name: ClassVar[str] = "linear"
    final: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, final=(0.0, 1.0))

    def factor(self, share: float) -> float:
        """See :class:`Schedule`."""
        return 1.0 - (1.0 - self.final) * share
