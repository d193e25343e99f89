"""Make the moving picture of README from what ``trm solve … --json`` prints.

``(trm solve CHECKPOINT PUZZLE --json; trm solve CHECKPOINT OTHER --json) | python
docs/make_solving_gif.py docs/solving.gif``

Standard input holds one line for each Sudoku; they are shown side by side, one frame for each
supervision step.
"""

import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

CELL, MARGIN, CAPTION = 40, 24, 64
BOX_ROWS = {4: 2, 6: 2, 9: 3}
BACKGROUND, INK, ANSWER, WRONG, CHANGED, BAR = (
    "#ffffff",
    "#222222",
    "#1f5fbf",
    "#c0392b",
    "#fff2b3",
    "#2e8b57",
)
STEP_MILLISECONDS, LAST_MILLISECONDS = 900, 3000


def frame(puzzles: list[dict[str, Any]], step: int) -> Image.Image:
    """The picture after ``step`` supervision steps; 0 shows the puzzles alone."""
    side = int(len(puzzles[0]["question"]) ** 0.5)
    width = len(puzzles) * (side * CELL + MARGIN) + MARGIN
    image = Image.new("RGB", (width, side * CELL + CAPTION + MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(image)
    small = ImageFont.load_default(16)
    draw.text((MARGIN, 8), heading(step), fill=INK, font=small)
    for number, puzzle in enumerate(puzzles):
        left, top = MARGIN + number * (side * CELL + MARGIN), 36
        draw_grid(draw, puzzle, step, side, left, top)
        if step:
            belief = puzzle["steps"][step - 1]["halt_probability"]
            bottom = top + side * CELL + 10
            draw.rectangle((left, bottom, left + side * CELL, bottom + 8), outline=INK)
            draw.rectangle((left, bottom, left + belief * side * CELL, bottom + 8), fill=BAR)
    return image


def heading(step: int) -> str:
    """The line above the grids."""
    if not step:
        return "the puzzles"
    return f"answer after supervision step {step}; bar: belief that it is right"


def draw_grid(
    draw: ImageDraw.ImageDraw, puzzle: dict[str, Any], step: int, side: int, left: int, top: int
) -> None:
    """One Sudoku: clues dark, answers blue, later corrected ones red, changed cells yellow."""
    question: str = puzzle["question"]
    last: str = puzzle["steps"][-1]["answer"]
    answer: str = puzzle["steps"][step - 1]["answer"] if step else question
    changed: list[int] = puzzle["steps"][step - 1]["changed"] if step else []
    large = ImageFont.load_default(24)
    for cell, shown in enumerate(answer):
        x, y = left + cell % side * CELL, top + cell // side * CELL
        if cell in changed:
            draw.rectangle((x, y, x + CELL, y + CELL), fill=CHANGED)
        if shown != ".":
            colour = ANSWER if shown == last[cell] else WRONG
            fill = INK if question[cell] != "." else colour
            draw.text((x + CELL / 2, y + CELL / 2), shown, fill=fill, font=large, anchor="mm")
    rows = BOX_ROWS[side]
    columns = side // rows
    for line in range(side + 1):
        across, down = (3 if line % rows == 0 else 1), (3 if line % columns == 0 else 1)
        y, x = top + line * CELL, left + line * CELL
        draw.line((left, y, left + side * CELL, y), fill=INK, width=across)
        draw.line((x, top, x, top + side * CELL), fill=INK, width=down)


def main(target: Path) -> None:
    """Read the answers from standard input and write the picture."""
    puzzles = [json.loads(line)["answers"][0] for line in sys.stdin if line.strip()]
    steps = max(
        number
        for puzzle in puzzles
        for number, step in enumerate(puzzle["steps"], 1)
        if step["changed"]
    )
    frames = [
        frame(puzzles, step).quantize(32)
        for step in range(min(steps + 1, len(puzzles[0]["steps"])) + 1)
    ]
    durations = [STEP_MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    frames[0].save(
        target, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
