"""Jobs: parts of the graph that are run together."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from assets.common import STAGES

DATA_STAGES = ("puzzles", "examples", "shards")
TRAIN_STAGES = ("checkpoint", "predictions", "scores")
DEMO = "sudoku_4x4"


def _stages(benchmarks: Iterable[str], stages: Iterable[str]) -> dg.AssetSelection:
    stages = tuple(stages)
    return dg.AssetSelection.assets(*(dg.AssetKey([name, stage]) for name in benchmarks for stage in stages))


def build_jobs(benchmarks: Iterable[str], generated: Iterable[str]) -> list[Any]:
    """``demo``, ``data``, ``train``, ``evaluate``, ``report``.

    :param generated: benchmarks whose puzzles need no configuration.
    """
    benchmarks = tuple(benchmarks)
    return [
        dg.define_asset_job(
            "demo",
            _stages([DEMO], [stage for stage in STAGES if stage != "shards"]),
            description="The whole way of sudoku_4x4 for one variant and seed.",
        ),
        dg.define_asset_job(
            "data", _stages(generated, DATA_STAGES), description="Every generated data set, validated, in zarr and webdataset."
        ),
        dg.define_asset_job(
            "train",
            _stages(benchmarks, TRAIN_STAGES),
            description="Train, evaluate and score one variant and seed; the data must be there. Choose the assets of one benchmark.",
        ),
        dg.define_asset_job(
            "evaluate",
            _stages(benchmarks, ("predictions", "scores")),
            description="Evaluate and score what is trained.",
        ),
        dg.define_asset_job(
            "report",
            _stages(benchmarks, ("ablation",)) | dg.AssetSelection.assets("leaderboard"),
            description="Ablation tables and the leaderboard.",
        ),
    ]
