"""ARC: tasks of coloured grids."""

from trm_model.puzzles.arc.augmentation import (
    Augmentation,
    crop,
    parse_name,
    restore,
)
from trm_model.puzzles.arc.canonical_form import canonical
from trm_model.puzzles.arc.checks import check_examples
from trm_model.puzzles.arc.drawing import preview, to_drawing
from trm_model.puzzles.arc.examples import ArcExamples, make_examples
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.arc.packaged import PACKAGED, packaged_tasks
from trm_model.puzzles.arc.parsing import (
    from_task,
    parse_object,
    stem,
    to_grid,
    to_task,
    to_tasks,
)
from trm_model.puzzles.arc.tasks import (
    SEPARATOR,
    Pair,
    Task,
    TaskError,
)
from trm_model.puzzles.arc.tokens import (
    COLOURS,
    END,
    FIRST_COLOUR,
    PAD,
    SIDE,
    VOCABULARY,
    Bools,
    Grid,
    to_tokens,
)
from trm_model.puzzles.arc.versions import Versions, draw_versions

__all__ = [
    "COLOURS",
    "END",
    "FIRST_COLOUR",
    "PACKAGED",
    "PAD",
    "SEPARATOR",
    "SIDE",
    "VOCABULARY",
    "Arc",
    "ArcExamples",
    "Augmentation",
    "Bools",
    "Grid",
    "Pair",
    "Task",
    "TaskError",
    "Versions",
    "canonical",
    "check_examples",
    "crop",
    "draw_versions",
    "from_task",
    "make_examples",
    "packaged_tasks",
    "parse_name",
    "parse_object",
    "preview",
    "restore",
    "stem",
    "to_drawing",
    "to_grid",
    "to_task",
    "to_tasks",
    "to_tokens",
]
