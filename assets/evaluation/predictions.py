"""The answers of a checkpoint to every test puzzle."""

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.configs import EvaluationConfig
from assets.data.datasets import describe_examples
from assets.declared import differences, evaluation_key, evaluation_settings
from assets.evaluation.prediction_checks import (
    counted_right,
    evaluated,
    every_example_once,
    tokens_in_vocabulary,
)
from assets.evaluation.selections import compared, selection_rows
from assets.failures import user_error
from assets.outcomes import CheckOutcome
from assets.pages import markdown, pictures
from assets.pages.links import links
from assets.partitions import variant_and_seed
from assets.progress import MADE, Pace, progress_of, spaced
from assets.stages import making
from assets.store import current_predictions, current_run, data_of, hold_device
from assets.tables import Predictions, Selections, of_evaluation, of_run, stamped
from storage.examples import DATA_AGAIN
from storage.manifest import verify_manifest
from storage.store import Store
from storage.tables import AGAIN, TableError, partition_key, publish_partition, read_file
from trm_model.devices import compiled_here, open_device
from trm_model.evaluation.evaluate import Evaluated, evaluate, kept_steps, require_evaluation
from trm_model.evaluation.finished import Finished
from trm_model.finite import NotFiniteError
from trm_model.model.batch import DeviceExamples
from trm_model.model.reasoner import build
from trm_model.model.variant import Variant
from trm_model.puzzles.family import Family, Tokens
from trm_model.puzzles.plans import open_examples
from trm_model.texts import counted
from trm_model.training import checkpoint as checkpoints
from trm_model.training import folders
from trm_model.training.process import DEVICE_SECONDS
from trm_model.training.run import RunSpec
from trm_model.version import code_version

SHOWN_PUZZLES = 4
SHOWN_STEPS = (1, 2, 4)
"""Supervision steps whose answers the picture shows, beside the last."""


