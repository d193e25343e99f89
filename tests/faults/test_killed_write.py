"""A data set that is killed while being written is not there, and the next one clears it away."""

from pathlib import Path

import polars as pl

from assets.datasets import write_dataset
from storage.layout import Layout
from storage.manifest import verify_manifest
from tests.faults.conftest import Start
from tests.faults.helpers import temporary, until

WRITE = """
import sys
from pathlib import Path
import polars as pl
from assets.datasets import write_dataset
from storage.layout import Layout
write_dataset(Layout(Path(sys.argv[1])), "tiny", pl.read_parquet(sys.argv[2]), digits=4, augmentations=200_000, seed=0, sources={})
"""


def test_killed_write(start: Start, puzzles: pl.DataFrame, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    parent = layout.examples("tiny")
    puzzles.write_parquet(tmp_path / "puzzles.parquet")
    child = start("-c", WRITE, str(layout.root), str(tmp_path / "puzzles.parquet"))
    until(lambda: not child.running or list(parent.glob(".tmp-*/train.zarr/inputs/c/*/*")), "the first shard")
    child.kill()
    [left] = temporary(parent)
    assert list(parent.iterdir()) == [left]  # nothing under a data set's name, no link to one

    folder, content_hash = write_dataset(layout, "tiny", puzzles, digits=4, augmentations=1, seed=0, sources={})
    assert list(parent.iterdir()) == [folder]
    assert verify_manifest(folder) == content_hash
