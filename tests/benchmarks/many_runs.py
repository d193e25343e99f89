"""A store of many runs, each with its rows of runs, training and scores, as trainings leave it."""

from itertools import islice, product
from typing import Any

import polars as pl

from assets.benchmarks import BENCHMARKS
from assets.declared import declared
from assets.tables import OfRun, Runs, Scores, Training
from storage.store import Store
from storage.tables import partition_key, validate
from tests.assets.test_tables import ROWS
from trm_model.variants import VARIANTS

BENCHMARK = "sudoku_4x4"
RATES = (1e-3, 3e-4, 1e-4, 3e-3, 1e-2)
"""The first is the recipe's."""


def write_runs(store: Store, count: int) -> None:
    """Runs of all variants, ten seeds and all rates, so many of them."""
    ways = declared(BENCHMARKS[BENCHMARK], VARIANTS).rows(named=True)
    for number, (rate, seed, way) in enumerate(islice(product(RATES, range(10), ways), count)):
        same = {
            "benchmark": BENCHMARK, "variant": way["variant"], "seed": seed,
            "run": f"{number:016x}",
            "config_hash": f"{'' if rate == RATES[0] else rate}{way['config_hash']}",
            "created_at": f"2026-01-{1 + number // 86_400:02}T00:00:00.{number:06}+00:00",
        }  # fmt: skip
        tested = {"evaluation": way["evaluation"], "data_entry": way["data_entry"]}
        _write(store, Runs, [{"learning_rate": rate, "status": "finished"}], same)
        _write(
            store,
            Training,
            [{"step": 50 * (row + 1), "loss": 2 / (row + 1)} for row in range(20)],
            same,
        )
        metrics: list[dict[str, Any]] = [
            *({"metric": name, "value": 0.5} for name in ("exact_accuracy", "cell_accuracy")),
            *(
                {"metric": f"trivial_{name}", "group": "copy the question"}
                for name in ("exact_accuracy", "cell_accuracy")
            ),
            *({"metric": "exact_accuracy_after_step", "k": step + 1} for step in range(16)),
        ]
        _write(store, Scores, metrics, same | tested)


def _write(
    store: Store, table: type[OfRun], rows: list[dict[str, Any]], same: dict[str, Any]
) -> None:
    """One file. Its schema is the table's; to validate each would take most of the time."""
    schema = table.empty().schema
    frame = pl.DataFrame([{**ROWS[table], **same, **row} for row in rows], schema)
    if same["run"] == f"{0:016x}":
        validate(table, frame)
    values = [frame[name][0] for name in (*table.levels(), *table.files())]
    path = store.open(partition_key(table, *values))
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
