"""Where data, runs, tables and reports lie: one small interface, and local folders as its
implementation.

Everything in a store has a key: its path relative to the store's root, with slashes. Nothing
inside a store holds an absolute path, so that a store can be moved, copied or mounted elsewhere.
What is published appears whole or not at all; a pointer, which is moved last, says which of
several versions is current.
"""

import contextlib
import json
import os.path
import posixpath
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage.atomic import discard, new_file, publish, staging, write_text
from storage.lock import lock
from storage.reading import json_object, reading
from storage.refusals import UserError, require_writable

MARKER = "store.json"
"""File in a store's root that says that it is one."""
FORMAT = 1
POINTER = "points to "
"""A pointer is a small text file of one line: this, then the target relative to the pointer's
folder."""
A_POINTER = f"a pointer, which is a file that says {POINTER!r} and a path"
"""What is expected where a pointer is damaged."""
_POINTER_BYTES = 4096


class StoreError(UserError, ValueError):
    """A store or a key in it that cannot be used; the message names it, what was expected and the
    remedy."""


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

    def publish_folder(self, folder: Path, key: str) -> None:
        """Let a ``folder`` that was written at a local path of this store appear as ``key``; it is
        gone from where it was."""
        ...

    def remove(self, key: str) -> None:
        """Remove ``key`` and all below it, if it is there; whoever reads sees all of it or nothing.

        :raises OSError: it may not be.
        """
        ...

    def require_writable(self, key: str) -> None:
        """Find out whether ``key`` may be written before long work is done for it.

        :raises OSError: it may not.
        """
        ...

    def point(self, key: str, target: str) -> None:
        """Let the pointer ``key`` name ``target``, a key.

        :raises StoreError: there is nothing at ``target``.
        """
        ...

    def follow(self, key: str) -> str | None:
        """The key that the pointer ``key`` names; None where there is no pointer, or nothing any
        more at what it names.

        :raises StoreError: there is a file that is no pointer.
        """
        ...

    def lock(
        self,
        key: str,
        *,
        label: str,
        wait_seconds: float,
        waiting: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[None]:
        """Hold ``key`` alone until the context ends or the process does; see
        :func:`storage.lock.lock`."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A store in the folder ``root`` of this machine. Folders in it may be links to other disks."""

    root: Path

    @staticmethod
    def create(root: Path) -> "LocalStore":
        """The store in ``root``, which is made one if it is not.

        :raises StoreError: it is one of another version of this project, or damaged.
        """
        root = _absolute(root)
        if (root / MARKER).exists():
            return _opened(root)
        write_text(root / MARKER, json.dumps({"format": FORMAT}))
        return LocalStore(root)

    @staticmethod
    def containing(path: Path) -> "LocalStore":
        """The store that ``path`` lies in.

        :raises StoreError: it lies in none, or in one that :meth:`create` refuses.
        """
        for start in (_absolute(path), path.resolve()):
            for folder in (start, *start.parents):
                if (folder / MARKER).exists():
                    return _opened(folder)
        raise StoreError(
            f"{path}: not in a store (there is no {MARKER} in it or above it); expected a path "
            "inside the folder that TRM_DATA names; give one"
        )

    def key(self, path: Path) -> str:
        """The key of a path inside the store.

        :raises StoreError: it lies outside.
        """
        for inner, root in (
            (_absolute(path), _absolute(self.root)),
            (path.resolve(), self.root.resolve()),
        ):
            if inner.is_relative_to(root):
                return inner.relative_to(root).as_posix()
        raise StoreError(f"{path}: outside the store {self.root}; expected a path inside; give one")

    def open(self, key: str) -> Path:
        """See :class:`Store`."""
        return self.root / key

    def list(self, key: str) -> list[str]:
        """See :class:`Store`."""
        folder = self.root / key
        if not folder.is_dir():
            return []
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        return [posixpath.join(key, name) for name in names]

    @contextlib.contextmanager
    def publish(self, key: str) -> Generator[Path]:
        """See :class:`Store`."""
        target = self.root / key
        with staging(target.parent) as temporary:
            yield temporary
            publish(temporary, target)

    def publish_file(self, key: str) -> AbstractContextManager[Path]:
        """See :class:`Store`.

        The temporary file lies in the first folder of the key, because whoever scans a table must
        not find a file there that is half written.
        """
        first, slash, _ = key.partition("/")
        return new_file(self.root / key, self.root / first if slash else self.root)

    def publish_folder(self, folder: Path, key: str) -> None:
        """See :class:`Store`."""
        publish(folder, self.root / key)

    def remove(self, key: str) -> None:
        """See :class:`Store`."""
        discard(self.root / key)

    def require_writable(self, key: str) -> None:
        """See :class:`Store`."""
        require_writable(self.root / key)

    def point(self, key: str, target: str) -> None:
        """See :class:`Store`. The pointer is a text file, since not every disk has links."""
        if not (self.root / target).exists():
            raise StoreError(
                f"{self.root / key}: there is no {target} in {self.root} to point to; expected it "
                "to be published before; write it first"
            )
        relative = posixpath.relpath(target, posixpath.dirname(key) or ".")
        write_text(self.root / key, f"{POINTER}{relative}\n")

    def follow(self, key: str) -> str | None:
        """See :class:`Store`. Symbolic links, which stores had before, are followed too."""
        path = self.root / key
        if path.is_symlink():
            relative = path.readlink().as_posix()
        elif not path.exists():
            return None
        else:
            relative = _pointer(path)
            if relative is None:
                raise StoreError(
                    f"{path}: not a pointer; expected {A_POINTER}; remove it and make again what "
                    "it belongs to"
                )
        target = posixpath.normpath(posixpath.join(posixpath.dirname(key), relative))
        if posixpath.isabs(target) or target.split("/")[0] == "..":
            raise StoreError(
                f"{path}: points to {relative}, outside the store {self.root}; expected a path "
                "inside; remove it and make again what it belongs to"
            )
        return target if (self.root / target).exists() else None

    def lock(
        self,
        key: str,
        *,
        label: str,
        wait_seconds: float,
        waiting: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[None]:
        """See :class:`Store`."""
        return lock(
            self.root / key, label=label, wait_seconds=wait_seconds, waiting=waiting, stop=stop
        )


def follow_pointers(path: Path) -> Path:
    """``path`` with every pointer in it replaced by what the pointer names, as an operating system
    does with links: ``runs/b/v/0/current/checkpoints`` is a folder of the current run.

    For paths that users give. Needs no store around the path; one without pointers is returned as
    it is, whether it exists or not.

    :raises StoreError: a file that is no pointer stands where a folder should.
    """
    found = Path()
    for part in path.parts:
        if found.is_file():
            raise StoreError(
                f"{found}: a file, expected a folder or {A_POINTER}; if it was one, give the path "
                "that it named, or remove it and make what it belongs to again"
            )
        found /= part
        relative = _pointer(found)
        if relative is not None:
            found = Path(os.path.normpath(found.parent / relative))
    return found


def _opened(root: Path) -> LocalStore:
    """The store whose marker is in ``root``."""
    path = root / MARKER
    expected = f"a store of format {FORMAT}; use the version of this project that made it, or "
    with reading(StoreError, path, f"{expected}remove the file if it is damaged"):
        found = json_object(json.loads(path.read_bytes()), MARKER, ("format",))["format"]
        if found != FORMAT:
            raise ValueError(f"format {found!r}")
    return LocalStore(root)


def _absolute(path: Path) -> Path:
    """Without ``..``, but with links left as they are: a folder in the store may be one."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps ..)


def _pointer(path: Path) -> str | None:
    """What the pointer at ``path`` says; None where there is no pointer."""
    if not path.is_file() or path.stat().st_size > _POINTER_BYTES:
        return None
    text = path.read_text("utf-8", errors="replace")
    return text.removeprefix(POINTER).strip() if text.startswith(POINTER) else None
