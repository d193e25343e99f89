"""The code location: everything that Dagster shows and runs, in one ``Definitions``."""

import dagster as dg

from assets.benchmarks import BENCHMARKS
from assets.graph import build_benchmark, build_leaderboard, build_leakage
from assets.partitions import all_variants, variant_seed_partitions
from pipelines.jobs import build_jobs
from pipelines.resources import resources
from pipelines.schedules import build_weekly_retraining
from pipelines.sensors import REPORTS_FOLLOW

_VARIANTS = all_variants()
PARTITIONS = variant_seed_partitions(_VARIANTS)

defs = dg.Definitions(
    assets=[
        *(
            asset
            for name, benchmark in BENCHMARKS.items()
            for asset in build_benchmark(name, benchmark, _VARIANTS, PARTITIONS)
        ),
        build_leakage(list(BENCHMARKS)),
        build_leaderboard(list(BENCHMARKS)),
    ],
    jobs=build_jobs(BENCHMARKS),
    schedules=[build_weekly_retraining(BENCHMARKS)],
    sensors=[REPORTS_FOLLOW],
    resources=resources(),
    # All steps of a Dagster run share one process: starting one for each takes seconds, and
    # training has a process of its own anyway (docs/architecture.md).
    executor=dg.in_process_executor,
)
