"""The wiring: the assets of one benchmark, from puzzles to ablation table, and the reports over
all benchmarks. One factory serves every benchmark.

The assets' bodies are in the packages ``data``, ``training``, ``evaluation`` and ``reports``. They
are imported when an asset runs, because matplotlib, webdataset and all that they work with take
seconds to load, and the definitions are loaded by every command and page.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg

from assets import keys
from assets.benchmarks import Benchmark
from assets.checks import check_results, check_specs, checks_of
from assets.configs import (
    EvaluationConfig,
    ExamplesConfig,
    InspectionConfig,
    ShardsConfig,
    StageConfig,
    TrainingConfig,
    configured,
    schema_of,
)
from assets.failures import told_in_one_line, user_error
from assets.outcomes import Check, CheckOutcome, together
from assets.partitions import variant_and_seed
from assets.previews import previews
from assets.progress import MADE
from assets.stages import ACCELERATOR_POOL, STAGE_MODULES, making
from assets.store import StoreResource
from assets.studies.study import Study
from trm_model.errors import require
from trm_model.launching import Launcher
from trm_model.model.variant import Variant
from trm_model.names import require_name
from trm_model.version import code_version

UNCONFIGURED = schema_of(StageConfig)

Body = Callable[..., dg.MaterializeResult]
"""Materializes a stage. Its parameters are what Dagster gives it: context, configuration,
resources."""


@cache
def _version_of(stage: str) -> str:
    """The version of the code of a stage, which is the same for every benchmark."""
    return code_version(STAGE_MODULES[stage])


def _module(stage: str) -> Any:
    """The module that does a stage's work."""
    return importlib.import_module(STAGE_MODULES[stage])


def _source(stage: str) -> dg.CodeReferencesMetadataValue:
    """Where the page finds the code of a stage."""
    spec = importlib.util.find_spec(STAGE_MODULES[stage])
    assert spec is not None
    assert spec.origin is not None
    with previews():
        file = dg.LocalFileCodeReference(file_path=spec.origin, line_number=1)
        return dg.CodeReferencesMetadataValue(code_references=[file])


def _of_partitions(
    context: dg.AssetExecutionContext,
    key: Sequence[str],
    check: Callable[..., Mapping[str, CheckOutcome]],
    told: Callable[[str], tuple[Any, ...]],
) -> Mapping[str, CheckOutcome]:
    """The checks of the partition at hand; where there is none, since the page cannot ask for
    checks of one, those of all that have been made, together."""
    if context.has_partition_key:
        return check(*told(context.partition_key))
    made = sorted(context.instance.get_materialized_partitions(dg.AssetKey(key)))
    if not made:
        raise user_error(
            f"{'/'.join(key)}: no partition has been made yet; first: {making(*key[:-3:-1])}"
        )
    return together({partition: check(*told(partition)) for partition in made})


