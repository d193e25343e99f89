"""Mazes as strings of ``# SGo``."""

import numpy as np

from trm_model.puzzles.maze.tokens import CHARACTERS, WALL, Tokens


def to_text(tokens: Tokens) -> str:
    """One grid [side * side] as a string of ``# SGo``; pad, which only a model writes, as ``?``."""
    return "".join(CHARACTERS[token] for token in tokens)


def from_characters(characters: Tokens) -> Tokens:
    """ASCII codes of ``# SGo`` as tokens, of any shape; the caller has checked that there are no
    others."""
    table = np.zeros(256, np.uint8)
    for token, character in enumerate(CHARACTERS):
        table[ord(character)] = token
    return table[characters]


def from_text(text: str, side: int) -> Tokens:
    """The inverse of :func:`to_text`: tokens [side * side].

    :raises ValueError: wrong length, or a character other than ``# SGo``.
    """
    if len(text) != side * side:
        raise ValueError(f"{len(text)} characters: expected {side * side}")
    for cell, character in enumerate(text):
        if character not in CHARACTERS[WALL:]:
            raise ValueError(
                f"character {character!r} at cell {cell + 1}: expected one of {CHARACTERS[WALL:]!r}"
            )
    return from_characters(np.frombuffer(text.encode("ascii"), np.uint8))
