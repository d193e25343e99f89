"""From a checkpoint to predictions, and from those to scores."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import torch

from assets.benchmarks import Benchmark
from assets.common import CODE, EvaluationConfig, check_results, current_run, user_error
from assets.data.checks import above_chance
from assets.data.datasets import describe_examples
from assets.evaluation.metrics import Metric, score_rows
from assets.partitions import variant_and_seed
from assets.reports.pictures import answer_sheet, inline, markdown_frame
from assets.tables import Predictions, Scores, Votes
from storage.atomic import new_file
from storage.examples import read_examples
from storage.layout import Layout
from storage.lock import lock
from storage.manifest import CorruptDataError, verify_manifest
from storage.tables import TableError, partition_path, read_file, write_file
from trm_model.devices import resolve_device
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import Evaluation, evaluate
from trm_model.model.batch import DeviceExamples
from trm_model.model.reasoner import build
from trm_model.training import checkpoint as checkpoints
from trm_model.training.process import DEVICE_SECONDS
from trm_model.training.run import RunSpec
from trm_model.version import code_version


def prediction_table(
    evaluation: Evaluation, described: pl.DataFrame, checkpoint: str
) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Predictions`; ``described``: the examples' rows of the
    augmented puzzles."""
    return described.select("split", "example", "puzzle", "name", "difficulty").with_columns(
        solved=pl.Series(evaluation.solved[:, -1]),
        cell_accuracy=pl.Series(
            evaluation.right_cells[:, -1] / np.maximum(evaluation.labelled_cells, 1)
        ),
        halt_logit=pl.Series(evaluation.halt_logits[:, -1].astype(np.float64)),
        steps=pl.Series(evaluation.halted_at),
        solved_after=pl.Series(evaluation.solved.tolist(), dtype=pl.List(pl.Boolean)),
        prediction=pl.Series(
            [row.tobytes() for row in evaluation.predictions[:, -1]], dtype=pl.Binary
        ),
        checkpoint=pl.lit(checkpoint),
        evaluation_code=pl.lit(code_version(CODE)),
    )


# Asset bodies


def materialize_predictions(
    context: dg.AssetExecutionContext,
    config: EvaluationConfig,
    layout: Layout,
    name: str,
    benchmark: Benchmark,
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    run = current_run(layout, name, variant, seed)
    newest = checkpoints.saved(run)[-1]
    try:
        spec = RunSpec.read(run)
        folder = Path(spec.data)
        verify_manifest(folder)
        examples = read_examples(folder / "test.zarr")
        state = checkpoints.load(newest)
    except (CorruptDataError, ConfigurationError) as error:
        raise user_error(error) from error
    device = torch.device(resolve_device(config.device))
    reasoner = build(spec.variant, spec.recipe, examples.header, seed)
    reasoner.load_state_dict(state.evaluated)
    limit = config.limit if config.limit is not None else benchmark.evaluated
    described = describe_examples(folder, "test", None if config.all else limit)
    data = DeviceExamples(examples, device)
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 10 or done == total:
            told = time.monotonic()
            context.log.info("evaluated %d of %d test puzzles", done, total)

    with lock(
        layout.lock(str(device)),
        label=f"evaluating {name} {context.partition_key}",
        wait_seconds=DEVICE_SECONDS,
        waiting=context.log.info,
    ):
        run_on = partial(
            evaluate,
            reasoner.to(device).eval(),
            data,
            max_steps=spec.recipe.max_steps,
            batch_size=config.batch_size,
        )
        started = time.monotonic()
        result = run_on(index=described["example"].to_numpy(), every_step=False, progress=progress)
        seconds = time.monotonic() - started
        # The hardest ones the picture can show: those solved late or not at all.
        late = described["example"].to_numpy()[
            (-result.solved.sum(axis=1)).argsort(kind="stable")[::-1][:4]
        ]
        shown = run_on(index=late).predictions
    table = write_file(
        partition_path(layout.tables(), Predictions, name, variant, seed),
        Predictions,
        prediction_table(result, described, newest.relative_to(layout.root).as_posix()),
        stage_in=layout.root,
    )
    last = shown.shape[1]
    steps = [*(step for step in (1, 2, 4) if step < last), last]
    picture = answer_sheet(
        benchmark.origin.family,
        *examples.rows(late),
        shown[:, [step - 1 for step in steps]],
        steps,
    )
    picture_path = layout.report(name) / f"answers-{variant}-{seed}.png"
    with new_file(picture_path) as temporary:
        temporary.write_bytes(picture)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "solved": float(table["solved"].mean()),  # type: ignore[arg-type]
            "examples_per_second": len(table) / seconds,
            "step": state.progress.step,
            "answers": dg.MetadataValue.md(
                inline(picture, "hard puzzles and the answer after each step")
            ),
            "picture": dg.MetadataValue.path(str(picture_path)),
        }
    )


def materialize_scores(
    context: dg.AssetExecutionContext, layout: Layout, name: str, benchmark: Benchmark
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    path = partition_path(layout.tables(), Predictions, name, variant, seed)
    if not path.exists():
        raise user_error(
            f"{path}: no predictions yet; materialize {name}/predictions, partition "
            f"{variant}|{seed}, first"
        )
    try:
        predictions = read_file(path, Predictions)
        checkpoint: str = predictions["checkpoint"][0]
        # Of the run that made the predictions, which need not be the one trained last.
        spec = RunSpec.read((layout.root / checkpoint).parents[1])
    except (ConfigurationError, TableError) as error:
        raise user_error(error) from error
    rows = score_rows(predictions)
    if benchmark.votes:
        from assets.evaluation.votes import pass_rows

        votes = partition_path(layout.tables(), Votes, name, variant, seed)
        if not votes.exists() or (voted := read_file(votes, Votes))["checkpoint"][0] != checkpoint:
            raise user_error(
                f"{votes}: no votes on these predictions yet; materialize {name}/votes, partition "
                f"{variant}|{seed}, first"
            )
        rows += pass_rows(Path(spec.data), voted)
    frame = pl.DataFrame(
        rows, schema=Metric._fields, orient="row", infer_schema_length=None
    ).with_columns(
        split=pl.lit("test"),
        step=pl.lit(int(checkpoint.rpartition("step-")[2])),
        checkpoint=pl.lit(checkpoint),
        data_version=pl.lit(spec.data_version),
        code_version=pl.lit(spec.code_version),
        evaluation_code=pl.lit(predictions["evaluation_code"][0]),
        config_hash=pl.lit(spec.config_hash),
        run_id=pl.lit(context.run_id),
        created_at=pl.lit(datetime.now(UTC).isoformat(timespec="seconds")),
    )
    table = write_file(
        partition_path(layout.tables(), Scores, name, variant, seed),
        Scores,
        frame,
        stage_in=layout.root,
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
            "scores": markdown_frame(table.select("metric", "k", "value", "low", "high", "n")),
        },
        check_results=check_results(
            name,
            benchmark,
            "scores",
            {"above_chance": above_chance(table, benchmark.origin.family.chance)},
        ),
    )
