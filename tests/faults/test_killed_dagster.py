"""Dagster's process is killed: the training beside it ends, and the next run continues it."""

import json
from pathlib import Path

from tests.faults.conftest import Start
from tests.faults.helpers import last_step, trainers, until
from trm_model.training.checkpoint import saved

ASSET, PARTITION, STEPS = "sudoku_4x4", "trm_mlp|0", 60
CONFIG = {
    "steps": STEPS,
    "batch_size": 4,
    "checkpoint_seconds": 0.2,
    "log_steps": 2,
    "device": "cpu",
}


def test_killed_dagster(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "store"
    env = {"DAGSTER_HOME": str(tmp_path / "home"), "TRM_DATA": str(store)}
    data = start(
        "-m", "pipelines.materialize", ASSET, "--stage", "puzzles", "--stage", "examples", **env
    )
    assert data.wait() == 0, data.stderr

    config = json.dumps({"ops": {f"{ASSET}__checkpoint": {"config": CONFIG}}})
    what = ["--select", f"{ASSET}/checkpoint", "--partition", PARTITION, "--config-json", config]
    dagster = start(
        "-m", "dagster", "asset", "materialize", "-m", "pipelines.definitions", *what, **env
    )
    runs = store / "runs" / ASSET / "trm_mlp" / "0"
    until(lambda: not dagster.running or any(saved(run) for run in runs.glob("*")), "a checkpoint")
    assert dagster.running, dagster.stderr
    [run] = runs.iterdir()
    assert len(trainers(str(run))) == 1
    dagster.kill()
    until(lambda: not trainers(str(run)), "the trainer's end", seconds=15)
    assert 0 < last_step(run) < STEPS

    settings = [
        word for name, value in CONFIG.items() for word in ("--set", f"checkpoint.{name}={value}")
    ]
    again = start(
        "-m",
        "pipelines.materialize",
        ASSET,
        "--stage",
        "checkpoint",
        "--partition",
        PARTITION,
        *settings,
        **env,
    )
    assert again.wait(60) == 0, again.stderr
    assert "continuing from step" in again.stdout + again.stderr
    assert last_step(run) == STEPS
    assert trainers(str(run)) == []
