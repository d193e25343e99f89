"""How a training fares on puzzles that it does not see, told on the way. Nothing of the training
depends on it, but when it ends where the recipe has patience
(:mod:`trm_model.training.stopping`).

How a model is tested is given to the training loop from outside
(:mod:`trm_model.training.validator`): the evaluation's code makes no weights, and belongs to no
training's code version.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from trm_model.model.reasoner import Reasoner
from trm_model.training.execution import Execution
from trm_model.training.figures import read_rows, write_rows

EXACT, CELLS = "validation_exact_accuracy", "validation_cell_accuracy"


class Validated(NamedTuple):
    """What was found after an optimizer step: the shares of examples that are solved and of
    labelled cells that are right after the last supervision step."""

    exact: float
    cells: float
    step: int


Validation = Callable[[Reasoner, int], Validated]
"""Tests a model, whose weights are those after the given optimizer step."""


def columns(found: Validated | None) -> dict[str, float | None]:
    """As columns of a row of figures; None: nothing was validated there."""
    exact, cells = (None, None) if found is None else (found.exact, found.cells)
    return {EXACT: exact, CELLS: cells}


def is_due(step: int, steps: int, execution: Execution) -> bool:
    """Whether the row of figures of ``step`` is validated: it is the first one at or after a
    multiple of ``execution.validate_steps``, or the last of all."""
    rows, every = execution.log_steps, execution.validate_steps
    before = (step - 1) // rows * rows
    return every > 0 and (step // every > before // every or step == steps)


def keep_due(metrics: Path, steps: int, execution: Execution) -> None:
    """Leave out validations that a training of so many steps would not have made."""
    if metrics.exists():
        rows = read_rows(metrics)
        kept = (
            row if is_due(row["step"], steps, execution) else row | columns(None) for row in rows
        )
        write_rows(metrics, kept)


def best_of(found: Iterable[Validated]) -> Validated | None:
    """The first of those that solve most, and of these that have most cells right."""
    return max(found, key=lambda each: (each.exact, each.cells, -each.step), default=None)


def read_validated(metrics: Path) -> list[Validated]:
    """What the rows of a file of figures say, in order."""
    return [
        Validated(row[EXACT], row[CELLS], row["step"])
        for row in read_rows(metrics)
        if row.get(EXACT) is not None
    ]
