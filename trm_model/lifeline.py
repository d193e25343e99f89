"""A process that ends with its parent."""

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "TRM_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux), and exit at once if it already has.

    Without this a killed Dagster step leaves its training running beside the retry
    (docs/dagster.md). The parent passes its process id in ``TRM_PARENT_PID``; nothing happens where
    the variable is missing, as when a person starts the training.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit("the parent process ended before this one began")
