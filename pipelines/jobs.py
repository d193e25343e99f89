"""Jobs: parts of the graph that are run together."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from assets.benchmarks import Benchmark
from assets.stages import (
    DATA_STAGES,
    EVALUATE_STAGES,
    ON_REQUEST,
    REPORT_STAGES,
    STAGES,
    TRAIN_STAGES,
)

DEMO = "sudoku_4x4"


def asset_keys(name: str, benchmark: Benchmark, stages: Iterable[str]) -> list[dg.AssetKey]:
    """The benchmark's assets among ``stages``."""
    return [dg.AssetKey([name, stage]) for stage in stages if stage in benchmark.stages]


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
            _stages(
                {DEMO: benchmarks[DEMO]}, (stage for stage in STAGES if stage not in ON_REQUEST)
            ),
            description=f"{DEMO} from its puzzles to its report, for one variant and seed.",
        ),
        dg.define_asset_job(
            "data",
            _stages(generated, DATA_STAGES),
            description="Every generated data set, checked, in zarr and as webdataset shards.",
        ),
        dg.define_asset_job(
            "train",
            _stages(benchmarks, TRAIN_STAGES),
            description=(
                "Train, evaluate and score one variant and seed. The data must be there. Choose "
                "the assets of one benchmark."
            ),
        ),
        dg.define_asset_job(
            "evaluate",
            _stages(benchmarks, EVALUATE_STAGES),
            description="Evaluate and score what is trained.",
        ),
        dg.define_asset_job(
            "report",
            _stages(benchmarks, REPORT_STAGES) | dg.AssetSelection.assets("leaderboard", "leakage"),
            description=(
                "Ablation tables, the leaderboard and the table of leaks between benchmarks."
            ),
        ),
    ]
