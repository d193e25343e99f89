"""Locks that end with the process that holds them, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path

from filelock import FileLock, Timeout

from storage.refusals import UserError, naming

POLL_SECONDS = 0.2


class LockedError(UserError, RuntimeError):
    """Somebody else holds a lock for longer than we wait; the message names the file and the
    holder."""


@contextlib.contextmanager
def lock(
    path: Path,
    *,
    label: str,
    wait_seconds: float,
    waiting: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> Generator[None]:
    """Hold ``path`` alone until the context ends or the process does, ``kill -9`` included.

    The locking is :class:`filelock.FileLock`'s. This function adds who holds the lock, which the
    library does not record: the holder writes itself into the file, and whoever waits reads it
    there. On a file system without locks it fails rather than fall back to marker files, which
    would outlive a killed process.

    :param label: what holds the lock, for those who wait.
    :param waiting: told once, with the holder, if the lock is taken.
    :param stop: asked while waiting; True gives up.
    :raises LockedError: still taken after ``wait_seconds``, or told to stop.
    :raises OSError: the file system has no locks, or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path, thread_local=False, fallback_to_soft=False, poll_interval=POLL_SECONDS)
    try:
        # The call that locks knows no path, and so its error names none.
        with naming(path):
            held.acquire(blocking=False)
    except Timeout:
        waiting(f"waiting until it is free: {_holder(path)}")
        try:
            held.acquire(timeout=wait_seconds, cancel_check=stop)
        except Timeout:
            raise LockedError(
                f"{_holder(path)}, after {wait_seconds:.0f} s of waiting; end that process or "
                "wait for it"
            ) from None
    try:
        with naming(path):
            path.write_text(f"process {os.getpid()} ({label})\n", "utf-8")
        yield
    finally:
        held.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock, or may hold it, since nobody can tell; takes nothing from
    whoever does."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    return False


def _holder(path: Path) -> str:
    holder = path.read_text("utf-8").strip() or "another process"
    return f"{path} is locked by {holder}"
