"""What is trained on in one benchmark and tested in another."""

from pathlib import Path

import polars as pl

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.families.arc import ArcConfig, ArcTasks
from assets.families.sudoku import SudokuPuzzles
from assets.reports.leakage import leakage_rows, materialize_leakage
from assets.tables import Leakage
from storage.store import LocalStore
from storage.tables import publish_file, scan
from tests.assets.data.test_checks import puzzles


def arc_table(name: str) -> pl.DataFrame:
    entry = BENCHMARKS[name].origin
    assert isinstance(entry, ArcTasks)
    return entry.puzzles(ArcConfig(without_files=True)).frame


def test_the_leaks_of_the_public_data_are_found() -> None:
    """As the README of the shared data lists them; and 7 evaluation tasks whose test pair is among
    their own demonstrations."""
    found = leakage_rows({name: arc_table(name) for name in ("arc_agi_1", "arc_agi_2")})
    rows = {
        (tested, row["trained_on"]): row
        for tested, frame in found.items()
        for row in frame.iter_rows(named=True)
    }
    assert rows["arc_agi_1", "arc_agi_2"]["leaks"] == 376
    assert rows["arc_agi_1", "arc_agi_1"]["leaks"] == 2 + 7
    assert rows["arc_agi_2", "arc_agi_1"]["leaks"] == 0
    assert rows["arc_agi_2", "arc_agi_1"]["shared"] == 6
    assert rows["arc_agi_2", "arc_agi_2"] == {
        "trained_on": "arc_agi_2", "test_puzzles": 120, "leaks": 0, "first": None, "shared": 120,
    }  # fmt: skip


def test_leaks_between_benchmarks_are_a_table(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    frame = puzzles()
    turned = frame.with_columns(split=pl.Series(["test", *frame["split"][1:]]))
    publish_file(store, keys.puzzles("sudoku_4x4"), SudokuPuzzles, frame)
    publish_file(store, keys.puzzles("sudoku_6x6"), SudokuPuzzles, turned)
    metadata = materialize_leakage(store).metadata
    assert metadata is not None
    assert metadata["leaking_pairs"] == 1
    [row] = scan(store, Leakage).filter(pl.col("leaks") > 0).collect().iter_rows(named=True)
    assert (row["benchmark"], row["trained_on"], row["leaks"], row["first"]) == (
        "sudoku_6x6",
        "sudoku_4x4",
        1,
        frame["name"][0],
    )
