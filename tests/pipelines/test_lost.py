"""Runs of the command line whose process was killed do not stay started."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from pipelines import lost
from pipelines.lost import TAG, end_lost, lost_runs, process_tags

PROCESS = """
import sys
import dagster as dg
from pipelines import lost
from pipelines.lost import process_tags

@dg.op
def works():
    print("works", flush=True)
    sys.stdin.read()

@dg.job
def job():
    works()

with dg.DagsterInstance.get() as instance:
    job.execute_in_process(instance=instance, tags=process_tags(instance))
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as found:
        yield found


def status(instance: dg.DagsterInstance) -> dg.DagsterRunStatus:
    (run,) = instance.get_runs()
    return run.status


def test_a_run_ends_when_its_process_is_killed_and_not_before(
    instance: dg.DagsterInstance,
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROCESS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert any(line == "works\n" for line in process.stdout)
        assert end_lost(instance) == []
        assert status(instance) is dg.DagsterRunStatus.STARTED
        process.send_signal(signal.SIGKILL)
        process.wait()
    (run,) = instance.get_runs()
    # As after an interrupt, which is told to the page.
    instance.report_run_canceling(run)
    with dg.build_sensor_context(instance=instance) as context:
        (run,) = instance.get_runs()
        told = lost_runs(context)
        assert isinstance(told, dg.SkipReason)
        assert told.skip_message == f"ended: {run.run_id}"
        assert status(instance) is dg.DagsterRunStatus.CANCELED
        told = lost_runs(context)
        assert isinstance(told, dg.SkipReason)
        assert told.skip_message == "no process was killed"


def test_runs_of_this_process_and_of_servers_are_left_alone(instance: dg.DagsterInstance) -> None:
    started = dg.DagsterRunStatus.STARTED
    for number, tags in enumerate((process_tags(instance), {})):
        run = dg.DagsterRun("job", run_id=f"{number:032x}", status=started, tags=tags)
        instance.run_storage.add_run(run)
    assert end_lost(instance) == []
    tags = {TAG: "another machine/of long ago"}
    far = dg.DagsterRun("job", run_id=f"{2:032x}", status=started, tags=tags)
    instance.run_storage.add_run(far)
    assert end_lost(instance) == []
    tags = {TAG: f"{socket.gethostname()}/of long ago"}
    gone = dg.DagsterRun("job", run_id=f"{3:032x}", status=started, tags=tags)
    instance.run_storage.add_run(gone)
    assert end_lost(instance) == [gone.run_id]


def test_a_run_that_ends_meanwhile_stays_as_it_ended(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {TAG: f"{socket.gethostname()}/gone"}
    run = dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.run_storage.add_run(run)

    def ends(path: Path) -> bool:
        succeeded = dg.DagsterEventType.RUN_SUCCESS.value
        event = dg.DagsterEvent(succeeded, run.job_name)
        instance.report_dagster_event(event, run.run_id)
        return False

    monkeypatch.setattr(lost, "is_held", ends)
    assert end_lost(instance) == []
    assert status(instance) is dg.DagsterRunStatus.SUCCESS


def test_locks_of_processes_that_have_ended_are_removed_in_time(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(instance.root_directory, lost.FOLDER)
    folder.mkdir()
    (old, young) = (folder / name for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    # Another process may remove it, too.
    dangling = folder / "gone"
    dangling.symlink_to("nowhere")
    tag = process_tags(instance)[TAG]
    assert not old.exists()
    assert young.exists()
    assert (folder / tag.partition("/")[2]).exists()
    assert process_tags(instance) == {TAG: tag}
    # A child has none of its parent's locks. To filelock this process stays what it is: in a child
    # it would close all that are held.
    monkeypatch.setattr(lost, "os", SimpleNamespace(getpid=lambda: 1))
    assert process_tags(instance) != {TAG: tag}


def test_where_no_lock_can_be_had_runs_have_no_tag(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert process_tags(instance) == {}


def test_an_instance_that_keeps_nothing_has_no_processes() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert process_tags(instance) == {}
        assert end_lost(instance) == []
