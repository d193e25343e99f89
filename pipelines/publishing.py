"""Publish a trained model: a small folder that answers puzzles without the store it is from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets.benchmarks import BENCHMARKS
from assets.card import SCORES, card, read_scores
from assets.declared import evaluation_key
from assets.evaluation.metrics import Metric
from assets.stages import making
from assets.store import folder_bytes
from assets.tables import Scores, of_evaluation
from assets.titles import require_benchmark
from storage.atomic import publish, staging, write_text
from storage.store import follow_pointers
from storage.tables import scan
from trm_model.errors import require
from trm_model.pretrained import CARD, find
from trm_model.training import checkpoint as checkpoints
from trm_model.training.folders import saved
from trm_model.training.run import RunSpec, run_store


def publish_model(checkpoint: Path, folder: Path) -> str:
    """Write a run's description, the averaged weights of its newest checkpoint, its scores and a
    card into a folder, which appears whole or not at all.

    :param checkpoint: a run's folder, or a published model, which is written anew.
    :param folder: a new one, or a published model, which is replaced.
    :returns: what was made, in words.
    :raises ConfigurationError: no such run, one that is not evaluated, or a folder of another kind.
    :raises CorruptDataError: a damaged checkpoint.
    """
    run = follow_pointers(find(checkpoint)).resolve()
    spec = RunSpec.read(run)
    require_benchmark(spec.benchmark)
    found = saved(run)
    require(bool(found), f"{run}: no checkpoint yet; train first, or give another run")
    require(
        spec.header is not None,
        f"{run}: a run of an older version, which cannot be used without its data; train again",
    )
    require(
        not folder.exists() or (folder / SCORES).is_file(),
        f"{folder}: there already, and no published model; expected a new folder, or one that this "
        "command has made; give another",
    )
    state = checkpoints.load(found[-1])
    tested = read_scores(run) if (run / SCORES).is_file() else _tested(run, spec)
    require(
        tested["step"] == state.progress.step,
        f"{run}: its scores are of step {tested['step']}, and its newest checkpoint is of step "
        f"{state.progress.step}; {_evaluate(spec)}",
    )
    with staging(folder.parent) as temporary:
        # How it was trained here is nobody else's, who may not even have the trackers' classes.
        replace(spec, trackers=(), device_locks=()).write(temporary)
        checkpoints.save(temporary, state.published())
        write_text(temporary / SCORES, json.dumps(tested, indent=1))
        write_text(temporary / CARD, card(temporary, folder.name))
        publish(temporary, folder)
    return (
        f"{folder}: {spec.variant_name} trained on {spec.benchmark}, {folder_bytes(folder):,} "
        f"bytes; its card is {folder / CARD}"
    )


def _tested(run: Path, spec: RunSpec) -> dict[str, Any]:
    """The scores of a run, by the evaluation that its benchmark declares."""
    declared = evaluation_key(spec.variant.evaluation, BENCHMARKS[spec.benchmark].evaluated)
    rows = scan(run_store(run), Scores).filter(run=run.name, evaluation=declared).collect()
    require(not rows.is_empty(), f"{run}: no scores yet; {_evaluate(spec)}")
    return {**of_evaluation(rows), "scores": rows.select(Metric._fields).to_dicts()}


def _evaluate(spec: RunSpec) -> str:
    return f"first {making('scores', spec.benchmark, f'{spec.variant_name}|{spec.seed}')}"
