"""Texts that users give (files, standard input, the text itself, YAML), and words that they
read."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storage.reading import one_line
from trm_model.errors import ConfigurationError, require

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


_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def from_yaml(text: str | bytes) -> Any:
    """What a text in YAML says: plain data.

    :raises ConfigurationError: it is no YAML, or has a key twice, of which YAML's own reader would
        silently take the last.
    """
    import yaml  # A training needs none of it.

    class EachKeyOnce(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set[str]()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                require(
                    key.value not in seen,
                    f"the key {key.value!r} stands twice, the second time in line "
                    f"{key.start_mark.line + 1}; expected it once; remove one of them",
                )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    # YAML 1.1 takes 3e-4 for text, since it has no point and its exponent no sign.
    EachKeyOnce.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))
    try:
        loader = EachKeyOnce(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except ConfigurationError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{one_line(error)}; expected YAML; mend it") from error


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s: ``1 step``, ``1,500 steps``."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def scaled(number: float, base: int, units: Sequence[str]) -> str:
    """A number with the unit that suits it, three digits of it: each of the ``units`` is ``base``
    times the one before."""
    for unit in units[:-1]:
        if number < base:
            return f"{_three_digits(number)} {unit}"
        number /= base
    return f"{_three_digits(number)} {units[-1]}"


def _three_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def in_bytes(size: float) -> str:
    """A number of bytes for people."""
    return scaled(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def in_operations(count: float) -> str:
    """A number of floating-point operations for people."""
    return scaled(count, 1000, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"))


def duration(seconds: float) -> str:
    """A time for people, in the largest unit that it has at least two of."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    unit, size = next((each for each in units if seconds >= 2 * each[1]), units[-1])
    return f"{max(1, round(seconds / size))} {unit}"
