"""What a family of puzzles (Sudoku, mazes, ARC, sequences) brings to the graph; everything else is
the same for all of them.

Imports nothing heavy but on demand: see :func:`kind_of`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from assets.benchmarks import ArcFiles, ArcTasks, GeneratedAddition, PuzzleSource

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from assets.checks import Verdict
    from assets.tables import Puzzles
    from storage.examples import Bytes2d, Codec
    from trm_model.puzzles.family import PlannedExamples


@dataclass(frozen=True, slots=True)
class Imported:
    """Base puzzles, and the hashes of what they came from."""

    frame: "pl.DataFrame"
    sources: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Augmented:
    """The examples of one split; ``groups``: a row (name, difficulty, source) per group of the
    source, in its order; ``names`` of the augmented puzzles, None: group's name and number of the
    version.
    """

    source: "PlannedExamples"
    groups: "pl.DataFrame"
    names: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of one benchmark's test puzzles (ARC: tasks) up to symmetry: their number, the names of those
    whose answers another benchmark trains on, and the number of those that are in the other at
    all."""

    test_puzzles: int
    leaks: list[str]
    shared: int


class Kind(Protocol):
    """One family of puzzles, at one size."""

    schema: "ClassVar[type[Puzzles]]"
    """Of the table of base puzzles."""
    codec: "ClassVar[Codec]"
    """Of the stored cells, by trial."""
    distributions: ClassVar[Mapping[str, str]]
    """Columns of the puzzle table to draw, with their labels."""

    @property
    def chance(self) -> float:
        """Cell accuracy that a trivial answer reaches."""
        ...

    def puzzles(self, source: Any, config: Any, log: Callable[[str], None]) -> Imported:
        """Generate or import the base puzzles.

        :raises SourceError: a file that cannot be used.
        """
        ...

    def puzzle_checks(self, frame: "pl.DataFrame", source: Any) -> "dict[str, Verdict]":
        """The checks that ``CHECKS`` in assets/checks.py names for this kind's puzzles."""
        ...

    def overlap(self, one: "pl.DataFrame", other: "pl.DataFrame") -> Overlap:
        """What of the test puzzles of ``other`` is in ``one``, two puzzle tables of the kind."""
        ...

    def augmented(
        self,
        frame: "pl.DataFrame",
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        """The examples of one split of a puzzle table."""
        ...

    def example_checks(
        self, inputs: "Bytes2d", labels: "Bytes2d"
    ) -> "dict[str, npt.NDArray[np.bool_]]":
        """Which examples [n] pass each of the kind's checks of single examples."""
        ...

    def draw(self, axes: Any, question: "Bytes2d", shown: "Bytes2d", label: "Bytes2d") -> None:
        """Draw one grid of tokens [L] onto matplotlib axes, marking what is right and wrong beside
        ``label``."""
        ...


def kind_of(source: PuzzleSource) -> Kind:
    """The kind of a benchmark's puzzles."""
    if isinstance(source, ArcTasks | ArcFiles):
        from assets.families.arc import ArcKind

        return ArcKind(source)
    if isinstance(source, GeneratedAddition):
        from assets.families.sequence import SequenceKind

        return SequenceKind(source.digits)
    if source.kind == "sudoku":
        from assets.families.sudoku import SudokuKind

        return SudokuKind(source.side)
    from assets.families.maze import MazeKind

    return MazeKind(source.side)
