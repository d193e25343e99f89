"""A training continued for more steps: it begins with the last checkpoint of the shorter one, and
ends as if it had been trained from the start."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from storage.atomic import publish, staging, write_text
from storage.manifest import CorruptDataError, verify_manifest
from trm_model.training.checkpoint import best, keep_best
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS, keep_rows
from trm_model.training.folders import saved, step_of
from trm_model.training.nonfinite import EVENTS
from trm_model.training.run import Parent, RunSpec, runs_in
from trm_model.training.validation import keep_due


def shorter_runs(
    folder: Path, spec: RunSpec, report: Callable[[str], None]
) -> list[tuple[Path, RunSpec]]:
    """Where ``spec`` can begin: the last undamaged checkpoint of each run below ``folder`` that is
    the same training but for its number of steps, what it does about numbers that are not finite
    and perhaps its code, furthest first.

    :param report: told which checkpoints are damaged.
    :returns: the checkpoint, and ``spec`` as it goes on from there, with the code that trained the
        checkpoint and the run as its parent.
    """
    found: list[tuple[int, Path, RunSpec]] = []
    for run, other in runs_in(folder):
        if not replace(spec, code=other.code).longer_than(other):
            continue
        for checkpoint in reversed(saved(run)):
            step = step_of(checkpoint)
            if step >= spec.recipe.steps:
                continue
            try:
                content = verify_manifest(checkpoint)
            except CorruptDataError as error:
                report(f"passing over a damaged checkpoint: {error}")
                continue
            parent = Parent(name=run.name, step=step, checkpoint=content)
            found.append((step, checkpoint, replace(spec, code=other.code, parent=parent)))
            break
    return [(path, begun) for _, path, begun in sorted(found, key=lambda item: -item[0])]


def depends_on_steps(spec: RunSpec, shorter: Path) -> str:
    """Why a training's first steps are others than those of the run in the folder ``shorter``,
    which has another number of steps; empty where they are the same."""
    if RunSpec.read(shorter).recipe.steps == spec.recipe.steps:
        return ""
    if spec.variant.curriculum.stages():
        return (
            f"the curriculum {spec.variant.curriculum.name} of its variant changes the recursion "
            "by the share of the training that is done"
        )
    if spec.recipe.schedule.depends_on_steps:
        return (
            f"the schedule {spec.recipe.schedule.name} of its recipe changes the rates by the "
            "share of the training that is done"
        )
    return ""


def adopt(checkpoint: Path, run: Path, steps: int, execution: Execution) -> None:
    """Let a run that has not begun continue from another run's checkpoint: copy it, the best one
    before it, and the rows of figures up to it.

    A validation that was made only because the shorter training was over is left out.

    :param steps, execution: of the run that goes on.
    :raises CorruptDataError: the copy is not as the checkpoint was written.
    :raises OSError: a full disk, or a checkpoint that has been removed meanwhile.
    """
    for rows in (METRICS, EVENTS):
        theirs = checkpoint.parents[1] / rows
        if theirs.is_file():
            write_text(run / rows, theirs.read_text("utf-8", errors="replace"))
            keep_rows(run / rows, step_of(checkpoint))
    keep_due(run / METRICS, steps, execution)
    before = best(checkpoint.parents[1])
    if before is not None and step_of(before) < step_of(checkpoint):
        _copy(before, run)
        keep_best(run, step_of(before))
    _copy(checkpoint, run)


def _copy(checkpoint: Path, run: Path) -> None:
    target = run / checkpoint.relative_to(checkpoint.parents[1])
    with staging(target.parent) as temporary:
        shutil.copytree(checkpoint, temporary, dirs_exist_ok=True)
        verify_manifest(temporary)
        publish(temporary, target)
