"""Tables in parquet: a file per partition, one writer per file; pandera schemas say what a row is.

A table lies below ``tables/NAME/`` of a store, hive-partitioned: a folder ``LEVEL=VALUE`` for each
level that the table names, and in it a file for each value of the columns that tell partitions
apart besides. All of these are columns of the files too, so that a program that knows nothing of
folders' names reads the same rows. Read a table with :func:`scan`, or without this package with
``polars.scan_parquet(root / "tables" / "NAME")``.
"""

import re
from pathlib import Path

import pandera.polars as pa
import polars as pl
import polars.selectors as cs
from pandera.config import ValidationDepth, config_context, set_config
from pandera.errors import SchemaErrors

from storage.atomic import new_file
from storage.reading import reading
from storage.refusals import UserError, require_writable
from storage.store import Store

# What a schema refuses must not depend on pandera's environment variables: this one is for the
# whole process, the others are set where rows are validated.
set_config(use_narwhals_backend=False)

TABLES = "tables"
"""Folder of the store below which all tables lie."""
SUFFIX = ".parquet"
WHOLE = "part"
"""Name of the file of a partition that its folder alone tells apart."""
AGAIN = "make it again with what wrote it: trm data, trm train or trm evaluate"
_PARQUET = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""polars' reader panics on some damaged files."""
_REPORTED = 5
"""Violations that an error message lists."""


class TableError(UserError, ValueError):
    """Rows that are not what the table's schema says; the message names the table, the column and
    what was found."""


class Table(pa.DataFrameModel):
    """Base of all schemas: exactly these columns, in the given types. Values of other types are
    cast where the cast is possible."""

    class Config(pa.DataFrameModel.Config):
        strict = True
        coerce = True

    @classmethod
    def levels(cls) -> tuple[str, ...]:
        """The columns that the table has a level of folders for, outermost first."""
        return ()

    @classmethod
    def files(cls) -> tuple[str, ...]:
        """The columns that tell the files of one folder apart, whose values are a file's name;
        none: a folder has one file."""
        return ()


def name_of(table: type[Table]) -> str:
    """The table's name on disk: its class's, in lower case with underscores."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", table.__name__).lower()


def validate(table: type[Table], frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` in the schema's types and order of columns.

    :raises TableError: one line with the first violations.
    """
    columns = list(table.to_schema().columns)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise TableError(
            f"table {name_of(table)}: no column {', '.join(missing)}; expected {', '.join(columns)}"
        )
    try:
        with config_context(
            validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA
        ):
            valid = table.validate(frame.select(*columns, pl.exclude(columns)), lazy=True)
    except SchemaErrors as error:
        cases = (
            error.failure_cases.select("column", "check", "failure_case")
            .unique(maintain_order=True)
            .head(_REPORTED)
            .rows()
        )
        found = "; ".join(
            f"column {column}: {check} fails for {case!r}" for column, check, case in cases
        )
        raise TableError(
            f"table {name_of(table)}: {found}; expected the columns and bounds of "
            f"{table.__module__}.{table.__name__}"
        ) from error
    # pandera refuses NaN where it refuses a missing value, and never an infinite number.
    for numbers in valid.select(cs.float()):
        if not numbers.is_finite().all():
            raise TableError(
                f"table {name_of(table)}: column {numbers.name}: a number that is not finite; "
                "expected finite numbers; see what computed it"
            )
    return valid


_ROOM = 1 << 20
"""Bytes: a disk with less room counts as full where a table could not be written."""


def _write(path: Path, valid: pl.DataFrame, metadata: dict[str, str] | None = None) -> None:
    try:
        valid.write_parquet(path, compression="zstd", statistics=True, metadata=metadata)
    except pl.exceptions.ComputeError as error:
        # So polars reports a full disk, not always with the reason: the system knows it.
        require_writable(path, _ROOM)
        raise OSError(f"{path}: {error}") from error


def write_file(
    path: Path, table: type[Table], frame: pl.DataFrame, *, metadata: dict[str, str] | None = None
) -> pl.DataFrame:
    """Validate ``frame`` and write it to one parquet file, atomically; returns what was written.

    :param metadata: kept in the file beside the rows.
    :raises TableError: rows that the schema refuses.
    :raises OSError: the disk refuses.
    """
    valid = validate(table, frame)
    with new_file(path) as temporary:
        _write(temporary, valid, metadata)
    return valid


