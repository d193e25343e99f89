"""Test puzzles that are among the training puzzles of a benchmark: a table over all pairs of
benchmarks whose puzzles are in the store."""

import dagster as dg
import polars as pl

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.failures import user_error
from assets.outcomes import CheckOutcome
from assets.pages import markdown
from assets.progress import MADE
from assets.reports.checks import every_pair, no_leaks
from assets.stages import making
from assets.tables import Leakage
from storage.store import Store
from storage.tables import TABLES, name_of, publish_partition, read_file, scan


def _same_family(one: str, other: str) -> bool:
    return BENCHMARKS[one].origin.family.name == BENCHMARKS[other].origin.family.name


def leakage_rows(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Rows of :class:`assets.tables.Leakage` for each tested benchmark, beside the benchmarks with
    puzzles of the same family; ``tables``: puzzles by benchmark."""
    found: dict[str, pl.DataFrame] = {}
    for tested, table in tables.items():
        rows: list[dict[str, str | int | None]] = []
        for trained, other in tables.items():
            if not _same_family(tested, trained):
                continue
            overlap = BENCHMARKS[tested].origin.overlap(other, table)
            rows.append(
                {
                    "trained_on": trained,
                    "test_puzzles": overlap.test_puzzles,
                    "leaks": len(overlap.leaks),
                    "first": overlap.leaks[0] if overlap.leaks else None,
                    "shared": overlap.shared,
                }
            )
        found[tested] = pl.DataFrame(rows, schema_overrides={"first": pl.String})
    return found


def _puzzles(store: Store) -> dict[str, pl.DataFrame]:
    """The stored puzzles, by benchmark."""
    tables: dict[str, pl.DataFrame] = {}
    for name, benchmark in BENCHMARKS.items():
        path = store.open(keys.puzzles(name))
        if path.exists():
            tables[name] = read_file(path, benchmark.origin.schema)
    if not tables:
        raise user_error(
            f"{store.open('puzzles')}: no puzzles yet; first: {making('puzzles', 'BENCHMARK')}"
        )
    return tables


def materialize_leakage(store: Store) -> dg.MaterializeResult:
    tables = _puzzles(store)
    found = leakage_rows(tables)
    for tested, rows in found.items():
        publish_partition(store, Leakage, rows.with_columns(benchmark=pl.lit(tested)))
    shown = [
        {
            "tested on": tested,
            "trained on": row["trained_on"],
            "test puzzles": row["test_puzzles"],
            "of them trained on": row["leaks"],
            "first": row["first"] or "",
            "there at all": row["shared"],
        }
        for tested, rows in found.items()
        for row in rows.iter_rows(named=True)
    ]
    leaking = sum(int((rows["leaks"] > 0).sum()) for rows in found.values())
    where = store.open(f"{TABLES}/{name_of(Leakage)}")
    return dg.MaterializeResult(
        metadata={
            MADE: f"{len(shown)} pairs of benchmarks, {leaking} of them with leaks, in {where}",
            "benchmarks": len(tables),
            "dagster/row_count": len(shown),
            "leaking_pairs": leaking,
            "table": dg.MetadataValue.md(markdown.table(shown)),
        }
    )


def check_leakage(store: Store) -> dict[str, CheckOutcome]:
    """Whether the stored table compares all benchmarks whose puzzles are there now, and what it
    found."""
    rows = scan(store, Leakage).collect()
    return {
        "every_pair": every_pair(rows, _puzzles(store), _same_family),
        "no_leaks": no_leaks(rows),
    }
