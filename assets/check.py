"""A check of something stored, and how it came out."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Check(NamedTuple):
    """A check of a stage; a failure of a ``blocking`` one keeps what is downstream from running."""

    description: str
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """Whether a check passed, and the figures behind it."""

    passed: bool
    figures: dict[str, int | float | str] = field(default_factory=dict[str, int | float | str])
