"""The scores of an ARC benchmark, from training to the table."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets import keys
from assets.benchmarks import Benchmark
from assets.data.datasets import write_dataset
from assets.evaluation.votes import pass_rows
from assets.families.arc import ArcFiles, rows
from assets.graph import build_benchmark
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource
from assets.tables import Scores, Votes
from storage.store import LocalStore
from storage.tables import scan
from tests.assets.test_checkpoint_asset import Here
from tests.trm_model.puzzles.test_arc import random_task
from tests.trm_model.training.recipes import TINY
from trm_model.variants import VARIANTS

NAME, TASKS = "arc", ("one", "two")
BENCHMARK = Benchmark(title="tiny", origin=ArcFiles(), recipe=replace(TINY, steps=1, batch_size=2))
MINE = {"trm": VARIANTS["trm"]}
STAGES = ("checkpoint", "predictions", "votes", "scores")


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_votes_are_scored_as_a_whole_by_task_and_by_their_number(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    tasks = [random_task(name, number) for number, name in enumerate(TASKS)]
    frame = rows(tasks, "place", evaluated=True).with_row_index("puzzle")
    key, _ = write_dataset(
        store, NAME, frame.cast({"puzzle": int}), BENCHMARK.origin, augmentations=2, seed=0,
        sources={"entry": BENCHMARK.data_hash},
    )  # fmt: skip
    store.point(keys.current_examples(NAME), key)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            build_benchmark(NAME, BENCHMARK, MINE, variant_seed_partitions(MINE)),
            selection=[dg.AssetKey([NAME, stage]) for stage in STAGES],
            partition_key="trm|0",
            resources={"store": StoreResource(root=str(tmp_path)), "launcher": Here()},
            instance=instance,
            run_config={"ops": {
                "arc__checkpoint": {"config": {"device": "cpu"}},
                "arc__predictions": {"config": {"device": "cpu", "depth": 1}},
            }},
        )  # fmt: skip
    assert done.success
    scores, votes = (scan(store, table).collect() for table in (Scores, Votes))
    whole = scores.filter(metric="pass_at_k")
    assert dict(whole.select("k", "value").rows()) == {row.k: row.value for row in pass_rows(votes)}
    assert set(whole["n"]) == {len(TASKS)}
    groups = scores.filter(metric="pass_at_k_of_group")
    assert {f"task={name}" for name in TASKS} <= set(groups["group"])
    # A task has three versions, and two rows for fewer of them.
    by_number = groups.filter(pl.col("group").str.starts_with("votes="), k=2)
    assert by_number["group"].to_list() == ["votes=1", "votes=2", "votes=3"]
    assert by_number["value"][-1] == whole.filter(k=2)["value"][0]
    told = done.asset_materializations_for_node("arc__scores")[0].metadata
    assert told["pass_at_k"].value == whole.filter(k=2)["value"][0]
