"""The report on one benchmark: every variant trained so far beside the published figures."""

import contextlib
import posixpath
from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.declared import declared, differences, evaluation_differences
from assets.evaluation.selections import NOTE as SELECTIONS_NOTE
from assets.evaluation.votes import by_votes
from assets.failures import user_error
from assets.latest import latest
from assets.outcomes import CheckOutcome
from assets.pages import charts, markdown, pictures
from assets.pages.links import links
from assets.pages.page import Links, Rows, charts_page, html_page, publish_page
from assets.progress import MADE
from assets.reports.checks import numbers_of_scores
from assets.reports.comparison import (
    OURS,
    PUBLISHED_NOTE,
    TRIVIAL,
    ablation_table,
    apart,
    comparable,
    cost_rows,
    effort,
    headline,
    measured_rows,
    paper_notes,
    readable,
    trained_on,
    trivial_rows,
)
from assets.reports.rollouts import of_rollouts
from assets.reports.run_links import anchor, run_links
from assets.stages import making
from assets.tables import Ablation, Runs, Scores, Training
from storage.examples import Header, open_header, read_index
from storage.manifest import CorruptDataError
from storage.store import Store
from storage.tables import partition_key, publish_partition, read_file, scan
from trm_model.errors import ConfigurationError
from trm_model.model.variant import Variant
from trm_model.texts import counted
from trm_model.training.run import RunSpec

ELSEWHERE = "Published, not trained here"
EVERY = "Every variant at this benchmark's size"
MEASURED = "Everything measured"
TRIVIAL_ANSWERS = "Trivial answers"
SELECTIONS = "Selections among rollouts"
APART = "Trained or tested in another way"


ONE_RUN = ["variant", "seed", "run"]
"""Columns that tell a benchmark's runs apart: variants of equal configuration have runs of equal
names."""
RUN_COLUMNS = (
    *("status", "step", "steps", "batch_size", "learning_rate", "weight_decay", "width", "layers"),
    *("latent_updates", "cycles", "parameters", "device", "started", "seconds", "parent"),
    "changes",
)
"""The page of runs shows these columns of each run."""


def _label(title: str) -> str:
    """The name of metadata under a title of the report."""
    return title.lower().replace(",", "").replace(" ", "_")


def _spec(store: Store, row: Mapping[str, Any]) -> RunSpec | None:
    """Of the run that a row of scores is of; None where its folder has been removed, or names
    classes that are not imported here."""
    run = keys.run(row["benchmark"], row["variant"], row["seed"], row["run"])
    try:
        return RunSpec.read(store.open(run))
    except ConfigurationError:
        return None


def _header(store: Store, row: Mapping[str, Any]) -> Header | None:
    """Of the data that the run of a row of scores was trained on; None where it is not known any
    more: neither the run has it nor are the data there."""
    spec = _spec(store, row)
    if spec is None:
        return None
    if spec.header is not None:
        return spec.header
    try:
        return open_header(store.open(spec.data) / "train.zarr")
    except CorruptDataError:
        return None


def _trained_on(store: Store, name: str, row: Mapping[str, Any]) -> str | None:
    """The data that the run of a row of scores was trained on, in words, as far as they are
    known."""
    spec, header = _spec(store, row), _header(store, row)
    if spec is None or header is None:
        return None
    puzzles = spec.recipe.puzzles
    if puzzles is None:
        with contextlib.suppress(CorruptDataError):
            *_, groups = read_index(store.open(spec.data) / "train.zarr")
            puzzles = len(groups) - 1
    return trained_on(name, puzzles, header.augmentations + 1)


