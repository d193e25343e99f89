"""The machinery of tables, on a table that belongs to nobody."""

from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest
from pandera.typing.polars import Series

from storage.store import LocalStore
from storage.tables import (
    Table,
    TableError,
    name_of,
    partition_key,
    publish_file,
    read_file,
    read_metadata,
    scan,
    validate,
    write_file,
)


class MadeUp(Table):
    """Two columns and two levels."""

    number: Series[pl.Int64] = pa.Field(ge=0)
    word: Series[str] = pa.Field(nullable=True)

    @classmethod
    def levels(cls) -> pl.Schema:
        return pl.Schema({"place": pl.String, "year": pl.Int64})


GOOD = pl.DataFrame({"number": [1, 2], "word": ["a", None]})


def test_columns_are_put_in_the_schemas_order_and_types() -> None:
    given = pl.DataFrame({"word": ["a"], "number": ["7"]})
    found = validate(MadeUp, given)
    assert found.schema == {"number": pl.Int64, "word": pl.String}
    assert found.rows() == [(7, "a")]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (GOOD.with_columns(more=1), "'more'"),
        (GOOD.drop("word"), "no column word; expected number, word"),
        (GOOD.with_columns(number=pl.lit("seven")), "column number"),
        (GOOD.with_columns(number=-1), "column number: greater_than_or_equal_to(0) fails for '-1'"),
        (GOOD.with_columns(number=pl.lit(None, pl.Int64)), "column number"),
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


def test_partitions_are_folders_named_by_level(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert name_of(MadeUp) == "made_up"
    assert partition_key(MadeUp, "here", 7) == "tables/made_up/place=here/year=7/part.parquet"
    with pytest.raises(ValueError, match="shorter"):
        partition_key(MadeUp, "here")
    for year in (7, 8):
        publish_file(store, partition_key(MadeUp, "2024", year), MadeUp, GOOD.head(1))
    frame = scan(store, MadeUp).sort("year").collect()
    # A place that looks like a number is text all the same.
    assert frame.rows(named=True) == [
        {"number": 1, "word": "a", "place": "2024", "year": year} for year in (7, 8)
    ]


def test_files_keep_metadata_and_are_validated_when_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_file(path, MadeUp, GOOD, metadata={"key": "value"})
    assert read_file(path, MadeUp).equals(GOOD)
    assert read_metadata(path, "key") == "value"
    with pytest.raises(TableError, match="no 'other'"):
        read_metadata(path, "other")
    GOOD.with_columns(number=-1).write_parquet(path)
    with pytest.raises(TableError, match=rf"{path}: table made_up: .*; materialize the asset"):
        read_file(path, MadeUp)


@pytest.mark.parametrize("folder", ["x[1]", "run*", "a{b,c}", "q?", "year=3/place=4", "year=old"])
def test_no_folder_above_a_table_is_read_as_a_pattern_or_level(tmp_path: Path, folder: str) -> None:
    for name, word in (("run1", "of another store"), (folder, "ours")):
        store = LocalStore.create(tmp_path / name)
        frame = pl.DataFrame({"number": [1], "word": [word]})
        publish_file(store, partition_key(MadeUp, "true", 7), MadeUp, frame)
    ours = LocalStore(tmp_path / folder)
    [row] = scan(ours, MadeUp).collect().rows(named=True)
    assert row == {"number": 1, "word": "ours", "place": "true", "year": 7}
    path = ours.open(partition_key(MadeUp, "true", 7))
    assert read_file(path, MadeUp)["word"].to_list() == ["ours"]


def test_levels_may_stand_in_the_files_too_and_other_files_beside_them(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for year in (7, 8):
        publish_file(store, partition_key(MadeUp, "here", year), MadeUp, GOOD.head(1))
    path = store.open(partition_key(MadeUp, "here", 8))
    pl.read_parquet(path).with_columns(year=8, place=pl.lit("here")).write_parquet(path)
    store.open("tables/made_up/.DS_Store").write_text("x")
    store.open("tables/made_up/place=here/notes.txt").write_text("x")
    frame = scan(store, MadeUp).collect()
    assert frame["year"].to_list() == [7, 8]
    assert frame.columns == ["number", "word", "place", "year"]
