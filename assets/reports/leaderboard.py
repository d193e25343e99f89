"""The report over all benchmarks: every variant trained, best first."""

import dagster as dg
import polars as pl

from assets import keys
from assets.failures import user_error
from assets.reports import markdown
from assets.reports.comparison import OURS, PUBLISHED_NOTE, readable
from assets.reports.page import html_page, publish_page
from assets.tables import Ablation
from storage.store import Store
from storage.tables import TableError, scan


def materialize_leaderboard(store: Store) -> dg.MaterializeResult:
    try:
        table = scan(store, Ablation).filter(pl.col("ours").is_not_null()).collect()
    except TableError as error:
        raise user_error(error) from error
    table = table.sort("benchmark", "ours", descending=[False, True])
    rows = readable(table, leading=["benchmark"])
    notes = ["Every variant trained here, best first for each benchmark.", OURS, PUBLISHED_NOTE]
    page = publish_page(
        store, keys.leaderboard_page(), html_page("Leaderboard", notes, {"Results": rows}, {})
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "table": dg.MetadataValue.md("\n\n".join([*notes, markdown.table(rows)])),
            "html": dg.MetadataValue.path(str(page)),
        }
    )
