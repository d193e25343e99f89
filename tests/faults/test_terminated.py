"""Runs of a real server are terminated as its page does it, or their processes are killed: they
end, nothing is started again that somebody has ended, and the next run continues.

One server serves all tests of this module, in their order.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.helpers import REPOSITORY, checkpoint_steps, trainers
from tests.server import Server, serving, until

ASSET, STEPS = "sudoku_4x4", 100_000
TRAINING = {
    "steps": STEPS,
    "batch_size": 4,
    "checkpoint_seconds": 0.5,
    "log_steps": 5,
    "validate_steps": 0,
    "device": "cpu",
}
LOG = (
    "query ($run: ID!) {runOrError(runId: $run) {... on Run {eventConnection {events {... on "
    "MessageEvent {message}}}}}}"
)

if importlib.util.find_spec("dagster_webserver") is None:
    pytest.skip("dagster-webserver is not installed: pip install '.[ui]'", allow_module_level=True)


class Place:
    """The server, and what its runs have done."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.folder = server.data / "runs" / ASSET / "trm_mlp"

    def materialize(self, *stages: str, seed: int, **config: Mapping[str, Any]) -> str:
        """Start a run of partitioned stages; returns its id."""
        return self.server.launch(
            *(f"{ASSET}/{stage}" for stage in stages),
            partition={"variant": "trm_mlp", "weights_seed": str(seed)},
            **{f"{ASSET}__{stage}": fields for stage, fields in config.items()},
        )

    def status(self, run: str) -> str:
        return self.server.runs()[run]

    def log(self, run: str) -> list[str]:
        """What a run has said."""
        events = self.server.ask(LOG, run=run)["runOrError"]["eventConnection"]["events"]
        return [event["message"] for event in events]

    def until_said(self, run: str, text: str) -> re.Match[str]:
        """Wait for a message that the pattern ``text`` matches."""

        def found() -> re.Match[str] | None:
            assert self.status(run) not in ("FAILURE", "SUCCESS"), "\n".join(self.log(run))
            matches = (re.match(text, message) for message in self.log(run))
            return next((match for match in matches if match), None)

        return until(found, f"{text!r}; see {self.server.log}")

    def until_status(self, run: str, status: str) -> None:
        until(lambda: self.status(run) == status, f"{run} {status}; see {self.server.log}", 60)

    def until_checkpoint(self, seed: int) -> Path:
        """Wait until a run of ours has written a checkpoint; returns its folder."""

        def found() -> Path | None:
            written = self.folder.glob(f"{seed}/*/checkpoints/step-*")
            return next((path.parents[1] for path in written), None)

        return until(found, f"a checkpoint; see {self.server.log}")

    def worker(self, run: str) -> int:
        """The id of the process of a run."""
        return int(self.until_said(run, r"Started process for run \(pid: (\d+)\)")[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A fresh instance, and the data of a benchmark."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        run = server.launch(f"{ASSET}/puzzles", f"{ASSET}/examples")
        until(lambda: server.runs()[run] == "SUCCESS", f"the data; see {server.log}")
        yield Place(server)


def test_trainings_wait_for_one_another_and_end_when_terminated(place: Place) -> None:
    runs = [place.materialize("checkpoint", seed=seed, checkpoint=TRAINING) for seed in range(3)]
    folder = place.until_checkpoint(0)
    # The limit of the pool holds for the first ones of a fresh instance.
    assert [place.status(run) for run in runs] == ["STARTED", "QUEUED", "QUEUED"]
    before = len(place.server.runs())
    answers = place.server.terminate(*runs)
    assert [answer["__typename"] for answer in answers] == ["TerminateRunSuccess"] * 3
    for run in runs:
        place.until_status(run, "CANCELED")
    assert trainers(str(place.folder)) == []
    *_, reached = checkpoint_steps(folder)
    told = f"interrupted at step {reached} of {STEPS}; a checkpoint is written"
    assert told in place.log(runs[0])

    again = place.materialize("checkpoint", seed=0, checkpoint=TRAINING)
    place.until_said(again, f"continuing from step {reached} of {STEPS}")
    # Nobody else has started the terminated ones again meanwhile.
    assert len(place.server.runs()) == before + 1

    # Killed without a word: the trainer ends, and the daemon's retry continues.
    os.kill(place.worker(again), signal.SIGKILL)
    place.until_status(again, "FAILURE")
    until(lambda: len(place.server.runs()) == before + 2, f"a retry; see {place.server.log}")
    retry = next(iter(place.server.runs()))
    place.until_said(retry, "continuing from step")
    assert len(trainers(str(place.folder))) == 1
    os.kill(place.worker(retry), signal.SIGTERM)
    place.until_status(retry, "FAILURE")
    assert trainers(str(place.folder)) == []
    assert any(
        f"interrupted at step {checkpoint_steps(folder)[-1]} of" in said
        for said in place.log(retry)
    )


def test_building_data_ends_when_terminated(place: Place) -> None:
    run = place.server.launch("sudoku_hard/puzzles", "sudoku_hard/examples")
    place.until_said(run, "Started execution of step")
    assert place.server.terminate(run) == [{"__typename": "TerminateRunSuccess"}]
    place.until_status(run, "CANCELED")
    assert not (place.server.data / "examples" / "sudoku_hard" / "current").exists()


def test_an_evaluation_ends_when_terminated(place: Place) -> None:
    run = place.materialize(
        *("checkpoint", "predictions"),
        seed=3,
        checkpoint={**TRAINING, "steps": 1},
        predictions={"batch_size": 1, "device": "cpu"},
    )
    place.until_said(run, r"evaluated \d+ of 500 test puzzles")
    assert place.server.terminate(run) == [{"__typename": "TerminateRunSuccess"}]
    place.until_status(run, "CANCELED")
    assert not (place.server.data / "tables" / "predictions").exists()


def test_a_command_ends_when_its_run_is_terminated(place: Place) -> None:
    settings = [f"checkpoint.{name}={value}" for name, value in TRAINING.items()]
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipelines", "train", ASSET, "--stage", "checkpoint"),
            *("--partition", "trm_mlp|4", "--partition", "trm_mlp|0"),
            *(word for setting in settings for word in ("--set", setting)),
        ],
        cwd=REPOSITORY,
        env=place.server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        place.until_checkpoint(4)
        run = next(iter(place.server.runs()))
        # The server cannot reach the command, which finds out by itself.
        [answer] = place.server.terminate(run)
        assert answer["__typename"] == "TerminateRunFailure"
        output, _ = command.communicate(timeout=60)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 128 + signal.SIGTERM, output
    assert "interrupted by SIGTERM" in output.splitlines()[-1]
    assert "trm_mlp|0" not in output
    assert place.status(run) == "CANCELED"
    assert trainers(str(place.folder)) == []