def prediction_table(
    evaluation: Evaluated, described: pl.DataFrame, family: Family, inputs: Tokens, labels: Tokens
) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Predictions`, without what all of them have in common.

    :param described: the evaluated examples, as
        :func:`assets.data.datasets.describe_examples` describes them.
    :param inputs, labels: their tokens, uint8 [N, L] each.
    """
    answers = evaluation.predictions[:, -1]

    def written(grids: Tokens) -> pl.Series:
        return pl.Series([str(family.plain(grid)) for grid in grids], dtype=pl.String)

    return described.select("split", "example", "puzzle", "name", "difficulty").with_columns(
        solved=pl.Series(evaluation.solved[:, -1]),
        cell_accuracy=pl.Series(
            evaluation.right_cells[:, -1] / np.maximum(evaluation.labelled_cells, 1)
        ),
        halt_logit=pl.Series(evaluation.halt_logits[:, -1].astype(np.float64)),
        steps=pl.Series(evaluation.halted_at),
        solved_at_halting=pl.Series(evaluation.solved_at_halting),
        computed_steps=pl.Series(evaluation.computed_steps.astype(np.float64)),
        solved_after=pl.Series(evaluation.solved.tolist(), dtype=pl.List(pl.Boolean)),
        prediction=pl.Series([row.tobytes() for row in answers], dtype=pl.Binary),
        question=written(inputs),
        answer=written(answers),
        label=written(labels),
    )


def read_predictions(store: Store, name: str, variant: str, seed: int) -> pl.DataFrame:
    """The predictions made last of a partition.

    :raises Failure: there are none; the message says what to do.
    :raises TableError: they are damaged.
    """
    return whole(store.open(current_predictions(store, name, variant, seed)))


def whole(path: Path) -> pl.DataFrame:
    """The predictions in a file.

    :raises TableError: it is damaged, or has lost rows, of which those left need not tell.
    """
    rows = read_file(path, Predictions)
    expected = rows["n"].max() or "some"
    if len(rows) != expected:
        raise TableError(
            f"{path}: {len(rows)} rows, expected {expected}, one for each evaluated example; "
            f"{AGAIN}"
        )
    return rows


def already_evaluated(store: Store, key: str, of: Mapping[str, str]) -> pl.DataFrame | None:
    """The predictions stored under a key, if they are intact and have these values in their
    columns: nothing need be computed again."""
    path = store.open(key)
    if path.exists():
        with suppress(TableError):  # Damaged, or of another version: made again.
            table = whole(path)
            if of.items() <= of_evaluation(table).items():
                return table
    return None


def materialize_predictions(
    context: dg.AssetExecutionContext,
    config: EvaluationConfig,
    store: Store,
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> dg.MaterializeResult:
    """Evaluate the run trained last."""
    variant, seed = variant_and_seed(context.partition_key)
    run = current_run(store, name, variant, seed)
    predictions, told = predict(context, config, store, benchmark, variants[variant], run)
    store.point(keys.current_predictions(name, variant, seed), predictions)
    return told


class Predicted(NamedTuple):
    """Stored predictions: their key, and what is told of them."""

    key: str
    told: dg.MaterializeResult


def predict(
    context: dg.AssetExecutionContext,
    config: EvaluationConfig,
    store: Store,
    benchmark: Benchmark,
    declared: Variant,
    run_key: str,
) -> Predicted:
    """Evaluate a run as its variant says, or as it is told
    (:class:`trm_model.model.evaluation.Evaluation`).

    :param declared: the variant of the run's name.
    :raises Failure: it could not be evaluated; the message says why.
    """
    run = store.open(run_key)
    spec = RunSpec.read(run)
    name, variant, seed = spec.benchmark, spec.variant_name, spec.seed
    saved = folders.saved(run)
    if not saved:
        raise user_error(
            f"{run / folders.FOLDER}: no checkpoint, expected one; train again: "
            f"{making('checkpoint', name, f'{variant}|{seed}')}"
        )
    newest = saved[-1]
    evaluation = config.evaluation(declared.evaluation)
    split = evaluation.split
    limit = config.limit_of(benchmark.evaluated)
    tested = evaluation_key(evaluation, limit)
    predictions = partition_key(Predictions, name, variant, seed, run.name, tested)
    picture = keys.answers_picture(name, variant, seed, run.name, tested)
    of = {
        "checkpoint": f"{run_key}/{newest.relative_to(run).as_posix()}",
        "evaluation_code": code_version(__name__, type(evaluation.selection).__module__),
    }
    if not config.again and (kept := already_evaluated(store, predictions, of)) is not None:
        context.log.info(f"{newest}: evaluated already: kept")
        told = dg.MaterializeResult(metadata=_told(store, predictions, kept, picture))
        return Predicted(predictions, told)
    store.require_writable(predictions)
    family = benchmark.origin.family
    require_evaluation(evaluation, spec.variant, family)
    folder = data_of(store, spec)
    verify_manifest(folder, DATA_AGAIN)
    examples = open_examples(folder / f"{split}.zarr")
    device = open_device(config.device)
    reasoner = build(spec.variant, spec.recipe.size, examples.header, seed, spec.recipe.precision)
    progress = checkpoints.load_evaluated(newest, reasoner)
    if config.compile:
        reasoner.compile_networks(any_size=True)
    depth = spec.variant.test_steps(spec.recipe.max_steps, evaluation)
    steps = kept_steps(depth)
    selections = compared(evaluation.selection, family)
    computing = code_version(__name__, *(type(each).__module__ for each in selections))
    told_by = tested, verify_manifest(newest, checkpoints.REMEDY)[:16], computing
    finished = Finished(store.open(keys.finished_examples(run_key, *told_by)))
    changed = [differences(spec, benchmark, declared)]
    if limit != benchmark.evaluated:
        asked, entry = (_part(benchmark, some) for some in (limit, benchmark.evaluated))
        changed.append(f"tested on {asked} in place of {entry}")
    if evaluation != declared.evaluation:
        changed.append("another evaluation than the variant's")
    if any(changed):
        context.log.info(
            f"{run}: {', '.join(filter(None, changed))}: its scores stand apart from those that "
            "the ablation and the leaderboard compare"
        )
    described = describe_examples(folder, split, limit, evaluation.votes)
    index = described["example"].to_numpy()
    say = spaced(progress_of(context.log))
    held = hold_device(
        store,
        str(device),
        label=f"evaluating {name} {variant}|{seed}",
        wait_seconds=DEVICE_SECONDS,
        say=context.log.info,
    )
    with held, compiled_here():
        run_on = partial(
            evaluate,
            reasoner.to(device).eval(),
            DeviceExamples(examples, device),
            evaluation,
            max_steps=spec.recipe.max_steps,
            batch_size=config.batch_size,
            family=family,
        )
        pace = Pace(f"{split} puzzles")
        started = time.monotonic()
        try:
            result = run_on(
                index=index,
                every_step=False,
                compared=selections,
                finished=finished,
                progress=lambda done, total: say(f"evaluated {pace.said(done, total)}"),
            )
        except NotFiniteError as error:
            raise user_error(
                f"{newest}: {error}; train again with a lower learning_rate"
            ) from error
        seconds = time.monotonic() - started
        # The picture shows the hardest ones: those solved late or not at all.
        steps_solved = result.solved.sum(axis=1)
        late = index[(-steps_solved).argsort(kind="stable")[::-1][:SHOWN_PUZZLES]]
        shown = run_on(index=late).predictions
    in_common: dict[str, str | int] = {
        **of_run(spec, run.name),
        "evaluation": tested,
        **of,
        "step": progress.step,
        "settings": evaluation_settings(evaluation, depth, limit),
        "of": len(examples.group_offsets) - 1,
    }
    rows = selection_rows(result, selections, steps, evaluation.rollouts, described["puzzle"])
    publish_partition(store, Selections, stamped(rows, split=split, **in_common))
    table = publish_partition(
        store,
        Predictions,
        stamped(
            prediction_table(result, described, family, *examples.rows(index)),
            **in_common,
            n=len(described),
        ),
    )
    finished.remove()
    drawn = [*(step for step in SHOWN_STEPS if step < depth), depth]
    answers = pictures.png(
        pictures.answer_sheet(
            family,
            *examples.rows(late),
            shown[:, [steps.index(step) for step in drawn]],
            drawn,
        )
    )
    with store.publish_file(picture) as temporary:
        temporary.write_bytes(answers)
    told = dg.MaterializeResult(
        metadata={
            **_told(store, predictions, table, picture),
            "examples_per_second": len(table) / seconds,
            "answers": markdown.picture(answers, "hard puzzles and the answer after each step"),
        }
    )
    return Predicted(predictions, told)


def _part(benchmark: Benchmark, limit: int | None) -> str:
    """The evaluated part of the test puzzles (of ARC: of the tasks) in words."""
    noun = "test task" if benchmark.votes else "test puzzle"
    return f"all {noun}s" if limit is None else f"the first {counted(limit, noun)}"


def _told(store: Store, predictions: str, table: pl.DataFrame, picture: str) -> dict[str, Any]:
    """The metadata of a materialization of predictions, which were made now or before.

    :param predictions, picture: their keys in the store.
    """
    solved = float(table["solved"].mean())  # type: ignore[arg-type]
    return {
        MADE: f"{counted(len(table), 'answer')}, {solved:.1%} of them right, in "
        f"{store.open(predictions)}; some of them as a picture in {store.open(picture)}",
        "dagster/row_count": len(table),
        "solved": solved,
        "step": table["step"][0],
        **links(store, picture=picture),
    }


def check_predictions(store: Store, name: str, variant: str, seed: int) -> dict[str, CheckOutcome]:
    """Whether the stored predictions answer the examples of their data set, each once, and are
    counted as the labels say."""
    predictions = read_predictions(store, name, variant, seed)
    groups, versions = evaluated(predictions)
    split: str = predictions["split"][0]
    run = store.open(keys.run(name, variant, seed, predictions["run"][0]))
    folder = data_of(store, RunSpec.read(run))
    examples = open_examples(folder / f"{split}.zarr")
    described = describe_examples(folder, split, groups, versions)
    outcomes = {
        "every_example_once": every_example_once(predictions, described),
        "tokens_in_vocabulary": tokens_in_vocabulary(predictions, examples.header),
    }
    if all(outcome.passed for outcome in outcomes.values()):
        _, labels = examples.rows(predictions["example"].to_numpy())
        outcomes["counted_right"] = counted_right(predictions, labels, examples.header)
    return outcomes
