"""What a job owes the process that started it: it ends when that process does, and says how it
ended.

Imports nothing heavy: a job calls :func:`die_with_parent` before it loads anything else.
"""

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "TRM_PARENT_PID"
CRASHED, REFUSED, INTERRUPTED = 1, 2, 143
"""Exit codes of jobs, beside 0 for a finished one. Crashed: it may end otherwise when it is tried
again. Refused: a mistake, which has to be mended first. Both are named in the last line on standard
error, after :data:`ERROR`. Interrupted: told to stop; what was done is kept."""
ERROR = "error: "
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux), and exit at once if it already has.

    Without this a killed Dagster step would leave its training running beside the retry. The parent
    passes its process id in ``TRM_PARENT_PID``; nothing happens where the variable is missing, as
    when a person starts the training.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit("the parent process ended before this one began")
