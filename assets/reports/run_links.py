"""From reports to the row of each run on its benchmark's page of runs."""

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from assets import keys
from assets.pages.page import Links

_SHORT = 8
"""Letters of a run's name that stand for it."""


def anchor(row: Mapping[str, Any]) -> str:
    """The name of a run's row on the page of runs; ``row``: of any table of runs."""
    return f"{row['variant']}/{row['run']}"


def run_links(page: str, runs: Iterable[Mapping[str, Any]]) -> Links:
    """What leads from a report to the rows of runs.

    :param page: the report's key.
    :param runs: rows of any table of runs.
    """
    here = posixpath.dirname(page)
    return Links(
        {
            row["run"][:_SHORT]: f"{posixpath.relpath(keys.runs_page(row['benchmark']), here)}"
            f"#{anchor(row)}"
            for row in runs
        }
    )
