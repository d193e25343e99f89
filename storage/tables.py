"""Tables in parquet: a file per partition, one writer per file; pandera schemas say what a row is.

A table lies below ``tables/NAME/`` of a store, hive-partitioned: a folder ``LEVEL=VALUE`` for each
level that the table names. Read it with :func:`scan`, or without this package with
``polars.scan_parquet(root / "tables" / "NAME", hive_partitioning=True)``.
"""

import re
from pathlib import Path

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from storage.atomic import new_file
from storage.reading import reading
from storage.store import Store

TABLES = "tables"
"""Folder of the store below which all tables lie."""
FILE = "part.parquet"
AGAIN = "materialize the asset that writes it again"
_PARQUET = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""polars' reader panics on some damaged files."""
_REPORTED = 5
"""Violations that an error message lists."""


class TableError(ValueError):
    """Rows that are not what the table's schema says; the message names the table, the column and
    what was found."""


class Table(pa.DataFrameModel):
    """Base of all schemas: exactly these columns, in the given types. Values of other types are
    cast where the cast is possible."""

    class Config(pa.DataFrameModel.Config):
        strict = True
        coerce = True

    @classmethod
    def levels(cls) -> pl.Schema:
        """Names and types of the folders that the table is partitioned by, outermost first; none:
        the table is one file."""
        return pl.Schema()


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
        return table.validate(frame.select(*columns, pl.exclude(columns)), lazy=True)
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


def _write(
    path: Path, table: type[Table], frame: pl.DataFrame, metadata: dict[str, str] | None
) -> pl.DataFrame:
    valid = validate(table, frame)
    try:
        valid.write_parquet(path, compression="zstd", statistics=True, metadata=metadata)
    except pl.exceptions.ComputeError as error:
        # This is how polars reports a full disk.
        raise OSError(f"{path}: {error}") from error
    return valid


def write_file(
    path: Path, table: type[Table], frame: pl.DataFrame, *, metadata: dict[str, str] | None = None
) -> pl.DataFrame:
    """Validate ``frame`` and write it to one parquet file, atomically; returns what was written.

    :param metadata: kept in the file beside the rows.
    :raises TableError: rows that the schema refuses.
    :raises OSError: the disk refuses.
    """
    with new_file(path) as temporary:
        return _write(temporary, table, frame, metadata)


def publish_file(
    store: Store,
    key: str,
    table: type[Table],
    frame: pl.DataFrame,
    *,
    metadata: dict[str, str] | None = None,
) -> pl.DataFrame:
    """:func:`write_file` to a key of a store."""
    with store.publish_file(key) as temporary:
        return _write(temporary, table, frame, metadata)


def read_file(path: Path, table: type[Table]) -> pl.DataFrame:
    """The rows of one parquet file, validated.

    :raises TableError: no such file, damaged, or rows that the schema refuses.
    """
    with reading(
        TableError, path, f"a parquet file of the table {name_of(table)}; {AGAIN}", *_PARQUET
    ):
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
    try:
        return validate(table, frame)
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
    """The key of one partition's file; ``values``: one for each of the table's levels."""
    levels = [f"{level}={value}" for level, value in zip(table.levels(), values, strict=True)]
    return "/".join((TABLES, name_of(table), *levels, FILE))


def scan(store: Store, table: type[Table]) -> pl.LazyFrame:
    """All partitions of a table, with its levels as further columns.

    :raises FileNotFoundError: nothing has been written yet.
    """
    folder, levels = store.open(f"{TABLES}/{name_of(table)}"), table.levels()
    files = sorted(folder.glob("/".join((*(f"{level}=*" for level in levels), FILE))))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no partitions yet; materialize the assets that write them first"
        )
    return pl.concat([_scan_partition(file, levels) for file in files])


def _scan_partition(file: Path, levels: pl.Schema) -> pl.LazyFrame:
    """One partition's file with its levels as columns. They are read from the innermost folders:
    polars would count each folder above the table that looks like one."""
    folders = reversed(file.parents[: len(levels)])
    values = [
        pl.lit(folder.name.partition("=")[2]).cast(dtype).alias(level)
        for folder, (level, dtype) in zip(folders, levels.items(), strict=True)
    ]
    rows = pl.scan_parquet(file, glob=False, hive_partitioning=False)
    return rows.select(pl.exclude(*levels), *values)
