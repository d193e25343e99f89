"""The demonstration: 4 x 4 Sudoku from puzzles to the report, in minutes on two cores. ``make
demo`` runs it by ``trm demo``."""

import time

import polars as pl

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.declared import declared
from assets.latest import latest
from assets.tables import Scores
from pipelines.execute import materialize
from pipelines.jobs import DEMO
from pipelines.resources import open_store
from storage.store import Store
from storage.tables import scan
from trm_model.variants import VARIANTS

PARTITIONS = ("trm_mlp|0", "trm_grid|0")
METRICS = ("exact_accuracy", "cell_accuracy", "mean_steps")
COLUMNS = ("variant", "seed", "metric", "value", "low", "high", "n")


def demonstrate() -> int:
    """Materialize, then show the scores, the picture and what to do next; returns the exit code."""
    started = time.monotonic()
    code = materialize(DEMO, partitions=PARTITIONS)
    if code:
        return code
    store = open_store()
    print(f"\nScores on unseen puzzles (from the tables in {store.open('tables/scores')}):")
    scores = _scores(store)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, float_precision=4):
        print(scores.select(COLUMNS))
    shown = scores.filter(variant="trm_mlp").row(0, named=True)
    picture = store.open(
        keys.answers_picture(DEMO, "trm_mlp", shown["seed"], shown["run"], shown["evaluation"])
    )
    print(f"""
Puzzles and the answer after each supervision step: {picture}
Ablation report:                                    {store.open(keys.ablation_page(DEMO))}
The graph in your browser:                          make ui
Made in {time.monotonic() - started:.0f} s; everything is in {store.open("")}.""")
    return 0


def _scores(store: Store) -> pl.DataFrame:
    """The latest of each partition that was trained and tested as the benchmark declares."""
    expected = declared(BENCHMARKS[DEMO], VARIANTS)
    scores = scan(store, Scores).filter(benchmark=DEMO).collect()
    return (
        latest(scores.join(expected, on=expected.columns, how="semi"))
        .filter(pl.col("metric").is_in(METRICS))
        .sort("metric", "value", descending=[True, True])
    )
