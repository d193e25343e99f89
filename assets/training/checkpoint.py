"""Training as an asset: the process, its table, its check."""

import posixpath
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import polars as pl
from torch import Tensor

from assets import keys
from assets.benchmarks import Benchmark
from assets.configs import TrainingConfig
from assets.declared import differences
from assets.failures import user_error
from assets.outcomes import CheckOutcome
from assets.pages import markdown, pictures
from assets.partitions import variant_and_seed
from assets.progress import MADE, progress_of, spaced
from assets.store import current_examples, current_run, folder_bytes
from assets.tables import Training, of_run, stamped
from assets.training.runs import is_done, recorded
from storage.examples import DATA_AGAIN, open_header
from storage.manifest import read_content_hash
from storage.store import Store
from storage.tables import partition_key, publish_partition, read_file
from trm_model.errors import ConfigurationError
from trm_model.launching import Ending, Launcher
from trm_model.model.variant import Variant
from trm_model.puzzles.plans import examples_modules, stored_examples
from trm_model.solving.fine_tuning import begin_from
from trm_model.texts import counted, duration
from trm_model.training.figures import METRICS, WAITING, read_rows, seconds_left
from trm_model.training.folders import saved, step_reached
from trm_model.training.initial import weights_hash, write_initial
from trm_model.training.job import started_by, training_job
from trm_model.training.lineage import adopt, depends_on_steps, shorter_runs
from trm_model.training.loop import PROGRESS
from trm_model.training.nonfinite import passed_over
from trm_model.training.plan import plan, smaller
from trm_model.training.process import LOCK, ORPHAN_SECONDS
from trm_model.training.recipe import Recipe
from trm_model.training.run import (
    CodeSpan,
    RunSpec,
    runs_of_other_code,
    training_version,
)


def finite_loss(training: pl.DataFrame) -> CheckOutcome:
    """Whether every logged loss is a finite number, and there is one; ``training``: rows of
    :class:`assets.tables.Training`."""
    finite = training["loss"].is_finite()
    return CheckOutcome(
        len(training) > 0 and bool(finite.all()),
        {"rows": len(training), "not_finite": int((~finite).sum())},
    )


OBSERVED_SECONDS = 60.0
"""Time between two points of a training's curves in the page."""


def under_way(run: Path, recipe: Recipe) -> dict[str, float | str]:
    """What a run's newest row of figures says, for the asset's page: Dagster draws the numbers; or
    what it waits for."""
    with suppress(FileNotFoundError):  # It goes away as soon as the device is free.
        return {"waits": (run / WAITING).read_text("utf-8")}
    row = (read_rows(run / METRICS) or [{}])[-1]
    names = ("step", "loss", "exact_accuracy", "learning_rate", "validation_exact_accuracy")
    found = {name: row[name] for name in names if row.get(name) is not None}
    if found:
        found["left"] = duration(seconds_left(row, recipe.steps, recipe.batch_size))
    return found


class Trained(NamedTuple):
    """A finished training: the run's key, and what is told of it."""

    run: str
    told: dg.MaterializeResult


