"""Examples computed from base puzzles: what a data set is written from, and what online augmentation reads."""

from pathlib import Path
from typing import Any, Protocol, Self

import numpy.typing as npt

from storage.examples import Header, Plan, Source, read_examples, read_plan
from storage.manifest import CorruptDataError
from trm_model.puzzles.arc_examples import ArcExamples
from trm_model.puzzles.maze import MazeExamples
from trm_model.puzzles.sequence import AdditionExamples
from trm_model.puzzles.sudoku_examples import SudokuExamples


class PlannedSource(Source, Protocol):
    """A source that can be stored and made again."""

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which :meth:`from_plan` makes an equal source."""
        ...

    @classmethod
    def from_plan(cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Self: ...


KINDS: dict[str, type[PlannedSource]] = {
    "sudoku": SudokuExamples,
    "maze": MazeExamples,
    "arc": ArcExamples,
    "sequence": AdditionExamples,
}


def plan_of(source: PlannedSource) -> Plan:
    """The source as data."""
    kind = next(name for name, cls in KINDS.items() if isinstance(source, cls))
    return Plan(kind, *source.plan())


def open_source(path: Path) -> Source:
    """The split at ``path``: decoded to memory where its examples are stored, computed on demand where only their plan is.

    :raises CorruptDataError: not a readable split.
    """
    planned = read_plan(path)
    if planned is None:
        return read_examples(path)
    header, plan = planned
    try:
        return KINDS[plan.kind].from_plan(header, plan.parameters, plan.arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(f"{path}: {error!r}; expected a plan of one of {', '.join(KINDS)}; write the data set again") from error
