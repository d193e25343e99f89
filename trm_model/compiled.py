"""numba, with a cache of machine code that is never out of date.

Every module of ours that compiles loops takes numba from here: ``from trm_model.compiled import
numba``. So the folder of the cache is chosen before anything is compiled.
"""

import hashlib
import os
import re
from pathlib import Path

import numba

__all__ = ["numba"]

_ROOT = Path(__file__).resolve().parent
_USES_NUMBA = re.compile(
    r"^\s*(?:from (?:numba\b|trm_model\.compiled\b)|import numba\b)", re.MULTILINE
)
_IMPORTED = re.compile(r"^from trm_model\.([\w.]+) import", re.MULTILINE)


def compiled_sources() -> list[Path]:
    """The files that machine code may depend on, sorted: every module of ``trm_model`` that uses
    numba, and the modules that those import from, whose constants are compiled in."""
    texts = {path: path.read_text("utf-8") for path in _ROOT.rglob("*.py")}
    compiling = {path: text for path, text in texts.items() if _USES_NUMBA.search(text)}
    imported = {
        _ROOT.joinpath(*name.split(".")).with_suffix(".py")
        for text in compiling.values()
        for name in _IMPORTED.findall(text)
    }
    return sorted(compiling.keys() | (imported & texts.keys()))


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# numba looks at the file of a function alone. After an edit of a function that is compiled into
# others, or of a constant, it would go on using those others as they were.
if "NUMBA_CACHE_DIR" not in os.environ:
    _caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trm_model"
    numba.config.CACHE_DIR = str(_caches / _digest(compiled_sources()))  # pyright: ignore[reportAttributeAccessIssue]
