"""What the selections among several rollouts reach, of all evaluations of a benchmark that had
them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import polars as pl
from matplotlib.figure import Figure

from assets.evaluation.selections import figures, findings, last_of, readable
from assets.latest import CONFIGURATION, latest
from assets.tables import Selections
from storage.store import Store
from storage.tables import scan

MOST = 12
"""Evaluations that a report shows, the newest; each has a page of its own besides."""


class OfRollouts(NamedTuple):
    """Sentences on which selections beat a single rollout, a table of all of them as text for
    people, and figures of the accuracy by depth and by rollouts, by title."""

    sentences: list[str]
    rows: list[dict[str, str]]
    figures: dict[str, Figure]


def of_rollouts(
    store: Store, benchmark: str, tested: Callable[[Mapping[str, Any]], str]
) -> OfRollouts:
    """The latest evaluations of each configuration with more than one rollout.

    :param tested: the settings of an evaluation, from a row of it, in words.
    """
    table = latest(
        scan(store, Selections).filter(benchmark=benchmark).collect(), *CONFIGURATION, "evaluation"
    )
    each = ["created_at", "run", "evaluation"]
    several = table.filter(pl.col("rollouts").max().over(each) > 1).sort(each, descending=True)
    found = OfRollouts([], [], {})
    parts = several.partition_by(each, maintain_order=True)
    for rows in parts[:MOST]:
        row = rows.row(0, named=True)
        settings = tested(row)
        named = {"variant": row["variant"], "seed": str(row["seed"]), "settings": settings}
        label = ", ".join(
            filter(None, [row["variant"], f"seed {row['seed']}", f"step {row['step']}", settings])
        )
        found.sentences.extend(f"{label}: {sentence}" for sentence in findings(rows))
        found.rows.extend(
            {**named, **shown, "run": row["run"]} for shown in readable(last_of(rows))
        )
        found.figures.update(
            (f"{title} ({label}, run {row['run']})", figure)
            for title, figure in figures(rows).items()
        )
    if len(parts) > MOST:
        found.sentences.append(f"The newest {MOST} of {len(parts)} evaluations are shown.")
    return found
