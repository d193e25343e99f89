"""A training of several processes one of which is killed, or the process that started them."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import STEPS, NewRun, Start
from tests.faults.helpers import Child, checkpoint_steps, last_step, trainers, until
from trm_model.lifeline import INTERRUPTED
from trm_model.names import STORE_VARIABLE
from trm_model.seeding import numpy_generator
from trm_model.training.folders import FOLDER, saved


def _training(start: Start, run: Path, **env: str) -> Child:
    """Two processes that train ``run``, and the one that started them."""
    told = ("2", "30", str(run / FOLDER), "trm_model.training.process", str(run))
    return start("-m", "trm_model.ranks", *told, **env)


def _ranks(run: Path, child: Child) -> list[int]:
    """The processes that train, in their order."""
    return [pid for pid in sorted(trainers(str(run))) if pid != child.process.pid]


def _come_to(child: Child, run: Path, step: int) -> None:
    until(
        lambda: not child.running or (bool(checkpoint_steps(run)) and last_step(run) >= step),
        f"a checkpoint and step {step}",
        120.0,
    )
    assert child.running, f"{child.stdout}\n{child.stderr}"


def test_a_killed_process_is_started_again_with_the_others(
    start: Start, new_run: NewRun, tmp_path: Path
) -> None:
    """They go on from the last checkpoint; told to stop, they leave one and end as one does."""
    run = new_run(tmp_path / "run")
    child = _training(start, run)
    _come_to(child, run, 5)
    first, second = _ranks(run, child)
    os.kill(second, signal.SIGKILL)
    until(lambda: not child.running or "continuing from step" in child.stdout, "they go on", 120.0)
    assert re.search(
        r"^a process died \(signal 9.*\): all start again$", child.stdout, re.MULTILINE
    )
    assert not {first, second} & set(_ranks(run, child))
    [*_, reached] = checkpoint_steps(run)
    _come_to(child, run, reached + 10)
    child.process.send_signal(signal.SIGTERM)
    assert child.wait() == INTERRUPTED, child.stderr
    assert child.stdout.splitlines()[-1].startswith("interrupted at step ")
    assert _ranks(run, child) == []
    assert checkpoint_steps(run)[-1] >= last_step(run) >= reached + 10
    assert child.stderr == ""


@pytest.mark.slow
def test_torchrun_starts_them_again_on_two_machines(
    start: Start, new_run: NewRun, tmp_path: Path
) -> None:
    """The command of docs/training.md; two of torchrun's agents are here two machines."""
    run = new_run(tmp_path / "run")
    agent = ("-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1")
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", str(tmp_path / "meeting"))
    how = ("--rdzv-conf", "store_type=file", "--max-restarts", "3")
    training = ("-m", "trm_model.training.process", str(run))
    machines = [start(*agent, *meeting, *how, *training) for _ in range(2)]
    _come_to(machines[0], run, 5)
    agents = {machine.process.pid for machine in machines}
    os.kill(max(pid for pid in trainers(str(run)) if pid not in agents), signal.SIGKILL)
    for machine in machines:
        assert machine.wait(120.0) == 0, machine.stderr
    assert last_step(run) == STEPS
    assert any("continuing from step" in machine.stdout for machine in machines)


LAUNCH = """
import os, subprocess, sys
from trm_model.lifeline import PARENT_VARIABLE
command = [sys.executable, "-m", "trm_model.training.process", sys.argv[1]]
subprocess.run(command, env={**os.environ, PARENT_VARIABLE: str(os.getpid())})
"""


def test_one_that_waits_for_another_ends_with_the_process_that_started_it(
    start: Start, new_run: NewRun, tmp_path: Path
) -> None:
    """It has nothing to keep yet, and torch waits for days for one that never comes."""
    run, store = new_run(tmp_path / "run"), tmp_path / "store"
    group = {"RANK": "0", "WORLD_SIZE": "2", STORE_VARIABLE: f"file://{store}"}
    child = start("-c", LAUNCH, str(run), **group)
    until(lambda: store.exists() or not child.running, "it waits", 60.0)
    assert len(trainers(str(run))) == 1, child.stderr
    child.kill()
    until(lambda: not trainers(str(run)), "its end", 15.0)


KILLS, START_SECONDS = 20, 8.0


@pytest.mark.slow
def test_it_ends_with_the_bits_of_an_undisturbed_one(
    start: Start, new_run: NewRun, tmp_path: Path
) -> None:
    """Killed twenty times: a random one of the two processes and of the one that started them;
    every other time a random number of steps after the newest checkpoint, and else at a random
    moment after the kill before: while they end, start, join or load."""
    undisturbed, run = new_run(tmp_path / "undisturbed"), new_run(tmp_path / "run")
    whole = _training(start, undisturbed)
    assert whole.wait(300.0) == 0, whole.stderr
    generator = numpy_generator(0, "kills")
    child, kills, step = _training(start, run), 0, 0
    while kills < KILLS:
        if not child.running:
            child = _training(start, run)
        if kills % 2:
            moment = time.monotonic() + generator.uniform(0.0, START_SECONDS)
            until(lambda at=moment, far=step: time.monotonic() > at or last_step(run) > far, "it")
        else:
            _come_to(child, run, step)
        victim = generator.choice([*_ranks(run, child), child.process.pid])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            kills += 1
        step = max(checkpoint_steps(run), default=0) + int(generator.integers(1, 12))
        if victim == child.process.pid:
            child.process.wait()
            until(lambda: not trainers(str(run)), "nobody is left", 60.0)
    if child.wait(300.0):  # It was the last one killed, or several were without progress.
        child = _training(start, run)
    assert child.wait(300.0) == 0, child.stderr
    ours, theirs = saved(run)[-1], saved(undisturbed)[-1]
    for part in ("weights", "average", "optimizer", "carry"):
        name = f"{part}.safetensors"
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), part
