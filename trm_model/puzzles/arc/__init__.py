"""ARC: tasks of coloured grids."""

from trm_model.puzzles.arc.augmentation import (
    crop,
    parse_name,
    restore,
)
from trm_model.puzzles.arc.canonical_form import canonical
from trm_model.puzzles.arc.checks import check_examples
from trm_model.puzzles.arc.drawing import preview
from trm_model.puzzles.arc.examples import ArcExamples, held_out, make_examples
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.arc.packaged import PACKAGED, packaged_tasks
from trm_model.puzzles.arc.parsing import (
    from_task,
    parse_object,
    stem,
    to_tasks,
)
from trm_model.puzzles.arc.tasks import (
    Pair,
    Task,
    TaskError,
)
from trm_model.puzzles.arc.tokens import (
    FIRST_COLOUR,
    PAD,
    SIDE,
    Grid,
)

__all__ = [
    "FIRST_COLOUR",
    "PACKAGED",
    "PAD",
    "SIDE",
    "Arc",
    "ArcExamples",
    "Grid",
    "Pair",
    "Task",
    "TaskError",
    "canonical",
    "check_examples",
    "crop",
    "from_task",
    "held_out",
    "make_examples",
    "packaged_tasks",
    "parse_name",
    "parse_object",
    "preview",
    "restore",
    "stem",
    "to_tasks",
]
