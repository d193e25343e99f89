"""The demonstration: 4 x 4 Sudoku from puzzles to the report, in minutes on two cores. ``make
demo`` runs it."""

import sys
import time

import polars as pl

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
    layout = (defs.resources or {})["store"].layout
    shown = ["variant", "seed", "metric", "value", "low", "high", "n"]
    scores = (
        scan(layout.tables(), Scores)
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
            f"{layout.tables() / 'scores'}):\n{scores}"
        )
    print(
        "\nPuzzles and the answer after each supervision step: "
        f"{layout.report(DEMO) / 'answers-trm_mlp-0.png'}"
    )
    print(
        "Ablation report:                                     "
        f"{layout.report(DEMO) / 'ablation.html'}"
    )
    print("The graph in your browser:                           make ui")
    print(f"({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
