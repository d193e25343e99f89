"""Puzzles as arrays: parse, generate, solve, transform, validate, draw. Useful alone: ``python -m
trm_model.puzzles``."""

import hashlib
import os
from pathlib import Path

import numba


def _use_cache_of_this_source() -> None:
    """Keep compiled loops apart by the source of the whole package.

    numba's cache looks at the file of a function alone: after an edit of a function that is
    compiled into others it would go on using those as they were.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    numba.config.CACHE_DIR = str(root / "trm_model" / digest.hexdigest()[:16])  # pyright: ignore[reportAttributeAccessIssue]


if "NUMBA_CACHE_DIR" not in os.environ:
    _use_cache_of_this_source()
