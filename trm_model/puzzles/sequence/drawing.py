"""Sums as pictures."""

import numpy as np

from trm_model.puzzles.picture import Picture, inks, letters
from trm_model.puzzles.sequence.tokens import BLANK, CHARACTERS, PAD, Tokens


def to_picture(question: Tokens, shown: Tokens, label: Tokens | None) -> Picture:
    """Tokens [L] as a picture: the question black, digits of the answer green where they are the
    label's and red where they are not. What is shown of the question's cells is the question."""
    given = question != BLANK if label is None else label == PAD
    cells = np.where(given, question, shown)
    plain = given | (cells == BLANK)
    expected = None if label is None else np.where(plain, cells, label)
    # A pad of the question is an empty cell; one that a model writes is shown as such.
    text = "".join(
        " " if known and token == PAD else CHARACTERS[token]
        for known, token in zip(given, cells, strict=True)
    )
    return letters(text, inks(plain, cells, expected))
