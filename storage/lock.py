"""Locks that end with the process that holds them, however it ends."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO


class LockedError(RuntimeError):
    """Somebody else holds a lock for longer than we wait; the message names the file and the
    holder."""


def lock(
    path: Path,
    *,
    label: str,
    wait_seconds: float,
    waiting: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> IO[str]:
    """Hold an exclusive ``flock`` on ``path`` until the returned file is closed or the process
    ends, however it ends.

    :param label: what holds the lock, for those who wait.
    :param waiting: told once, with the holder, if the lock is taken.
    :param stop: asked while waiting; True gives up.
    :raises LockedError: still taken after ``wait_seconds``, or told to stop.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    deadline, told = time.monotonic() + wait_seconds, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = f"{path} is locked by {file.read().strip() or 'another process'}"
            if not told:
                waiting(f"waiting until it is free: {holder}")
                told = True
            if time.monotonic() > deadline or stop():
                file.close()
                raise LockedError(
                    f"{holder}, after {wait_seconds:.0f} s of waiting; end that process or wait "
                    "for it"
                ) from None
            time.sleep(0.2)
        else:
            file.truncate(0)
            file.write(f"process {os.getpid()} ({label})\n")
            file.flush()
            return file
