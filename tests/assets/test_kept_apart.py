"""No run's numbers replace another's, and reports take them from the runs that they name."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets import keys
from assets.benchmarks import Benchmark
from assets.data.datasets import write_dataset
from assets.declared import declared, differences, evaluation_key
from assets.evaluation.predictions import check_predictions, read_predictions
from assets.graph import build_benchmark
from assets.latest import latest
from assets.partitions import variant_seed_partitions
from assets.reports.ablation import materialize_ablation
from assets.reports.leaderboard import check_leaderboard, materialize_leaderboard
from assets.store import StoreResource, current_predictions
from assets.tables import Ablation, Predictions, Runs, Scores, Training
from storage.examples import Header
from storage.store import LocalStore
from storage.tables import TableError, read_file, scan
from tests.assets.test_checkpoint_asset import SOURCE, Here
from tests.trm_model.training.recipes import TINY
from trm_model.model.evaluation import Evaluation
from trm_model.training.run import CodeSpan, RunSpec
from trm_model.variants import VARIANTS

BENCHMARK = Benchmark(title="tiny", origin=SOURCE, recipe=replace(TINY, steps=4))
NAME = "tiny"
MINE = {"trm_mlp": VARIANTS["trm_mlp"]}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore.create(tmp_path / "store")
    write_data(store, BENCHMARK.data_hash)
    return store


def write_data(store: LocalStore, entry: str) -> None:
    """Make data of a benchmark's entry the current ones."""
    key, _ = write_dataset(
        store, NAME, SOURCE.puzzles().frame, SOURCE, augmentations=1, seed=0,
        sources={"entry": entry},
    )  # fmt: skip
    store.point(keys.current_examples(NAME), key)


def train_and_test(
    store: LocalStore, *, limit: int | None = None, again: bool = False, **training: Any
) -> None:
    graph = build_benchmark(NAME, BENCHMARK, MINE, variant_seed_partitions(MINE))
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            graph,
            selection=[
                dg.AssetKey([NAME, stage]) for stage in ("checkpoint", "predictions", "scores")
            ],
            partition_key="trm_mlp|0",
            resources={"store": StoreResource(root=str(store.root)), "launcher": Here()},
            instance=instance,
            run_config={
                "ops": {
                    "tiny__checkpoint": {"config": {"device": "cpu", **training}},
                    "tiny__predictions": {
                        "config": {"device": "cpu", "limit": limit, "again": again}
                    },
                },
                "loggers": {"console": {"config": {"log_level": "INFO"}}},
            },
        )
    assert done.success


