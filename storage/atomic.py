"""Writing files and folders so that a reader never sees half of one: they are written under a
temporary name, synced to the disk and renamed."""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

from storage.refusals import naming

_NEW, _OLD = ".tmp-", ".old-"
"""How the names start of what is being written, and of what gives way to it."""


def _temporary(target: Path, prefix: str = _NEW) -> Path:
    return (
        target.parent
        / f"{prefix}{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}-{target.name}"
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """fsync every file and folder below and including ``root``."""
    for folder, _, files in os.walk(root):
        for name in files:
            _sync(Path(folder) / name)
        _sync(Path(folder))


def sweep(folder: Path) -> None:
    """Mend what killed processes of this machine left: remove what they were writing, and put back
    what they had moved aside and not replaced yet."""
    for path in list(folder.iterdir()):
        target = _killed_for(path)
        if target is not None and _is_only_copy(path, target):
            # Unless another process is faster.
            with contextlib.suppress(OSError):
                path.rename(target)
        elif target is not None:
            remove(path)


def is_temporary(path: Path) -> bool:
    """Whether this is being written, gives way to what is, or was left so."""
    return path.name.startswith((_NEW, _OLD))


def is_left_over(path: Path) -> bool:
    """Whether killed processes of this machine left this and nobody needs it: it is half written,
    or has been replaced. Of other machines nobody knows here which processes are alive."""
    target = _killed_for(path)
    return target is not None and not _is_only_copy(path, target)


def _killed_for(path: Path) -> Path | None:
    """What a process of this machine was writing when it was killed, by the name of a temporary
    file or folder; None: that is another's name."""
    machine = re.escape(socket.gethostname())
    found = re.fullmatch(
        rf"({re.escape(_NEW)}|{re.escape(_OLD)}){machine}-(?P<pid>\d+)-[0-9a-f]{{8}}-(?P<name>.+)",
        path.name,
    )
    return None if found is None or _alive(int(found["pid"])) else path.with_name(found["name"])


def _is_only_copy(path: Path, target: Path) -> bool:
    """Whether ``path`` was moved aside for a ``target`` that did not come."""
    return path.name.startswith(_OLD) and not target.exists()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Let a file or a folder vanish at once, if it is there, and remove it then: of a process that
    is killed meanwhile, :func:`sweep` removes the rest.

    :raises OSError: it may not be renamed.
    """
    if path.exists():
        aside = _temporary(path)
        path.rename(aside)
        _sync(path.parent)
        remove(aside)


@contextlib.contextmanager
def new_file(target: Path, stage_in: Path | None = None) -> Generator[Path]:
    """A temporary path to write to; on success it is synced and replaces ``target``, on failure
    removed.

    :param stage_in: folder for the temporary file, on the same disk; default: beside ``target``.
    """
    folder = stage_in if stage_in is not None else target.parent
    for needed in (target.parent, folder):
        needed.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    temporary = _temporary(folder / target.name)
    try:
        with naming(target):
            yield temporary
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
    finally:
        remove(temporary)


@contextlib.contextmanager
def staging(parent: Path) -> Generator[Path]:
    """A temporary folder in ``parent``, removed at the end unless :func:`publish` has renamed
    it."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    temporary = _temporary(parent / "folder")
    temporary.mkdir()
    try:
        yield temporary
    finally:
        remove(temporary)


def publish(temporary: Path, target: Path) -> None:
    """Sync the folder ``temporary`` and rename it to ``target``; an older ``target`` is moved aside
    first and then removed.

    Between the two renames there is no ``target``; where readers may come at that moment, publish
    under a fresh name and let a pointer name it (:meth:`storage.store.Store.point`). Of a process
    that is killed there, the next :func:`sweep` of the folder puts the older one back.
    """
    sync_tree(temporary)
    aside = _temporary(target, _OLD)
    if target.exists():
        target.rename(aside)
    temporary.rename(target)
    _sync(target.parent)
    remove(aside)


def write_text(target: Path, text: str) -> None:
    """Write a whole small file atomically (UTF-8)."""
    with new_file(target) as temporary:
        temporary.write_text(text, "utf-8")
