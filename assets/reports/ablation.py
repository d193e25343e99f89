"""The report on one benchmark: every variant trained so far beside the published figures."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.failures import user_error
from assets.reports import markdown, pictures
from assets.reports.comparison import (
    OURS,
    PUBLISHED_NOTE,
    Effort,
    ablation_table,
    comparable,
    cost_rows,
    headline,
    readable,
)
from assets.reports.page import html_page, publish_page
from assets.store import current_examples
from assets.tables import Ablation, Scores, Training
from storage.examples import open_header
from storage.store import Store
from storage.tables import partition_key, publish_file, scan
from trm_model.errors import ConfigurationError
from trm_model.model.reasoner import build
from trm_model.model.variant import Variant
from trm_model.training.run import RunSpec

EVERY = "Every variant at this benchmark's size"


def _effort(store: Store, checkpoint: str, training: pl.DataFrame) -> Effort:
    """Of the variant that a checkpoint belongs to; ``training``: its rows, of all seeds."""
    try:
        spec = RunSpec.read(store.open(keys.run_of(checkpoint)))
    except ConfigurationError as error:
        raise user_error(error) from error
    header = spec.header or open_header(store.open(spec.data) / "train.zarr")
    last = training.group_by("seed").agg(pl.col("wall_seconds", "examples").last())
    return Effort(
        build(spec.variant, spec.recipe.size, header, 0).num_parameters,
        spec.variant.depth,
        spec.variant.forward_passes,
        float(last["wall_seconds"].mean()),  # type: ignore[arg-type]
        float(last["examples"].mean()),  # type: ignore[arg-type]
    )


def materialize_ablation(
    store: Store, name: str, benchmark: Benchmark, variants: Mapping[str, Variant]
) -> dg.MaterializeResult:
    try:
        scores = scan(store, Scores).filter(pl.col("benchmark") == name).collect()
    except FileNotFoundError as error:
        raise user_error(error) from error
    if scores.is_empty():
        raise user_error(
            f"{name}: no scores yet; materialize {name}/scores for at least one partition first"
        )
    compared = comparable(headline(scores, benchmark.metric))
    scores = scores.join(compared.select("variant", "seed"), on=["variant", "seed"], how="semi")
    training = (
        scan(store, Training)
        .filter(pl.col("benchmark") == name)
        .collect()
        .join(scores.select("variant", "seed").unique(), on=["variant", "seed"], how="semi")
    )
    efforts: dict[str, Effort] = {}
    for variant in scores["variant"].unique().sort():
        of_variant = pl.col("variant") == variant
        checkpoint: str = scores.filter(of_variant)["checkpoint"][0]
        efforts[variant] = _effort(store, checkpoint, training.filter(of_variant))
    table = publish_file(
        store,
        partition_key(Ablation, name),
        Ablation,
        ablation_table(compared, efforts, benchmark.published_as, name),
    )
    rows = readable(table)
    figures = {
        "Learning curves": pictures.learning_curves(training),
        "Accuracy after each supervision step": pictures.depth_curves(scores),
    }
    notes = [f"{benchmark.title}.", OURS, PUBLISHED_NOTE]
    header = open_header(store.open(current_examples(store, name)) / "test.zarr")
    every = cost_rows(variants, benchmark.recipe, header)
    page = publish_page(
        store,
        keys.ablation_page(name),
        html_page(f"Ablation: {name}", notes, {"Results": rows, EVERY: every}, figures),
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "trained_variants": len(efforts),
            "table": dg.MetadataValue.md("\n\n".join([*notes, markdown.table(rows)])),
            "variants": dg.MetadataValue.md(markdown.table(every)),
            **{
                title.lower().replace(" ", "_"): markdown.picture(figure, title)
                for title, figure in figures.items()
            },
            "html": dg.MetadataValue.path(str(page)),
        }
    )
