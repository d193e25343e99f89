"""A disk that fills up stops writing with a plain error, and work goes on once there is space."""

import contextlib
from pathlib import Path

import polars as pl
import pytest
import torch

from assets import keys
from assets.data.datasets import write_dataset
from storage.manifest import verify_manifest
from storage.store import LocalStore
from tests.faults.conftest import ENTRY, NewRun, Start
from tests.faults.helpers import Child, assert_same_training, checkpoint_steps, until
from trm_model.training.checkpoint import Checkpoint, Progress, load, save


def test_data_set(small_disk: Path, puzzles: pl.DataFrame) -> None:
    store = LocalStore.create(small_disk / "store")
    parent = store.open(keys.examples("tiny"))
    with pytest.raises(OSError, match="No space left on device"):
        write_dataset(store, "tiny", puzzles, ENTRY, augmentations=10_000, seed=0)
    assert all(path.name.startswith(".") for path in parent.iterdir())
    # What was finished of the large one gives way to another.
    key, content_hash = write_dataset(store, "tiny", puzzles, ENTRY, augmentations=1, seed=0)
    assert sorted(path.name for path in parent.iterdir()) == [".lock", store.open(key).name]
    assert verify_manifest(store.open(key)) == content_hash


def test_checkpoint(small_disk: Path) -> None:
    small = Checkpoint({"a": torch.zeros(4)}, {}, {}, {}, Progress(step=1))
    kept = save(small_disk, small)
    large = Checkpoint({"a": torch.zeros(1 << 21)}, {}, {}, {}, Progress(step=2))
    with pytest.raises(
        OSError, match=r"step-00000002/weights\.safetensors: .*No space left on device"
    ):
        save(small_disk, large)
    assert list(kept.parent.iterdir()) == [kept]
    assert load(kept).progress.step == 1


def _fill(path: Path, child: Child) -> None:
    """Take all space there is and all that becomes free until ``child`` ends."""
    with path.open("ab", buffering=0) as file:
        while child.running:
            with contextlib.suppress(OSError):
                file.write(bytes(4096))


def test_training(small_disk: Path, start: Start, new_run: NewRun, reference: Path) -> None:
    run = new_run(small_disk / "run")
    filler = small_disk / "filler"
    child = start("-m", "trm_model.training.process", str(run))
    until(lambda: not child.running or len(checkpoint_steps(run)) == 2, "two checkpoints")
    _fill(filler, child)
    assert child.wait() == 2
    assert child.stderr.startswith(f"error: {run}: ")
    assert "No space left on device" in child.stderr
    assert child.stderr.count("\n") == 1
    [*_, reached] = checkpoint_steps(run)
    filler.unlink()
    last = start("-m", "trm_model.training.process", str(run))
    assert last.wait() == 0, last.stderr
    assert f"continuing from step {reached} of" in last.stdout
    assert_same_training(run, reference)
