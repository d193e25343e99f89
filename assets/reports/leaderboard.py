"""The report over all benchmarks: every variant trained and every published method, best first."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets import keys
from assets.failures import user_error
from assets.outcomes import CheckOutcome
from assets.pages import markdown
from assets.pages.links import links
from assets.pages.page import Links, Rows, html_page, publish_page
from assets.progress import MADE
from assets.reports.checks import page_shows
from assets.reports.comparison import OURS, READ, TRIVIAL, leaderboard_rows, trivial_rows
from assets.reports.run_links import run_links
from assets.stages import making
from assets.tables import Ablation, Scores
from storage.store import Store
from storage.tables import scan
from trm_model.texts import counted

NOTES = (
    "Every variant trained here and every published method, best first for each benchmark.",
    OURS,
    "Published: the papers' figures on their benchmark of this name, with what they say of their "
    f"data and of what an answer costs; empty: not said. {READ}: as readers of the paper give it. "
    "(pass@1): one attempt, where ARC's other figures have two. The papers' mazes are those of "
    "maze_csv; maze_hard has mazes of the same kind.",
    TRIVIAL,
)


def _linked(row: Mapping[str, Any]) -> Links:
    """To the runs of a row of :class:`assets.tables.Ablation`."""
    runs = (row["runs"] or "").split(", ")
    return run_links(keys.leaderboard_page(), [{**row, "run": run} for run in runs if run])


def _tables(store: Store) -> dict[str, Rows]:
    """The rows of all ablation tables and the published methods, and the trivial answers to the
    same benchmarks, as text for people."""
    table = scan(store, Ablation).filter(pl.col("ours").is_not_null()).collect()
    benchmarks = pl.col("benchmark").is_in(table["benchmark"].unique().to_list())
    return {
        "Results": leaderboard_rows(table, _linked),
        "Trivial answers": trivial_rows(scan(store, Scores).filter(benchmarks).collect()),
    }


def _page(tables: dict[str, Rows]) -> str:
    return html_page("Leaderboard", NOTES, tables, {})


def materialize_leaderboard(store: Store) -> dg.MaterializeResult:
    tables = _tables(store)
    page = publish_page(store, keys.leaderboard_page(), _page(tables))
    shown = [
        text for title, rows in tables.items() for text in (f"**{title}**", markdown.table(rows))
    ]
    return dg.MaterializeResult(
        metadata={
            MADE: f"{counted(len(tables['Results']), 'result')}, published ones included, in "
            f"{page}",
            "dagster/row_count": len(tables["Results"]),
            "table": dg.MetadataValue.md("\n\n".join([*NOTES, *shown])),
            **links(store, html=keys.leaderboard_page()),
        }
    )


def check_leaderboard(store: Store) -> dict[str, CheckOutcome]:
    """Whether the stored page shows the ablation tables that there are now."""
    path = store.open(keys.leaderboard_page())
    if not path.exists():
        raise user_error(f"{path}: no leaderboard yet; first: {making('leaderboard', 'BENCHMARK')}")
    return {"numbers_of_ablations": page_shows(path.read_text("utf-8"), _page(_tables(store)))}
