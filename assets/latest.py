"""Which rows of a table are the latest. Loads polars alone, since commands that only read must
answer at once."""

from typing import TypeVar

import polars as pl

CONFIGURATION = ("benchmark", "variant", "seed", "config_hash")
"""The columns of :class:`assets.tables.OfRun` that say what was trained; runs that have them in
common differ in data or code, or repeat one another."""

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def latest(rows: Rows, *by: str) -> Rows:
    """Of rows of :class:`assets.tables.OfRun` those of the latest run of each configuration; of
    rows of :class:`assets.tables.OfEvaluation` those of its latest evaluation.

    Of two written in the same microsecond the greater key counts, so that the order of the rows
    does not matter.

    :param by: the columns that are to be told apart, in place of :data:`CONFIGURATION`.
    """
    keys = [name for name in ("run", "evaluation") if name in rows.lazy().collect_schema()]
    age = pl.concat_str("created_at", *keys)
    return rows.filter(age == age.max().over(by or CONFIGURATION))
