"""Examples computed from base puzzles: what a data set is written from, and what online
augmentation reads."""

from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from storage.examples import INDEX, Header, Plan, Source, read_examples, read_index, read_plan
from storage.manifest import CorruptDataError
from storage.reading import reading
from trm_model.puzzles.arc.examples import ArcExamples
from trm_model.puzzles.maze.grids import MazeExamples
from trm_model.puzzles.sequence.sums import AdditionExamples
from trm_model.puzzles.sudoku.examples import SudokuExamples


class PlannedSource(Source, Protocol):
    """A source that can be stored and made again."""

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which :meth:`from_plan` makes an equal source."""
        ...

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self: ...


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
    """The split at ``path``: decoded to memory where its examples are stored, computed on demand
    where only their plan is.

    :raises CorruptDataError: not a readable split.
    """
    planned = read_plan(path)
    if planned is None:
        return read_examples(path)
    header, plan = planned
    index = read_index(path)
    with reading(
        CorruptDataError,
        path,
        f"a plan of one of {', '.join(KINDS)} as written here; write the data set again",
    ):
        if plan.kind not in KINDS:
            raise ValueError(f"kind {plan.kind!r}")
        source = KINDS[plan.kind].from_plan(header, plan.parameters, plan.arrays)
        if source.header != header:
            raise ValueError("the header is not that of the planned examples")
        for name, stored, planned in zip(
            INDEX,
            index,
            (source.puzzle_ids, source.example_offsets, source.group_offsets),
            strict=True,
        ):
            if not np.array_equal(stored, planned):
                raise ValueError(f"{name} is not that of the planned examples")
    return source
