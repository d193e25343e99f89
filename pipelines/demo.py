"""The demonstration: 4 x 4 Sudoku from puzzles to the report, in minutes on two cores. ``make
demo`` runs it."""

import sys
import time

import polars as pl

from assets import keys
from assets.tables import Scores
from pipelines import materialize
from pipelines.definitions import defs
from pipelines.jobs import DEMO
from storage.tables import scan

PARTITIONS = ("trm_mlp|0", "trm|0")


def main() -> int:
    """Materialize, then show the scores, the picture and what to do next; returns the exit code."""
    started = time.monotonic()
    code = materialize.main([DEMO, *(word for key in PARTITIONS for word in ("--partition", key))])
    if code:
        return code
    store = (defs.resources or {})["store"].connect()
    shown = ["variant", "seed", "metric", "value", "low", "high", "n"]
    scores = (
        scan(store, Scores)
        .filter(
            (pl.col("benchmark") == DEMO)
            & pl.col("metric").is_in(["exact_accuracy", "cell_accuracy", "mean_steps"])
        )
        .sort("metric", "value", descending=[True, True])
        .select(shown)
        .collect()
    )
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, float_precision=4):
        print(
            "\nScores on unseen puzzles (pl.scan_parquet over "
            f"{store.open('tables/scores')}):\n{scores}"
        )
    print(
        "\nPuzzles and the answer after each supervision step: "
        f"{store.open(keys.answers_picture(DEMO, 'trm_mlp', 0))}"
    )
    print(
        "Ablation report:                                     "
        f"{store.open(keys.ablation_page(DEMO))}"
    )
    print("The graph in your browser:                           make ui")
    print(f"({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
