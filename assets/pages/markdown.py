"""Markdown, which the Dagster UI shows: tables, and pictures with their bytes inside."""

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from assets.pages.pictures import data_uri


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as a markdown table, the first row's names as its head."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def frame(rows: pl.DataFrame) -> dg.MetadataValue:
    """A table as metadata."""
    return dg.MetadataValue.md(table(list(rows.iter_rows(named=True))))


def picture(png: bytes, title: str) -> dg.MetadataValue:
    """A picture as metadata."""
    return dg.MetadataValue.md(f"![{title}]({data_uri(png)})")
