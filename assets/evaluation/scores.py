"""From predictions and votes to scores."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.data.datasets import open_split
from assets.declared import data_entry
from assets.evaluation.metrics import Metric, family_rows, score_rows, trivial_rows
from assets.evaluation.predictions import read_predictions
from assets.evaluation.selections import NOTE, figures, findings, last_of, readable
from assets.evaluation.votes import evaluated_tasks, pass_rows, read_votes, task_rows, vote_rows
from assets.outcomes import CheckOutcome
from assets.pages import markdown
from assets.pages.links import links
from assets.pages.page import html_page, publish_page
from assets.pages.pictures import png
from assets.partitions import variant_and_seed
from assets.progress import MADE
from assets.store import data_of
from assets.tables import OfEvaluation, Scores, Selections, of_evaluation, stamped
from storage.store import Store
from storage.tables import partition_key, publish_partition, read_file
from trm_model.evaluation.evaluate import kept_steps
from trm_model.puzzles.family import Family
from trm_model.puzzles.plans import open_examples
from trm_model.puzzles.trivial import training_labels, trivial_answers
from trm_model.training.run import RUN_FILE, RunSpec


def above_chance(scores: pl.DataFrame) -> CheckOutcome:
    """Whether the lower bound of the cell accuracy is above what the best trivial answer reaches on
    the same puzzles; ``scores``: rows of one evaluation (:class:`assets.tables.Scores`)."""
    found = scores.row(by_predicate=pl.col("metric") == "cell_accuracy", named=True)
    trivial = scores.filter(metric="trivial_cell_accuracy")
    best = trivial.sort("value", descending=True, maintain_order=True).row(0, named=True)
    said = (
        f"cell accuracy {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}], best "
        f"trivial answer {best['group']!r} {best['value']:.4f}"
    )
    return CheckOutcome(found["low"] > best["value"], {"found": said})


def _key(tested: Mapping[str, Any], table: type[OfEvaluation] = Scores) -> str:
    """The file of a table's rows on an evaluation (:func:`assets.tables.of_evaluation`)."""
    return partition_key(table, *(tested[column] for column in (*table.levels(), *table.files())))


def measured(
    data: Path, family: Family, predictions: pl.DataFrame, depth: int, votes: pl.DataFrame | None
) -> list[Metric]:
    """Every metric of answers to one split, with the trivial answers' on the same puzzles.

    :param data: folder of the data set that was asked.
    :param predictions: rows of :class:`assets.tables.Predictions`.
    :param depth: supervision steps that were taken.
    :param votes: on them, rows of :class:`assets.tables.Votes`; None: of a family without.
    """
    examples = open_examples(data / f"{predictions['split'][0]}.zarr")
    inputs, labels = examples.rows(predictions["example"].to_numpy())
    ignore = examples.header.ignore_id
    answers = trivial_answers(family, inputs, training_labels(open_split(data, "train")), ignore)
    rows = [
        *score_rows(predictions, kept_steps(depth)),
        *family_rows(predictions, family, inputs, labels),
        *trivial_rows(answers, labels, ignore, predictions["puzzle"]),
    ]
    if votes is not None:
        tasks = evaluated_tasks(data, predictions["puzzle"])
        rows += pass_rows(votes)
        rows += [*task_rows(votes), *vote_rows(predictions, inputs, tasks, votes)]
    return rows


def metric_frame(rows: list[Metric]) -> pl.DataFrame:
    """A row for each metric, with its fields as columns."""
    return pl.DataFrame(rows, schema=Metric._fields, orient="row", infer_schema_length=None)


