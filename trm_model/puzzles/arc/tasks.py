"""ARC's tasks: demonstration pairs and test pairs of grids."""

from dataclasses import dataclass
from typing import NamedTuple

from trm_model.puzzles.arc.tokens import Grid

SEPARATOR = "|||"


class TaskError(ValueError):
    """A malformed task; the message says where, what was found and what was expected."""


class Pair(NamedTuple):
    """What is given and what is asked for, two grids."""

    input: Grid
    output: Grid


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Demonstration pairs and test pairs of one rule.

    :raises TaskError: no pairs, or a name that the names of augmentations could not hold.
    """

    name: str
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name or SEPARATOR in self.name:
            raise TaskError(
                f"task name {self.name[:40]!r}: expected some text without {SEPARATOR!r} or "
                "control characters"
            )
        if not self.pairs:
            raise TaskError(f"task {self.name!r}: no pairs; expected at least one")

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Demonstrations, then tests."""
        return self.train + self.test

    @property
    def side(self) -> int:
        """The longest side of a grid: the frame that the task needs."""
        return max(max(grid.shape) for pair in self.pairs for grid in pair)
