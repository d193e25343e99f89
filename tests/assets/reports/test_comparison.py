"""Reports do their sums right."""

import polars as pl
import pytest

from assets.benchmarks import BENCHMARKS
from assets.pages.page import html_page
from assets.reports.comparison import (
    Effort,
    ablation_table,
    apart,
    comparable,
    cost_rows,
    effort,
    interval_over_seeds,
    leaderboard_rows,
    measured_rows,
    paper_notes,
    readable,
    trained_on,
)
from assets.tables import Ablation
from storage.examples import Header
from tests.trm_model.training.recipes import TINY
from trm_model.authors.published import OTHERS, PUBLISHED
from trm_model.model.cost import cost
from trm_model.variants import VARIANTS


def test_ablation_table_puts_ours_beside_the_published() -> None:
    scores = pl.DataFrame(
        {
            "variant": ["trm_mlp", "trm_mlp", "mine"],
            "value": [0.8, 0.9, 0.2],
            "low": [0.7, 0.8, 0.1],
            "high": [0.9, 1.0, 0.3],
            "n": 500,
            "of": 1_000,
            "run": ["r", "s", "t"],
        }
    )
    found = Effort(
        130_000, 42, 1, 60.0, 1e5, 64, "token_mlp", 16, 1, 2.5e9, "1,000 puzzles of sudoku_extreme"
    )
    table = ablation_table(scores, {"trm_mlp": found}, "sudoku_extreme", "sudoku_extreme")
    first = table.row(0, named=True)
    assert (first["variant"], first["seeds"], first["published"], first["parameters"]) == (
        "trm_mlp",
        2,
        0.874,
        130_000,
    )
    assert first["ours"] == pytest.approx(0.85)
    assert first["difference"] == pytest.approx(0.85 - 0.874)
    assert (first["low"], first["high"]) == pytest.approx((0.85 - 12.706205 * 0.05, 1.0))
    assert table.filter(variant="mine")["published"].to_list() == [None]
    assert table.filter(variant="hrm").select("ours", "published").row(0) == (
        None,
        0.55,
    )
    board = leaderboard_rows(table.filter(pl.col("ours").is_not_null()))
    of_sudoku = [row for row in board if row["benchmark"] == "sudoku_extreme"]
    assert board[: len(of_sudoku)] == of_sudoku
    [ours] = [row for row in of_sudoku if (row["method"], row["from"]) == ("trm_mlp", "ours")]
    assert ours == {
        "benchmark": "sudoku_extreme", "method": "trm_mlp", "from": "ours", "solved %": "85.0",
        "95 % interval": "21.5 – 100.0", "trained on": "1,000 puzzles of sudoku_extreme",
        "test compute": "16 steps x 1 rollout, 2.5 GFLOP", "parameters": "130,000",
        "without puzzle rows": "129,936", "seeds": "2", "tested": "500 of 1,000",
        "mixer": "token_mlp", "run or source": "r, s",
    }  # fmt: skip
    page = html_page("<title>", ["a & b"], {"Results": readable(table)}, {"picture": b"png"})
    assert "&lt;title&gt;" in page
    assert "130,000" in page
    assert interval_over_seeds([0.5], 0.4, 0.6) == (0.4, 0.6)
    elsewhere = ablation_table(scores, {}, "sudoku_extreme", "sudoku_4x4")
    assert elsewhere["difference"].null_count() == len(elsewhere)
    assert elsewhere.row(0, named=True)["published_source"].endswith("on sudoku_extreme")
    # A variant that was trained in another way only is named, without a figure.
    other = ablation_table(scores, {}, None, "sudoku_4x4", ["hrm", "mine"])
    assert other.select("variant", "ours", "seeds").rows() == [
        ("trm_mlp", pytest.approx(0.85), 2),
        ("mine", 0.2, 1),
        ("hrm", None, 0),
    ]


DECLARED = pl.DataFrame(
    {"variant": ["trm"], "config_hash": ["c"], "evaluation": ["e"], "data_entry": ["o"]}
)


def score(seed: int, run: str, time: str, **changes: object) -> dict[str, object]:
    """A row of scores of one metric."""
    return {
        "benchmark": "b", "variant": "trm", "seed": seed, "run": run, "created_at": time,
        "config_hash": "c", "evaluation": "e", "data_version": "d", "data_entry": "o",
        "code_version": "t", "evaluation_code": "v", "n": 500, "value": 0.5,
        "low": 0.4, "high": 0.6, **changes,
    }  # fmt: skip


