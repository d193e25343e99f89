"""Ablation tables and leaderboard: as data, as markdown with pictures, as one HTML file that needs nothing else."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trm_model.papers import PUBLISHED

# Two-sided 95 % quantiles of Student's t by degrees of freedom.
_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trained variant cost: parameters, depth, forward passes per optimizer step, mean seconds and examples of training."""

    parameters: int
    depth: int
    forward_passes: int
    train_seconds: float
    examples_seen: float


def interval_over_seeds(values: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """95 % interval of the mean over seeds (Student's t); with a single seed, that seed's interval over the test set."""
    if len(values) < 2:
        return low, high
    spread = _T_95[min(len(values) - 2, len(_T_95) - 1)] * float(np.std(values, ddof=1)) / len(values) ** 0.5
    mean = float(np.mean(values))
    return max(0.0, mean - spread), min(1.0, mean + spread)


def ablation_table(scores: pl.DataFrame, costs: Mapping[str, Cost], published_as: str | None) -> pl.DataFrame:
    """Rows of :class:`storage.tables.Ablation`: every variant with a score here or a published figure, best of ours first."""
    published = {name: figure for (benchmark, name), figure in PUBLISHED.items() if benchmark == published_as}
    exact = scores.filter((pl.col("metric") == "exact_accuracy") & (pl.col("split") == "test"))
    rows: list[dict[str, Any]] = []
    for name in sorted({*exact["variant"], *published}):
        seeds = exact.filter(pl.col("variant") == name)
        figure, cost = published.get(name), costs.get(name)
        ours = float(seeds["value"].mean()) if len(seeds) else None  # type: ignore[arg-type]
        low, high = interval_over_seeds(seeds["value"].to_list(), seeds["low"][0], seeds["high"][0]) if len(seeds) else (None, None)
        rows.append(
            {
                "name": name,
                "published": figure.value if figure else None,
                "published_source": figure.source if figure else None,
                "ours": ours,
                "low": low,
                "high": high,
                "seeds": len(seeds),
                "difference": ours - figure.value if ours is not None and figure else None,
                "parameters": cost.parameters if cost else None,
                "depth": cost.depth if cost else None,
                "forward_passes": cost.forward_passes if cost else None,
                "train_seconds": cost.train_seconds if cost else None,
                "examples_seen": cost.examples_seen if cost else None,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None).sort("ours", "published", descending=True, nulls_last=True)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def readable(table: pl.DataFrame, leading: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of an ablation table as text for people; ``leading``: columns to put first as they are."""
    return [
        {
            **{name: str(row[name]) for name in leading},
            "variant": row["name"],
            "ours %": _percent(row["ours"]),
            "95 % interval": "" if row["low"] is None else f"{_percent(row['low'])} – {_percent(row['high'])}",
            "seeds": str(row["seeds"]),
            "published %": _percent(row["published"]),
            "difference": "" if row["difference"] is None else f"{100 * row['difference']:+.1f}",
            "parameters": "" if row["parameters"] is None else f"{row['parameters']:,}",
            "depth": "" if row["depth"] is None else str(row["depth"]),
            "forward passes per step": "" if row["forward_passes"] is None else str(row["forward_passes"]),
            "training s": "" if row["train_seconds"] is None else f"{row['train_seconds']:.0f}",
            "examples seen": "" if row["examples_seen"] is None else f"{row['examples_seen']:,.0f}",
            "published in": row["published_source"] or "",
        }
        for row in table.iter_rows(named=True)
    ]


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Text rows as a markdown table."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(row[name] for name in names) + " |" for row in rows)])


_STYLE = """body{font:15px system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#1f2328}
table{border-collapse:collapse}td,th{border:1px solid #d0d7de;padding:.3em .6em;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:100%}p{max-width:50em}"""


def html_page(title: str, paragraphs: Sequence[str], rows: Sequence[Mapping[str, str]], pictures: Mapping[str, str]) -> str:
    """One self-contained page: ``pictures`` maps captions to data URIs."""
    names = list(rows[0])
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(row[name])}</td>" for name in names) + "</tr>" for row in rows)
    figures = "".join(f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" src="{uri}">' for name, uri in pictures.items())
    text = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{html.escape(title)}</h1>{text}<table><tr>{head}</tr>{body}</table>{figures}</html>\n"
    )
