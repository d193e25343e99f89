"""Dagster's process is killed or interrupted: the training beside it ends, and the next run
continues it."""

import json
import os
import signal
import subprocess
import sys
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
from trm_model.training.checkpoint import saved

ASSET, STEPS = "sudoku_4x4", 60
CONFIG = {
    "steps": STEPS,
    "batch_size": 4,
    "checkpoint_seconds": 0.2,
    "log_steps": 2,
    "device": "cpu",
}
MATERIALIZE = ("-m", "pipelines.materialize", ASSET)


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


def training(start: Start, env: Mapping[str, str], seed: int) -> tuple[Child, Path]:
    """Dagster at work on a training that has written a checkpoint, and the run's folder."""
    config = json.dumps({"ops": {f"{ASSET}__checkpoint": {"config": CONFIG}}})
    what = ["--select", f"{ASSET}/checkpoint", "--partition", f"trm_mlp|{seed}"]
    dagster = start(
        *("-m", "dagster", "asset", "materialize", "-m", "pipelines.definitions"),
        *(*what, "--config-json", config),
        **env,
    )
    runs = Path(env["TRM_DATA"]) / "runs" / ASSET / "trm_mlp" / str(seed)
    until(lambda: not dagster.running or any(saved(run) for run in runs.glob("*")), "a checkpoint")
    assert dagster.running, dagster.stderr
    [run] = runs.iterdir()
    assert len(trainers(str(run))) == 1
    return dagster, run


def test_killed_dagster(start: Start, env: Mapping[str, str]) -> None:
    dagster, run = training(start, env, seed=0)
    dagster.kill()
    until(lambda: not trainers(str(run)), "the trainer's end", seconds=15)
    assert 0 < last_step(run) < STEPS
    # It has written a last checkpoint, although nobody read its output any more.
    assert checkpoint_steps(run)[-1] >= last_step(run)
    assert temporary(run) == []

    settings = [
        word for name, value in CONFIG.items() for word in ("--set", f"checkpoint.{name}={value}")
    ]
    again = start(
        *MATERIALIZE, "--stage", "checkpoint", "--partition", "trm_mlp|0", *settings, **env
    )
    assert again.wait(60) == 0, again.stderr
    assert "continuing from step" in again.stdout + again.stderr
    assert last_step(run) == STEPS
    assert trainers(str(run)) == []


@pytest.mark.parametrize(("number", "seed"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_interrupted_dagster(
    start: Start, env: Mapping[str, str], number: signal.Signals, seed: int
) -> None:
    dagster, run = training(start, env, seed)
    dagster.process.send_signal(number)
    assert dagster.wait(60) != 0
    # The training had ended before Dagster did, with a checkpoint and in words.
    assert trainers(str(run)) == []
    [*_, reached] = checkpoint_steps(run)
    assert 0 < reached < STEPS
    told = f"interrupted at step {reached} of {STEPS}; a checkpoint is written"
    assert told in dagster.stdout + dagster.stderr