def _rows(store: Store, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The benchmark's rows of scores and of trainings."""
    of_benchmark = pl.col("benchmark") == name
    scores = scan(store, Scores).filter(of_benchmark).collect()
    training = scan(store, Training).filter(of_benchmark).collect()
    if scores.is_empty():
        raise user_error(
            f"{name}: no scores yet; train at least one partition first: "
            f"{making('checkpoint', name)}"
        )
    return scores, training


def materialize_ablation(
    store: Store, name: str, benchmark: Benchmark, variants: Mapping[str, Variant]
) -> dg.MaterializeResult:
    scores, training = _rows(store, name)
    page_key = keys.ablation_page(name)
    expected = declared(benchmark, variants)
    headlines = headline(scores, benchmark.metric)
    compared = comparable(headlines, expected)
    known = {
        anchor(row): row
        for row in scan(store, Runs).filter(benchmark=name).collect().rows(named=True)
    }

    def changed(row: Mapping[str, Any]) -> str:
        if (run := known.get(anchor(row))) is not None:
            return run["changes"]
        spec = _spec(store, row)
        declared = variants[row["variant"]]
        return differences(spec, benchmark, declared) if spec else "another recipe or variant"

    def tested(row: Mapping[str, Any]) -> str:
        spec, variant = _spec(store, row), variants.get(row["variant"], Variant())
        own, variant = variant.evaluation, spec.variant if spec else variant
        most = (spec.recipe if spec else benchmark.recipe).max_steps
        return evaluation_differences(
            row["settings"], own, variant.test_steps(most, own), benchmark.evaluated
        )

    others = apart(
        headlines, compared, expected, changed, tested, lambda row: run_links(page_key, [row])
    )
    curves = training.join(compared, on=ONE_RUN, how="semi").sort("variant", "seed", "step")
    efforts = {
        # The data are the same for all seeds of a variant.
        variant: effort(
            variants[variant],
            benchmark.recipe,
            _header(store, row),
            rows,
            _trained_on(store, name, row),
        )
        for row in compared.unique("variant").iter_rows(named=True)
        for variant, rows in [(row["variant"], curves.filter(variant=row["variant"]))]
    }
    table = publish_partition(
        store,
        Ablation,
        ablation_table(
            compared, efforts, benchmark.published_as, name, scores["variant"].to_list()
        ),
    )
    of_variant = {
        variant: run_links(page_key, rows.sort("seed").iter_rows(named=True))
        for (variant,), rows in compared.group_by("variant")
    }

    def linked(rows: list[dict[str, str]]) -> list[dict[str, object]]:
        return [{**row, "runs": of_variant.get(row["variant"], "")} for row in rows]

    foreign = pl.col("ours").is_null() & pl.col("published").is_not_null()
    rows, published = linked(readable(table.filter(~foreign))), readable(table.filter(foreign))
    measured = scores.join(compared, on=[*ONE_RUN, "evaluation"], how="semi")
    tables: dict[str, Rows] = {"Results": rows}
    if published:
        tables[ELSEWHERE] = published
    if len(measured):
        tables[MEASURED] = linked(measured_rows(measured))
    tables[TRIVIAL_ANSWERS] = trivial_rows(measured if len(measured) else scores)
    if others:
        tables[APART] = others
    header = _header(store, latest(scores, "benchmark").row(0, named=True))
    if header is not None:
        tables[EVERY] = cost_rows(variants, benchmark.recipe, header)
    figures = {}
    if len(curves):
        figures["Learning curves"] = pictures.learning_curves(curves)
    if len(measured):
        figures["Accuracy after each supervision step"] = pictures.depth_curves(measured)
    votes = by_votes(measured)
    if len(votes):
        figures["Accuracy against the number of votes"] = pictures.vote_curves(votes)
    rollouts = of_rollouts(store, name, tested)
    if rollouts.rows:
        tables[SELECTIONS] = rollouts.rows
    notes = [f"{benchmark.title}.", *paper_notes(benchmark), OURS, PUBLISHED_NOTE, TRIVIAL]
    drawn = {title: pictures.png(figure) for title, figure in (figures | rollouts.figures).items()}
    page = publish_page(
        store,
        page_key,
        html_page(
            f"Ablation: {name}",
            [*notes, *rollouts.sentences, *([SELECTIONS_NOTE] if rollouts.rows else [])],
            tables,
            drawn,
            collapsed=(ELSEWHERE, EVERY),
        ),
    )
    publish_page(
        store, keys.runs_page(name), _runs_page(name, headlines, compared, scores, training, known)
    )
    return dg.MaterializeResult(
        metadata={
            MADE: f"{counted(len(efforts), 'variant')} trained as declared, beside the "
            f"published ones, in {page}",
            "dagster/row_count": len(table),
            "trained_variants": len(efforts),
            "table": dg.MetadataValue.md("\n\n".join([*notes, markdown.table(rows)])),
            **{
                _label(title): dg.MetadataValue.md(markdown.table(tables[title]))
                for title in (ELSEWHERE, MEASURED, TRIVIAL_ANSWERS)
                if title in tables
            },
            "selections": dg.MetadataValue.md(
                "\n\n".join([*rollouts.sentences, markdown.table(rollouts.rows)])
            ),
            "apart": dg.MetadataValue.md(markdown.table(others)),
            "variants": dg.MetadataValue.md(markdown.table(tables.get(EVERY, []))),
            **{_label(title): markdown.picture(drawn[title], title) for title in figures},
            **links(store, html=page_key, runs=keys.runs_page(name)),
        }
    )


def _runs_page(
    name: str,
    headlines: pl.DataFrame,
    compared: pl.DataFrame,
    scores: pl.DataFrame,
    training: pl.DataFrame,
    known: Mapping[str, Mapping[str, Any]],
) -> str:
    """The page on which every run of a benchmark is a point or a line that says which it is, and a
    row that other pages lead to.

    :param known: what the table of runs says, by the row's name.
    """
    every = {
        **{
            anchor(row): row
            for row in scores.select("benchmark", *ONE_RUN)
            .unique(maintain_order=True)
            .rows(named=True)
        },
        **known,
    }
    return charts_page(
        f"Runs of {name}",
        [
            "Rest on a point to see which run it is of. Filled points are compared in the "
            "ablation; rings are runs or tests that change something, or that a later one has "
            "replaced.",
        ],
        {
            "One point for each run": charts.run_points(headlines, compared),
            "Accuracy after each supervision step": charts.depth_lines(scores),
            "Loss": charts.learning_lines(training, "loss", "loss", log=True),
            "Solved training examples": charts.learning_lines(
                training, "exact_accuracy", "share of training examples solved"
            ),
        },
        {anchor: _run_row(row) for anchor, row in sorted(every.items())},
    )


def _run_row(row: Mapping[str, Any]) -> dict[str, object]:
    """A run, as text for people; of one that the table of runs does not have, its name alone."""
    folder = keys.run(row["benchmark"], row["variant"], row["seed"], row["run"])
    here = posixpath.dirname(keys.runs_page(row["benchmark"]))
    seconds = row.get("seconds")
    row = {**row, "seconds": None if seconds is None else f"{seconds:.0f}"}
    return {
        "variant": row["variant"],
        "seed": row["seed"],
        "run": Links({row["run"]: posixpath.relpath(folder, here)}),
        **{name.replace("_", " "): row.get(name) or "" for name in RUN_COLUMNS},
    }


def check_ablation(
    store: Store, name: str, benchmark: Benchmark, variants: Mapping[str, Variant]
) -> dict[str, CheckOutcome]:
    """Whether the stored table has the figures of the scores that there are now."""
    table = read_file(store.open(partition_key(Ablation, name)), Ablation)
    scores, _ = _rows(store, name)
    compared = comparable(headline(scores, benchmark.metric), declared(benchmark, variants))
    return {"numbers_of_scores": numbers_of_scores(table, compared)}
