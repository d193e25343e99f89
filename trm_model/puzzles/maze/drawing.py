"""Mazes as lines of text and as pictures."""

from typing import Any

import numpy as np

from trm_model.puzzles.maze.tokens import GOAL, PAD, PATH, SPACE, START, VOCABULARY, WALL, Tokens
from trm_model.puzzles.palette import paint_grid, palette

_WRONG = len(VOCABULARY)
# By token: pad, wall, space, start, goal, path; then a predicted cell that is wrong.
_COLOURS = palette(["#888888", "#222222", "#ffffff", "#2da44e", "#0969da", "#ffd33d", "#cf222e"])


def to_drawing(tokens: Tokens, side: int) -> str:
    """One grid [side * side] as lines of text, two characters a cell, in a frame."""
    cells = {PAD: "??", WALL: "██", SPACE: "  ", START: "S ", GOAL: "G ", PATH: "· "}
    lines = ["".join(cells[int(token)] for token in row) for row in tokens.reshape(side, side)]
    rule = "─" * (2 * side)
    return "\n".join([f"┌{rule}┐", *(f"│{line}│" for line in lines), f"└{rule}┘"])


def paint(axes: Any, side: int, question: Tokens, shown: Tokens, label: Tokens) -> None:
    """Paint tokens [side * side] onto matplotlib axes; cells that are neither the question's nor
    the label's are red."""
    wrong = (shown != label) & (shown != question)
    cells = np.where(wrong, _WRONG, shown).astype(np.uint8).reshape(side, side)
    paint_grid(axes, cells, _COLOURS)
