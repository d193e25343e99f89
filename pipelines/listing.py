"""What the tables hold, listed by commands that only read. They answer at once: this module loads
polars and nothing else that takes its time."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl
import polars.selectors as cs

from assets.latest import CONFIGURATION, latest
from assets.stages import making
from pipelines.place import data_folder
from storage.lock import is_held
from storage.manifest import CorruptDataError
from storage.reading import reading
from trm_model.errors import require
from trm_model.texts import duration
from trm_model.training.figures import METRICS, WAITING, read_rows, seconds_left
from trm_model.training.folders import step_reached, verified_step
from trm_model.training.process import LOCK

AFTER_STEP = "_after_step"
"""How the names of metrics end of which an evaluation has a row for each supervision step."""
SCORES = (
    *("benchmark", "variant", "seed", "metric", "k", "group", "value", "low", "high", "n"),
    *("step", "run", "evaluation", "created_at"),
)
TESTS = "scores_elsewhere"
ELSEWHERE = (
    *("benchmark", "source", "metric", "k", "group", "value", "low", "high", "n"),
    *("step", "trained_on", "model", "evaluation", "created_at"),
)
ONE_TEST = ("benchmark", "source", "evaluation")
"""Columns that tell tests of ``trm test`` apart; the later one is of another checkpoint."""
RUNS = (
    *("benchmark", "variant", "seed", "run", "status", "step", "steps", "seconds"),
    *("score", "n", "curve", "left", "changes", "created_at"),
)
ONE_RUN = ("benchmark", "variant", "seed", "run")
"""Columns that tell runs apart: two variants of equal configuration have runs of equal names."""
HEADLINES = (("pass_at_k", 2), ("exact_accuracy", None))
"""Metrics and their k that the benchmarks' reports compare
(:attr:`assets.benchmarks.Benchmark.metric`); the first that a run has is its score."""
STARTING_SECONDS = 120.0
"""How long a training may take to lock its run: it loads torch and waits for other processes."""
_BARS = "▁▂▃▄▅▆▇█"
_MINUTE = len("2026-01-01T00:00")


def list_scores(
    benchmark: str | None, *, metrics: Sequence[str], every: bool, form: str, elsewhere: bool
) -> str:
    """The scores as text, each with what its run changes of the benchmark's settings.

    :param benchmark: of this one; None: of all.
    :param metrics: of these; none: of all that have one row for each evaluation and are of its
        answers, neither after each step, nor of groups of puzzles, nor of trivial answers.
    :param every: all scores, not the latest of each configuration alone.
    :param form: as of :func:`to_text`.
    :param elsewhere: those of ``trm test``.
    :raises ConfigurationError: there are none, or no such metric.
    :raises CorruptDataError: a file is damaged, or of another version of this project.
    """
    table, columns, one = (
        (TESTS, ELSEWHERE, ONE_TEST) if elsewhere else ("scores", SCORES, CONFIGURATION)
    )
    rows = _read(table, benchmark, tuple(dict.fromkeys((*columns, *one))))
    require(len(rows) > 0, _nothing(table, benchmark))
    known = rows["metric"].unique(maintain_order=True).to_list()
    for metric in metrics:
        require(metric in known, f"no metric {metric!r} here: expected {', '.join(known)}")
    metric = pl.col("metric")
    whole = pl.col("group").is_null() & ~metric.str.ends_with(AFTER_STEP)
    chosen = metric.is_in(metrics) if metrics else whole
    found = (rows if every else latest(rows, *one)).filter(chosen).select(columns)
    if not elsewhere:
        changes = _read("runs", benchmark, (*ONE_RUN, "changes"))
        found = (
            found.join(changes, on=ONE_RUN, how="left")
            if len(changes)
            else found.with_columns(changes=None)
        )
    shown_by = ("benchmark", "metric", "group", "k", "source", "variant", "seed", "created_at")
    return to_text(found.sort([name for name in shown_by if name in columns]), form)


def list_runs(benchmark: str | None, *, every: bool, form: str) -> str:
    """The runs as text, latest first, each with the score of its latest test, if any, and the
    number of puzzles that this is of.

    Those whose folder is gone are ``removed``. Of those under way, the step and the seconds are
    those of their newest row of figures, with the curve of the solved examples so far and the time
    left, or that they wait for the device.

    :param benchmark, form: as of :func:`list_scores`.
    :param every: all runs, not the latest of each configuration alone.
    :raises ConfigurationError, CorruptDataError: as of :func:`list_scores`.
    """
    found = [name for name in RUNS if name not in ("score", "n", "curve", "left")]
    rows = _under_way(_read("runs", benchmark, (*found, "config_hash", "batch_size")))
    require(len(rows) > 0, _nothing("runs", benchmark))
    rows = (rows if every else latest(rows)).with_columns(score=None, n=None)
    tests = _read("scores", benchmark, (*SCORES, "config_hash", "split"))
    if len(tests):
        rows = rows.drop("score", "n").join(_run_scores(tests), on=ONE_RUN, how="left")
    whole_seconds = pl.col("seconds").round().cast(pl.Int64)
    shown = rows.with_columns(whole_seconds).sort("created_at", *ONE_RUN, descending=True)
    return to_text(shown.select(RUNS), form)


def _under_way(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``curve`` and ``left``; of runs that have started, or whose folder has been
    removed, as their files say."""
    told: list[dict[str, Any]] = []
    for row in rows.iter_rows(named=True):
        run = Path(data_folder(), "runs", *(str(row[name]) for name in ONE_RUN))
        now = _state(run, row) if row["status"] == "started" else {}
        if not run.is_dir():
            now = {"status": "removed"}
        told.append({"curve": None, "left": None, **row, **now})
    schema = {**rows.schema, "curve": pl.String, "left": pl.String}
    return pl.DataFrame(told, schema=schema)


