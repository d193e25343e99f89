"""HRM's gradient."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.backprop.backprop import Backprop


@dataclass(frozen=True, slots=True)
class LastCalls(Backprop):
    """Gradient flows through the last network calls of a supervision step.

    :param count: of calls that have a gradient (HRM's one-step gradient: 2).
    """

    name: ClassVar[str] = "last_calls"
    count: int = 2

    def __post_init__(self) -> None:
        check_fields(self, count=1)

    def graded_calls(self, cycles: int, latent_updates: int) -> int:
        """See :class:`Backprop`."""
        calls = cycles * (latent_updates + 1)
        require(
            self.count <= calls,
            f"backprop={self}: expected a count of 1 to {calls} with cycles={cycles} and "
            f"latent_updates={latent_updates}",
        )
        return self.count
