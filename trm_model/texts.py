"""Texts that users give (files, standard input, or the text itself), and words that they read."""

import sys
from pathlib import Path

from trm_model.errors import ConfigurationError

MARK = "\ufeff"
"""The byte order mark that some programs write before a text; it is no part of it."""


def unmarked(text: str) -> str:
    """A text without its byte order mark."""
    return text.removeprefix(MARK)


def read_text(place: str | Path) -> str:
    """The text of a file, or of standard input for ``-``: UTF-8, whatever ends its lines.

    :raises ConfigurationError: it is no text.
    :raises OSError: a path that cannot be read.
    """
    try:
        return unmarked(sys.stdin.read() if place == "-" else Path(place).read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{place}: not a text file; expected puzzles in UTF-8; save it in that encoding"
        ) from error


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s: ``1 step``, ``1,500 steps``."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"
