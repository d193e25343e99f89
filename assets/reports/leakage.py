"""What one benchmark trains on of what another tests: a table over all pairs of benchmarks whose
puzzles are there."""

import dagster as dg
import polars as pl

from assets.benchmarks import BENCHMARKS
from assets.common import user_error
from assets.reports.pictures import markdown_table
from assets.tables import Leakage
from storage.layout import Layout
from storage.tables import partition_path, read_file, write_file


def leakage_rows(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Per tested benchmark rows of :class:`assets.tables.Leakage`; ``tables``: puzzles by
    benchmark."""
    found: dict[str, pl.DataFrame] = {}
    for tested, table in tables.items():
        origin = BENCHMARKS[tested].origin
        overlaps = {
            trained: origin.overlap(other, table)
            for trained, other in tables.items()
            if BENCHMARKS[trained].origin.family.name == origin.family.name
        }
        rows = [
            {
                "trained_on": trained,
                "test_puzzles": overlap.test_puzzles,
                "leaks": len(overlap.leaks),
                "first": overlap.leaks[0] if overlap.leaks else None,
                "shared": overlap.shared,
            }
            for trained, overlap in overlaps.items()
        ]
        found[tested] = pl.DataFrame(rows, schema_overrides={"first": pl.String})
    return found


def materialize_leakage(layout: Layout) -> dg.MaterializeResult:
    tables = {
        name: read_file(path, BENCHMARKS[name].origin.schema)
        for name in BENCHMARKS
        if (path := layout.puzzles(name)).exists()
    }
    if not tables:
        raise user_error(
            f"{layout.root}: no puzzles yet; materialize the puzzles of some benchmarks first"
        )
    found = leakage_rows(tables)
    for tested, rows in found.items():
        write_file(
            partition_path(layout.tables(), Leakage, tested), Leakage, rows, stage_in=layout.root
        )
    shown = [
        {
            "tested on": tested,
            "trained on": trained,
            "test puzzles": str(count),
            "of them trained on": str(leaks),
            "first": first or "",
            "there at all": str(shared),
        }
        for tested, rows in found.items()
        for trained, count, leaks, first, shared in rows.iter_rows()
    ]
    return dg.MaterializeResult(
        metadata={
            "benchmarks": len(tables),
            "dagster/row_count": len(shown),
            "leaking_pairs": sum(row["of them trained on"] != "0" for row in shown),
            "table": dg.MetadataValue.md(markdown_table(shown)),
        }
    )
