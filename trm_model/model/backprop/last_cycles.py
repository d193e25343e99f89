"""TRM's gradient."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.backprop.backprop import Backprop


@dataclass(frozen=True, slots=True)
class LastCycles(Backprop):
    """Gradient flows through the last cycles of a supervision step (TRM §4.1).

    :param count: of cycles that have a gradient.
    """

    name: ClassVar[str] = "last_cycles"
    count: int = 1

    def __post_init__(self) -> None:
        check_fields(self, count=1)

    def graded_calls(self, cycles: int, latent_updates: int) -> int:
        """See :class:`Backprop`."""
        require(
            self.count <= cycles,
            f"backprop={self}: expected a count of 1 to {cycles} with cycles={cycles}",
        )
        return self.count * (latent_updates + 1)
