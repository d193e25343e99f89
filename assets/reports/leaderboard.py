"""The report over all benchmarks: every variant trained, best first."""

import dagster as dg
import polars as pl

from assets import keys
from assets.failures import user_error
from assets.outcomes import CheckOutcome
from assets.progress import MADE
from assets.reports import markdown
from assets.reports.checks import page_shows
from assets.reports.comparison import OURS, PUBLISHED_NOTE, readable
from assets.reports.page import html_page, publish_page
from assets.stages import making
from assets.tables import Ablation
from storage.store import Store
from storage.tables import scan
from trm_model.texts import counted

NOTES = ("Every variant trained here, best first for each benchmark.", OURS, PUBLISHED_NOTE)


def _rows(store: Store) -> list[dict[str, str]]:
    """The rows of all ablation tables, as text for people."""
    table = scan(store, Ablation).filter(pl.col("ours").is_not_null()).collect()
    table = table.sort("benchmark", "ours", descending=[False, True])
    return readable(table, leading=["benchmark"])


def _page(rows: list[dict[str, str]]) -> str:
    return html_page("Leaderboard", NOTES, {"Results": rows}, {})


def materialize_leaderboard(store: Store) -> dg.MaterializeResult:
    rows = _rows(store)
    page = publish_page(store, keys.leaderboard_page(), _page(rows))
    return dg.MaterializeResult(
        metadata={
            MADE: f"{counted(len(rows), 'result')} in {page}",
            "dagster/row_count": len(rows),
            "table": dg.MetadataValue.md("\n\n".join([*NOTES, markdown.table(rows)])),
            "html": dg.MetadataValue.path(str(page)),
        }
    )


def check_leaderboard(store: Store) -> dict[str, CheckOutcome]:
    """Whether the stored page shows the ablation tables that there are now."""
    path = store.open(keys.leaderboard_page())
    if not path.exists():
        raise user_error(f"{path}: no leaderboard yet; first {making('leaderboard', 'BENCHMARK')}")
    return {"numbers_of_ablations": page_shows(path.read_text("utf-8"), _page(_rows(store)))}
