"""``trm test``: any checkpoint on the data of any benchmark of its family."""

from pathlib import Path

import polars as pl

from assets.benchmarks import BENCHMARKS
from assets.evaluation.testing import score_model
from assets.progress import spaced
from pipelines.listing import AFTER_STEP, to_text
from pipelines.place import data_folder
from pipelines.screen import Screen
from storage.store import LocalStore
from trm_model.model.evaluation import Evaluation
from trm_model.solving.trained import TrainedModel

SHOWN = ("metric", "k", "group", "value", "low", "high", "n", "of", "benchmark", "created_at")


def tell_scores(
    benchmark: str,
    model: TrainedModel,
    evaluation: Evaluation,
    *,
    limit: int | None,
    every: bool,
    batch_size: int | None,
) -> int:
    """Test a model on a benchmark's data set, print what it scores and where the rows are; returns
    the exit code.

    :param limit: puzzles (of ARC: tasks); None: as the benchmark is evaluated.
    :param every: all puzzles, whatever the limit.
    :raises ConfigurationError: see :func:`assets.evaluation.testing.score_model`.
    """
    store = LocalStore.containing(Path(data_folder()))
    asked = None if every else limit or BENCHMARKS[benchmark].evaluated
    with Screen() as screen:
        rows, key = score_model(
            store,
            benchmark,
            model,
            evaluation,
            limit=asked,
            batch_size=batch_size,
            say=screen.say,
            progress=screen.progress if screen.refreshes else spaced(screen.say),
        )
    by_selection = pl.col("metric") == "exact_accuracy_by_selection"
    whole = pl.col("group").is_null() & ~pl.col("metric").str.ends_with(AFTER_STEP)
    print(f"{model.description}, tested on {benchmark}: {rows['settings'][0]}")
    print(to_text(rows.filter(whole | by_selection).select(SHOWN), "table"))
    print(f"made {len(rows)} rows in {store.open(key)}")
    return 0
