"""Where a benchmark's puzzles come from, and what their family brings to the graph. Everything else
in the graph is the same for all families."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import polars as pl

from assets.configs import StageConfig
from assets.outcomes import Check, CheckOutcome
from assets.tables import Puzzles
from trm_model.puzzles.family import Family, PlannedExamples


def silent(message: str) -> None:
    """Log nothing."""
    del message


@dataclass(frozen=True, slots=True)
class Imported:
    """Base puzzles.

    :param frame: rows of the origin's schema.
    :param sources: hashes of the files they came from, and how they were split.
    :param further: makes up to so many further puzzles to validate trainings with, rows of the same
        schema: of the same kind, and none of them in ``frame`` up to symmetry (of ARC: the test
        pairs that were held out, whatever the number). None: the origin has no others.
    """

    frame: pl.DataFrame
    sources: dict[str, str] = field(default_factory=dict[str, str])
    further: Callable[[int], pl.DataFrame] | None = None


@dataclass(frozen=True, slots=True)
class Augmented:
    """The examples of one split.

    :param groups: a row (name, difficulty, source) per group of the examples, in their order.
    :param names: of the augmented puzzles; None: each has its group's name and the number of the
        version.
    """

    examples: PlannedExamples
    groups: pl.DataFrame
    names: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """What one benchmark holds of another's test puzzles (ARC: tasks), up to symmetry.

    :param test_puzzles: their number.
    :param leaks: the names of those whose answers the one benchmark trains on.
    :param shared: the number of those that it holds at all.
    """

    test_puzzles: int
    leaks: list[str]
    shared: int


class Origin(ABC):
    """Where the puzzles of a benchmark come from, at one size, and how the graph handles them.

    An origin is a frozen dataclass. Data are out of date when its ``repr`` changes. A family has as
    many origins as there are ways to get its puzzles; they share what is the family's by a base
    class.
    """

    __slots__ = ()

    schema: ClassVar[type[Puzzles]] = Puzzles
    """The schema of the table of base puzzles."""
    checks: ClassVar[Mapping[str, Check]]
    """The checks that :meth:`check_puzzles` makes, by name."""
    distributions: ClassVar[Mapping[str, str]] = {}
    """Columns of the puzzle table to draw, with their labels."""
    config: ClassVar[type[StageConfig]] = StageConfig
    """The settings of the stage ``puzzles``; by default there are none."""

    seed: int
    """The puzzles and their augmentations are drawn from it."""

    @property
    @abstractmethod
    def family(self) -> Family:
        """The family of the puzzles, at their size."""

    @property
    def generated(self) -> bool:
        """Whether the puzzles need neither files nor a network."""
        return True

    def most_puzzle_rows(self, augmentations: int) -> int | None:
        """At most so many rows has the puzzle table of a model, known before the data are made;
        None: they are not known until then.

        :param augmentations: of each puzzle.
        """
        del augmentations
        return 1

    def most_examples(self, augmentations: int) -> int:
        """At most so many training examples are made; 0: their number is not known before.

        :param augmentations: of each puzzle.
        """
        del augmentations
        return 0

    @abstractmethod
    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        """Generate or import the base puzzles.

        :param config: of the type :attr:`config`.
        :raises PuzzleFileError: a file that cannot be used.
        :raises ConfigurationError: puzzles that cannot be made.
        """

    @abstractmethod
    def check_puzzles(self, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
        """The outcome of each of :attr:`checks` on a puzzle table."""

    @abstractmethod
    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        """The examples of one split of a puzzle table.

        :raises ConfigurationError: puzzles that cannot be examples.
        """

    def validation(
        self,
        frame: pl.DataFrame,
        further: pl.DataFrame,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> PlannedExamples:
        """The examples of ``further`` puzzles (:attr:`Imported.further`), none of them augmented,
        for trainings on the puzzle table ``frame`` with so many ``augmentations`` drawn by
        ``seed``."""
        del frame, augmentations
        return self.augmented(further, "test", 0, seed, sources).examples

    def unlike(self, made: pl.DataFrame, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """The first ``count`` puzzles of the table ``made`` that are equal to no puzzle of
        ``frame``; puzzles of one form are equal."""
        return made.join(frame, on="form", how="anti", maintain_order="left").head(count)

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        """What the puzzle table ``one`` holds of the test puzzles of ``other``, both of this
        family; puzzles of one form are equal."""
        tested = other.filter(pl.col("split") == "test")
        trained = one.filter(pl.col("split") == "train")
        names, shared = (
            tested.join(frame.unique("form"), on="form", how="semi")["name"].to_list()
            for frame in (trained, one)
        )
        return Overlap(len(tested), names, len(shared))


def more_than(count: int) -> int:
    """How many puzzles to make where ``count`` are to be left of them."""
    return 2 * count + 64


def number_splits(described: pl.DataFrame, train: int, name: str) -> pl.DataFrame:
    """Puzzles with their split (the first ``train`` are for training), number and name."""
    number = pl.int_range(pl.len())
    split = pl.when(number < train).then(pl.lit("train")).otherwise(pl.lit("test"))
    return described.with_columns(
        split=split, puzzle=number, name=pl.format("{}-{}", pl.lit(name), number)
    )


def split_rows(frame: pl.DataFrame, split: str, augmentations: int) -> tuple[pl.DataFrame, int]:
    """The puzzles of one split, and how many augmentations of each it has: only training puzzles
    have any."""
    return frame.filter(pl.col("split") == split), augmentations if split == "train" else 0


def declared_checks(family: type[Family]) -> dict[str, Check]:
    """The family's checks of single examples, as checks of the graph."""
    return {name: Check(description) for name, description in family.checks.items()}


NO_LEAKAGE = {"no_leakage": Check("No training puzzle is a test puzzle, up to symmetry.")}
