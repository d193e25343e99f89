"""Ablation tables and leaderboard: as data, as markdown with pictures, as one HTML file that needs
nothing else."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets.benchmarks import Benchmark
from assets.common import current_examples, user_error
from assets.reports import pictures
from assets.reports.pictures import markdown_table
from assets.tables import Ablation, Scores, Training
from storage.atomic import write_text
from storage.examples import Header, open_header
from storage.layout import Layout
from storage.tables import partition_path, scan, write_file
from trm_model.authors.published import PUBLISHED
from trm_model.errors import ConfigurationError
from trm_model.model.cost import cost
from trm_model.model.reasoner import build
from trm_model.model.variant import Variant
from trm_model.training.recipe import Recipe
from trm_model.training.run import RunSpec

OURS = (
    "Ours: share of test puzzles solved exactly (ARC: of test inputs whose answer is among two "
    "attempts), mean over seeds with its 95 % "
    "interval (one seed: over the puzzles). Of each variant only the seeds with the "
    "configuration, data and test puzzles of its latest "
    "score count."
)
PUBLISHED_NOTE = (
    "Published figures are the papers', on the benchmark named beside them, with 5 to 27 million "
    "parameters: where that is not the "
    "benchmark of the row they show the papers' order, not a target, and no difference is given."
)

EVERY = "Every variant at this benchmark's size"

# Two-sided 95 % quantiles of Student's t by degrees of freedom.
_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trained variant cost: parameters, depth, forward passes per optimizer step, mean
    seconds and examples of training."""

    parameters: int
    depth: int
    forward_passes: int
    train_seconds: float
    examples_seen: float


