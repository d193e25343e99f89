"""Runs of the command line whose process was killed do not stay started."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines.lost import LOST_RUNS, TAG, end_lost, process_tags

PROCESS = """
import sys
import dagster as dg
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
    with dg.build_sensor_context(instance=instance) as context:
        (run,) = instance.get_runs()
        told = LOST_RUNS(context)
        assert isinstance(told, dg.SkipReason)
        assert told.skip_message == f"ended: {run.run_id}"
        assert status(instance) is dg.DagsterRunStatus.CANCELED
        told = LOST_RUNS(context)
        assert isinstance(told, dg.SkipReason)
        assert told.skip_message == "no process was killed"


def test_runs_of_this_process_and_of_servers_are_left_alone(instance: dg.DagsterInstance) -> None:
    started = dg.DagsterRunStatus.STARTED
    for number, tags in enumerate((process_tags(instance), {})):
        run = dg.DagsterRun("job", run_id=f"{number:032x}", status=started, tags=tags)
        instance.run_storage.add_run(run)
    assert end_lost(instance) == []
    other = dg.DagsterRun("job", run_id=f"{2:032x}", status=started, tags={TAG: "of long ago"})
    instance.run_storage.add_run(other)
    assert end_lost(instance) == [other.run_id]


def test_an_instance_that_keeps_nothing_has_no_processes() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert process_tags(instance) == {}
        assert end_lost(instance) == []
