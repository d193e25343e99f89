"""A training that is killed and continued ends with the bits of one that was not."""

import json
import os
import random
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

from tests.faults.conftest import STEPS, NewRun, Start
from tests.faults.helpers import (
    REPOSITORY,
    Child,
    assert_same_training,
    checkpoint_steps,
    last_step,
    temporary,
    until,
)
from trm_model.lifeline import INTERRUPTED, REFUSED
from trm_model.training.figures import METRICS
from trm_model.training.folders import FOLDER, saved
from trm_model.training.process import OTHER_CODE
from trm_model.training.run import RUN_FILE, CodeSpan, RunSpec

KILLS = 5
STARTING = "starting: loading torch, the data and the newest checkpoint\n"


def _train(start: Start, run: Path, step: int) -> Child:
    """A trainer on ``run`` that has come to ``step`` itself: rows of earlier processes do not
    count."""

    def stamp() -> int:
        path = run / METRICS
        return path.stat().st_mtime_ns if path.exists() else 0

    before = stamp()
    child = start("-m", "trm_model.training.process", str(run))
    until(
        lambda: not child.running or (stamp() != before and last_step(run) >= step),
        f"{run} at step {step}",
    )
    return child


def test_killed_at_random_moments(
    start: Start, new_run: NewRun, reference: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path / "run")
    moments = random.Random(20)
    for step in sorted(moments.sample(range(1, STEPS - 150), KILLS)):
        child = _train(start, run, step)
        time.sleep(moments.uniform(0.0, 0.1))
        child.kill()
    # Once more, in the middle of writing a checkpoint.
    child = _train(start, run, STEPS - 150)
    until(lambda: not child.running or temporary(run / FOLDER), "a checkpoint under way")
    child.kill()
    last = start("-m", "trm_model.training.process", str(run))
    assert last.wait() == 0, last.stderr
    assert "continuing from step" in last.stdout
    assert_same_training(run, reference)


def test_terminated(start: Start, new_run: NewRun, reference: Path, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    child = _train(start, run, 100)
    before = checkpoint_steps(run)
    child.process.send_signal(signal.SIGTERM)
    assert child.wait() == INTERRUPTED == 143, child.stderr
    [*_, reached] = checkpoint_steps(run)
    assert 100 <= reached < STEPS
    assert reached not in before
    assert f"interrupted at step {reached} of {STEPS}; a checkpoint is written" in child.stdout
    last = start("-m", "trm_model.training.process", str(run))
    assert last.wait() == 0, last.stderr
    assert f"continuing from step {reached} of {STEPS}" in last.stdout
    assert_same_training(run, reference)


def test_continued_by_other_code(
    start: Start, new_run: NewRun, reference: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path / "run")
    child = _train(start, run, 50)
    child.kill()
    [*_, reached] = checkpoint_steps(run)
    spec = RunSpec.read(run)
    [here] = spec.code
    other = replace(spec, code=(CodeSpan(version="f" * 16),))
    other.write(run)
    refused = start("-m", "trm_model.training.process", str(run))
    assert refused.wait() == REFUSED == 2
    assert refused.stderr.startswith(
        f"error: code version {'f' * 16} trained this run up to step {reached}, and the code here "
        f"is {here.version}; "
    )
    assert "--continue-other-code" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert RunSpec.read(run) == other
    assert checkpoint_steps(run)[-1] == reached
    last = start("-m", "trm_model.training.process", str(run), "--continue-other-code")
    assert last.wait() == 0, last.stderr
    assert "trained by several code versions" in last.stdout
    assert RunSpec.read(run).code == (*other.code, replace(here, from_step=reached))
    assert_same_training(run, reference)
    # What is finished is left alone, whatever the code.
    assert start("-m", "trm_model.training.process", str(run)).wait() == 0


MINE = """
from dataclasses import dataclass
from trm_model.model.starts.fixed import FixedStart
@dataclass(frozen=True, slots=True, kw_only=True)
class Mine(FixedStart):
    pass
"""


def test_choices_of_ones_own_are_imported_if_the_command_says_so(
    start: Start, new_run: NewRun, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "my_starts.py").write_text(MINE)
    run = new_run(tmp_path / "run")
    spec = RunSpec.read(run)
    data = spec.to_dict()
    data["variant"]["start"] = {"my_starts:Mine": {}}
    (run / RUN_FILE).write_text(json.dumps(data))
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    command = ("-m", "trm_model.training.process", str(run))
    refused = start(*command, PYTHONPATH=path)
    missing = start(*command, "--import", "no_such_module", PYTHONPATH=path)
    last = start(*command, "--import", "my_starts", OTHER_CODE, PYTHONPATH=path)
    assert refused.wait() == missing.wait() == REFUSED
    assert refused.stderr.startswith(f"error: {run / RUN_FILE}: start: start 'my_starts:Mine': ")
    assert missing.stderr.startswith("error: no_such_module: No module named")
    assert refused.stderr.count("\n") == missing.stderr.count("\n") == 1
    assert last.wait() == 0, last.stderr
    assert_same_training(run, reference)


def test_one_trainer_at_a_time(
    start: Start, new_run: NewRun, reference: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path / "run")
    first = _train(start, run, 5)
    second = start("-m", "trm_model.training.process", str(run))
    impatient = start(
        "-c",
        "import sys, trm_model.training.process as t; t.ORPHAN_SECONDS = 0.2; "
        f"sys.exit(t.main([{str(run)!r}]))",
    )
    assert impatient.wait() == 2
    holder = f"{run / 'lock'} is locked by process {first.process.pid} ({run})"
    waiting = f"waiting until it is free: {holder}\n"
    assert impatient.stdout == STARTING + waiting
    assert (
        impatient.stderr
        == f"error: {holder}, after 0 s of waiting; end that process or wait for it\n"
    )
    until(lambda: "waiting" in second.stdout, "the second one waits")
    assert second.stdout == STARTING + waiting
    assert first.running
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == INTERRUPTED
    # The checkpoints that are there may be the second one's by now.
    (reached,) = re.findall(rf"interrupted at step (\d+) of {STEPS};", first.stdout)
    assert second.wait() == 0, second.stderr
    # It began where the first one ended: nobody else has written since.
    assert second.stdout.splitlines()[2].startswith(f"continuing from step {reached} of {STEPS}")
    assert_same_training(run, reference)


def test_damaged_examples(start: Start, new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    spec = RunSpec.read(run)
    [shard] = (
        path
        for path in (spec.data_folder(run) / "train.zarr" / "inputs" / "c").rglob("*")
        if path.is_file()
    )
    intact = shard.read_bytes()
    flipped = bytearray(intact)
    flipped[len(flipped) // 2] ^= 1
    try:
        shard.write_bytes(flipped)
        child = start("-m", "trm_model.training.process", str(run))
        assert child.wait() == 2
    finally:
        shard.write_bytes(intact)
    line = (
        f"{shard}: its bytes changed since they were written (SHA-256 differs), expected the same; "
        "make the data again (trm data BENCHMARK)\n"
    )
    assert child.stderr == f"error: {line}"
    assert saved(run) == []
    assert not (run / METRICS).exists()
