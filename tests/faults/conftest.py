"""A tiny data set, a training on it, and processes that are gone when the test ends."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from assets.data.datasets import write_dataset
from assets.families.sudoku import GeneratedSudoku
from storage.store import LocalStore
from tests.faults.helpers import Child
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan, RunSpec, run_store, training_version

STEPS = 600
ENTRY = GeneratedSudoku(digits=4, train=60, test=10, extra_clues=(1, 5))
Start = Callable[..., Child]
NewRun = Callable[[Path], Path]

# Locks, signals at a parent's death and /proc are Linux's.
collect_ignore_glob = [] if sys.platform.startswith("linux") else ["test_*.py"]


@pytest.fixture(scope="session")
def puzzles() -> pl.DataFrame:
    return ENTRY.puzzles().frame


@pytest.fixture(scope="session")
def new_run(puzzles: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> NewRun:
    """Makes a given folder one of a training that takes seconds; always the same training."""
    store = LocalStore(tmp_path_factory.mktemp("store"))
    data, version = write_dataset(store, "tiny", puzzles, ENTRY, augmentations=3, seed=0)
    recipe = Recipe(
        size=Size(width=16, heads=2, prefix=2, puzzle_width=16),
        steps=STEPS,
        batch_size=8,
        learning_rate=1e-3,
        warmup_steps=50,
    )
    variant = Variant(cycles=2, latent_updates=2)
    spec = RunSpec(
        benchmark="tiny",
        variant_name="tiny",
        variant=variant,
        recipe=recipe,
        seed=0,
        data=run_store(store.root).key(store.open(data)),
        data_version=version,
        code=(CodeSpan(version=training_version(variant, recipe)),),
        execution=Execution(checkpoint_seconds=0.2, log_steps=5),
    )

    def make(run: Path) -> Path:
        run.mkdir(parents=True)
        spec.write(run)
        return run

    return make


@pytest.fixture(scope="session")
def reference(new_run: NewRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of that training, undisturbed."""
    folder = tmp_path_factory.mktemp("reference")
    run = new_run(folder / "run")
    child = Child(["-m", "trm_model.training.process", str(run)], folder / "output", {})
    try:
        assert child.wait() == 0, child.stderr
    finally:
        child.end()
    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts ``python ARGUMENTS``, with environment variables as keywords."""
    children: list[Child] = []

    def begin(*arguments: str, **env: str) -> Child:
        children.append(Child(arguments, tmp_path / f"output-{len(children)}", env))
        return children[-1]

    yield begin
    for child in children:
        child.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
