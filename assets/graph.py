"""The wiring: the assets of one benchmark, from puzzles to ablation table, and the reports over
all benchmarks. One factory serves every benchmark.

The assets' bodies are in the packages ``data``, ``training``, ``evaluation`` and ``reports``. They
are imported when an asset runs, because matplotlib, webdataset and all that they work with take
seconds to load, and the definitions are loaded by every command and page.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg

from assets.benchmarks import Benchmark
from assets.checks import check_specs
from assets.configs import (
    EvaluationConfig,
    ExamplesConfig,
    ShardsConfig,
    StageConfig,
    TrainingConfig,
    schema_of,
)
from assets.failures import told_in_one_line
from assets.stages import ACCELERATOR_POOL, STAGE_MODULES
from assets.store import StoreResource
from trm_model.launching import Launcher
from trm_model.model.variant import Variant
from trm_model.names import require_name
from trm_model.version import code_version

UNCONFIGURED = schema_of(StageConfig)


@cache
def _version_of(stage: str) -> str:
    """The version of the code of a stage, which is the same for every benchmark."""
    return code_version(STAGE_MODULES[stage])


def build_benchmark(
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    partitions: dg.MultiPartitionsDefinition,
) -> list[dg.AssetsDefinition]:
    """All assets of one benchmark; keys are ``[name, stage]``.

    :param variants: by name; the first dimension of ``partitions``.
    :raises ConfigurationError: a benchmark or a variant that may not be called so.
    """
    require_name("benchmark", name)
    for variant in variants:
        require_name("variant", variant)

    def asset(stage: str, **options: Any) -> Any:
        declare = dg.asset(
            key=[name, stage],
            group_name=name,
            code_version=_version_of(stage),
            check_specs=check_specs(name, benchmark, stage),
            **options,
        )
        return lambda body: declare(told_in_one_line()(body))

    config_type = benchmark.origin.config

    @asset(
        "puzzles",
        kinds={"polars"},
        config_schema=schema_of(config_type),
        description=f"{benchmark.title}. Base puzzles and their answers, each checked.",
    )
    def puzzles(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
        from assets.data.datasets import materialize_puzzles

        given = context.op_execution_context.op_config
        config = config_type(**given) if config_type.model_fields else None
        return materialize_puzzles(context, store.connect(), name, benchmark, config)

    @asset(
        "examples",
        kinds={"zarr"},
        deps=[puzzles],
        description=(
            "Puzzles with their stored augmentations as token grids in sharded, checksummed zarr; "
            "versions are kept by hash."
        ),
    )
    def examples(
        context: dg.AssetExecutionContext, config: ExamplesConfig, store: StoreResource
    ) -> dg.MaterializeResult:
        from assets.data.datasets import materialize_examples

        return materialize_examples(context, config, store.connect(), name, benchmark)

    @asset(
        "shards",
        kinds={"webdataset"},
        deps=[examples],
        description="The same examples as webdataset tar shards, for streaming from a bucket.",
    )
    def shards(
        context: dg.AssetExecutionContext, config: ShardsConfig, store: StoreResource
    ) -> dg.MaterializeResult:
        from assets.data.datasets import materialize_shards

        return materialize_shards(context, store.connect(), name, config)

    @asset(
        "checkpoint",
        kinds={"torch"},
        deps=[examples],
        partitions_def=partitions,
        pool=ACCELERATOR_POOL,
        description=(
            "Trained weights. Training is a process of its own; a retry continues where it stopped."
        ),
    )
    def checkpoint(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        store: StoreResource,
        launcher: dg.ResourceParam[Launcher],
    ) -> dg.MaterializeResult:
        from assets.training.checkpoint import materialize_checkpoint

        return materialize_checkpoint(
            context, config, store.connect(), launcher, name, benchmark, variants
        )

    @asset(
        "predictions",
        kinds={"polars"},
        deps=[checkpoint, examples],
        partitions_def=partitions,
        pool=ACCELERATOR_POOL,
        description=(
            "Answers of the averaged weights to every test puzzle, after all supervision steps."
        ),
    )
    def predictions(
        context: dg.AssetExecutionContext, config: EvaluationConfig, store: StoreResource
    ) -> dg.MaterializeResult:
        from assets.evaluation.predictions import materialize_predictions

        return materialize_predictions(context, config, store.connect(), name, benchmark, variants)

    votes: list[dg.AssetsDefinition] = []
    if benchmark.votes:

        @asset(
            "votes",
            config_schema=UNCONFIGURED,
            kinds={"polars"},
            deps=[predictions],
            partitions_def=partitions,
            description=(
                "Candidate answers to each test input, by votes over all augmentations of its task."
            ),
        )
        def count_votes(
            context: dg.AssetExecutionContext, store: StoreResource
        ) -> dg.MaterializeResult:
            from assets.evaluation.votes import materialize_votes

            return materialize_votes(context, store.connect(), name)

        votes.append(count_votes)

    @asset(
        "scores",
        config_schema=UNCONFIGURED,
        kinds={"polars"},
        deps=[predictions, *votes],
        partitions_def=partitions,
        description=(
            "Accuracies with 95 % intervals and what they came from: checkpoint, data, code, "
            "configuration, run."
        ),
    )
    def scores(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
        from assets.evaluation.scores import materialize_scores

        return materialize_scores(context, store.connect(), name, benchmark)

    @asset(
        "ablation",
        config_schema=UNCONFIGURED,
        kinds={"polars"},
        deps=[scores],
        automation_condition=dg.AutomationCondition.eager().without(
            ~dg.AutomationCondition.any_deps_missing()
        ),
        description=(
            "Every variant trained so far beside the published figures, with learning curves; also "
            "as one HTML file."
        ),
    )
    def ablation(store: StoreResource) -> dg.MaterializeResult:
        from assets.reports.ablation import materialize_ablation

        return materialize_ablation(store.connect(), name, benchmark, variants)

    return [puzzles, examples, shards, checkpoint, predictions, *votes, scores, ablation]


def build_leakage(benchmarks: Sequence[str]) -> dg.AssetsDefinition:
    """One table over all pairs of benchmarks."""

    @dg.asset(
        key="leakage",
        config_schema=UNCONFIGURED,
        group_name="reports",
        deps=[dg.AssetKey([name, "puzzles"]) for name in benchmarks],
        kinds={"polars"},
        code_version=_version_of("leakage"),
        description=(
            "Test puzzles that are among the training puzzles of a benchmark, up to symmetry, for "
            "all pairs of benchmarks."
        ),
    )
    @told_in_one_line()
    def leakage(store: StoreResource) -> dg.MaterializeResult:
        from assets.reports.leakage import materialize_leakage

        return materialize_leakage(store.connect())

    return leakage


def build_leaderboard(benchmarks: Sequence[str]) -> dg.AssetsDefinition:
    """One table over all benchmarks."""

    @dg.asset(
        key="leaderboard",
        config_schema=UNCONFIGURED,
        group_name="reports",
        deps=[dg.AssetKey([name, "ablation"]) for name in benchmarks],
        kinds={"polars"},
        code_version=_version_of("leaderboard"),
        automation_condition=dg.AutomationCondition.eager().without(
            ~dg.AutomationCondition.any_deps_missing()
        ),
        description="Best results over all benchmarks, beside the published figures.",
    )
    @told_in_one_line()
    def leaderboard(store: StoreResource) -> dg.MaterializeResult:
        from assets.reports.leaderboard import materialize_leaderboard

        return materialize_leaderboard(store.connect())

    return leaderboard