def publish_file(
    store: Store,
    key: str,
    table: type[Table],
    frame: pl.DataFrame,
    *,
    metadata: dict[str, str] | None = None,
) -> pl.DataFrame:
    """:func:`write_file` to a key of a store."""
    valid = validate(table, frame)
    with store.publish_file(key) as temporary:
        _write(temporary, valid, metadata)
    return valid


def read_file(path: Path, table: type[Table]) -> pl.DataFrame:
    """The rows of one parquet file, validated.

    :raises TableError: no such file, damaged, or rows that the schema refuses.
    """
    with reading(
        TableError, path, f"a parquet file of the table {name_of(table)}; {AGAIN}", *_PARQUET
    ):
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
    try:
        return validate(table, frame.lazy().pipe(_completed, table).collect())
    except TableError as error:
        raise TableError(f"{path}: {error}; {AGAIN}") from error


def read_metadata(path: Path, key: str) -> str:
    """A value that :func:`write_file` kept in the file beside the rows.

    :raises TableError: no such file, damaged, or without the value.
    """
    with reading(
        TableError, path, f"a parquet file with {key!r} in its metadata; {AGAIN}", *_PARQUET
    ):
        return pl.read_parquet_metadata(path)[key]


def partition_key(table: type[Table], *values: str | int) -> str:
    """The key of one partition's file; ``values``: one for each of the table's levels, then one for
    each of the columns that tell its files apart."""
    named = dict(zip((*table.levels(), *table.files()), values, strict=True))
    folders = [f"{level}={named[level]}" for level in table.levels()]
    file = "-".join(str(named[column]) for column in table.files()) or WHOLE
    return "/".join((TABLES, name_of(table), *folders, f"{file}{SUFFIX}"))


def publish_partition(store: Store, table: type[Table], frame: pl.DataFrame) -> pl.DataFrame:
    """Validate the rows of one partition and write them to its file, atomically, in place of what
    was there; returns what was written.

    :raises TableError: rows that the schema refuses, none, or rows of several partitions.
    :raises OSError: the disk refuses.
    """
    columns = [*table.levels(), *table.files()]
    valid = validate(table, frame)
    partitions = valid.select(columns).unique()
    if len(partitions) != 1:
        raise TableError(
            f"table {name_of(table)}: rows of {len(partitions)} partitions; expected rows with one "
            f"value of {', '.join(columns)}; write each partition by itself"
        )
    with store.publish_file(partition_key(table, *partitions.row(0))) as temporary:
        _write(temporary, valid)
    return valid


def scan(store: Store, table: type[Table]) -> pl.LazyFrame:
    """All partitions of a table; no rows where nothing has been written yet. Columns that may be
    empty are, in files from before the table had them.

    :raises TableError: a file that is damaged or has other columns, such as one of an older version
        of this project; the message says what to do.
    """
    folder = store.open(f"{TABLES}/{name_of(table)}")
    files = sorted(folder.rglob(f"*{SUFFIX}"))
    columns = list(table.to_schema().columns)
    whole: list[Path] = []
    older: list[pl.LazyFrame] = []
    for file in files:
        remedy = f"remove the file and {AGAIN}"
        with reading(TableError, file, f"the columns {', '.join(columns)}; {remedy}", *_PARQUET):
            found = _scan([file]).collect_schema().names()
            if found == columns:
                whole.append(file)
                continue
            completed = _completed(_scan([file]), table)
            if sorted(completed.collect_schema().names()) != sorted(columns):
                raise TableError(f"columns {', '.join(found)}")
            older.append(completed.select(columns))
    parts = [_scan(whole), *older] if whole else older
    return pl.concat(parts) if parts else table.empty().lazy()


def _completed(rows: pl.LazyFrame, table: type[Table]) -> pl.LazyFrame:
    """Rows of a file with the columns that may be empty and that the table did not have when the
    file was written."""
    found = rows.collect_schema()
    schema = table.empty().schema
    return rows.with_columns(
        pl.lit(None, schema[name]).alias(name)
        for name, column in table.to_schema().columns.items()
        if column.nullable and name not in found
    )


def _scan(files: list[Path]) -> pl.LazyFrame:
    """The rows of files. Their paths are no patterns, and no folder's name adds a column."""
    return pl.scan_parquet(files, glob=False, hive_partitioning=False)