def materialize_checkpoint(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    store: Store,
    launcher: Launcher,
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    run, told = train_run(
        context, config, store, launcher, name, benchmark, variants, variant, seed
    )
    store.point(keys.current_run(name, variant, seed), run)
    return told


def train_run(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    store: Store,
    launcher: Launcher,
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    variant_name: str,
    seed: int,
) -> Trained:
    """Train a variant on a benchmark, or find that it has been trained.

    :raises Failure: it could not be; the message says why.
    :raises RetryRequested: it was interrupted, and goes on when it is tried again.
    """
    data = current_examples(store, name)
    folder = store.open(data)
    header = open_header(folder / "train.zarr")
    computed = examples_modules(folder / "train.zarr")
    declared = variants[variant_name]
    variant, recipe = config.variant_of(declared), config.recipe_of(benchmark.recipe)
    execution = config.execution(recipe)
    spec = RunSpec(
        benchmark=name,
        variant_name=variant_name,
        variant=variant,
        recipe=recipe,
        seed=seed,
        data=data,
        data_version=read_content_hash(folder, DATA_AGAIN),
        code=(CodeSpan(version=training_version(variant, recipe, computed)),),
        header=header,
        validation=store.follow(keys.validation_of(name, data)),
        execution=execution,
        trackers=config.tracked_by(),
        device_locks=tuple(map(keys.device_lock, execution.devices)),
        attempt=(context.run.root_run_id or context.run.run_id) if config.fresh else "",
    )
    weights: Mapping[str, Tensor] = {}
    if config.start_from is not None:
        beginning = begin_from(config.start_from, spec, folder)
        weights = beginning.weights
        spec = replace(spec, initial=weights_hash(weights), parent=beginning.parent)
        context.log.info(f"starts from {beginning}")
    runs = store.open(keys.run(name, variant_name, seed, spec.key)).parent
    run, spec, shorter = _place(runs, spec, config, context.log.info)
    if changed := differences(spec, benchmark, declared):
        context.log.info(
            f"{run}: {changed}: this run stands apart from those of the benchmark's recipe, which "
            "the ablation and the leaderboard compare"
        )
    examples = stored_examples(folder / "train.zarr")
    takes = plan(spec.variant, spec.recipe, header, execution, examples=examples)
    context.log.info(f"{run}: {takes}")
    run_key = keys.run(name, variant_name, seed, run.name)
    run.mkdir(parents=True, exist_ok=True)
    _describe(store, run_key, spec, weights, shorter, context.log.info)
    job = training_job(run, spec, other_code=config.continue_other_code)
    progress, observe = progress_of(context.log), spaced(context.log_event, OBSERVED_SECONDS)

    def say(line: str) -> None:
        if PROGRESS.match(line):
            progress(line)
        else:
            context.log.info(line)
            if not (run / WAITING).exists():
                return
        observe(
            dg.AssetObservation(
                context.asset_key, partition=context.partition_key, metadata=under_way(run, recipe)
            )
        )

    starter = started_by(launcher, execution)
    outcome = recorded(store, run, takes, changed, lambda: starter.start(job).wait(say))
    if outcome.ending is Ending.FINISHED and outcome.message:
        context.log.info(outcome.message)
    if outcome.ending in (Ending.REFUSED, Ending.DIVERGED):
        raise user_error(outcome.message)
    if outcome.ending is not Ending.FINISHED:
        settings = spec.variant, spec.recipe, header, execution, examples
        advice = f"; if memory ran out, {smaller(*settings)}" if outcome.killed else ""
        if context.retry_number == 0:
            context.log.warning(f"{outcome.message}{advice}; it is started again once")
        # A retry continues from the newest checkpoint. It is asked for here, since a retry policy
        # would also start the step again that somebody has interrupted.
        raise dg.RetryRequested(max_retries=1) from dg.Failure(f"{run}: {outcome.message}{advice}")
    spec = RunSpec.read(run)
    training = publish_partition(
        store,
        Training,
        stamped(
            # Columns may be empty until late: no validation may be due for a long time.
            pl.DataFrame(read_rows(run / METRICS), infer_schema_length=None),
            **of_run(spec, run.name),
        ),
    )
    checkpoint, last = saved(run)[-1], training.row(-1, named=True)
    curves = pictures.png(pictures.learning_curves(training))
    steps, passed = step_reached(run), passed_over(run)
    early = " (ended early)" if steps < recipe.steps else ""
    skipped = f", {passed:,} of them passed over as not finite" if passed else ""
    told = dg.MaterializeResult(
        metadata={
            MADE: f"{counted(steps, 'step')}{early}{skipped}, loss {last['loss']:.4f}, "
            f"{last['exact_accuracy']:.1%} of the last training examples solved, in {checkpoint}",
            "steps": steps,
            "examples": steps * recipe.batch_size,
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
    )
    return Trained(run_key, told)


def check_checkpoint(store: Store, name: str, variant: str, seed: int) -> dict[str, CheckOutcome]:
    """Whether the run trained last went well, by its table."""
    run = posixpath.basename(current_run(store, name, variant, seed))
    path = store.open(partition_key(Training, name, variant, seed, run))
    return {"finite_loss": finite_loss(read_file(path, Training))}


def _place(
    folder: Path, spec: RunSpec, config: TrainingConfig, log: Callable[[str], None]
) -> tuple[Path, RunSpec, Path | None]:
    """Where a training goes on or begins: the run's folder, its description, and the checkpoint of
    a shorter run that it begins with, where there is one.

    :param folder: of all runs of the variant and seed.
    """
    run = folder / spec.key
    if saved(run):
        return run, spec, None
    others = runs_of_other_code(folder, spec)
    if others and config.continue_other_code:
        return others[0], spec, None
    if others:
        log(
            f"{others[0]}: the same training, interrupted at step {step_reached(others[0])} under "
            "another version of the code; this one starts afresh "
            "(checkpoint.continue_other_code=true goes on with that one)"
        )
    shorter = [] if config.fresh else shorter_runs(folder, spec, log)
    if not shorter:
        return run, spec, None
    why = {found: depends_on_steps(spec, found.parents[1]) for found, _ in shorter}
    alike = [(found, begun) for found, begun in shorter if not why[found]]
    if not alike:
        found, reason = next(iter(why.items()))
        log(f"{run}: begins from the start although {found} is of a shorter training: {reason}")
        return run, spec, None
    ours = [found for found in alike if config.continue_other_code or found[1].code == spec.code]
    checkpoint, begun = (ours or alike)[0]
    if not ours:
        log(
            f"{checkpoint}: of a shorter training under another version of the code; this one "
            "starts afresh (checkpoint.continue_other_code=true goes on from there)"
        )
        return run, spec, None
    log(
        f"starts from {begun.parent}: the same training but for its number of steps or its "
        "on_nonfinite, which goes on to the result that it would have had from the start "
        "(checkpoint.fresh=true begins from the start)"
    )
    return folder / begun.key, begun, checkpoint


def _describe(
    store: Store,
    key: str,
    spec: RunSpec,
    weights: Mapping[str, Tensor],
    checkpoint: Path | None,
    log: Callable[[str], None],
) -> None:
    """Write ``run.json`` and what the run begins with, unless another process is training the run.
    What a finished run says about itself stays, and what one that has begun says about its parent
    and the code that has trained it.

    :param weights: the initial ones, where they are given.
    :param checkpoint: of another run, to continue from.
    :raises LockedError: another process trains the run.
    """
    run = store.open(key)
    with store.lock(f"{key}/{LOCK}", label=str(run), wait_seconds=ORPHAN_SECONDS, waiting=log):
        try:
            recorded = RunSpec.read(run)
        except ConfigurationError:  # There is none yet, or it is damaged.
            recorded = spec
        step = step_reached(run)
        if recorded is spec or not is_done(run, spec.recipe):
            begun = recorded if step else spec
            replace(spec, code=begun.code, parent=begun.parent).write(run)
        if step == 0 and weights:
            write_initial(run, weights)
        if step == 0 and checkpoint is not None:
            adopt(checkpoint, run, spec.recipe.steps, spec.execution)
