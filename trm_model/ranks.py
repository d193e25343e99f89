"""Several processes of one job, by torchrun: ``python -m trm_model.ranks PROCESSES GRACE PROGRESS
MODULE ARGUMENTS``.

Runs ``python -m MODULE ARGUMENTS`` so many times at once on this machine, each with the environment
variables by which torch's processes find one another. The processes die with this one, as this one
does with the process that started it (:mod:`trm_model.lifeline`), and end as one: told to stop,
this one tells them and gives them GRACE seconds. When one of them dies, all are ended and started
again, to go on from what they have kept; when that has happened a few times and they have kept
nothing new in the folder PROGRESS meanwhile, the job has crashed. A refusal, an interrupt, too
little memory, or numbers that are not finite in one of them are those of all.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from trm_model.lifeline import (
    CRASHED,
    DIVERGED,
    INTERRUPTED,
    KILLED,
    NO_MEMORY,
    PARENT_VARIABLE,
    REFUSED,
    die_with_parent,
)
from trm_model.names import STORE_VARIABLE

MARGIN = 10.0
"""Seconds beyond their grace in which the processes are killed that have not ended."""
RESTARTS = 3
"""The processes are started again at most so often without progress."""
_STOPPED = {INTERRUPTED, -signal.SIGTERM, -signal.SIGINT}


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    processes, grace, progress, module, *others = arguments
    die_with_parent(float(grace) + MARGIN)
    os.environ[PARENT_VARIABLE] = str(os.getpid())
    # The processes of one machine need not be seen by others.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", socket.if_indextoname(1))
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    command = ("-m", module, *others)
    return _keep_running(int(processes), float(grace), progress, command)


def _keep_running(processes: int, grace: float, progress: str, command: Sequence[str]) -> int:
    """Run a command as so many processes until they are done; returns the exit code of all."""
    # Imported here: torch takes seconds, and the parent's death must be watched from the start.
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # What has happened is said here.
    attempts, restarts, seen = count(), 0, _kept(progress)
    with TemporaryDirectory() as folder:
        while True:
            attempt = next(attempts)
            config = LaunchConfig(
                min_nodes=1,
                max_nodes=1,
                nproc_per_node=processes,
                logs_specs=DefaultLogsSpecs(log_dir=folder),
                run_id=f"trm-{os.getpid()}-{attempt}",
                # They find one another by files: torch's servers would listen to other machines.
                rdzv_backend="c10d",
                rdzv_endpoint=f"{folder}/agent-{attempt}",
                rdzv_configs={"store_type": "file"},
                local_addr="127.0.0.1",
                max_restarts=0,  # It would start a job again that was refused.
                shutdown_timeout=int(grace),
            )
            os.environ[STORE_VARIABLE] = f"file://{folder}/ranks-{attempt}"
            try:
                elastic_launch(config, sys.executable)(*command)
                return 0
            except ChildFailedError as error:
                codes = {failure.exitcode for failure in error.failures.values()}
                # The others are ended with it, some of them by SIGKILL.
                first = error.get_first_failure()[1].exitcode
            except SignalException:
                return INTERRUPTED
            for certain in (REFUSED, DIVERGED, NO_MEMORY):
                if certain in codes:
                    return certain
            # The first one to end was told to stop, alone, and the others cannot do without it.
            if codes <= _STOPPED or first == INTERRUPTED:
                return INTERRUPTED
            now = _kept(progress)
            restarts, seen = (restarts + 1 if now == seen else 1), now
            died = f"a process died ({', '.join(map(_described, sorted(codes)))})"
            if restarts > RESTARTS:
                print(f"{died}, again without progress", flush=True)
                return KILLED if first == -signal.SIGKILL else CRASHED
            print(f"{died}: all start again", flush=True)


def _kept(folder: str) -> set[str]:
    """The names of what is in a folder, without what is being written; none where there is no
    folder."""
    return {path.name for path in Path(folder).glob("[!.]*")} if folder else set()


def _described(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
