"""A process that ends with its parent, and locks that end with their process."""

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

PARENT_VARIABLE = "TRM_PARENT_PID"
_PR_SET_PDEATHSIG = 1


class LockedError(RuntimeError):
    """Somebody else holds a lock for longer than we wait; the message names the file and the holder."""


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux), and exit at once if it already has.

    Without this a killed Dagster step leaves its training running beside the retry (DAGSTER.md). The parent passes its process id in
    ``TRM_PARENT_PID``; nothing happens where the variable is missing, as when a person starts the training.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit("the parent process ended before this one began")


def lock(
    path: Path, *, label: str, wait_seconds: float, waiting: Callable[[str], None], stop: Callable[[], bool] = lambda: False
) -> IO[str]:
    """Hold an exclusive ``flock`` on ``path`` until the returned file is closed or the process ends, however it ends.

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
                raise LockedError(f"{holder}, after {wait_seconds:.0f} s of waiting; end that process or wait for it") from None
            time.sleep(0.2)
        else:
            file.truncate(0)
            file.write(f"process {os.getpid()} ({label})\n")
            file.flush()
            return file
