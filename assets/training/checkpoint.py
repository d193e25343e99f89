"""Training as an asset: the process, its table, its check."""

import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace

import dagster as dg
import polars as pl
import torch

# Dagster documents this error but exports it nowhere else.
from dagster._core.errors import DagsterPipesExecutionError

from assets import keys
from assets.benchmarks import Benchmark
from assets.checks import Verdict, check_results
from assets.configs import TrainingConfig
from assets.failures import user_error
from assets.partitions import variant_and_seed
from assets.reports import markdown, pictures
from assets.store import current_examples, folder_bytes
from assets.tables import Training
from storage.examples import open_header
from storage.manifest import CorruptDataError, read_content_hash
from storage.store import Store
from storage.tables import partition_key, publish_file
from trm_model.devices import resolve_device
from trm_model.errors import ConfigurationError
from trm_model.lifeline import PARENT_VARIABLE
from trm_model.model.variant import Variant
from trm_model.training.checkpoint import saved
from trm_model.training.execution import Execution
from trm_model.training.loop import METRICS
from trm_model.training.process import FAILURE_VARIABLE
from trm_model.training.run import RunSpec


def finite_loss(training: pl.DataFrame) -> Verdict:
    """Whether every logged loss is a finite number, and there is one; ``training``: rows of
    :class:`assets.tables.Training`."""
    finite = training["loss"].is_finite()
    return Verdict(
        len(training) > 0 and bool(finite.all()),
        {"rows": len(training), "not_finite": int((~finite).sum())},
    )


def materialize_checkpoint(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    store: Store,
    pipes: dg.PipesSubprocessClient,
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> dg.MaterializeResult:
    variant_name, seed = variant_and_seed(context.partition_key)
    folder = store.open(current_examples(store, name))
    device = resolve_device(config.device)
    try:
        changes = {
            field: value
            for field in ("steps", "batch_size")
            if (value := getattr(config, field)) is not None
        }
        spec = RunSpec(
            benchmark=name,
            variant_name=variant_name,
            variant=variants[variant_name],
            recipe=replace(benchmark.recipe, **changes),
            seed=seed,
            data=str(folder),
            data_version=read_content_hash(folder),
            header=open_header(folder / "train.zarr"),
            execution=Execution(
                device=device,
                log_steps=config.log_steps,
                checkpoint_seconds=config.checkpoint_seconds,
                threads=torch.get_num_threads(),
                compile=device.startswith("cuda"),
            ),
            device_lock=str(store.open(keys.device_lock(device))),
            attempt=(context.run.root_run_id or context.run_id) if config.fresh else "",
        )
    except (ConfigurationError, CorruptDataError) as error:
        raise user_error(error) from error
    run_key = keys.run(name, variant_name, seed, spec.key)
    run = store.open(run_key)
    run.mkdir(parents=True, exist_ok=True)
    newest = saved(run)
    if not newest or newest[-1].name != f"step-{spec.recipe.steps:08d}":
        # What a finished run says about itself stays.
        spec.write(run)
    spec = RunSpec.read(run)
    with (
        tempfile.NamedTemporaryFile("r", encoding="utf-8", prefix="trm-failure-") as failure,
        warnings.catch_warnings(),
    ):
        try:
            # Each run would warn that a part of Pipes is in preview, which reads like a fault.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            pipes.run(
                context=context,
                command=[sys.executable, "-m", "trm_model.training.process", str(run)],
                env={
                    **os.environ,
                    PARENT_VARIABLE: str(os.getpid()),
                    FAILURE_VARIABLE: failure.name,
                },
            )
        except DagsterPipesExecutionError:
            if message := failure.read():
                raise user_error(message) from None
            raise
    store.point(keys.current_run(name, variant_name, seed), run_key)
    training = publish_file(
        store,
        partition_key(Training, name, variant_name, seed),
        Training,
        pl.read_ndjson(run / METRICS),
    )
    checkpoint, last = saved(run)[-1], training.row(-1, named=True)
    curves = pictures.learning_curves(
        training.with_columns(variant=pl.lit(variant_name), seed=pl.lit(seed))
    )
    return dg.MaterializeResult(
        metadata={
            "steps": last["step"],
            "examples": last["examples"],
            "loss": last["loss"],
            "train_exact_accuracy": last["exact_accuracy"],
            "examples_per_second": last["examples"] / last["wall_seconds"],
            "wall_seconds": last["wall_seconds"],
            "device": spec.execution.device,
            "run": dg.MetadataValue.path(str(run)),
            "checkpoint": dg.MetadataValue.path(str(checkpoint)),
            "config_hash": spec.config_hash,
            "data_hash": spec.data_version,
            "code_version": spec.code_version,
            "bytes": folder_bytes(checkpoint),
            "learning_curves": markdown.picture(curves, "learning curves"),
        },
        data_version=dg.DataVersion(read_content_hash(checkpoint)[:16]),
        check_results=check_results(
            name, benchmark, "checkpoint", {"finite_loss": finite_loss(training)}
        ),
    )
