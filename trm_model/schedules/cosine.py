"""Rates that fall as half a cosine does."""

import math
from dataclasses import dataclass
from typing import ClassVar

from trm_model.choices import check_fields
from trm_model.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine(Schedule):
    """The rates fall along half a cosine (Loshchilov and Hutter 2017, one period), as in the
    authors' code with ``lr_min_ratio``.

    :param final: share of the full rates that the last step has.
    """

    name: ClassVar[str] = "cosine"
    final: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, final=(0.0, 1.0))

    def factor(self, share: float) -> float:
        """See :class:`Schedule`."""
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * share))