def compared(*rows: dict[str, object]) -> tuple[list[str], dict[str, str]]:
    """The runs that are compared, and why the others are not; in whatever order the rows are."""
    frame = pl.DataFrame(rows)
    found: list[tuple[list[str], dict[str, str]]] = []
    for scores in (frame, frame.reverse()):
        chosen = comparable(scores, DECLARED)
        left = apart(
            scores,
            chosen,
            DECLARED,
            lambda row: "steps=50" * (row["run"] == "smoke"),
            lambda row: f"limit={row['n']}",
        )
        found.append(
            (
                sorted(chosen["run"]),
                {str(row["run"]): str(row["not compared because"]) for row in left},
            )
        )
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config_hash": "other", "run": "smoke"}, "steps=50"),
        ({"config_hash": "other", "run": "variant"}, "the variant has changed since"),
        ({"evaluation": "other"}, "tested with limit=500"),
        (
            {"config_hash": "other", "run": "smoke", "evaluation": "other", "n": 3},
            "steps=50; tested with limit=3",
        ),
        ({"data_entry": "other"}, "data of another entry than the benchmark's"),
        ({"variant": "gone"}, "there is no such variant any more"),
        ({"data_version": "other"}, "other data"),
        ({"code_version": "other"}, "other code of the training"),
        ({"evaluation_code": "other"}, "other code of the evaluation"),
        ({"n": 3}, "other test puzzles"),
        ({"n": 3, "data_version": "other"}, "other data, other test puzzles"),
    ],
)
def test_only_what_is_declared_and_like_the_latest_is_averaged(
    changes: dict[str, object], reason: str
) -> None:
    odd = score(0, "odd", "2025") | changes
    others = score(1, "one", "2026"), score(2, "two", "2026")
    assert compared(odd, *others) == (["one", "two"], {odd["run"]: reason})


def test_a_changed_run_that_is_the_latest_replaces_nothing() -> None:
    smoke = score(0, "smoke", "2030", config_hash="other", n=3)
    limited = score(0, "run", "2031", evaluation="other", n=3)
    chosen, left = compared(score(0, "run", "2026"), smoke, limited)
    assert (chosen, left) == (["run"], {"smoke": "steps=50", "run": "tested with limit=3"})


def test_of_each_seed_the_latest_run_counts() -> None:
    rows = score(0, "old", "2025"), score(0, "new", "2026"), score(1, "other", "2024")
    assert compared(*rows) == (["new", "other"], {})
    # Two in the same moment: the greater key, whatever the order of the rows.
    assert compared(score(0, "x", "2026"), score(0, "y", "2026")) == (["y"], {})


def test_two_versions_at_the_same_moment_are_not_mixed() -> None:
    rows = score(0, "x", "2026", code_version="s"), score(1, "y", "2026")
    assert compared(*rows) == (["y"], {"x": "other code of the training"})


def test_effort_is_that_of_the_runs_that_are_given() -> None:
    training = pl.DataFrame(
        {
            "run": ["x", "y", "x", "y"],
            "step": [10, 10, 5, 5],
            "wall_seconds": [8.0, 4.0, 3.0, 2.0],
            "examples": [80, 160, 40, 40],
        }
    )
    header = Header(vocabulary=("pad", "blank", "1", "2", "3", "4"), grid=(4, 4))
    found = effort(VARIANTS["trm_mlp"], TINY, header, training, "puzzles")
    [row] = cost_rows({"trm_mlp": VARIANTS["trm_mlp"]}, TINY, header)
    assert (found.train_seconds, found.examples_seen, found.depth) == (6.0, 120.0, 42)
    assert f"{found.parameters:,}" == row["parameters"]
    of_table = TINY.size.puzzle_width * header.num_puzzle_ids
    assert (found.puzzle_parameters, found.trained_on) == (of_table, "puzzles")
    flops = f"{(found.test_flops or 0) / 1e9:,.3f}"
    assert flops == row["GFLOP per test example"]
    unknown = effort(VARIANTS["trm_mlp"], TINY, None, training.clear(), None)
    assert unknown == Effort(
        None, 42, 1, None, None, None, "token_mlp", TINY.max_steps, 1, None, None
    )


