"""What one benchmark trains on of what another tests: a table over all pairs of benchmarks whose
puzzles are there."""

import dagster as dg
import polars as pl

from assets.benchmarks import BENCHMARKS
from assets.common import user_error
from assets.families.family import kind_of
from assets.reports.pictures import markdown_table
from assets.tables import Leakage
from storage.layout import Layout
from storage.tables import partition_path, read_file, write_file


def leakage_rows(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Per tested benchmark rows of :class:`assets.tables.Leakage`; ``tables``: puzzles by
    benchmark."""
    found: dict[str, pl.DataFrame] = {}
    for tested, table in tables.items():
        source = BENCHMARKS[tested].source
        kind = kind_of(source)
        rows = [
            {
                "trained_on": trained,
                "test_puzzles": overlap.test_puzzles,
                "leaks": len(overlap.leaks),
                "first": overlap.leaks[0] if overlap.leaks else None,
                "shared": overlap.shared,
            }
            for trained, other in tables.items()
            if BENCHMARKS[trained].source.kind == source.kind
            for overlap in (kind.overlap(other, table),)
        ]
        found[tested] = pl.DataFrame(rows, schema_overrides={"first": pl.String})
    return found


def materialize_leakage(layout: Layout) -> dg.MaterializeResult:
    tables = {
        name: read_file(path, kind_of(BENCHMARKS[name].source).schema)
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
