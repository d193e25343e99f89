"""Weekly retraining, which is off until somebody turns it on in the UI."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.benchmarks import Benchmark
from assets.stages import TRAIN_STAGES
from pipelines.jobs import asset_keys


def build_weekly_retraining(benchmarks: Mapping[str, Benchmark]) -> dg.ScheduleDefinition:
    """The schedule ``weekly_retraining``: on Sundays at 03:00 every (variant, seed) that a
    benchmark's entry names in ``retrain`` is trained from the beginning."""

    @dg.schedule(
        name="weekly_retraining",
        cron_schedule="0 3 * * 0",
        job_name="train",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            "Trains the partitions that the benchmarks' entries name in `retrain` from the "
            "beginning."
        ),
    )
    def weekly_retraining(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for name, benchmark in benchmarks.items():
            for variant, seed in benchmark.retrain:
                yield dg.RunRequest(
                    run_key=(
                        f"{context.scheduled_execution_time.isoformat()} {name} {variant} {seed}"
                    ),
                    partition_key=dg.MultiPartitionKey(
                        {"variant": variant, "weights_seed": str(seed)}
                    ),
                    asset_selection=asset_keys(name, benchmark, TRAIN_STAGES),
                    run_config={"ops": {f"{name}__checkpoint": {"config": {"fresh": True}}}},
                )

    return weekly_retraining