def interval_over_seeds(values: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """95 % interval of the mean over seeds (Student's t); with a single seed, that seed's interval
    over the test set."""
    if len(values) < 2:
        return low, high
    spread = (
        _T_95[min(len(values) - 2, len(_T_95) - 1)]
        * float(np.std(values, ddof=1))
        / len(values) ** 0.5
    )
    mean = float(np.mean(values))
    return max(0.0, mean - spread), min(1.0, mean + spread)


def comparable(scores: pl.DataFrame) -> pl.DataFrame:
    """Of each variant, only the rows whose configuration, data and number of examples are those of
    its latest score."""
    same = ["variant", "config_hash", "data_version", "n"]
    return scores.join(
        scores.sort("created_at").group_by("variant").last().select(same), on=same, how="semi"
    )


def headline(scores: pl.DataFrame, metric: tuple[str, int | None]) -> pl.DataFrame:
    """The test scores that are compared."""
    name, k = metric
    return scores.filter(
        (pl.col("metric") == name) & pl.col("k").eq_missing(k) & (pl.col("split") == "test")
    )


def ablation_table(
    exact: pl.DataFrame, costs: Mapping[str, Cost], published_as: str | None, name_here: str
) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Ablation`: every variant with a score here or a published
    figure, best of ours first.

    :param exact: the scores that are compared (:func:`headline`, :func:`comparable`).
    :param published_as: the benchmark whose published figures stand beside ours.
    :param name_here: our benchmark; the difference is only given if it is the published one.
    """
    published = {
        name: figure for (benchmark, name), figure in PUBLISHED.items() if benchmark == published_as
    }
    rows: list[dict[str, Any]] = []
    for name in sorted({*exact["variant"], *published}):
        seeds = exact.filter(pl.col("variant") == name)
        figure, cost = published.get(name), costs.get(name)
        ours = float(seeds["value"].mean()) if len(seeds) else None  # type: ignore[arg-type]
        low, high = (
            interval_over_seeds(seeds["value"].to_list(), seeds["low"][0], seeds["high"][0])
            if len(seeds)
            else (None, None)
        )
        rows.append(
            {
                "name": name,
                "published": figure.value if figure else None,
                "published_source": f"{figure.source}, on {published_as}" if figure else None,
                "ours": ours,
                "low": low,
                "high": high,
                "seeds": len(seeds),
                "difference": ours - figure.value
                if ours is not None and figure and published_as == name_here
                else None,
                "parameters": cost.parameters if cost else None,
                "depth": cost.depth if cost else None,
                "forward_passes": cost.forward_passes if cost else None,
                "train_seconds": cost.train_seconds if cost else None,
                "examples_seen": cost.examples_seen if cost else None,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None).sort(
        "ours", "published", descending=True, nulls_last=True
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def readable(table: pl.DataFrame, leading: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of an ablation table as text for people; ``leading``: columns to put first as they
    are."""
    return [
        {
            **{name: str(row[name]) for name in leading},
            "variant": row["name"],
            "ours %": _percent(row["ours"]),
            "95 % interval": ""
            if row["low"] is None
            else f"{_percent(row['low'])} – {_percent(row['high'])}",
            "seeds": str(row["seeds"]),
            "published %": _percent(row["published"]),
            "difference": "" if row["difference"] is None else f"{100 * row['difference']:+.1f}",
            "parameters": "" if row["parameters"] is None else f"{row['parameters']:,}",
            "depth": "" if row["depth"] is None else str(row["depth"]),
            "forward passes per step": ""
            if row["forward_passes"] is None
            else str(row["forward_passes"]),
            "training s": "" if row["train_seconds"] is None else f"{row['train_seconds']:.0f}",
            "examples seen": "" if row["examples_seen"] is None else f"{row['examples_seen']:,.0f}",
            "published in": row["published_source"] or "",
        }
        for row in table.iter_rows(named=True)
    ]


_STYLE = """body{font:15px system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#1f2328}
table{border-collapse:collapse}td,th{border:1px solid #d0d7de;padding:.3em .6em;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:100%}p{max-width:50em}"""


def html_page(
    title: str,
    paragraphs: Sequence[str],
    tables: Mapping[str, Sequence[Mapping[str, str]]],
    pictures: Mapping[str, str],
) -> str:
    """One self-contained page: ``tables`` and ``pictures`` (data URIs) by caption."""

    def table(rows: Sequence[Mapping[str, str]]) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(value)}</td>" for value in row.values()) + "</tr>"
            for row in rows
        )
        return f"<table><tr>{head}</tr>{body}</table>"

    shown = "".join(f"<h2>{html.escape(name)}</h2>{table(rows)}" for name, rows in tables.items())
    figures = "".join(
        f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" src="{uri}">'
        for name, uri in pictures.items()
    )
    text = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{html.escape(title)}</h1>{text}{shown}{figures}</html>\n"
    )


def cost_rows(
    variants: Mapping[str, Variant], recipe: Recipe, header: Header
) -> list[dict[str, str]]:
    """What each variant costs at a benchmark's size, trained or not, as text for people."""
    rows: list[dict[str, str]] = []
    for name, variant in variants.items():
        try:
            found = cost(
                variant,
                recipe.size,
                vocabulary=len(header.vocabulary),
                length=header.length,
                num_puzzles=header.num_puzzle_ids,
                batch_size=recipe.batch_size,
                max_steps=recipe.max_steps,
            )
        except ConfigurationError as error:
            rows.append(
                {
                    "variant": name,
                    **dict.fromkeys(_COST_COLUMNS, ""),
                    "parameters": " ".join(str(error).split()),
                }
            )
            continue
        figures = (
            f"{found.parameters:,}",
            str(found.depth),
            str(found.forward_passes),
            f"{found.training_flops / 1e9:,.1f}",
            f"{found.test_flops / 1e9:,.3f}",
        )
        rows.append({"variant": name, **dict(zip(_COST_COLUMNS, figures, strict=True))})
    return rows


_COST_COLUMNS = (
    "parameters",
    "depth",
    "forward passes per step",
    "GFLOP per optimizer step",
    "GFLOP per test example",
)


# Asset bodies


def materialize_ablation(
    layout: Layout, name: str, benchmark: Benchmark, variants: Mapping[str, Variant]
) -> dg.MaterializeResult:
    try:
        scores = scan(layout.tables(), Scores).filter(pl.col("benchmark") == name).collect()
    except FileNotFoundError as error:
        raise user_error(error) from error
    if scores.is_empty():
        raise user_error(
            f"{name}: no scores yet; materialize {name}/scores for at least one partition first"
        )
    compared = comparable(headline(scores, benchmark.metric))
    scores = scores.join(compared.select("variant", "seed"), on=["variant", "seed"], how="semi")
    training = (
        scan(layout.tables(), Training)
        .filter(pl.col("benchmark") == name)
        .collect()
        .join(scores.select("variant", "seed").unique(), on=["variant", "seed"], how="semi")
    )
    costs: dict[str, Cost] = {}
    for variant in scores["variant"].unique().sort():
        checkpoint: str = scores.filter(pl.col("variant") == variant)["checkpoint"][0]
        try:
            run = (layout.root / checkpoint).parents[1]
            spec = RunSpec.read(run)
            header = spec.header or open_header(spec.data_folder(run) / "train.zarr")
        except ConfigurationError as error:
            raise user_error(error) from error
        model = build(spec.variant, spec.recipe.size, header, 0)
        last = (
            training.filter(pl.col("variant") == variant)
            .group_by("seed")
            .agg(pl.col("wall_seconds", "examples").last())
        )
        costs[variant] = Cost(
            model.num_parameters,
            spec.variant.depth,
            spec.variant.forward_passes,
            float(last["wall_seconds"].mean()),  # type: ignore[arg-type]
            float(last["examples"].mean()),  # type: ignore[arg-type]
        )
    table = write_file(
        partition_path(layout.tables(), Ablation, name),
        Ablation,
        ablation_table(compared, costs, benchmark.published_as, name),
    )
    rows = readable(table)
    images = {
        "Learning curves": pictures.learning_curves(training),
        "Accuracy after each supervision step": pictures.depth_curves(scores),
    }
    notes = [f"{benchmark.title}.", OURS, PUBLISHED_NOTE]
    every = cost_rows(
        variants, benchmark.recipe, open_header(current_examples(layout, name) / "test.zarr")
    )
    page = layout.report(name) / "ablation.html"
    write_text(
        page,
        html_page(
            f"Ablation: {name}",
            notes,
            {"Results": rows, EVERY: every},
            {title: pictures.data_uri(png) for title, png in images.items()},
        ),
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "trained_variants": len(costs),
            "table": dg.MetadataValue.md("\n\n".join([*notes, markdown_table(rows)])),
            "variants": dg.MetadataValue.md(markdown_table(every)),
            **{
                title.lower().replace(" ", "_"): dg.MetadataValue.md(pictures.inline(png, title))
                for title, png in images.items()
            },
            "html": dg.MetadataValue.path(str(page)),
        }
    )


def materialize_leaderboard(layout: Layout) -> dg.MaterializeResult:
    try:
        table = scan(layout.tables(), Ablation).filter(pl.col("ours").is_not_null()).collect()
    except FileNotFoundError as error:
        raise user_error(error) from error
    table = table.sort("benchmark", "ours", descending=[False, True])
    rows = readable(table, leading=["benchmark"])
    notes = ["Every variant trained here, best first for each benchmark.", OURS, PUBLISHED_NOTE]
    page = layout.report("leaderboard.html")
    write_text(page, html_page("Leaderboard", notes, {"Results": rows}, {}))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "table": dg.MetadataValue.md("\n\n".join([*notes, markdown_table(rows)])),
            "html": dg.MetadataValue.path(str(page)),
        }
    )
