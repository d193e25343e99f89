"""Sudoku grids as lines of text and as pictures."""

from trm_model.puzzles.picture import Picture, inks
from trm_model.puzzles.sudoku.tokens import Grids, Shape


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


def to_picture(shape: Shape, puzzle: Grids, grid: Grids, answer: Grids | None) -> Picture:
    """A grid [n * n] as a picture: clues black, other digits green where they are the answer's and
    red where they are not."""
    return Picture(
        grid=(shape.n, shape.n),
        texts=[str(digit) if digit else "" for digit in grid.tolist()],
        inks=inks(puzzle > 0, grid, answer),
        box=(shape.box_rows, shape.box_columns),
    )