def materialize_scores(
    context: dg.AssetExecutionContext, store: Store, name: str, benchmark: Benchmark
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    predictions = read_predictions(store, name, variant, seed)
    return score(store, benchmark, predictions, context.run.run_id)


def score(
    store: Store, benchmark: Benchmark, predictions: pl.DataFrame, run_id: str
) -> dg.MaterializeResult:
    """Score the predictions of one evaluation, rows of :class:`assets.tables.Predictions`.

    :param run_id: of Dagster's run.
    """
    tested = of_evaluation(predictions)
    name, variant, seed = (tested[column] for column in ("benchmark", "variant", "seed"))
    checkpoint = store.open(tested["checkpoint"])
    run = store.open(keys.run(name, variant, seed, tested["run"]))
    # Of the run that made the predictions, which need not be the one trained last.
    spec = RunSpec.read(run)
    votes = read_votes(store, tested) if benchmark.votes else None
    depth: int = json.loads(tested["settings"])["depth"]
    rows = measured(data_of(store, spec), benchmark.origin.family, predictions, depth, votes)
    table = publish_partition(
        store,
        Scores,
        stamped(
            metric_frame(rows),
            **tested,
            data_version=spec.data_version,
            data_entry=data_entry(spec),
            code_version=spec.code_version,
            run_id=run_id,
        ),
    )
    selections = read_file(store.open(_key(tested, Selections)), Selections)
    sentences = findings(selections)
    curves = {title: png(figure) for title, figure in figures(selections).items()}
    place = keys.selections_page(name, variant, seed, tested["run"], tested["evaluation"])
    report = publish_page(
        store,
        place,
        html_page(
            f"Selections: {name}, {variant}, seed {seed}",
            [*sentences, NOTE, f"Settings of the evaluation: {tested['settings']}"],
            {
                "After all steps, of all rollouts": readable(last_of(selections)),
                "Every step and number of rollouts": readable(selections),
            },
            curves,
        ),
    )
    metric, k = benchmark.metric
    headline = table.row(
        by_predicate=(pl.col("metric") == metric) & pl.col("k").eq_missing(k), named=True
    )
    interval = f"{headline['low']:.4f} to {headline['high']:.4f}"
    stored = store.open(_key(tested))
    ungrouped, trivial = pl.col("group").is_null(), pl.col("metric").str.starts_with("trivial_")
    shown = ("metric", "k", "value", "low", "high", "n")
    called = metric if k is None else f"{metric} of k = {k}"
    return dg.MaterializeResult(
        metadata={
            MADE: f"{called} {headline['value']:.4f} (95 % interval {interval}, "
            f"n = {headline['n']:,} of {headline['of']:,}) in {stored}, of {checkpoint}; what "
            f"other selections score is in {report}",
            metric: headline["value"],
            "interval": interval,
            "n": headline["n"],
            "of": headline["of"],
            "settings": dg.MetadataValue.json(json.loads(tested["settings"])),
            "selections": dg.MetadataValue.md(
                "\n\n".join([*sentences, markdown.table(readable(last_of(selections)))])
            ),
            **links(store, selections_page=place),
            **{
                title.split(",")[0].lower().replace(" ", "_"): markdown.picture(curve, title)
                for title, curve in curves.items()
            },
            # What the scores came from: where it lies, and the pages of the assets that made it.
            "checkpoint": dg.MetadataValue.path(str(checkpoint)),
            "checkpoint_page": dg.MetadataValue.asset(dg.AssetKey([name, "checkpoint"])),
            "configuration": dg.MetadataValue.json(spec.to_dict()),
            "configuration_file": dg.MetadataValue.path(str(run / RUN_FILE)),
            "data": dg.MetadataValue.path(str(store.open(spec.data))),
            "data_page": dg.MetadataValue.asset(dg.AssetKey([name, "examples"])),
            "data_hash": spec.data_version,
            "code_version": spec.code_version,
            "evaluation_code": tested["evaluation_code"],
            "scores": markdown.frame(table.filter(ungrouped).select(*shown)),
            "breakdown": markdown.frame(
                table.filter(~ungrouped & ~trivial).select("group", *shown)
            ),
            "trivial_answers": markdown.frame(table.filter(trivial).select("group", *shown)),
        },
    )


def check_scores(store: Store, name: str, variant: str, seed: int) -> dict[str, CheckOutcome]:
    """Whether the scores of the predictions made last say that something was learned."""
    key = _key(of_evaluation(read_predictions(store, name, variant, seed)))
    scores = read_file(store.open(key), Scores)
    return {"above_chance": above_chance(scores)}
