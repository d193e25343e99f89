"""Sums as pictures."""

from typing import Any

import numpy as np

from trm_model.puzzles.sequence.text import to_text
from trm_model.puzzles.sequence.tokens import BLANK, PAD, Tokens

GIVEN, RIGHT, WRONG = "black", "#1a7f37", "#cf222e"


def paint(axes: Any, question: Tokens, shown: Tokens, label: Tokens) -> None:
    """Paint tokens [L] onto matplotlib axes: the question black, digits of the answer green where
    they are the label's and red where they are not."""
    count = len(question)
    axes.set_xlim(0, count)
    axes.set_ylim(0, 1)
    for cell, (asked, token, right) in enumerate(zip(question, shown, label, strict=True)):
        given = right == PAD
        of_answer = RIGHT if token == right else WRONG
        color = GIVEN if given or token == BLANK else of_answer
        axes.text(
            cell + 0.5,
            0.5,
            to_text(np.array([asked if given else token], np.uint8)),
            ha="center",
            va="center",
            color=color,
            fontsize=110 / count,
            family="monospace",
        )
