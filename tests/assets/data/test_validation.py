"""Puzzles to validate trainings with."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.data.datasets import write_validation
from assets.families.maze import GeneratedMaze
from assets.families.origin import Origin
from assets.families.sequence import GeneratedAddition
from assets.families.sudoku import GeneratedSudoku, SudokuFile
from storage.examples import VALIDATION, open_header, read_examples
from storage.manifest import verify_manifest
from storage.store import LocalStore
from trm_model.errors import ConfigurationError

GENERATED: tuple[Origin, ...] = (
    GeneratedSudoku(digits=4, train=200, test=50, extra_clues=(1, 5)),
    GeneratedMaze(side=8, longer_than=10, train=60, test=20),
    GeneratedAddition(digits=2, train=100, test=50),
)


@pytest.mark.parametrize("origin", GENERATED)
def test_they_are_neither_trained_on_nor_tested(origin: Origin) -> None:
    frame = origin.puzzles().frame
    further = origin.further(frame, 30)
    assert len(further) == 30
    assert further.equals(origin.further(frame, 30))
    # The family's own check, which does not trust the forms in the table, and mazes' walls with it.
    both = pl.concat(
        [
            frame.with_columns(split=pl.lit("train")),
            further.with_columns(split=pl.lit("test"), puzzle=pl.col("puzzle") + len(frame)),
        ]
    )
    assert all(outcome.passed for outcome in origin.check_puzzles(both).values())
    assert set(further["form"]).isdisjoint(frame["form"])


def test_they_are_stored_apart_from_the_data(tmp_path: Path) -> None:
    store, origin = LocalStore.create(tmp_path), GENERATED[0]
    frame = origin.puzzles().frame
    assert write_validation(store, "tiny", frame, origin, 20, {"puzzles": "abc"}) == 20
    target = store.follow(keys.current_validation("tiny"))
    assert target is not None
    assert target.startswith("validation/tiny/")
    verify_manifest(store.open(target))
    assert len(read_examples(store.open(target) / VALIDATION).inputs) == 20
    assert open_header(store.open(target) / VALIDATION).sources == {"puzzles": "abc"}
    assert write_validation(store, "tiny", frame, origin, 20, {"puzzles": "abc"}) == 20
    assert store.follow(keys.current_validation("tiny")) == target


def test_where_there_are_none(tmp_path: Path) -> None:
    store, frame = LocalStore.create(tmp_path), GENERATED[0].puzzles().frame
    assert write_validation(store, "tiny", frame, SudokuFile(side=4), 20, {}) == 0
    assert store.follow(keys.current_validation("tiny")) is None
    digits = GeneratedAddition(digits=1, train=20, test=5)
    with pytest.raises(ConfigurationError):
        write_validation(store, "tiny", digits.puzzles().frame, digits, 500, {})


def test_their_number_is_no_part_of_the_data() -> None:
    entry = BENCHMARKS["sudoku_4x4"]
    assert replace(entry, validation=7).data_hash == entry.data_hash
