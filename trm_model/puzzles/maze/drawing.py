"""Mazes as lines of text and as pictures."""

from trm_model.puzzles.maze.tokens import GOAL, PAD, PATH, SPACE, START, WALL, Tokens
from trm_model.puzzles.picture import WRONG, Picture

_COLOURS = ("#888888", "#222222", "#ffffff", "#2da44e", "#0969da", "#ffd33d")
"""By token: pad, wall, space, start, goal, path."""


def to_drawing(tokens: Tokens, side: int) -> str:
    """One grid [side * side] as lines of text, two characters a cell, in a frame."""
    cells = {PAD: "??", WALL: "██", SPACE: "  ", START: "S ", GOAL: "G ", PATH: "· "}
    lines = ["".join(cells[int(token)] for token in row) for row in tokens.reshape(side, side)]
    rule = "─" * (2 * side)
    return "\n".join([f"┌{rule}┐", *(f"│{line}│" for line in lines), f"└{rule}┘"])


def to_picture(side: int, question: Tokens, shown: Tokens, label: Tokens | None) -> Picture:
    """Tokens [side * side] as a picture; cells that are neither the question's nor the label's are
    red."""
    expected = shown if label is None else label
    wrong = (shown != expected) & (shown != question)
    cells = zip(shown.tolist(), wrong.tolist(), strict=True)
    return Picture(
        grid=(side, side), fills=[WRONG if bad else _COLOURS[token] for token, bad in cells]
    )
