"""The machinery of tables, on a table that belongs to nobody."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.config import config_context
from pandera.typing.polars import Series

from storage.store import LocalStore
from storage.tables import (
    Table,
    TableError,
    name_of,
    partition_key,
    publish_partition,
    read_file,
    read_metadata,
    scan,
    validate,
    write_file,
)


class MadeUp(Table):
    """Two columns without a meaning, and what tells partitions apart."""

    number: Series[pl.Int64] = pa.Field(ge=0)
    word: Series[str] = pa.Field(nullable=True)

    place: Series[str]
    year: Series[pl.Int64]
    part: Series[str]
    share: Series[float] = pa.Field(nullable=True)

    @classmethod
    def levels(cls) -> tuple[str, ...]:
        return ("place", "year")

    @classmethod
    def files(cls) -> tuple[str, ...]:
        return ("part", "word")


class Whole(Table):
    """One file, or one for each folder."""

    number: Series[pl.Int64]


GOOD = pl.DataFrame(
    {
        "number": [1, 2],
        "word": ["a", None],
        "place": ["here", "here"],
        "year": [7, 7],
        "part": ["p", "p"],
        "share": [0.5, None],
    }
)
ONE = GOOD.head(1)


def test_columns_are_put_in_the_schemas_order_and_types() -> None:
    given = ONE.select(pl.all().reverse()).with_columns(number=pl.lit("7"))
    found = validate(MadeUp, given)
    assert found.schema == GOOD.schema
    assert found.row(0) == (7, "a", "here", 7, "p", 0.5)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (GOOD.with_columns(more=1), "'more'"),
        (GOOD.drop("word"), "no column word; expected number, word, "),
        (GOOD.with_columns(number=pl.lit("seven")), "column number"),
        (GOOD.with_columns(number=-1), "column number: greater_than_or_equal_to(0) fails for '-1'"),
        (GOOD.with_columns(number=pl.lit(None, pl.Int64)), "column number"),
        (GOOD.with_columns(share=float("nan")), "column share"),
        (GOOD.with_columns(share=float("inf")), "column share: a number that is not finite"),
        (GOOD.with_columns(share=-float("inf")), "column share: a number that is not finite"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused_in_one_line(
    frame: pl.DataFrame, message: str
) -> None:
    with pytest.raises(TableError) as error:
        validate(MadeUp, frame)
    assert str(error.value).startswith("table made_up: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_error_names_the_schema_where_it_is() -> None:
    with pytest.raises(TableError, match=r"bounds of tests\.storage\.test_tables\.MadeUp$"):
        validate(MadeUp, GOOD.with_columns(number=-1))


@pytest.mark.parametrize(
    "settings", [{"validation_enabled": False}, {"validation_depth": "SCHEMA_ONLY"}]
)
def test_rows_are_checked_where_pandera_is_switched_off(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    wrong = ONE.with_columns(number=-1)
    with config_context(**settings):
        assert len(MadeUp.validate(wrong)) == 1
        for write in (
            lambda: write_file(tmp_path / "x.parquet", MadeUp, wrong),
            lambda: publish_partition(LocalStore(tmp_path), MadeUp, wrong),
        ):
            with pytest.raises(TableError, match="column number"):
                write()
    assert not list(tmp_path.rglob("*.parquet"))


def test_rows_are_checked_whatever_the_environment_says() -> None:
    """pandera reads it where it is imported."""
    program = (
        "from tests.storage.test_tables import *\n"
        "assert len(MadeUp.validate(ONE.with_columns(number=-1))) == 1\n"
        "validate(MadeUp, ONE.with_columns(number=-1))\n"
    )
    switched_off = {
        "PANDERA_VALIDATION_ENABLED": "False",
        "PANDERA_VALIDATION_DEPTH": "SCHEMA_ONLY",
        "PANDERA_USE_NARWHALS_BACKEND": "True",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **switched_off},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TableError: table made_up: column number" in done.stderr


def test_partitions_are_folders_and_files_named_by_their_columns(tmp_path: Path) -> None:
    assert name_of(MadeUp) == "made_up"
    key = partition_key(MadeUp, "here", 7, "p", "q")
    assert key == "tables/made_up/place=here/year=7/p-q.parquet"
    assert partition_key(Whole) == "tables/whole/part.parquet"
    with pytest.raises(ValueError, match="shorter"):
        partition_key(MadeUp, "here", 7, "p")
    store = LocalStore(tmp_path)
    written = publish_partition(store, MadeUp, ONE)
    assert read_file(store.open(partition_key(MadeUp, "here", 7, "p", "a")), MadeUp).equals(written)


@pytest.mark.parametrize(
    "frame", [GOOD, GOOD.clear(), GOOD.with_columns(word=pl.lit("a"), year="number")]
)
def test_a_file_has_the_rows_of_one_partition(tmp_path: Path, frame: pl.DataFrame) -> None:
    with pytest.raises(
        TableError, match=r"rows of [02] partitions; expected .* one value of place"
    ):
        publish_partition(LocalStore(tmp_path), MadeUp, frame)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("above", ["plain", "x[1]", "year=3", "run*"])
@pytest.mark.parametrize("place", ["trm", "2024", "2024-01-01", "true"])
def test_folders_names_change_nothing_that_is_read(tmp_path: Path, above: str, place: str) -> None:
    """Neither those above the table nor, where it is read by level, those of its levels."""
    store = LocalStore(tmp_path / above)
    for year in (7, 8):
        publish_partition(store, MadeUp, ONE.with_columns(place=pl.lit(place), year=year))
    found = scan(store, MadeUp).sort("year").collect()
    assert found.schema == GOOD.schema
    assert found.select("place", "year").rows() == [(place, 7), (place, 8)]
    root = store.open("tables/made_up")
    for hive in (False, True) if above == "plain" else (False,):
        rows = pl.scan_parquet(root, hive_partitioning=hive, glob=False).sort("year").collect()
        assert rows.select(found.columns).equals(found)
    if above == "plain":
        rows = pl.read_parquet(root / "**/*.parquet").sort("year")
        assert rows.select(found.columns).equals(found)


def test_a_table_that_nobody_has_written_has_no_rows(tmp_path: Path) -> None:
    assert scan(LocalStore(tmp_path), MadeUp).collect().equals(GOOD.clear())


def test_files_of_another_form_are_refused_with_the_remedy(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    publish_partition(store, MadeUp, ONE)
    older = store.open("tables/made_up/place=here/year=7/part.parquet")
    ONE.select("number", "word").write_parquet(older)
    with pytest.raises(TableError) as error:
        scan(store, MadeUp)
    assert str(error.value).startswith(
        f"{older}: columns number, word; expected the columns number"
    )
    assert "remove the file and make it again" in str(error.value)
    older.write_bytes(b"damaged")
    with pytest.raises(TableError, match=rf"{older}: .*remove the file and make it again"):
        scan(store, MadeUp)


def test_columns_that_may_be_empty_are_in_files_from_before_them(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    publish_partition(store, MadeUp, ONE)
    older = store.open("tables/made_up/place=here/year=7/older-0.parquet")
    ONE.drop("share").write_parquet(older)
    empty = ONE.with_columns(share=pl.lit(None, pl.Float64))
    assert scan(store, MadeUp).collect().equals(pl.concat([ONE, empty]))
    assert read_file(older, MadeUp).equals(empty)
    ONE.drop("number").write_parquet(older)
    with pytest.raises(TableError, match="expected the columns number"):
        scan(store, MadeUp)


def test_files_keep_metadata_and_are_validated_when_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_file(path, MadeUp, GOOD, metadata={"key": "value"})
    assert read_file(path, MadeUp).equals(GOOD)
    assert read_metadata(path, "key") == "value"
    with pytest.raises(TableError, match="no 'other'"):
        read_metadata(path, "other")
    GOOD.with_columns(number=-1).write_parquet(path)
    with pytest.raises(TableError, match=rf"{path}: table made_up: .*; make it again with"):
        read_file(path, MadeUp)


@pytest.mark.parametrize("folder", ["x[1]", "run*", "a{b,c}", "q?", "year=3/place=4", "year=old"])
def test_no_folder_above_a_table_is_read_as_a_pattern_or_level(tmp_path: Path, folder: str) -> None:
    for name, word in (("run1", "of another store"), (folder, "ours")):
        store = LocalStore.create(tmp_path / name)
        publish_partition(store, MadeUp, ONE.with_columns(word=pl.lit(word)))
    ours = LocalStore(tmp_path / folder)
    assert scan(ours, MadeUp).collect()["word"].to_list() == ["ours"]
    path = ours.open(partition_key(MadeUp, "here", 7, "p", "ours"))
    assert read_file(path, MadeUp)["word"].to_list() == ["ours"]


def test_other_files_may_lie_beside_those_of_a_table(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    publish_partition(store, MadeUp, ONE)
    store.open("tables/made_up/.DS_Store").write_text("x")
    store.open("tables/made_up/place=here/notes.txt").write_text("x")
    assert len(scan(store, MadeUp).collect()) == 1
