"""numba, with a cache of machine code that is never out of date, and that processes may fill
together.

Every module of ours that compiles loops takes numba from here: ``from trm_model.compiled import
numba``. So the folder of the cache, and how it is written, are chosen before anything is compiled.
"""

import hashlib
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from storage.refusals import naming, refusal

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


_CHECKSUM = hashlib.sha256().digest_size
"""So many bytes at the end of a file are the checksum of those before."""


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


class FileByKey(caching.IndexDataCacheFile):
    """Machine code by its key alone: a file for each.

    numba numbers the files of a function and keeps the numbers in an index. Two processes that make
    code at the same time may give one number to two pieces, and every later process computes wrong
    numbers without a word (docs/log.md, 2026-11-27).
    """

    def save(self, key: Any, data: Any) -> None:
        """Keep ``data`` under ``key``; where the disk does not take it, with a warning alone."""
        told = self._told(key)
        content, path = self._dump((told, data)), self._data_path(self._name(told))
        try:
            with naming(Path(path)), self._open_for_write(path) as file:
                file.write(content + _checksum(content))
        except OSError as error:
            warnings.warn(
                f"{refusal(error)}; meanwhile machine code is made anew by each process",
                stacklevel=2,
            )

    def load(self, key: Any) -> Any:
        """What is kept under ``key``; None where nothing is, or a damaged file."""
        told = self._told(key)
        name = self._name(told)
        try:
            stored = Path(self._data_path(name)).read_bytes()
        except OSError:
            return None
        if _checksum(stored[:-_CHECKSUM]) != stored[-_CHECKSUM:]:
            return None
        found, data = self._load_data(name)  # It reads no further than what was dumped.
        return data if found == told else None

    def flush(self) -> None:
        """Keep nothing of the function."""
        for path in Path(self._cache_path).iterdir():
            if path.name.startswith(self._prefix) and path.suffix == ".nbc":
                path.unlink(missing_ok=True)

    def _told(self, key: Any) -> tuple[Any, ...]:
        """What a piece of code depends on: numba, the function's file, and numba's own key, which
        has the arguments' types, the processor and the function's code."""
        return self._version, self._source_stamp, key

    @property
    def _prefix(self) -> str:
        return self._index_name.removesuffix("nbi")

    def _name(self, told: tuple[Any, ...]) -> str:
        return f"{self._prefix}{_checksum(repr(told).encode()).hex()[:16]}.nbc"


caching.IndexDataCacheFile = FileByKey
