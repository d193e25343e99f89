"""Tables in parquet, hive-partitioned by benchmark, variant and seed, one writer per file; pandera schemas say what a row is.

Read with ``polars.scan_parquet(root / "tables" / "scores", hive_partitioning=True)`` or :func:`scan`.
"""

import re
from pathlib import Path

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors
from pandera.typing.polars import Series

from storage.atomic import new_file
from storage.reading import reading

AGAIN = "materialize the asset that writes it again"
_PARQUET = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""polars' reader panics on some damaged files."""


class TableError(ValueError):
    """Rows that are not what the table's schema says; the message names table, column and what was found."""


class Table(pa.DataFrameModel):
    """Base of all schemas: exactly these columns, in the given types (values are cast where that loses nothing)."""

    class Config(pa.DataFrameModel.Config):
        strict = True
        coerce = True


class Puzzles(Table):
    """Base puzzles, a row each. ``question`` and ``answer`` as text; ``form``: hash of the canonical form, equal for puzzles that are equal
    up to symmetry."""

    split: Series[str] = pa.Field(isin=["train", "test"])
    puzzle: Series[pl.Int64] = pa.Field(ge=0)
    name: Series[str] = pa.Field(unique=True)
    question: Series[str]
    answer: Series[str]
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    form: Series[str]
    source: Series[str]


class SudokuPuzzles(Puzzles):
    """``.`` is a blank; ``difficulty``: fewest guesses of our solver over several orientations."""

    form: Series[str] = pa.Field(unique=True)
    clues: Series[pl.Int64] = pa.Field(ge=1)


class MazePuzzles(Puzzles):
    """``# SGo``: wall, space, start, goal, path; ``difficulty``: steps of a shortest path; ``wall_share``: of all cells."""

    form: Series[str] = pa.Field(unique=True)
    wall_share: Series[float] = pa.Field(ge=0, le=1)


class ArcPuzzles(Puzzles):
    """A row per pair of a task; grids as rows of digits joined by ``/``; ``form``: of the whole task, equal for all its pairs;
    ``difficulty``: cells of the output; ``colours``: of both grids."""

    colours: Series[pl.Int64] = pa.Field(ge=1, le=10)
    task: Series[str]
    pair: Series[pl.Int64] = pa.Field(ge=0)


class SequencePuzzles(Puzzles):
    """``12+34=`` and its sum, the least significant digit first; ``difficulty``: digits that hand a carry on."""

    form: Series[str] = pa.Field(unique=True)


class AugmentedPuzzles(Table):
    """Puzzles as trained on, augmentations included, in the order of the examples: the first of them and their number. ``augmentation``
    0 is the puzzle itself."""

    split: Series[str] = pa.Field(isin=["train", "test"])
    example: Series[pl.Int64] = pa.Field(ge=0)  # pyright: ignore[reportIncompatibleMethodOverride]
    examples: Series[pl.Int32] = pa.Field(ge=1)
    group: Series[pl.Int64] = pa.Field(ge=0)
    puzzle_id: Series[pl.Int32] = pa.Field(ge=0)
    name: Series[str]
    base: Series[str]
    augmentation: Series[pl.Int32] = pa.Field(ge=0)
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    source: Series[str]


class Leakage(Table):
    """What a benchmark holds of another's (or its own) test puzzles, up to symmetry: ``leaks`` of them in its training data (``first`` is
    one), ``shared`` at all."""

    trained_on: Series[str]
    test_puzzles: Series[pl.Int64] = pa.Field(ge=0)
    leaks: Series[pl.Int64] = pa.Field(ge=0)
    first: Series[str] = pa.Field(nullable=True)
    shared: Series[pl.Int64] = pa.Field(ge=0)


class Training(Table):
    """Progress of a training, one row per logging interval; losses and accuracies are means over it."""

    step: Series[pl.Int64] = pa.Field(ge=1)
    examples: Series[pl.Int64] = pa.Field(ge=1)
    loss: Series[float]
    answer_loss: Series[float]
    halt_loss: Series[float]
    cell_accuracy: Series[float] = pa.Field(ge=0, le=1)
    exact_accuracy: Series[float] = pa.Field(ge=0, le=1)
    mean_steps: Series[float] = pa.Field(ge=1)
    learning_rate: Series[float] = pa.Field(ge=0)
    examples_per_second: Series[float] = pa.Field(gt=0)
    wall_seconds: Series[float] = pa.Field(gt=0)


class Predictions(Table):
    """Answers of the averaged weights after the last supervision step, one row per example.

    ``puzzle``, ``name``: base and augmented puzzle; ``steps``: the supervision step at which the halting head would first have stopped;
    ``solved_after``: whether the example is solved after each step; ``prediction``: tokens after the last; ``checkpoint``: the weights'
    folder, below the root of all data; ``evaluation_code``: version of the code that evaluated.
    """

    split: Series[str] = pa.Field(isin=["train", "test"])
    example: Series[pl.Int64] = pa.Field(ge=0)  # pyright: ignore[reportIncompatibleMethodOverride]
    puzzle: Series[str]
    name: Series[str]
    solved: Series[bool]
    cell_accuracy: Series[float] = pa.Field(ge=0, le=1)
    halt_logit: Series[float]
    steps: Series[pl.Int32] = pa.Field(ge=1)
    solved_after: Series[pl.List] = pa.Field(dtype_kwargs={"inner": pl.Boolean})
    prediction: Series[pl.Binary]
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    checkpoint: Series[str]
    evaluation_code: Series[str]