def test_rows_are_readable() -> None:
    full = {
        "benchmark": "b", "variant": "trm", "ours": 0.8512, "low": 0.8, "high": 0.9, "seeds": 2,
        "published": 0.874, "published_source": "a paper", "difference": -0.0228,
        "parameters": 1_234_567, "depth": 42, "forward_passes": 1, "train_seconds": 59.6,
        "examples_seen": 1e6,
    }  # fmt: skip
    empty = dict.fromkeys(full) | {"benchmark": "b", "variant": "hrm", "seeds": 0}
    rows = readable(pl.DataFrame([full, empty]))
    assert rows[0] == {
        "variant": "trm", "ours %": "85.1", "95 % interval": "80.0 – 90.0",
        "seeds": "2", "published %": "87.4", "difference": "-2.3", "parameters": "1,234,567",
        "depth": "42", "forward passes per step": "1", "training s": "60",
        "examples seen": "1,000,000", "published in": "a paper",
    }  # fmt: skip
    filled = {"variant": "hrm", "seeds": "0"}
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


def test_every_published_method_is_on_the_leaderboard_best_first() -> None:
    board = leaderboard_rows(Ablation.empty())
    published = {**PUBLISHED, **OTHERS}
    named = [(str(row["benchmark"]), str(row["method"])) for row in board]
    assert set(named) == set(published)
    assert {row["from"] for row in board} == {"published"}
    order = [(benchmark, -published[benchmark, method].value) for benchmark, method in named]
    assert order == sorted(order)
    rows = {(row["benchmark"], row["method"]): row for row in board}
    assert rows["maze_hard", "drm"]["solved %"] == "81 [r]"
    assert rows["arc_agi_1", "short_convolution"]["solved %"] == "53.8 (pass@1)"
    guided = rows["sudoku_extreme", "guided exploration"]
    assert guided["test compute"] == "16 particles x 48 steps"
    best = rows["sudoku_extreme", "LDT"]
    assert (best["solved %"], best["trained on"]) == ("99.96", "1,000 puzzles")
    assert (best["parameters"], best["run or source"]) == ("0.8 million", "arXiv 2605.08605")
    assert rows["sudoku_extreme", "trm"]["mixer"] == "attention"


@pytest.mark.parametrize(
    ("puzzles", "versions", "said"),
    [
        (1_000, 101, "1,000 puzzles x 101 versions of b"),
        (1_000, 1, "1,000 puzzles of b"),
        (None, 8, "puzzles x 8 versions of b"),
    ],
)
def test_the_training_data_are_named(puzzles: int | None, versions: int, said: str) -> None:
    assert trained_on("b", puzzles, versions) == said


@pytest.mark.parametrize(
    ("name", "variant", "figure"),
    [
        ("sudoku_extreme", "trm_mlp", "87.4 %"),
        ("maze_hard", "trm_attention_n4_t3", "85.3 %"),
        ("maze_csv", "trm_attention_n4_t3", "85.3 %"),
        ("arc_agi_1", "trm_attention_n4_t3", "44.6 %"),
        ("arc_agi_2", "trm_attention_n4_t3", "7.8 %"),
    ],
)
def test_the_report_says_which_variant_the_papers_figure_is_of(
    name: str, variant: str, figure: str
) -> None:
    reproduced, recipe = paper_notes(BENCHMARKS[name])
    assert variant in reproduced
    assert variant in VARIANTS
    assert figure in reproduced
    assert recipe in (
        "The recipe is the paper's.",
        # The authors' commands have 50,000 epochs there, the paper says 60,000.
        "The recipe differs from the paper's: steps=65104 in place of 78125.",
    )


def test_a_recipe_that_is_not_the_papers_says_how_it_differs() -> None:
    [note] = paper_notes(BENCHMARKS["sudoku_4x4"])
    assert note.startswith("The recipe differs from the paper's: size.width=64 in place of 512, ")
    for change in ("steps=1000 in place of 78125", "learning_rate=0.001 in place of 0.0001"):
        assert change in note
    for name, benchmark in BENCHMARKS.items():
        assert len(paper_notes(benchmark)) == 1 + (benchmark.paper_variant is not None), name


def test_shares_alone_stand_in_the_table_of_what_was_measured() -> None:
    """Means of steps are no shares, and have no percent."""
    metrics = ["exact_accuracy", "valid_path", "mean_steps", "mean_computed_steps"]
    scores = pl.DataFrame(
        {
            "variant": "trm",
            "metric": metrics,
            "k": None,
            "group": None,
            "value": [0.5, 0.75, 3.0, 16.0],
            "low": [0.4, 0.7, 2.0, 16.0],
            "high": [0.6, 0.8, 4.0, 16.0],
        }
    )
    assert measured_rows(scores) == [
        {
            "variant": "trm",
            "exact accuracy %": "50.0 (40.0 – 60.0)",
            "valid path %": "75.0 (70.0 – 80.0)",
        }
    ]
