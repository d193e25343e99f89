"""What a job owes the process that started it: it ends when that process does, and says how it
ended.

Imports nothing heavy: a job calls :func:`die_with_parent` before it loads anything else.
"""

import ctypes
import os
import signal
import sys
import threading
import time

PARENT_VARIABLE = "TRM_PARENT_PID"
CRASHED, REFUSED, NO_MEMORY, DIVERGED, KILLED, INTERRUPTED = 1, 2, 3, 4, 137, 143
"""Exit codes of jobs, beside 0 for a finished one. Crashed: it may end otherwise when it is tried
again. Refused: a mistake, which has to be mended first. No memory: as crashed, but not before other
programs have ended. Diverged: what it computed is not finite. These are named in the last line on
standard error, after :data:`ERROR`. Killed: by the kernel or a person, as the signal alone tells
where the job is one process. Interrupted: told to stop; what was done is kept."""
ERROR = "error: "
_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def die_with_parent(grace_seconds: float = 60.0) -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux), and exit at once if it already has.

    Without this a killed Dagster step would leave its training running beside the retry. The parent
    passes its process id in ``TRM_PARENT_PID``; nothing happens where the variable is missing, as
    when a person starts the training.

    :param grace_seconds: time to keep what is done. A process that has not ended then, since it
        waits in a library for another process, say, ends all the same.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit("the parent process ended before this one began")

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(_LOOK_SECONDS)
        time.sleep(grace_seconds)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
