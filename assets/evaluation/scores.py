"""From predictions and votes to scores."""

from datetime import UTC, datetime

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
from assets.store import data_of
from assets.tables import Scores
from storage.store import Store
from storage.tables import partition_key, publish_file
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
    checkpoint: str = predictions["checkpoint"][0]
    try:
        # Of the run that made the predictions, which need not be the one trained last.
        spec = RunSpec.read(store.open(keys.run_of(checkpoint)))
    except ConfigurationError as error:
        raise user_error(error) from error
    rows = score_rows(predictions)
    if benchmark.votes:
        votes = read_votes(store, name, variant, seed, checkpoint)
        rows += pass_rows(data_of(store, spec), votes)
    frame = pl.DataFrame(
        rows, schema=Metric._fields, orient="row", infer_schema_length=None
    ).with_columns(
        split=pl.lit(predictions["split"][0]),
        step=pl.lit(int(checkpoint.rpartition("step-")[2])),
        checkpoint=pl.lit(checkpoint),
        data_version=pl.lit(spec.data_version),
        code_version=pl.lit(spec.code_version),
        evaluation_code=pl.lit(predictions["evaluation_code"][0]),
        config_hash=pl.lit(spec.config_hash),
        run_id=pl.lit(context.run_id),
        created_at=pl.lit(datetime.now(UTC).isoformat(timespec="seconds")),
    )
    table = publish_file(store, partition_key(Scores, name, variant, seed), Scores, frame)
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
