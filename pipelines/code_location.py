"""The code location: everything that Dagster shows and runs, in one ``Definitions``."""

import sys

import dagster as dg

from assets.benchmarks import BENCHMARKS
from assets.graph import build_benchmark, build_leaderboard, build_leakage, build_study
from assets.partitions import variant_seed_partitions
from assets.studies.study import SHIPPED, load_studies
from pipelines.jobs import build_jobs
from pipelines.lost import lost_runs
from pipelines.resources import resources
from pipelines.schedules import build_weekly_retraining
from pipelines.sensors import REPORTS_FOLLOW
from trm_model.choices import import_own
from trm_model.errors import ConfigurationError
from trm_model.names import own_modules, own_studies_folder, own_variants_folder
from trm_model.variants import all_variants

_left_out: list[str] = []
# Before the assets are built, whose settings offer the choices that are registered.
for _module in own_modules():
    try:
        import_own(_module)
    except ConfigurationError as _error:
        _left_out.append(str(_error))
VARIANTS = all_variants(own_variants_folder())
PARTITIONS = variant_seed_partitions(VARIANTS.known)
STUDIES = load_studies([SHIPPED, own_studies_folder()], BENCHMARKS, VARIANTS.known)
for _message in (*_left_out, *VARIANTS.broken.values(), *STUDIES.broken.values()):
    # The graph goes on without them.
    print(f"note: left out: {_message}", file=sys.stderr)

defs = dg.Definitions(
    assets=[
        *(
            asset
            for name, benchmark in BENCHMARKS.items()
            for asset in build_benchmark(name, benchmark, VARIANTS.known, PARTITIONS)
        ),
        *(
            asset
            for name, study in STUDIES.known.items()
            for asset in build_study(name, study, BENCHMARKS[study.benchmark], VARIANTS.known)
        ),
        build_leakage(list(BENCHMARKS)),
        build_leaderboard(list(BENCHMARKS)),
    ],
    jobs=build_jobs(BENCHMARKS),
    schedules=[build_weekly_retraining(BENCHMARKS)],
    sensors=[REPORTS_FOLLOW, lost_runs],
    resources=resources(),
    # All steps of a Dagster run share one process: starting one for each takes seconds, and
    # training has a process of its own anyway (docs/architecture.md).
    executor=dg.in_process_executor,
)
