"""Texts that users give: files, standard input, or the text itself."""

import re
import sys
from pathlib import Path

from storage.reading import one_line
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


def parse_yaml(text: str | bytes) -> object:
    """The value of a text in YAML, without anything that would run code.

    Numbers such as ``3e-4`` are numbers, as in JSON; YAML 1.1 wants ``3.0e-4``.

    :raises ConfigurationError: it is no YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+"), list("-+0123456789")
    )
    try:
        return yaml.load(text, Loader)  # noqa: S506 (derived from the safe one)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{one_line(error)}; expected YAML; mend it") from error