def reported(store: LocalStore) -> dict[str, Any]:
    """The row of the variant that is trained here, after the reports have been written."""
    materialize_ablation(store, NAME, BENCHMARK, MINE)
    materialize_leaderboard(store)
    return scan(store, Ablation).collect().row(by_predicate=pl.col("seeds") >= 0, named=True)


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_smoke_tests_and_other_evaluations_stand_apart(
    store: LocalStore, capfd: pytest.CaptureFixture[str]
) -> None:
    said = "stands apart from those of the benchmark's recipe"
    # A smoke test before anything else: there is a report, without a figure.
    train_and_test(store, limit=3, steps=2, batch_size=4)
    first = " ".join(capfd.readouterr().err.split())
    assert f"steps=2 in place of 4, batch_size=4 in place of 8: this run {said}" in first
    few = "tested on the first {} test puzzles in place of all test puzzles: its scores stand apart"
    assert f"batch_size=4 in place of 8, {few.format(3)}" in first
    assert (reported(store)["variant"], reported(store)["ours"]) == ("trm_mlp", None)
    assert "<td>ours</td>" not in store.open(keys.leaderboard_page()).read_text()

    train_and_test(store)
    assert said not in " ".join(capfd.readouterr().err.split())
    whole = reported(store)
    [full] = scan(store, Scores).filter(metric="exact_accuracy", n=10).collect().rows(named=True)
    assert (whole["ours"], whole["seeds"], whole["low"]) == (full["value"], 1, full["low"])
    assert whole["examples_seen"] == 4 * 8
    assert (whole["trained_on"], whole["n"], whole["runs"]) == (
        "30 puzzles x 2 versions of tiny",
        10,
        full["run"],
    )
    board = store.open(keys.leaderboard_page()).read_text()
    for cell in ("ours", "published", whole["trained_on"], "10 of 10", "token_mlp"):
        assert f"<td>{cell}</td>" in board
    assert f'<a href="tiny/runs.html#trm_mlp/{full["run"]}">' in board
    assert check_leaderboard(store)["numbers_of_ablations"].passed

    # Both again, in the other order: nothing that was there is gone, and the report is the same.
    before = {path: path.stat().st_mtime_ns for path in store.root.glob("tables/**/*.parquet")}
    train_and_test(store, limit=2)
    assert few.format(2) in " ".join(capfd.readouterr().err.split())
    train_and_test(store, variant={"cycles": 2})
    assert f"variant.cycles=2 in place of 3: this run {said}" in (
        " ".join(capfd.readouterr().err.split())
    )
    assert reported(store) == whole
    of_full = {
        path for path in before if full["run"] in path.name and full["evaluation"] in path.name
    }
    assert len(of_full) == 3
    assert all(path.stat().st_mtime_ns == before[path] for path in of_full)

    write_data(store, "of the entry with other augmentations")
    train_and_test(store)
    assert "data of another entry than the benchmark's: its scores stand apart" in (
        " ".join(capfd.readouterr().err.split())
    )
    assert reported(store) == whole

    scores = scan(store, Scores).collect()
    assert scores.select("run", "evaluation").n_unique() == 5
    assert scan(store, Training).collect()["run"].n_unique() == 4
    predictions = scan(store, Predictions).collect()
    counts = predictions.group_by("run", "evaluation").len().sort("len")["len"].to_list()
    assert counts == [2, 3, 10, 10, 10]
    assert len(latest(scores)) < len(scores)
    pictures = store.open(f"reports/{NAME}/answers/trm_mlp/0").iterdir()
    assert {path.stem for path in pictures} == {
        f"{run}-{evaluation}" for run, evaluation in scores.select("run", "evaluation").rows()
    }
    page = store.open(keys.ablation_page(NAME)).read_text()
    assert f"{100 * full['value']:.1f} (" in page
    for text in (page, store.open(keys.leaderboard_page()).read_text()):
        assert "copy the question" in text
    for reason in (
        "steps=2 in place of 4, batch_size=4", "variant.cycles=2 in place of 3",
        "tested with limit=3", "tested with limit=2",
        "data of another entry than the benchmark",
    ):  # fmt: skip
        assert reason in page
    assert page.count("trm_mlp, changed") == 2
    links = set(re.findall(r'href="runs\.html#([^"]+)"', page))
    rows = set(re.findall(r'<tr id="([^"]+)"', store.open(keys.runs_page(NAME)).read_text()))
    runs = scan(store, Runs).collect()
    assert links == rows == {f"trm_mlp/{run}" for run in runs["run"]}
    assert set(runs["changes"]) >= {"", "variant.cycles=2 in place of 3"}

    # The scores hold what the report needs of the past.
    shutil.rmtree(store.open("examples"))
    assert reported(store) == {**whole, "trained_on": "puzzles x 2 versions of tiny"}
    shutil.rmtree(store.open("runs"))
    gone = dict.fromkeys(("parameters", "puzzle_parameters", "test_flops", "trained_on"))
    assert reported(store) == {**whole, **gone}
    assert "variant.cycles=2 in place of 3" in store.open(keys.ablation_page(NAME)).read_text()
    shutil.rmtree(store.open("tables/runs"))
    assert reported(store) == {**whole, **gone}
    page = store.open(keys.ablation_page(NAME)).read_text()
    assert "variant.cycles=2 in place of 3" not in page
    assert "another recipe or variant" in page
    shutil.rmtree(store.open("tables/training"))
    assert reported(store) == {**whole, **gone, "train_seconds": None, "examples_seen": None}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_predictions_that_have_lost_rows_are_refused_and_made_again(store: LocalStore) -> None:
    """What is left of them does not tell of puzzles that have lost all of theirs."""
    train_and_test(store, limit=3, steps=1)
    asked = store, NAME, "trm_mlp", 0
    path = store.open(current_predictions(*asked))
    whole = read_file(path, Predictions)
    assert whole["n"].to_list() == [3, 3, 3]
    for rows, expected in ((2, "2 rows, expected 3,"), (0, "0 rows, expected some,")):
        whole[:rows].write_parquet(path)
        for read in (check_predictions, read_predictions):
            with pytest.raises(TableError, match=f"{expected} one for each evaluated example; "):
                read(*asked)
    train_and_test(store, limit=3, steps=1)
    assert all(outcome.passed for outcome in check_predictions(*asked).values())


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_evaluation_is_kept_unless_it_is_damaged_or_asked_for_again(
    store: LocalStore, capfd: pytest.CaptureFixture[str]
) -> None:
    def predictions() -> tuple[Path, int]:
        [path] = store.root.glob("tables/predictions/**/*.parquet")
        return path, path.stat().st_mtime_ns

    def kept() -> bool:
        return "evaluated already: kept" in capfd.readouterr().err

    train_and_test(store)
    path, first = predictions()
    assert not kept()
    before = path.read_bytes()
    scored = scan(store, Scores).collect()["created_at"].unique()
    train_and_test(store)
    assert predictions() == (path, first)
    assert kept()
    assert scan(store, Scores).collect()["created_at"].min() > scored.max()  # type: ignore[operator]
    path.write_bytes(before[:100])
    train_and_test(store)
    assert not kept()
    assert len(path.read_bytes()) > 100
    _, made = predictions()
    train_and_test(store, again=True)
    assert not kept()
    assert predictions()[1] > made


