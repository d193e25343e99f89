"""From predictions and votes to scores."""

import dagster as dg
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.checks import check_results
from assets.evaluation.metrics import Metric, score_rows
from assets.evaluation.predictions import read_predictions
from assets.evaluation.votes import pass_rows, read_votes
from assets.failures import user_error
from assets.outcomes import CheckOutcome
from assets.partitions import variant_and_seed
from assets.reports import markdown
from assets.tables import Scores, of_evaluation, stamped
from storage.store import Store
from storage.tables import publish_partition
from trm_model.errors import ConfigurationError
from trm_model.training.run import RunSpec


def above_chance(scores: pl.DataFrame, chance: float) -> CheckOutcome:
    """Whether the lower bound of the cell accuracy is above what a trivial answer reaches;
    ``scores``: rows of :class:`assets.tables.Scores`."""
    low = float(scores.filter(pl.col("metric") == "cell_accuracy")["low"][0])
    return CheckOutcome(low > chance, {"low": low, "chance": chance})


def materialize_scores(
    context: dg.AssetExecutionContext, store: Store, name: str, benchmark: Benchmark
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    predictions = read_predictions(store, name, variant, seed)
    tested = of_evaluation(predictions)
    try:
        # Of the run that made the predictions, which need not be the one trained last.
        spec = RunSpec.read(store.open(keys.run(name, variant, seed, tested["run"])))
    except ConfigurationError as error:
        raise user_error(error) from error
    rows = score_rows(predictions)
    if benchmark.votes:
        rows += pass_rows(read_votes(store, tested))
    frame = pl.DataFrame(rows, schema=Metric._fields, orient="row", infer_schema_length=None)
    table = publish_partition(
        store,
        Scores,
        stamped(
            frame,
            **tested,
            data_version=spec.data_version,
            code_version=spec.code_version,
            run_id=context.run.run_id,
        ),
    )
    metric, k = benchmark.metric
    headline = table.row(
        by_predicate=(pl.col("metric") == metric) & pl.col("k").eq_missing(k), named=True
    )
    return dg.MaterializeResult(
        metadata={
            metric: headline["value"],
            "interval": f"{headline['low']:.4f} to {headline['high']:.4f}",
            "n": headline["n"],
            "scores": markdown.frame(table.select("metric", "k", "value", "low", "high", "n")),
        },
        check_results=check_results(
            name,
            benchmark,
            "scores",
            {"above_chance": above_chance(table, benchmark.origin.family.chance)},
        ),
    )
