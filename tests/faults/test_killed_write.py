"""A data set that is killed while being written is not there, and the next attempt continues it."""

from pathlib import Path

import polars as pl

from assets import keys
from assets.data.datasets import write_dataset
from storage.manifest import verify_manifest
from storage.store import LocalStore
from tests.faults.conftest import ENTRY, Start
from tests.faults.helpers import until

WRITE = """
import sys
from pathlib import Path
import polars as pl
from assets.data.datasets import write_dataset
from storage.store import LocalStore
from tests.faults.conftest import ENTRY
store, puzzles = LocalStore.create(Path(sys.argv[1])), pl.read_parquet(sys.argv[2])
write_dataset(store, "tiny", puzzles, ENTRY, augmentations=100_000, seed=0, workers=1)
"""


def test_killed_write_leaves_no_data_set_and_the_next_continues(
    start: Start, puzzles: pl.DataFrame, tmp_path: Path
) -> None:
    store = LocalStore.create(tmp_path / "store")
    parent = store.open(keys.examples("tiny"))
    puzzles.write_parquet(tmp_path / "puzzles.parquet")
    child = start("-c", WRITE, str(store.root), str(tmp_path / "puzzles.parquet"))
    until(
        lambda: (
            not child.running
            or any(path.stat().st_size for path in parent.glob(".building-*.finished"))
        ),
        "the first shard",
    )
    child.kill()
    assert all(
        path.name.startswith(".") for path in parent.iterdir()
    )  # nothing under a data set's name, no pointer to one
    [log] = parent.glob(".building-*.finished")
    finished = log.read_text().splitlines()
    assert finished

    last = start("-c", WRITE, str(store.root), str(tmp_path / "puzzles.parquet"))
    assert last.wait() == 0, last.stderr
    [folder] = (path for path in parent.iterdir() if path.name != ".lock")
    content_hash = verify_manifest(folder)
    assert (
        write_dataset(
            LocalStore.create(tmp_path / "undisturbed"),
            "tiny",
            puzzles,
            ENTRY,
            augmentations=100_000,
            seed=0,
        )[1]
        == content_hash
    )