def _state(run: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the files of a run that has started tell in place of its row: how it goes on, or that no
    process trains it."""
    figures = read_rows(run / METRICS)
    now = {"step": figures[-1]["step"], "seconds": figures[-1]["wall_seconds"]} if figures else {}
    if not is_held(run / LOCK) and not _starts(run, row):
        step = step_reached(run)
        done = step >= row["steps"] and verified_step(run) == step
        return {**now, "step": step, "status": "finished" if done else "interrupted"}
    if (run / WAITING).exists():
        return {"left": "waits for the device"}
    if figures:
        now["curve"] = sparkline([each["exact_accuracy"] for each in figures])
        now["left"] = duration(seconds_left(figures[-1], row["steps"], row["batch_size"]))
    return now


def _starts(run: Path, row: Mapping[str, Any]) -> bool:
    """Whether a process may be about to train a run: it was started, or one has held its lock, so
    recently."""
    recently, lock = time.time() - STARTING_SECONDS, run / LOCK
    held = lock.exists() and lock.stat().st_mtime > recently
    return held or row["created_at"] > datetime.fromtimestamp(recently, UTC).isoformat()


def sparkline(shares: Sequence[float], width: int = 16) -> str:
    """Shares 0..1 as bars, the means of up to ``width`` equal parts of them."""
    parts = min(width, len(shares))
    cuts = [number * len(shares) // parts for number in range(parts + 1)] if parts else []
    means = (fmean(shares[start:end]) for start, end in pairwise(cuts))
    return "".join(_BARS[min(len(_BARS) - 1, int(mean * len(_BARS)))] for mean in means)


def _run_scores(scores: pl.DataFrame) -> pl.DataFrame:
    """``score`` of each run by its latest test, and ``n``."""
    last = latest(scores.filter(split="test"), *ONE_RUN)
    headlines = pl.concat(
        last.filter(pl.col("metric") == metric, pl.col("k").eq_missing(k))
        for metric, k in HEADLINES
    )
    first = headlines.unique(ONE_RUN, keep="first", maintain_order=True)
    return first.select(*ONE_RUN, "n", score="value")


def to_text(rows: pl.DataFrame, form: str) -> str:
    """Rows as text.

    :param form: ``csv``, ``json`` (a list of objects), or ``table`` for people, without columns
        that are empty or the same benchmark throughout.
    """
    if form == "csv":
        return rows.write_csv().rstrip("\n")
    if form == "json":
        return rows.write_json()
    shown = rows.drop([name for name in rows.columns if rows[name].is_null().all()])
    if shown["benchmark"].n_unique() == 1:
        shown = shown.drop("benchmark")
    when = pl.col("created_at").str.head(_MINUTE).str.replace("T", " ")
    shown = shown.with_columns(when.alias("when (UTC)")).drop("created_at")
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=-1,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        fmt_str_lengths=100,
    ):
        words = shown.with_columns(
            cs.integer().cast(pl.String),
            *(
                pl.Series(name, [None if v is None else f"{v:.4f}" for v in shown[name]], pl.String)
                for name in shown.select(cs.float()).columns
            ),
        )
        return str(words.with_columns(cs.string().fill_null("")))


def _place(table: str, benchmark: str | None) -> Path:
    folder = Path(data_folder(), "tables", table)
    return folder / f"benchmark={benchmark}" if benchmark else folder


def _nothing(table: str, benchmark: str | None) -> str:
    make = (
        f"trm test CHECKPOINT {benchmark or 'BENCHMARK'}"
        if table == TESTS
        else making("checkpoint", benchmark or "BENCHMARK")
    )
    return f"{_place(table, benchmark).resolve()}: no {table} yet; first: {make}"


def _read(table: str, benchmark: str | None, columns: Sequence[str]) -> pl.DataFrame:
    """These columns of a table of which there is one partition for each benchmark; no rows where
    nothing has been written yet.

    :raises CorruptDataError: a file is damaged, or lacks a column.
    """
    folder = _place(table, benchmark)
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.Null))
    expected = f"parquet files with the columns {', '.join(columns)}; remove what is damaged or old"
    with reading(CorruptDataError, folder, expected, pl.exceptions.PolarsError):
        rows = pl.scan_parquet(files, glob=False, hive_partitioning=False)
        return rows.select(columns).collect()