class Votes(Table):
    """ARC: candidate answers to each test input by rank (most votes first), over all augmentations of its task.

    ``test_input`` from 0; ``grid``: rows of digits joined by ``/``; ``checkpoint`` as in :class:`Predictions`.
    """

    task: Series[str]
    test_input: Series[pl.Int32] = pa.Field(ge=0)
    rank: Series[pl.Int32] = pa.Field(ge=1)
    votes: Series[pl.Int64] = pa.Field(ge=1)
    mean_halt: Series[float] = pa.Field(ge=0, le=1)
    correct: Series[bool]
    grid: Series[str]
    checkpoint: Series[str]


class Scores(Table):
    """Metrics with their 95 % interval, and what they came from. ``k``: pass@k, or the supervision step of a depth curve.

    ``code_version`` is that of the code that trained, ``evaluation_code`` of the code that evaluated.
    """

    split: Series[str] = pa.Field(isin=["train", "test"])
    metric: Series[str] = pa.Field(isin=["exact_accuracy", "cell_accuracy", "exact_accuracy_after_step", "mean_steps", "pass_at_k"])
    k: Series[pl.Int32] = pa.Field(nullable=True)
    value: Series[float]
    low: Series[float]
    high: Series[float]
    n: Series[pl.Int64] = pa.Field(ge=1)
    step: Series[pl.Int64] = pa.Field(ge=1)
    checkpoint: Series[str]
    data_version: Series[str]
    code_version: Series[str]
    evaluation_code: Series[str]
    config_hash: Series[str]
    run_id: Series[str]
    created_at: Series[str]


class Ablation(Table):
    """One row per variant of a benchmark: ours over seeds beside the published figure."""

    name: Series[str] = pa.Field(unique=True)
    published: Series[float] = pa.Field(nullable=True)
    published_source: Series[str] = pa.Field(nullable=True)
    ours: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    low: Series[float] = pa.Field(nullable=True)
    high: Series[float] = pa.Field(nullable=True)
    seeds: Series[pl.Int64] = pa.Field(ge=0)
    difference: Series[float] = pa.Field(nullable=True)
    parameters: Series[pl.Int64] = pa.Field(nullable=True)
    depth: Series[pl.Int64] = pa.Field(nullable=True)
    forward_passes: Series[pl.Int64] = pa.Field(nullable=True)
    train_seconds: Series[float] = pa.Field(nullable=True)
    examples_seen: Series[float] = pa.Field(nullable=True)


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
        raise TableError(f"table {name_of(table)}: no column {', '.join(missing)}; expected {', '.join(columns)}")
    try:
        return table.validate(frame.select(*columns, pl.exclude(columns)), lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.select("column", "check", "failure_case").unique(maintain_order=True).head(5).rows()
        found = "; ".join(f"column {column}: {check} fails for {case!r}" for column, check, case in cases)
        raise TableError(f"table {name_of(table)}: {found}; expected the columns and bounds in storage/tables.py") from error


def write_file(
    path: Path, table: type[Table], frame: pl.DataFrame, *, stage_in: Path | None = None, metadata: dict[str, str] | None = None
) -> pl.DataFrame:
    """Validate ``frame`` and write it to one parquet file, atomically; returns what was written.

    :param stage_in: folder on the same disk for the temporary file, outside any folder that is scanned as a table.
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
    with reading(TableError, path, f"a parquet file of the table {name_of(table)}; {AGAIN}", *_PARQUET):
        frame = pl.read_parquet(path, hive_partitioning=False)
    try:
        return validate(table, frame)
    except TableError as error:
        raise TableError(f"{path}: {error}; {AGAIN}") from error


def read_metadata(path: Path, key: str) -> str:
    """A value that :func:`write_file` kept in the file beside the rows.

    :raises TableError: no such file, damaged, or without the value.
    """
    with reading(TableError, path, f"a parquet file with {key!r} in its metadata; {AGAIN}", *_PARQUET):
        return pl.read_parquet_metadata(path)[key]


def partition_path(root: Path, table: type[Table], benchmark: str, variant: str | None = None, seed: int | None = None) -> Path:
    """The file of one partition below ``root``."""
    folder = root / name_of(table) / f"benchmark={benchmark}"
    if variant is not None:
        folder = folder / f"variant={variant}" / f"seed={seed}"
    return folder / "part.parquet"


def scan(root: Path, table: type[Table]) -> pl.LazyFrame:
    """All partitions of a table, with the columns ``benchmark``, and ``variant`` and ``seed`` where it has them.

    :raises FileNotFoundError: nothing has been written yet.
    """
    files = sorted((root / name_of(table)).rglob("part.parquet"))
    if not files:
        raise FileNotFoundError(f"{root / name_of(table)}: no partitions yet; materialize the assets that write them first")
    schema = {"benchmark": pl.String}
    if any("variant=" in file.as_posix() for file in files):
        schema |= {"variant": pl.String, "seed": pl.Int64}
    return pl.scan_parquet(files, hive_partitioning=True, hive_schema=schema)
