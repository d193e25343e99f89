"""What steps print is copied by processes that Ctrl-C leaves alone."""

import os
import signal
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines.compute_logs import ComputeLogs
from pipelines.home import VARIABLE, prepare_home

STEP = ["run", "compute_logs", "step"]


def children() -> list[Path]:
    """The folders below /proc of the processes that this one has started."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [Path("/proc", child) for path in listed for child in path.read_text().split()]


def blocks_interrupts(process: Path) -> bool:
    """Whether a process does not get SIGINT."""
    status = dict(
        line.split(":\t", 1)
        for line in (process / "status").read_text().splitlines()
        if ":\t" in line
    )
    return bool(int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_processes_that_copy_do_not_get_an_interrupt(tmp_path: Path) -> None:
    logs, before = ComputeLogs(str(tmp_path)), set(children())
    with logs.capture_logs(STEP):
        started = set(children()) - before
        assert len(started) == 4
        assert all(map(blocks_interrupts, started))
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
        print("said by the step", flush=True)
    assert not started & set(children())
    path = tmp_path / "storage" / "run" / "compute_logs" / "step.out"
    assert path.read_text() == "said by the step\n"


def test_the_settings_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        logs = instance.compute_log_manager
        assert isinstance(logs, ComputeLogs)
        # Where Dagster keeps them by default.
        assert logs.get_captured_local_path(STEP, "out").startswith(str(tmp_path / "storage"))
