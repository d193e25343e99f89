"""Rates that stay."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """The full rates from the end of the warm-up to the last step (the authors' commands)."""

    name: ClassVar[str] = "constant"
    depends_on_steps: ClassVar[bool] = False

    def factor(self, share: float) -> float:
        """See :class:`Schedule`."""
        del share
        return 1.0
