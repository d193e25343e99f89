"""Runs of the command line whose process was killed.

Dagster watches the processes that its server starts, and no others: such a run would stay started,
and keep its place in the pool from whatever the page starts. So each process of the command line
holds a lock, which the system releases however the process ends, and its runs name it in a tag,
with the machine: others may see the folder, and not its locks.
"""

import os
import socket
import time
import uuid
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cache
from pathlib import Path

import dagster as dg

from storage.lock import is_held, lock

FOLDER = "processes"
"""The folder of the processes' locks, within Dagster's home folder."""
TAG = "trm/process"
"""A run's tag: the machine and the name of its process's lock."""
OLD_SECONDS = 86_400.0
"""The age at which the lock of a process that has ended is removed."""
UNDER_WAY = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def process_tags(instance: dg.DagsterInstance) -> dict[str, str]:
    """The tags of a run that this process makes itself; none where it cannot hold a lock."""
    if instance.is_ephemeral:
        return {}
    held = _held(_folder(instance), os.getpid())
    return {} if held is None else {TAG: f"{socket.gethostname()}/{held.name}"}


def end_lost(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process is no longer there, as canceled; returns their ids."""
    if instance.is_ephemeral:
        return []
    folder, ended = _folder(instance), list[str]()
    for run in instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY))):
        machine, _, name = run.tags.get(TAG, "").partition("/")
        # A server that makes a run again takes over its tags.
        ours = machine == socket.gethostname() and run.remote_job_origin is None
        if not ours or is_held(folder / name):
            continue
        # It may have ended by itself since it was listed.
        now = instance.get_run_by_id(run.run_id)
        if now is not None and now.status in UNDER_WAY:
            instance.report_run_canceled(now, message="The process of this run was killed.")
            ended.append(run.run_id)
    return ended


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory, FOLDER)


@cache
def _held(folder: Path, process: int) -> Path | None:
    """A file that this process holds locked as long as it lives; None where it cannot.

    :param process: its number: a child has none of its parent's locks.
    """
    del process
    path = folder / uuid.uuid4().hex
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_old(folder)
        _LOCKS.enter_context(_locked(path))
    except OSError:  # A disk without locks, or one that may not be written.
        return None
    return path


_LOCKS = ExitStack()
"""Those of this process, which are released when it ends."""


def _locked(path: Path) -> AbstractContextManager[None]:
    """The lock, held; whoever finds it taken does not wait."""
    return lock(path, label="runs", wait_seconds=0.0, waiting=lambda _: None)


def _remove_old(folder: Path) -> None:
    """Remove the locks of processes that have ended. A young one may be about to be locked."""
    for path in folder.iterdir():
        with suppress(OSError):  # Another process may remove it, too.
            if time.time() - path.stat().st_mtime > OLD_SECONDS and not is_held(path):
                path.unlink(missing_ok=True)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs of the command line whose process was killed, as canceled.",
)
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Looks for them every half minute."""
    ended = end_lost(context.instance)
    return dg.SkipReason(f"ended: {', '.join(ended)}" if ended else "no process was killed")
