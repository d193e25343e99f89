"""Runs of the command line whose process was killed.

Dagster watches the processes that its server starts, and no others: such a run would stay started,
and keep its place in the pool from whatever the page starts. So each process of the command line
holds a lock, which the system releases however the process ends, and its runs name it in a tag.
"""

import time
import uuid
from functools import cache
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

FOLDER = "processes"
"""Of Dagster's home folder: the locks of processes."""
TAG = "trm/process"
"""A run's tag: the name of its process's lock."""
OLD_SECONDS = 86_400.0
"""The age at which the lock of a process that has ended is removed."""
UNDER_WAY = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)


def process_tags(instance: dg.DagsterInstance) -> dict[str, str]:
    """The tags of a run that this process makes itself."""
    if instance.is_ephemeral:
        return {}
    return {TAG: _held(_folder(instance)).name}


def end_lost(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process is no longer there, as canceled; returns their ids."""
    if instance.is_ephemeral:
        return []
    folder, ended = _folder(instance), list[str]()
    for run in instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY))):
        name = run.tags.get(TAG)
        if name is not None and not _is_held(folder / name):
            instance.report_run_canceled(run, message="The process of this run was killed.")
            ended.append(run.run_id)
    return ended


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory, FOLDER)


@cache
def _held(folder: Path) -> Path:
    """A file that this process holds locked as long as it lives."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        # A younger one may be about to be locked.
        if time.time() - path.stat().st_mtime > OLD_SECONDS and not _is_held(path):
            path.unlink(missing_ok=True)
    path = folder / uuid.uuid4().hex
    _LOCKS.append(FileLock(path, thread_local=False, fallback_to_soft=False))
    _LOCKS[-1].acquire(blocking=False)
    return path


_LOCKS: list[FileLock] = []
"""Those of this process, which are released when it ends."""


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock."""
    if not path.exists():
        return False
    try:
        with FileLock(path, fallback_to_soft=False).acquire(blocking=False):
            return False
    except Timeout:
        return True


@dg.sensor(
    name="lost_runs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs of the command line whose process was killed, as canceled.",
)
def LOST_RUNS(context: dg.SensorEvaluationContext) -> dg.SkipReason:  # noqa: N802
    """Looks for them every half minute."""
    ended = end_lost(context.instance)
    return dg.SkipReason(f"ended: {', '.join(ended)}" if ended else "no process was killed")
