"""Jobs: parts of the graph that are run together."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from assets.benchmarks import Benchmark
from assets.common import STAGES, stages_of

DATA_STAGES = ("puzzles", "examples", "shards")
TRAIN_STAGES = ("checkpoint", "predictions", "votes", "scores")
DEMO = "sudoku_4x4"


def asset_keys(name: str, benchmark: Benchmark, stages: Iterable[str]) -> list[dg.AssetKey]:
    """The benchmark's assets among ``stages``."""
    return [dg.AssetKey([name, stage]) for stage in stages if stage in stages_of(benchmark)]


def _stages(benchmarks: Mapping[str, Benchmark], stages: Iterable[str]) -> dg.AssetSelection:
    stages = tuple(stages)
    return dg.AssetSelection.assets(
        *(key for name, entry in benchmarks.items() for key in asset_keys(name, entry, stages))
    )


def build_jobs(benchmarks: Mapping[str, Benchmark]) -> list[Any]:
    """``demo``, ``data``, ``train``, ``evaluate``, ``report``."""
    generated = {name: entry for name, entry in benchmarks.items() if entry.origin.generated}
    return [
        dg.define_asset_job(
            "demo",
            _stages({DEMO: benchmarks[DEMO]}, [stage for stage in STAGES if stage != "shards"]),
            description="The whole way of sudoku_4x4 for one variant and seed.",
        ),
        dg.define_asset_job(
            "data",
            _stages(generated, DATA_STAGES),
            description="Every generated data set, validated, in zarr and webdataset.",
        ),
        dg.define_asset_job(
            "train",
            _stages(benchmarks, TRAIN_STAGES),
            description=(
                "Train, evaluate and score one variant and seed; the data must be there. Choose "
                "the assets of one benchmark."
            ),
        ),
        dg.define_asset_job(
            "evaluate",
            _stages(benchmarks, ("predictions", "votes", "scores")),
            description="Evaluate and score what is trained.",
        ),
        dg.define_asset_job(
            "report",
            _stages(benchmarks, ("ablation",)) | dg.AssetSelection.assets("leaderboard", "leakage"),
            description=(
                "Ablation tables, the leaderboard and the table of leaks between benchmarks."
            ),
        ),
    ]