def test_a_report_without_scores_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(dg.Failure) as error:
        materialize_ablation(LocalStore.create(tmp_path), NAME, BENCHMARK, MINE)
    assert error.value.description == (
        "tiny: no scores yet; train at least one partition first: trm train tiny --partition "
        "'VARIANT|SEED' (in the page: materialize tiny/checkpoint)"
    )


def test_what_is_declared_has_the_keys_of_its_runs() -> None:
    rows = declared(BENCHMARK, VARIANTS)
    assert rows["variant"].to_list() == list(VARIANTS)
    given = rows.row(by_predicate=pl.col("variant") == "trm_mlp", named=True)
    spec = RunSpec(
        benchmark=NAME, variant_name="trm_mlp", variant=VARIANTS["trm_mlp"],
        recipe=BENCHMARK.recipe, seed=7, data="d", data_version="", code=(CodeSpan(version="x"),),
    )  # fmt: skip
    assert given["config_hash"] == spec.config_hash
    assert given["evaluation"] == evaluation_key(Evaluation(), None)


def test_evaluations_are_told_apart_by_how_and_by_how_many() -> None:
    ways = (
        (Evaluation(), None), (Evaluation(), 3), (Evaluation(), 4), (Evaluation(depth=3), None),
        (Evaluation(rollouts=2), None), (Evaluation(split="train"), None),
    )  # fmt: skip
    assert len({evaluation_key(*way) for way in ways}) == len(ways)
    assert evaluation_key(Evaluation(depth=None), None) == evaluation_key(Evaluation(), None)


def test_what_a_recipe_changes_is_named() -> None:
    spec = RunSpec(
        benchmark=NAME, variant_name="trm_mlp", variant=VARIANTS["trm_mlp"],
        recipe=BENCHMARK.recipe, seed=7, data="d", data_version="", code=(CodeSpan(version="x"),),
        header=Header(
            vocabulary=("pad", "1"), grid=(4, 4), num_puzzle_ids=1,
            sources={"entry": BENCHMARK.data_hash},
        ),
    )  # fmt: skip
    assert differences(spec, BENCHMARK, VARIANTS["trm_mlp"]) == ""
    recipe = replace(BENCHMARK.recipe, learning_rate=0.5, ema_decay=0.8)
    variant = replace(VARIANTS["trm_mlp"], cycles=2, evaluation=Evaluation(depth=3))
    other = replace(spec, recipe=recipe, variant=variant, header=None)
    assert differences(other, BENCHMARK, VARIANTS["trm_mlp"]) == (
        "learning_rate=0.5 in place of 0.001, ema_decay=0.8 in place of 0.9, "
        "variant.cycles=2 in place of 3, data of another entry than the benchmark's"
    )