def _asset(
    stage: str,
    key: Sequence[str],
    declared: Mapping[str, Check],
    check: Callable[..., Mapping[str, CheckOutcome]],
    *,
    group: str,
    deps: Sequence[dg.AssetsDefinition | dg.AssetKey],
    kind: str,
    description: str,
    automation: dg.AutomationCondition | None = None,
    partitions: dg.PartitionsDefinition | None = None,
    told: Callable[[str], tuple[Any, ...]] = variant_and_seed,
    **options: Any,
) -> Callable[[Body], dg.AssetsDefinition]:
    """The asset of a stage, with checks that can also be run alone, on what is stored.

    Dagster allows that of the checks of a "multi-asset that can be subset", even if it has one
    asset.

    :param declared: the stage's checks, by name.
    :param check: makes them on what is stored; told the store and, of a partition, what ``told``
        makes of its key: the variant and the seed.
    """

    def decorate(body: Body) -> dg.AssetsDefinition:
        @functools.wraps(body)
        def compute(
            *given: dg.AssetExecutionContext, **resources: Any
        ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
            context = dg.AssetExecutionContext.get()
            results: Sequence[dg.AssetCheckResult] = ()
            if context.selected_asset_keys:
                with told_in_one_line():
                    made = body(*given, **resources)
                context.log.info((made.metadata or {})[MADE])
                results = made.check_results
                yield dg.MaterializeResult(metadata=made.metadata, data_version=made.data_version)
            chosen = {check.name for check in context.selected_asset_check_keys}
            if chosen and not results:
                with told_in_one_line():
                    stored = functools.partial(check, resources["store"].connect())
                    outcomes = (
                        stored()
                        if partitions is None
                        else _of_partitions(context, key, stored, told)
                    )
                results = check_results(key, declared, outcomes)
            for result in results:
                if result.check_name in chosen:
                    yield result

        return dg.multi_asset(
            name="__".join(key),
            specs=[
                dg.AssetSpec(
                    key,
                    deps=deps,
                    description=description,
                    group_name=group,
                    kinds={kind},
                    code_version=_version_of(stage),
                    automation_condition=automation,
                    metadata={"dagster/code_references": _source(stage)},
                )
            ],
            check_specs=check_specs(key, declared, partitions),
            can_subset=True,
            partitions_def=partitions,
            **options,
        )(compute)

    return decorate


_FOLLOWS = dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())
"""A report is made again after each new result, whatever else is missing."""


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
    require(name != keys.RUNS, f"benchmark {name!r}: expected another name, since runs lie there")
    for variant in variants:
        require_name("variant", variant)

    def asset(stage: str, **options: Any) -> Callable[[Body], dg.AssetsDefinition]:
        declared = checks_of(stage, benchmark)
        return _asset(stage, [name, stage], declared, group=name, **options)

    config_type = benchmark.origin.config

    @asset(
        "puzzles",
        check=lambda store: _module("puzzles").check_puzzles(store, name, benchmark),
        deps=[],
        kind="polars",
        config_schema=schema_of(config_type),
        description=f"{benchmark.title}. Base puzzles and their answers, each checked.",
    )
    def puzzles(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
        from assets.data.datasets import materialize_puzzles

        given = context.op_execution_context.op_config
        config = configured(config_type, given) if config_type.model_fields else None
        return materialize_puzzles(context, store.connect(), name, benchmark, config)

    @asset(
        "examples",
        check=lambda store: _module("examples").check_examples(store, name, benchmark),
        kind="zarr",
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
        check=lambda store: _module("shards").check_shards(store, name),
        kind="webdataset",
        deps=[examples],
        description="The same examples as webdataset tar shards, for streaming from a bucket.",
    )
    def shards(config: ShardsConfig, store: StoreResource) -> dg.MaterializeResult:
        from assets.data.datasets import materialize_shards

        return materialize_shards(store.connect(), name, config)

    @asset(
        "checkpoint",
        check=lambda store, variant, seed: _module("checkpoint").check_checkpoint(
            store, name, variant, seed
        ),
        kind="torch",
        deps=[examples],
        partitions=partitions,
        pool=ACCELERATOR_POOL,
        config_schema=TrainingConfig.fields_for(benchmark.recipe),
        description=(
            "Trained weights. Training is a process of its own; a retry continues where it stopped."
        ),
    )
    def checkpoint(
        context: dg.AssetExecutionContext,
        store: StoreResource,
        launcher: dg.ResourceParam[Launcher],
    ) -> dg.MaterializeResult:
        from assets.training.checkpoint import materialize_checkpoint

        config = configured(TrainingConfig, context.op_execution_context.op_config)
        return materialize_checkpoint(
            context, config, store.connect(), launcher, name, benchmark, variants
        )

    @asset(
        "predictions",
        check=lambda store, variant, seed: _module("predictions").check_predictions(
            store, name, variant, seed
        ),
        kind="polars",
        deps=[checkpoint, examples],
        partitions=partitions,
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
            check=lambda store, variant, seed: _module("votes").check_votes(
                store, name, variant, seed
            ),
            kind="polars",
            deps=[predictions],
            partitions=partitions,
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
        check=lambda store, variant, seed: _module("scores").check_scores(
            store, name, variant, seed
        ),
        kind="polars",
        deps=[predictions, *votes],
        partitions=partitions,
        description=(
            "Accuracies with 95 % intervals and what they came from: checkpoint, data, code, "
            "configuration, run."
        ),
    )
    def scores(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
        from assets.evaluation.scores import materialize_scores

        return materialize_scores(context, store.connect(), name, benchmark)

    @asset(
        "inspection",
        check=lambda store, variant, seed: _module("inspection").check_inspection(
            store, name, variant, seed
        ),
        kind="torch",
        deps=[checkpoint, examples],
        partitions=partitions,
        pool=ACCELERATOR_POOL,
        description=(
            "What happens inside the model while it answers a few test puzzles: residuals of y and "
            "z, what they say after each step, attention. Made on request only."
        ),
    )
    def inspection(
        context: dg.AssetExecutionContext, config: InspectionConfig, store: StoreResource
    ) -> dg.MaterializeResult:
        from assets.reports.inspection import materialize_inspection

        return materialize_inspection(context, config, store.connect(), name, benchmark)

    @asset(
        "ablation",
        config_schema=UNCONFIGURED,
        check=lambda store: _module("ablation").check_ablation(store, name, benchmark, variants),
        kind="polars",
        deps=[scores],
        automation=_FOLLOWS,
        description=(
            "Every variant trained so far beside the published figures, with learning curves; also "
            "as one HTML file."
        ),
    )
    def ablation(store: StoreResource) -> dg.MaterializeResult:
        from assets.reports.ablation import materialize_ablation

        return materialize_ablation(store.connect(), name, benchmark, variants)

    return [
        puzzles,
        examples,
        shards,
        checkpoint,
        predictions,
        *votes,
        scores,
        inspection,
        ablation,
    ]


def build_study(
    name: str, study: Study, benchmark: Benchmark, variants: Mapping[str, Variant]
) -> list[dg.AssetsDefinition]:
    """The assets of one study; keys are ``[studies, name, stage]``."""

    def asset(stage: str, **options: Any) -> Callable[[Body], dg.AssetsDefinition]:
        # In a group of all studies every box would be called points or report.
        group = f"study_{name}"
        return _asset(stage, ["studies", name, stage], checks_of(stage), group=group, **options)

    @asset(
        "points",
        config_schema=UNCONFIGURED,
        check=lambda store, point: _module("points").check_point(
            store, name, study, benchmark, variants, point
        ),
        told=lambda key: (key,),
        kind="torch",
        deps=[dg.AssetKey([study.benchmark, "examples"])],
        partitions=dg.StaticPartitionsDefinition([point.key for point in study.trainings()]),
        pool=ACCELERATOR_POOL,
        description=f"{study.title}. Each point is trained, evaluated and scored.",
    )
    def points(
        context: dg.AssetExecutionContext,
        store: StoreResource,
        launcher: dg.ResourceParam[Launcher],
    ) -> dg.MaterializeResult:
        from assets.studies.asset import materialize_point

        return materialize_point(
            context, store.connect(), launcher, study, benchmark, variants, context.partition_key
        )

    @asset(
        "report",
        config_schema=UNCONFIGURED,
        check=lambda store: _module("report").check_report(store, name, study, benchmark, variants),
        kind="polars",
        deps=[points],
        description=f"{study.title}. A table, and the metric against each axis.",
    )
    def report(store: StoreResource) -> dg.MaterializeResult:
        from assets.studies.asset import materialize_report

        return materialize_report(store.connect(), name, study, benchmark, variants)

    return [points, report]


def build_leakage(benchmarks: Sequence[str]) -> dg.AssetsDefinition:
    """One table over all pairs of benchmarks."""

    @_asset(
        "leakage",
        ["leakage"],
        checks_of("leakage"),
        lambda store: _module("leakage").check_leakage(store),
        group="reports",
        config_schema=UNCONFIGURED,
        deps=[dg.AssetKey([name, "puzzles"]) for name in benchmarks],
        kind="polars",
        description=(
            "Test puzzles that are among the training puzzles of a benchmark, up to symmetry, for "
            "all pairs of benchmarks."
        ),
    )
    def leakage(store: StoreResource) -> dg.MaterializeResult:
        from assets.reports.leakage import materialize_leakage

        return materialize_leakage(store.connect())

    return leakage


def build_leaderboard(benchmarks: Sequence[str]) -> dg.AssetsDefinition:
    """One table over all benchmarks."""

    @_asset(
        "leaderboard",
        ["leaderboard"],
        checks_of("leaderboard"),
        lambda store: _module("leaderboard").check_leaderboard(store),
        group="reports",
        config_schema=UNCONFIGURED,
        deps=[dg.AssetKey([name, "ablation"]) for name in benchmarks],
        kind="polars",
        automation=_FOLLOWS,
        description="Best results over all benchmarks, beside the published figures.",
    )
    def leaderboard(store: StoreResource) -> dg.MaterializeResult:
        from assets.reports.leaderboard import materialize_leaderboard

        return materialize_leaderboard(store.connect())

    return leaderboard
