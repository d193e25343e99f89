"""The command is killed or interrupted: the training beside it ends, and the next run continues
it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.faults.helpers import (
    REPOSITORY,
    Child,
    checkpoint_steps,
    last_step,
    temporary,
    trainers,
    until,
)
from trm_model.training.folders import saved

ASSET, STEPS = "sudoku_4x4", 60
CONFIG = {
    "steps": STEPS,
    "batch_size": 4,
    "checkpoint_seconds": 0.2,
    "log_steps": 2,
    "validate_steps": 0,
    "device": "cpu",
}
MATERIALIZE = ("-m", "pipelines.materialize", ASSET)
SETTINGS = [
    word for name, value in CONFIG.items() for word in ("--set", f"checkpoint.{name}={value}")
]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a store with the data in it."""
    folder = tmp_path_factory.mktemp("dagster")
    env = {"DAGSTER_HOME": str(folder / "home"), "TRM_DATA": str(folder / "store")}
    stages = ("--stage", "puzzles", "--stage", "examples")
    subprocess.run(
        [sys.executable, *MATERIALIZE, *stages],
        env={**os.environ, **env},
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    return env


def training(
    start: Start, env: Mapping[str, str], seed: int, processes: int = 1
) -> tuple[Child, Path]:
    """The command at work on the first of two trainings, which has written a checkpoint, and the
    run's folder."""
    partitions = ("--partition", f"trm_mlp|{seed}", "--partition", f"no_ema|{seed}")
    settings = (*SETTINGS, "--set", f"checkpoint.processes={processes}")
    command = start(*MATERIALIZE, "--stage", "checkpoint", *partitions, *settings, **env)
    runs = Path(env["TRM_DATA"]) / "runs" / ASSET / "trm_mlp" / str(seed)
    until(lambda: not command.running or any(saved(run) for run in runs.glob("*")), "a checkpoint")
    assert command.running, command.stderr
    [run] = runs.iterdir()
    # The one that starts several names them too.
    assert len(trainers(str(run))) == processes + (processes > 1)
    return command, run


@pytest.mark.parametrize(("processes", "seed"), [(1, 0), (2, 4)])
def test_killed(start: Start, env: Mapping[str, str], processes: int, seed: int) -> None:
    command, run = training(start, env, seed, processes)
    command.kill()
    until(lambda: not trainers(str(run)), "the trainer's end", seconds=15)
    assert 0 < last_step(run) < STEPS
    # It has written a last checkpoint, although nobody read its output any more.
    assert checkpoint_steps(run)[-1] >= last_step(run)
    assert temporary(run) == []

    stage = ("--stage", "checkpoint", "--partition", f"trm_mlp|{seed}")
    several = ("--set", f"checkpoint.processes={processes}")
    again = start(*MATERIALIZE, *stage, *SETTINGS, *several, **env)
    assert again.wait(60) == 0, again.stderr
    assert "continuing from step" in again.stdout + again.stderr
    assert last_step(run) == STEPS
    assert trainers(str(run)) == []


@pytest.mark.parametrize(
    ("numbers", "seed", "code"),
    [([signal.SIGINT], 1, 130), ([signal.SIGTERM], 2, 143), ([signal.SIGINT] * 2, 3, 130)],
)
def test_interrupted(
    start: Start, env: Mapping[str, str], numbers: list[signal.Signals], seed: int, code: int
) -> None:
    command, run = training(start, env, seed)
    for number in numbers:
        command.process.send_signal(number)
        time.sleep(0.3)
    assert command.wait(60) == code
    assert trainers(str(run)) == []
    *_, reached = checkpoint_steps(run)
    assert 0 < reached < STEPS
    if len(numbers) == 1:  # The second one kills the training.
        told = f"interrupted at step {reached} of {STEPS}; a checkpoint is written"
        assert told in command.stderr
    # Neither a retry nor the second partition, no traceback, and how to go on.
    assert "no_ema" not in command.stdout
    assert "Traceback" not in command.stderr
    assert "Stack Trace" not in command.stderr
    assert command.stderr.splitlines()[-1] == (
        f"{ASSET}: interrupted by {numbers[0].name}; what is finished is kept, and the same "
        "command goes on from there"
    )
