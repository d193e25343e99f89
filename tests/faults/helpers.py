"""Processes to kill, and what to look at afterwards."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from storage.manifest import verify_manifest
from trm_model.training.figures import METRICS
from trm_model.training.folders import FOLDER, saved
from trm_model.training.run import RunSpec

REPOSITORY = Path(__file__).parents[2]
TIMINGS = ("wall_seconds", "examples_per_second")


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until ``condition`` holds; fails with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.002)


class Child:
    """``python ARGUMENTS`` in a session of its own, one thread for torch; standard output and error
    go to files in ``folder``."""

    def __init__(self, arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        folder.mkdir()
        self.files = folder / "stdout", folder / "stderr"
        with self.files[0].open("wb") as stdout, self.files[1].open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=REPOSITORY,
                env={**os.environ, "OMP_NUM_THREADS": "1", **env},
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        return self.files[0].read_text("utf-8")

    @property
    def stderr(self) -> str:
        return self.files[1].read_text("utf-8")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float = 90.0) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL this process alone."""
        assert self.running, (
            f"ended with {self.process.returncode} before it could be "
            f"killed:\n{self.stdout}\n{self.stderr}"
        )
        self.process.kill()
        assert self.wait() == -signal.SIGKILL

    def end(self) -> None:
        """SIGKILL whatever is left of the session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def rows(run: Path) -> list[dict[str, Any]]:
    """The complete rows of a run's metrics."""
    text = (run / METRICS).read_text("utf-8") if (run / METRICS).exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def last_step(run: Path) -> int:
    """The step of the last row; 0 where there is none."""
    return max((row["step"] for row in rows(run)), default=0)


def checkpoint_steps(run: Path) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in saved(run)]


def temporary(folder: Path) -> list[Path]:
    """Temporary files and folders below ``folder``."""
    return list(folder.rglob(".tmp-*"))


def assert_same_training(run: Path, reference: Path) -> None:
    """Both are finished, and equal bit for bit in all but timings; nothing temporary is left."""
    ours, theirs = (saved(path)[-1] for path in (run, reference))
    assert ours.name == theirs.name == f"step-{RunSpec.read(reference).recipe.steps:08d}"
    verify_manifest(ours)
    parts = sorted(path.name for path in theirs.glob("*.safetensors"))
    assert parts == [
        "average.safetensors",
        "carry.safetensors",
        "optimizer.safetensors",
        "weights.safetensors",
    ]
    assert [
        part for part in parts if (ours / part).read_bytes() != (theirs / part).read_bytes()
    ] == []
    untimed = [
        [{name: row[name] for name in row if name not in TIMINGS} for row in rows(path)]
        for path in (run, reference)
    ]
    assert untimed[0] == untimed[1]
    assert temporary(run / FOLDER) == []


def trainers(text: str) -> list[int]:
    """Ids of training processes with ``text`` in their command line."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:  # it has ended meanwhile
                continue
            if "trm_model.training.process" in command and any(text in word for word in command):
                found.append(int(folder.name))
    return found
