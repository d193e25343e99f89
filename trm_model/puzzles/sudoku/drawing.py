"""Sudoku grids as lines of text and as pictures."""

from typing import Any

from trm_model.puzzles.sudoku.tokens import Grids, Shape

CLUE, RIGHT, WRONG = "black", "#1a7f37", "#cf222e"


def to_drawing(grid: Grids, shape: Shape) -> str:
    """One grid [n * n] as lines of text with its boxes ruled off."""
    rule = "+".join("-" * (2 * shape.box_columns + 1) for _ in range(shape.n // shape.box_columns))
    lines: list[str] = []
    for number, row in enumerate(grid.reshape(shape.n, shape.n)):
        if number and number % shape.box_rows == 0:
            lines.append(rule)
        cells = ["." if digit == 0 else str(digit) for digit in row]
        boxes = [
            " ".join(cells[start : start + shape.box_columns])
            for start in range(0, shape.n, shape.box_columns)
        ]
        lines.append(" " + " | ".join(boxes) + " ")
    return "\n".join(lines)


def paint(axes: Any, shape: Shape, puzzle: Grids, grid: Grids, answer: Grids) -> None:
    """Paint a grid [n * n] onto matplotlib axes: clues black, other digits green where they are
    the answer's and red where they are not."""
    n = shape.n
    for line in range(n + 1):
        across = 2 if line % shape.box_rows == 0 else 0.5
        down = 2 if line % shape.box_columns == 0 else 0.5
        axes.plot((0, n), (line, line), color="black", linewidth=across)
        axes.plot((line, line), (0, n), color="black", linewidth=down)
    for cell in range(n * n):
        if grid[cell]:
            color = WRONG if grid[cell] != answer[cell] else CLUE if puzzle[cell] else RIGHT
            axes.text(
                cell % n + 0.5,
                n - 0.5 - cell // n,
                str(grid[cell]),
                ha="center",
                va="center",
                color=color,
                fontsize=64 / n**1.1,
            )
