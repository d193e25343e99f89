"""Where data, runs, tables and reports lie: one small interface, and local folders as its implementation.

Everything in a store has a key: its path relative to the store's root, with slashes. Nothing inside a store
holds an absolute path, so that a store can be moved, copied or mounted elsewhere.
"""

import contextlib
import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage.atomic import new_file, publish, staging, write_text
from storage.lock import lock

MARKER = "store.json"
"""File in a store's root that says that it is one."""
FORMAT = 1


class StoreError(ValueError):
    """A store or a key in it that cannot be used; the message names it, what was expected and the remedy."""


class Store(Protocol):
    """What the parts of the project ask of a store."""

    def open(self, key: str) -> Path:
        """A local path at which ``key`` can be read; there may be nothing."""
        ...

    def list(self, key: str) -> list[str]:
        """The keys directly below ``key``, sorted; without temporary and hidden ones."""
        ...

    def publish(self, key: str) -> AbstractContextManager[Path]:
        """A temporary folder to write to, which appears as ``key`` whole or not at all."""
        ...

    def publish_file(self, key: str) -> AbstractContextManager[Path]:
        """A temporary path to write a file to, which appears as ``key`` whole or not at all."""
        ...

    def point(self, key: str, target: str) -> None:
        """Let the pointer ``key`` name ``target``, a key; what it names must be there already."""
        ...

    def follow(self, key: str) -> str | None:
        """The key that the pointer ``key`` names; None where there is no pointer."""
        ...

    def lock(
        self,
        key: str,
        *,
        label: str,
        wait_seconds: float,
        waiting: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[object]:
        """Hold ``key`` alone until the context ends or the process does; see :func:`storage.lock.lock`."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A store in the folder ``root`` of this machine."""

    root: Path

    @staticmethod
    def create(root: Path) -> "LocalStore":
        """The store in ``root``, which is made one if it is not."""
        marker = root / MARKER
        if not marker.exists():
            write_text(marker, json.dumps({"format": FORMAT}))
        return LocalStore(root.resolve())

    @staticmethod
    def containing(path: Path) -> "LocalStore":
        """The store that ``path`` lies in.

        :raises StoreError: it lies in none.
        """
        path = path.resolve()
        for folder in (path, *path.parents):
            if (folder / MARKER).is_file():
                return LocalStore(folder)
        raise StoreError(
            f"{path}: not in a store (no {MARKER} in it or above it); give a path inside the "
            "folder that TRM_DATA names"
        )

    def key(self, path: Path) -> str:
        """The key of a path inside the store.

        :raises StoreError: it lies outside.
        """
        path = path.resolve()
        if not path.is_relative_to(self.root):
            raise StoreError(f"{path}: outside the store {self.root}; give a path inside it")
        return path.relative_to(self.root).as_posix()

    def open(self, key: str) -> Path:
        """See :class:`Store`."""
        return self.root / key

    def list(self, key: str) -> list[str]:
        """See :class:`Store`."""
        folder = self.root / key
        if not folder.is_dir():
            return []
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        return [f"{key}/{name}" if key else name for name in names]

    @contextlib.contextmanager
    def publish(self, key: str) -> Generator[Path]:
        """See :class:`Store`."""
        target = self.root / key
        with staging(target.parent) as temporary:
            yield temporary
            publish(temporary, target)

    def publish_file(self, key: str) -> AbstractContextManager[Path]:
        """See :class:`Store`."""
        return new_file(self.root / key)

    def point(self, key: str, target: str) -> None:
        """See :class:`Store`. The pointer is a small text file, since not every disk has links."""
        if not (self.root / target).exists():
            raise StoreError(f"{key}: {target} is not in {self.root}; publish it first")
        write_text(self.root / key, f"{target}\n")

    def follow(self, key: str) -> str | None:
        """See :class:`Store`. Links, which stores had before, are followed too."""
        path = self.root / key
        if path.is_symlink():
            return self.key(path) if path.exists() else None
        return path.read_text("utf-8").strip() if path.is_file() else None

    def lock(
        self,
        key: str,
        *,
        label: str,
        wait_seconds: float,
        waiting: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[object]:
        """See :class:`Store`."""
        return lock(
            self.root / key, label=label, wait_seconds=wait_seconds, waiting=waiting, stop=stop
        )
