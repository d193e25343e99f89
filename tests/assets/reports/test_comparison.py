"""Reports do their sums right."""

import polars as pl
import pytest
from matplotlib.figure import Figure

from assets.reports.comparison import (
    Effort,
    ablation_table,
    comparable,
    cost_rows,
    interval_over_seeds,
    readable,
)
from assets.reports.page import html_page
from storage.examples import Header
from tests.trm_model.training.recipes import TINY
from trm_model.model.cost import cost
from trm_model.variants import VARIANTS


def test_ablation_table_puts_ours_beside_the_published() -> None:
    scores = pl.DataFrame(
        {
            "variant": ["trm_mlp", "trm_mlp", "mine"],
            "value": [0.8, 0.9, 0.2],
            "low": [0.7, 0.8, 0.1],
            "high": [0.9, 1.0, 0.3],
            "config_hash": ["c"] * 3,
            "data_version": ["d"] * 3,
            "n": [10] * 3,
            "created_at": ["2026"] * 3,
        }
    )
    table = ablation_table(
        scores, {"trm_mlp": Effort(130_000, 42, 1, 60.0, 1e5)}, "sudoku_extreme", "sudoku_extreme"
    )
    first = table.row(0, named=True)
    assert (first["name"], first["seeds"], first["published"], first["parameters"]) == (
        "trm_mlp",
        2,
        0.874,
        130_000,
    )
    assert first["ours"] == pytest.approx(0.85)
    assert first["difference"] == pytest.approx(0.85 - 0.874)
    assert (first["low"], first["high"]) == pytest.approx((0.85 - 12.706205 * 0.05, 1.0))
    assert table.filter(pl.col("name") == "mine")["published"].to_list() == [None]
    assert table.filter(pl.col("name") == "hrm").select("ours", "published").row(0) == (None, 0.55)
    page = html_page("<title>", ["a & b"], {"Results": readable(table)}, {"picture": Figure()})
    assert "&lt;title&gt;" in page
    assert "130,000" in page
    assert interval_over_seeds([0.5], 0.4, 0.6) == (0.4, 0.6)
    elsewhere = ablation_table(scores, {}, "sudoku_extreme", "sudoku_4x4")
    assert elsewhere["difference"].null_count() == len(elsewhere)
    assert elsewhere.row(0, named=True)["published_source"].endswith("on sudoku_extreme")
    # A seed with another configuration, or another number of puzzles, is not averaged with the
    # latest.
    for column, value in (("config_hash", "other"), ("data_version", "other"), ("n", 3)):
        older = scores.with_columns(
            pl.Series(column, [value, *scores[column][1:]]),
            pl.Series("created_at", ["2025", "2026", "2026"]),
        )
        assert ablation_table(comparable(older), {}, None, "x").filter(
            pl.col("name") == "trm_mlp"
        ).select("ours", "seeds").row(0) == (
            0.9,
            1,
        )


def test_rows_are_readable() -> None:
    full = {
        "benchmark": "b", "name": "trm", "ours": 0.8512, "low": 0.8, "high": 0.9, "seeds": 2,
        "published": 0.874, "published_source": "a paper", "difference": -0.0228,
        "parameters": 1_234_567, "depth": 42, "forward_passes": 1, "train_seconds": 59.6,
        "examples_seen": 1e6,
    }  # fmt: skip
    empty = dict.fromkeys(full) | {"benchmark": "b", "name": "hrm", "seeds": 0}
    rows = readable(pl.DataFrame([full, empty]), leading=["benchmark"])
    assert rows[0] == {
        "benchmark": "b", "variant": "trm", "ours %": "85.1", "95 % interval": "80.0 – 90.0",
        "seeds": "2", "published %": "87.4", "difference": "-2.3", "parameters": "1,234,567",
        "depth": "42", "forward passes per step": "1", "training s": "60",
        "examples seen": "1,000,000", "published in": "a paper",
    }  # fmt: skip
    filled = {"benchmark": "b", "variant": "hrm", "seeds": "0"}
    assert rows[1] == dict.fromkeys(rows[0], "") | filled


def test_costs_are_in_billions_of_operations() -> None:
    header = Header(vocabulary=("pad", "blank", "1", "2", "3", "4"), grid=(4, 4))
    [row] = cost_rows({"trm_mlp": VARIANTS["trm_mlp"]}, TINY, header)
    found = cost(
        VARIANTS["trm_mlp"],
        TINY.size,
        vocabulary=6,
        length=16,
        num_puzzles=1,
        batch_size=TINY.batch_size,
        max_steps=TINY.max_steps,
    )
    per_step, per_example = found.training_flops / 1e9, found.test_flops / 1e9
    assert float(row["GFLOP per optimizer step"]) == pytest.approx(per_step, abs=0.05)
    assert float(row["GFLOP per test example"]) == pytest.approx(per_example, abs=0.0005)
    assert row["parameters"] == f"{found.parameters:,}"


def test_the_report_lists_every_variant_with_its_cost() -> None:
    header = Header(vocabulary=("pad", "blank", "1", "2", "3", "4"), grid=(4, 4))
    rows = {row["variant"]: row for row in cost_rows(VARIANTS, TINY, header)}
    assert list(rows) == list(VARIANTS)
    assert (
        rows["trm_mlp"]["depth"],
        rows["hrm"]["depth"],
        rows["hrm"]["forward passes per step"],
    ) == ("42", "24", "2")
    assert all(float(row["GFLOP per optimizer step"]) > 0 for row in rows.values())
