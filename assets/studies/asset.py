"""The points of a study and its report as assets."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import polars as pl
from matplotlib.figure import Figure

from assets import keys
from assets.benchmarks import Benchmark
from assets.evaluation.predictions import predict, whole
from assets.evaluation.scores import score
from assets.evaluation.votes import count_votes
from assets.failures import user_error
from assets.latest import CONFIGURATION
from assets.outcomes import CheckOutcome
from assets.pages import markdown
from assets.pages.page import html_page, publish_page
from assets.pages.pictures import png
from assets.progress import MADE
from assets.reports.comparison import headline
from assets.stages import making
from assets.store import current_examples
from assets.studies.points import asked, resolved
from assets.studies.report import (
    RUN,
    axis_figure,
    curves_figure,
    over_seeds,
    readable,
    scored,
    telling_axes,
)
from assets.studies.study import Study
from assets.tables import Scores, StudyResults, Training
from assets.training.checkpoint import train_run
from storage.examples import Header, open_header
from storage.store import Store
from storage.tables import partition_key, publish_partition, read_file, scan
from trm_model.launching import Launcher
from trm_model.model.variant import Variant
from trm_model.puzzles.plans import examples_modules
from trm_model.texts import counted


def materialize_point(
    context: dg.AssetExecutionContext,
    store: Store,
    launcher: Launcher,
    study: Study,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    key: str,
) -> dg.MaterializeResult:
    """Train, evaluate and score one point. What has been done before is kept."""
    point = study.point(key)
    recipe, _ = resolved(study, point, benchmark.recipe, variants, _header(store, study))
    config = study.training(point)
    config = config.model_copy(update={"recipe": {**config.recipe, "steps": recipe.steps}})
    trained = train_run(
        context,
        config,
        store,
        launcher,
        study.benchmark,
        benchmark,
        variants,
        point.variant,
        point.seed,
    )
    predicted = predict(
        context, study.predictions(), store, benchmark, variants[point.variant], trained.run
    )
    predictions = whole(store.open(predicted.key))
    if benchmark.votes:
        count_votes(store, predictions)
    told = score(store, benchmark, predictions, context.run.run_id)
    return dg.MaterializeResult(metadata={**(trained.told.metadata or {}), **(told.metadata or {})})


def _header(store: Store, study: Study) -> Header:
    return open_header(_training(store, study))


def _training(store: Store, study: Study) -> Path:
    """The training split of the current data set of the study's benchmark.

    :raises Failure: there is none yet.
    """
    return store.open(current_examples(store, study.benchmark)) / "train.zarr"


def results(
    store: Store,
    name: str,
    study: Study,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> pl.DataFrame:
    """The scores of a study's points so far (:func:`assets.studies.report.scored`)."""
    of_benchmark = pl.col("benchmark") == study.benchmark
    scores = scan(store, Scores).filter(of_benchmark).collect()
    computed = examples_modules(_training(store, study))
    points = asked(name, study, benchmark, variants, _header(store, study), computed)
    headlines = headline(scores, benchmark.metric)
    own = headlines.join(points, on=CONFIGURATION, how="semi")
    efforts = (
        training_of(store, own, "wall_seconds")
        .group_by(RUN)
        .agg(train_seconds=pl.col("wall_seconds").sort_by("step").last())
    )
    return scored(points, headlines, efforts)


def training_of(store: Store, runs: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """These columns of :class:`assets.tables.Training` and ``step``, of some runs alone.

    :param runs: rows with the columns :data:`assets.studies.report.RUN`.
    """
    training = scan(store, Training).select(*RUN, "step", *columns)
    return training.join(runs.lazy().select(RUN).unique(), on=RUN, how="semi").collect()


def materialize_report(
    store: Store,
    name: str,
    study: Study,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> dg.MaterializeResult:
    """Write the table and the page of what has been scored so far."""
    found = results(store, name, study, benchmark, variants)
    if found.is_empty():
        raise user_error(f"{name}: no point has been scored yet; first: {making('points', name)}")
    table = publish_partition(store, StudyResults, found)
    means, points = over_seeds(table), study.trainings()
    figures: dict[str, Figure | None] = {
        f"Against {axis}": axis_figure(means, axis) for axis in telling_axes(means, study.axes)
    }
    training = training_of(store, table, "wall_seconds", "validation_exact_accuracy")
    figures["In training"] = curves_figure(table, training)
    drawn = {title: png(figure) for title, figure in figures.items() if figure is not None}
    missing = [point.key for point in points if point.key not in table["point"]]
    older = table.filter(~pl.col("current"))["point"].to_list()
    notes = [
        f"{study.title}.",
        *study.notes,
        *(
            f"Published for {variant}: {figure}."
            for variant in study.variants
            if (figure := study.figure(variant, benchmark.published_as))
        ),
        f"{counted(len(table), 'point')} of {len(points)}, on {study.benchmark}: the share of test "
        "puzzles that are solved, mean over seeds with its 95 % interval (one seed: over the "
        "puzzles). All are on the same data, and the seeds of a setting are by the same code.",
        *([f"Not there yet: {', '.join(missing)}."] if missing else []),
        *([f"Trained by other code than is here: {', '.join(older)}."] if older else []),
    ]
    rows = readable(means, study.axes)
    page = publish_page(
        store,
        keys.study_page(name),
        html_page(f"Study: {name}", notes, {"Results": rows}, drawn),
    )
    best = rows[0]
    return dg.MaterializeResult(
        metadata={
            MADE: f"{counted(len(table), 'point')} of {len(points)}, best "
            f"{', '.join(best[column] for column in ('variant', *study.axes))} with "
            f"{best['solved %']} %, in {page}",
            "dagster/row_count": len(table),
            "missing": len(missing),
            "table": dg.MetadataValue.md("\n\n".join([*notes, markdown.table(rows)])),
            **{
                title.lower().replace(" ", "_").replace(".", "_"): markdown.picture(picture, title)
                for title, picture in drawn.items()
            },
            "html": dg.MetadataValue.path(str(page)),
        }
    )


def check_point(
    store: Store,
    name: str,
    study: Study,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    key: str,
) -> dict[str, CheckOutcome]:
    """Whether a point has a score."""
    found = results(store, name, study, benchmark, variants).filter(point=key)
    return {"scored": CheckOutcome(len(found) == 1, {"point": key, "scores": len(found)})}


def check_report(
    store: Store,
    name: str,
    study: Study,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> dict[str, CheckOutcome]:
    """Whether the stored report has every point, as it is scored now."""
    stored = read_file(store.open(partition_key(StudyResults, name)), StudyResults)
    found = results(store, name, study, benchmark, variants)
    points = {point.key for point in study.trainings()}
    missing = points - set(stored["point"])
    same = stored.sort("point").equals(found.sort("point"))
    return {
        "every_point": CheckOutcome(
            not missing and same, {"points": len(points), "missing": len(missing)}
        )
    }
