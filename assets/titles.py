"""What benchmarks there are, without loading what they are made of, which takes seconds: for the
command line's help and the shell's completion."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from trm_model.errors import require
from trm_model.names import unknown_name

_ENTRY = re.compile(r'^    "(\w+)": Benchmark\(\n +title=\(?((?:\s*"[^"\n]*")+)', re.MULTILINE)
"""An entry of :data:`assets.benchmarks.BENCHMARKS` as it is written there; a test compares."""


@cache
def titles() -> Mapping[str, str]:
    """The title of each benchmark by name."""
    source = Path(__file__).with_name("benchmarks.py").read_text("utf-8")
    return {name: "".join(re.findall('"([^"]*)"', title)) for name, title in _ENTRY.findall(source)}


def require_benchmark(name: str) -> None:
    """Whether there is a benchmark of this name.

    :raises ConfigurationError: there is none; the message names all of them.
    """
    known = titles()
    require(
        name in known,
        unknown_name("benchmark", name, known, f"expected one of {', '.join(known)}"),
    )
