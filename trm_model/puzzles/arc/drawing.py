"""ARC's grids and tasks as lines of text and as pictures."""

from itertools import zip_longest

from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.tokens import Grid

COLOURS = (
    "#dddddd",
    "#aaaaaa",
    "#000000",
    "#0074d9",
    "#ff4136",
    "#2ecc40",
    "#ffdc00",
    "#888888",
    "#f012be",
    "#ff851b",
    "#7fdbff",
    "#870c25",
)
"""By token: pad, end of grid, then the colours as the ARC site shows them."""


def to_drawing(grid: Grid) -> str:
    """A grid as lines of digits, ``.`` for black."""
    return "\n".join(
        "".join("." if colour == 0 else str(colour) for colour in row) for row in grid.tolist()
    )


def preview(task: Task, name: str | None = None) -> str:
    """A task as text: each pair's input and output side by side, under ``name`` (None: the
    task's)."""
    parts: list[str] = []
    for kind, pairs in (("train", task.train), ("test", task.test)):
        for number, pair in enumerate(pairs, 1):
            left, right = (to_drawing(grid).splitlines() for grid in pair)
            arrows = (" -> " if row == 0 else "    " for row in range(max(len(left), len(right))))
            width = len(left[0])
            lines = [
                f"{a or '':{width}}{arrow}{b or ''}".rstrip()
                for (a, b), arrow in zip(zip_longest(left, right), arrows, strict=True)
            ]
            parts.append("\n".join([f"{name or task.name} {kind} {number}", *lines]))
    return "\n\n".join(parts)
