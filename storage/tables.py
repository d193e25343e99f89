"""Tables in parquet, hive-partitioned by benchmark, variant and seed, one writer per file; pandera
schemas say what a row is.

Read with ``polars.scan_parquet(root / "tables" / "scores", hive_partitioning=True)`` or
:func:`scan`.
"""

import re
from pathlib import Path

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from storage.atomic import new_file
from storage.reading import reading

AGAIN = "materialize the asset that writes it again"
_PARQUET = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""polars' reader panics on some damaged files."""


class TableError(ValueError):
    """Rows that are not what the table's schema says; the message names table, column and what was
    found."""


class Table(pa.DataFrameModel):
    """Base of all schemas: exactly these columns, in the given types (values are cast where that
    loses nothing)."""

    class Config(pa.DataFrameModel.Config):
        strict = True
        coerce = True


def name_of(table: type[Table]) -> str:
    """The table's name on disk: its class's, in lower case with underscores."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", table.__name__).lower()


def validate(table: type[Table], frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` in the schema's types and order of columns.

    :raises TableError: one line with every violation.
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
            .head(5)
            .rows()
        )
        found = "; ".join(
            f"column {column}: {check} fails for {case!r}" for column, check, case in cases
        )
        raise TableError(
            f"table {name_of(table)}: {found}; expected the columns and bounds in storage/tables.py"
        ) from error


def write_file(
    path: Path,
    table: type[Table],
    frame: pl.DataFrame,
    *,
    stage_in: Path | None = None,
    metadata: dict[str, str] | None = None,
) -> pl.DataFrame:
    """Validate ``frame`` and write it to one parquet file, atomically; returns what was written.

    :param stage_in: folder on the same disk for the temporary file, outside any folder that is
        scanned as a table.
    :param metadata: kept in the file beside the rows.
    :raises TableError: rows that the schema refuses.
    :raises OSError: the disk refuses.
    """
    valid = validate(table, frame)
    with new_file(path, stage_in) as temporary:
        try:
            valid.write_parquet(temporary, compression="zstd", statistics=True, metadata=metadata)
        except pl.exceptions.ComputeError as error:
            # polars reports a full disk so.
            raise OSError(f"{path}: {error}") from error
    return valid


def read_file(path: Path, table: type[Table]) -> pl.DataFrame:
    """The rows of one parquet file, validated.

    :raises TableError: no such file, damaged, or rows that the schema refuses.
    """
    with reading(
        TableError, path, f"a parquet file of the table {name_of(table)}; {AGAIN}", *_PARQUET
    ):
        frame = pl.read_parquet(path, hive_partitioning=False)
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


def partition_path(
    root: Path,
    table: type[Table],
    benchmark: str,
    variant: str | None = None,
    seed: int | None = None,
) -> Path:
    """The file of one partition below ``root``."""
    folder = root / name_of(table) / f"benchmark={benchmark}"
    if variant is not None:
        folder = folder / f"variant={variant}" / f"seed={seed}"
    return folder / "part.parquet"


def scan(root: Path, table: type[Table]) -> pl.LazyFrame:
    """All partitions of a table, with the columns ``benchmark``, and ``variant`` and ``seed`` where
    it has them.

    :raises FileNotFoundError: nothing has been written yet.
    """
    files = sorted((root / name_of(table)).rglob("part.parquet"))
    if not files:
        raise FileNotFoundError(
            f"{root / name_of(table)}: no partitions yet; materialize the assets that write them "
            "first"
        )
    schema = {"benchmark": pl.String}
    if any("variant=" in file.as_posix() for file in files):
        schema |= {"variant": pl.String, "seed": pl.Int64}
    return pl.scan_parquet(files, hive_partitioning=True, hive_schema=schema)
