"""What an evaluation has finished, kept on disk, so that an interrupted one goes on from there."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from storage.atomic import new_file, remove

Columns = Mapping[str, npt.NDArray[Any]]
"""Arrays by name with a row for each of consecutive examples."""

KEPT_SECONDS = 10.0
"""At most so much work is lost when a process is killed."""
_SUFFIX = ".safetensors"


class Finished:
    """The columns of finished examples in a folder, a file for each time that they were kept.

    Used as a context, it keeps what is finished when the context ends, however it ends. A folder
    is of one evaluation of one checkpoint by one code: its name says which.

    :param folder: None: nothing is kept.
    :param seconds: between two files.
    """

    def __init__(self, folder: Path | None = None, seconds: float = KEPT_SECONDS) -> None:
        self._folder, self._seconds = folder, seconds
        self._waiting: list[Columns] = []
        self._kept_at = time.monotonic()
        self._rows = 0

    def parts(self) -> list[Columns]:
        """What has been kept, from the first example on; a file that is damaged, and those after
        it, do not count.
        """
        found: list[Columns] = []
        while self._folder is not None:
            # Named by their first row: those of an earlier try may overlap.
            path = self._folder / f"{self._rows}{_SUFFIX}"
            try:
                found.append(load_file(path))
            except (SafetensorError, OSError):
                break
            self._rows += len(next(iter(found[-1].values())))
        return found

    def add(self, columns: Columns) -> None:
        """Keep further examples, with this call or a later one."""
        self._waiting.append(columns)
        if time.monotonic() - self._kept_at >= self._seconds:
            self._keep()

    def remove(self) -> None:
        """Remove all that has been kept; what came of it is kept elsewhere."""
        if self._folder is not None:
            remove(self._folder)

    def _keep(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._kept_at = time.monotonic()
        if self._folder is None or not waiting:
            return
        joined = {name: np.concatenate([each[name] for each in waiting]) for name in waiting[0]}
        with new_file(self._folder / f"{self._rows}{_SUFFIX}") as temporary:
            save_file(joined, temporary)
        self._rows += len(next(iter(joined.values())))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        self._keep()
