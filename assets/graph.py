"""The assets of one benchmark, from puzzles to ablation table, and the leaderboard over all. One factory for every benchmark.

Bodies import torch, polars, matplotlib and numba themselves: loading the definitions stays fast.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.benchmarks import Benchmark, GeneratedSudoku
from assets.common import EvaluationConfig, FileConfig, Store, TrainingConfig, check_specs, user_error
from trm_model.variant import Variant
from trm_model.version import code_version

ACCELERATOR_POOL = "accelerator"
CODE = ("assets", "trm_model", "storage")


def build_benchmark(
    name: str, benchmark: Benchmark, variants: Mapping[str, Variant], partitions: dg.MultiPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """All assets of one benchmark; keys are ``[name, stage]``.

    :param variants: by name; the first dimension of ``partitions``.
    """
    digits = benchmark.digits

    def asset(stage: str, **options: Any) -> Any:
        return dg.asset(
            key=[name, stage],
            group_name=name,
            code_version=code_version(CODE),
            check_specs=check_specs(name, stage),
            **options,
        )

    if isinstance(benchmark.source, GeneratedSudoku):
        source = benchmark.source

        @asset("puzzles", kinds={"polars"}, description=f"{benchmark.title}. Base puzzles and their answers, each checked.")
        def puzzles(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
            from assets.datasets import generated_puzzles, materialize_puzzles

            return materialize_puzzles(context, store.layout, name, generated_puzzles(source), digits, {})

    else:

        @asset("puzzles", kinds={"polars"}, description=f"{benchmark.title}. Imported and checked; its configuration needs a path.")
        def puzzles(context: dg.AssetExecutionContext, config: FileConfig, store: Store) -> dg.MaterializeResult:
            from assets.datasets import imported_puzzles, materialize_puzzles
            from assets.sources import SourceError

            try:
                frame, sources = imported_puzzles(config, digits)
            except SourceError as error:
                raise user_error(error) from error
            return materialize_puzzles(context, store.layout, name, frame, digits, sources)

    @asset(
        "examples",
        kinds={"zarr"},
        deps=[puzzles],
        description="Puzzles with their stored augmentations as token grids in sharded, checksummed zarr; versions are kept by hash.",
    )
    def examples(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from assets.datasets import materialize_examples

        return materialize_examples(context, store.layout, name, benchmark)

    @asset(
        "shards",
        kinds={"webdataset"},
        deps=[examples],
        description="The same examples as webdataset tar shards, for streaming from a bucket.",
    )
    def shards(store: Store) -> dg.MaterializeResult:
        from assets.datasets import materialize_shards

        return materialize_shards(store.layout, name)

    @asset(
        "checkpoint",
        kinds={"torch"},
        deps=[examples],
        partitions_def=partitions,
        pool=ACCELERATOR_POOL,
        retry_policy=dg.RetryPolicy(max_retries=1),
        description="Trained weights. Training is a process of its own; a retry continues where it stopped.",
    )
    def checkpoint(
        context: dg.AssetExecutionContext, config: TrainingConfig, store: Store, pipes: dg.PipesSubprocessClient
    ) -> dg.MaterializeResult:
        from assets.training import materialize_checkpoint

        return materialize_checkpoint(context, config, store.layout, pipes, name, benchmark, variants)

    @asset(
        "predictions",
        kinds={"polars"},
        deps=[checkpoint, examples],
        partitions_def=partitions,
        pool=ACCELERATOR_POOL,
        description="Answers of the averaged weights to every test puzzle, after all supervision steps.",
    )
    def predictions(context: dg.AssetExecutionContext, config: EvaluationConfig, store: Store) -> dg.MaterializeResult:
        from assets.evaluation import materialize_predictions

        return materialize_predictions(context, config, store.layout, name, digits)

    @asset(
        "scores",
        kinds={"polars"},
        deps=[predictions],
        partitions_def=partitions,
        description="Accuracies with 95 % intervals and what they came from: checkpoint, data, code, configuration, run.",
    )
    def scores(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from assets.evaluation import materialize_scores

        return materialize_scores(context, store.layout, name, digits)

    @asset(
        "ablation",
        kinds={"polars"},
        deps=[scores],
        automation_condition=dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing()),
        description="Every variant trained so far beside the published figures, with learning curves; also as one HTML file.",
    )
    def ablation(store: Store) -> dg.MaterializeResult:
        from assets.reports import materialize_ablation

        return materialize_ablation(store.layout, name, benchmark)

    return [puzzles, examples, shards, checkpoint, predictions, scores, ablation]


def build_leaderboard(benchmarks: Sequence[str]) -> dg.AssetsDefinition:
    """One table over all benchmarks."""

    @dg.asset(
        key="leaderboard",
        group_name="reports",
        deps=[dg.AssetKey([name, "ablation"]) for name in benchmarks],
        kinds={"polars"},
        code_version=code_version(CODE),
        automation_condition=dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing()),
        description="Best results over all benchmarks, beside the published figures.",
    )
    def leaderboard(store: Store) -> dg.MaterializeResult:
        from assets.reports import materialize_leaderboard

        return materialize_leaderboard(store.layout)

    return leaderboard
