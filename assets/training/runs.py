"""The table of runs: a row for each training, from its start on."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets.declared import data_entry
from assets.tables import RUN_STATUS, Runs, of_run, stamped
from storage.store import Store
from storage.tables import TableError, partition_key, publish_partition, read_file
from trm_model.choices import to_plain
from trm_model.launching import Ending, Outcome
from trm_model.training.figures import METRICS, read_rows
from trm_model.training.folders import step_reached, verified_step
from trm_model.training.plan import Plan
from trm_model.training.recipe import Recipe
from trm_model.training.run import RunSpec
from trm_model.training.stopping import is_over

STARTED, FINISHED, INTERRUPTED, DIVERGED, FAILED, REFUSED = RUN_STATUS
_STATUS = {
    Ending.FINISHED: FINISHED,
    Ending.INTERRUPTED: INTERRUPTED,
    Ending.REFUSED: REFUSED,
    Ending.DIVERGED: DIVERGED,
    Ending.CRASHED: FAILED,
}


def recorded(
    store: Store, run: Path, takes: Plan, changes: str, training: Callable[[], Outcome]
) -> Outcome:
    """Do what trains a run, whose description is written, and keep its row of
    :class:`assets.tables.Runs`: written before, replaced after it, however it ends.

    A run that is done already is not trained: it stays finished, with the times that are known of
    it.

    :param takes: the run's parameters are from here.
    :param changes: see :func:`assets.declared.differences`.
    :param training: waits for the end, and raises what interrupts it.
    """
    spec = RunSpec.read(run)
    earlier = _row(store, spec, run.name)
    done = is_done(run, spec.recipe)
    started = earlier["started"] if earlier else None if done else _now()

    def write(status: str, finished: str | None) -> None:
        row = {
            **_configuration(RunSpec.read(run), takes),
            "changes": changes,
            "started": started,
            "finished": finished,
            "seconds": _seconds(run),
            "step": step_reached(run),
            "status": status,
        }
        publish_partition(store, Runs, stamped(pl.DataFrame([row]), **of_run(spec, run.name)))

    if done:
        write(FINISHED, earlier["finished"] if earlier else None)
        return Outcome(
            Ending.FINISHED, f"{run}: finished already, at step {step_reached(run)}: kept"
        )
    write(STARTED, None)
    status = INTERRUPTED  # What Dagster and Python raise then is no Exception.
    try:
        outcome = training()
        status = _STATUS[outcome.ending]
    except Exception:
        status = FAILED
        raise
    finally:
        write(status, _now())
    return outcome


def is_done(run: Path, recipe: Recipe) -> bool:
    """Whether nothing is left to train for the run in a folder: it has come so far, and its
    checkpoint is as it was written."""
    return all(is_over(run, recipe, step(run)) for step in (step_reached, verified_step))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _row(store: Store, spec: RunSpec, run: str) -> dict[str, Any] | None:
    """The row of the table for a run; None where it has none, or a damaged one."""
    key = partition_key(Runs, spec.benchmark, spec.variant_name, spec.seed, run)
    try:
        return read_file(store.open(key), Runs).row(0, named=True)
    except TableError:
        return None


def _configuration(spec: RunSpec, takes: Plan) -> dict[str, Any]:
    """The columns of a row that say what is trained, and how."""
    recipe, variant = spec.recipe, spec.variant
    config = {"recipe": to_plain(recipe), "variant": to_plain(variant)}
    return {
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "puzzle_learning_rate": recipe.puzzle_learning_rate,
        "width": recipe.size.width,
        "layers": variant.layers,
        "latent_updates": variant.latent_updates,
        "cycles": variant.cycles,
        "parameters": takes.parameters,
        "puzzle_parameters": takes.puzzle_parameters,
        "data_version": spec.data_version,
        "data_entry": data_entry(spec),
        "code_version": spec.code_version,
        "device": spec.execution.device,
        "processes": spec.execution.processes,
        "parent": None if spec.parent is None else str(spec.parent),
        "config": json.dumps(config, sort_keys=True),
    }


def _seconds(run: Path) -> float | None:
    """How long a run has trained by its last row of figures; None where it has none."""
    rows = read_rows(run / METRICS)
    return float(rows[-1]["wall_seconds"]) if rows else None
