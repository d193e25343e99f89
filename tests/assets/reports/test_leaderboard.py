"""The report over all benchmarks leads to its runs."""

from pathlib import Path

import polars as pl

from assets import keys
from assets.reports.leaderboard import check_leaderboard, materialize_leaderboard
from assets.tables import Ablation
from storage.store import LocalStore
from storage.tables import publish_partition
from tests.assets.test_tables import ROWS

RUNS = ("0123456789abcdef", "fedcba9876543210")


def test_a_figure_leads_to_the_rows_of_its_runs(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    row = {**ROWS[Ablation], "benchmark": "sudoku_4x4", "variant": "trm", "runs": ", ".join(RUNS)}
    publish_partition(store, Ablation, pl.DataFrame([row]))
    materialize_leaderboard(store)
    page = store.open(keys.leaderboard_page()).read_text("utf-8")
    links = (f'<a href="sudoku_4x4/runs.html#trm/{run}">{run[:8]}</a>' for run in RUNS)
    assert f"<td>{', '.join(links)}</td>" in page
    assert keys.runs_page("sudoku_4x4") == "reports/sudoku_4x4/runs.html"
    assert all(outcome.passed for outcome in check_leaderboard(store).values())
