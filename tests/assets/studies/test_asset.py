"""The points of a study are trained and scored, what is done is kept, and the report shows them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets import keys
from assets.benchmarks import Benchmark
from assets.data.datasets import write_dataset
from assets.failures import user_error
from assets.graph import build_study
from assets.store import StoreResource
from assets.studies.asset import check_point, check_report, materialize_report, training_of
from assets.studies.points import asked
from assets.studies.report import RUN, over_seeds, scored
from assets.studies.study import Study
from assets.tables import Scores, StudyResults, Training
from storage.store import LocalStore
from storage.tables import publish_partition, scan
from tests.assets.test_checkpoint_asset import SOURCE, Here
from tests.trm_model.training.recipes import TINY
from trm_model.variants import VARIANTS

BENCHMARK = Benchmark(title="tiny", origin=SOURCE, recipe=replace(TINY, steps=4))
STUDY = Study(
    title="Two rates",
    benchmark="tiny",
    variants=("trm_mlp",),
    settings={"recipe.steps": 2},
    grid={"recipe.learning_rate": [1e-3, 1e-2]},
    evaluation={"limit": 4},
)
FIRST, SECOND = (point.key for point in STUDY.trainings())


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore.create(tmp_path / "store")
    key, _ = write_dataset(
        store, "tiny", SOURCE.puzzles().frame, SOURCE, augmentations=1, seed=0,
        sources={"entry": BENCHMARK.data_hash},
    )  # fmt: skip
    store.point(keys.current_examples("tiny"), key)
    return store


def make(store: LocalStore, stage: str, partition: str | None = None) -> None:
    graph = build_study("rates", STUDY, BENCHMARK, VARIANTS)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            graph,
            selection=[dg.AssetKey(["studies", "rates", stage])],
            partition_key=partition,
            resources={"store": StoreResource(root=str(store.root)), "launcher": Here()},
            instance=instance,
        )
    assert done.success
    assert all(event.passed for event in done.get_asset_check_evaluations())


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_points_are_scored_and_reported_and_not_repeated(store: LocalStore) -> None:
    rates = store, "rates", STUDY, BENCHMARK, VARIANTS
    with pytest.raises(type(user_error("")), match="no point has been scored yet; first: trm stud"):
        materialize_report(*rates)
    make(store, "points", FIRST)
    assert check_point(*rates, FIRST)["scored"].passed
    assert not check_point(*rates, SECOND)["scored"].passed
    # A report of what there is says what is missing.
    materialize_report(*rates)
    assert not check_report(*rates)["every_point"].passed
    assert f"Not there yet: {SECOND}." in store.open(keys.study_page("rates")).read_text("utf-8")

    make(store, "points", SECOND)
    checkpoints = set(store.root.glob("runs/tiny/trm_mlp/0/*/checkpoints/*"))
    made = {path: path.stat().st_mtime_ns for path in checkpoints}
    make(store, "points", SECOND)
    assert {path: path.stat().st_mtime_ns for path in checkpoints} == made
    make(store, "report")
    assert check_report(*rates)["every_point"].passed

    table = scan(store, StudyResults).collect().sort("point")
    assert table["point"].to_list() == sorted([FIRST, SECOND])
    assert table["steps"].to_list() == [2, 2]
    assert table["n"].to_list() == [4, 4]
    axes = [json.loads(axes)["recipe.learning_rate"] for axes in table["axes"]]
    assert sorted(axes) == [1e-3, 1e-2]
    scores = scan(store, Scores).filter(metric="exact_accuracy").collect()
    assert set(table["run"]) == set(scores["run"])
    page = store.open(keys.study_page("rates")).read_text("utf-8")
    assert "Against recipe.learning_rate" in page
    assert "Not there yet" not in page
    # A study's runs are not what the partition's other stages go on with.
    assert store.follow(keys.current_run("tiny", "trm_mlp", 0)) is None
    assert store.follow(keys.current_predictions("tiny", "trm_mlp", 0)) is None


def test_settings_differ_in_code_and_seeds_of_one_do_not() -> None:
    both = replace(STUDY, variants=("trm_mlp", "drm"), grid={}, seeds=(0, 1))
    examples = SOURCE.augmented(SOURCE.puzzles().frame, "train", 0, 0, {}).examples
    points = asked("both", both, BENCHMARK, VARIANTS, examples.header)

    def score(row: dict[str, Any], code: str, created: str, **changes: object) -> dict[str, Any]:
        same = ("benchmark", "variant", "seed", "config_hash", "evaluation", "data_entry")
        return {
            **{name: row[name] for name in same},
            "metric": "exact_accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "n": 4,
            "run": f"{row['variant']}-{row['seed']}-{code}", "created_at": created,
            "data_version": "d", "code_version": code, "evaluation_code": "e", **changes,
        }  # fmt: skip

    mlp, mlp_1, drm, drm_1 = points.rows(named=True)
    headlines = pl.DataFrame(
        [
            score(mlp, mlp["code_here"], "3"),
            score(mlp_1, mlp["code_here"], "2"),
            score(drm, "older", "1"),
            score(drm_1, "oldest", "0"),  # By other code than the other seed of its setting.
            score(drm_1, "older", "0", data_version="other"),
        ]
    )
    efforts = pl.DataFrame(
        schema={"benchmark": str, "variant": str, "seed": int, "run": str, "train_seconds": float}
    )
    found = sorted(scored(points, headlines, efforts).select("variant", "seed", "current").rows())
    assert found == [("drm", 0, False), ("trm_mlp", 0, True), ("trm_mlp", 1, True)]


def test_of_the_training_table_the_runs_of_a_study_alone_are_read(store: LocalStore) -> None:
    def rows(variant: str) -> pl.DataFrame:
        numbers = {name: 1 for name in Training.to_schema().columns if name not in RUN}
        return pl.DataFrame(
            {**numbers, "benchmark": "tiny", "variant": variant, "seed": 0, "run": "r"}
        ).with_columns(pl.lit("c").alias("config_hash"), created_at=pl.lit("2026"))

    for variant in ("trm", "hrm"):
        publish_partition(store, Training, rows(variant))
    runs = rows("hrm").select(RUN)
    found = training_of(store, pl.concat([runs, runs]), "wall_seconds")
    assert found.columns == [*RUN, "step", "wall_seconds"]
    assert found.rows() == [("tiny", "hrm", 0, "r", 1, 1.0)]


def test_seeds_of_one_setting_are_averaged() -> None:
    rows = pl.DataFrame(
        {
            "variant": ["a", "a", "b"],
            "axes": ['{"x": 1}', '{"x": 1}', '{"x": 1}'],
            "value": [0.4, 0.6, 0.1],
            "low": [0.3, 0.5, 0.0],
            "high": [0.5, 0.7, 0.2],
            "n": [10, 10, 10],
            "steps": [5, 5, 5],
            "parameters": [7, 7, 9],
            "training_flops": [1.0, 1.0, 2.0],
            "train_seconds": [1.0, 3.0, None],
        }
    )
    first, second = over_seeds(rows).rows(named=True)
    assert (first["value"], first["seeds"], first["train_seconds"]) == (0.5, 2, 2.0)
    assert first["low"] == pytest.approx(max(0.0, 0.5 - 12.706205 * 0.1))
    assert (second["value"], second["low"], second["high"]) == (0.1, 0.0, 0.2)
    assert second["train_seconds"] is None
