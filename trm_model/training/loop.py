"""A training from its start, or from its newest checkpoint, to its end: rows, validations,
checkpoints, and what becomes of numbers that are not finite."""

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from storage.examples import ExampleSet
from storage.reading import one_line
from trm_model.errors import require
from trm_model.finite import NotFiniteError
from trm_model.model.variant import Variant
from trm_model.texts import duration
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS, keep_rows, seconds_left
from trm_model.training.folders import at
from trm_model.training.group import Group, LostError
from trm_model.training.nonfinite import (
    EVENTS,
    MOST_REWINDS,
    Found,
    record,
    rewinds,
)
from trm_model.training.optimizers import rate_factor
from trm_model.training.recipe import Recipe
from trm_model.training.stopping import gave_up
from trm_model.training.trainer import TOTALS, Trainer
from trm_model.training.validation import (
    Validated,
    Validation,
    best_of,
    columns,
    is_due,
    read_validated,
)
from trm_model.training.writer import Writer

MOST_SPOILED = 50
"""So many steps without a finite one since the last row end a training that passes over such
steps."""
PROGRESS = re.compile(r"step \d+/\d+: ")
"""How the reports begin that say how far a training is; each takes the place of the one before."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to do."""


class _DivergedError(Exception):
    """Numbers that are not finite; ``found``: which, and in which step first."""

    def __init__(self, what: str, found: Found) -> None:
        super().__init__(f"step {found.step}: {what}")
        self.found = found


def train(
    run: Path,
    variant: Variant,
    recipe: Recipe,
    examples: ExampleSet,
    seed: int,
    execution: Execution,
    *,
    group: Group | None = None,
    initial: Mapping[str, Tensor] | None = None,
    validation: Validation | None = None,
    report: Callable[[str], None] = print,
    send: Callable[[int, Mapping[str, float]], None] = lambda _step, _figures: None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train in the folder ``run``, from its newest checkpoint if it has one; writes checkpoints and
    ``metrics.jsonl`` there.

    :param group: the processes that train together and all call this; the lead alone validates,
        reports and writes. None: this process alone.
    :param initial: weights to begin with; None: those drawn from the seed.
    :param validation: tests the evaluated weights on the way (``execution.validate_steps``);
        nothing of the training depends on it, but that the best checkpoint is kept beside the last,
        and when it ends where the recipe has patience.
    :param report: told about progress, a few times a minute.
    :param send: given the step and the figures of each row.
    :param stop: asked after each step; True writes a checkpoint and returns.
    :returns: the progress at the last checkpoint; whether the training is over there,
        :func:`trm_model.training.stopping.is_over` tells.
    :raises ConfigurationError: a recipe with patience, and nothing to validate with.
    :raises TrainingError: a loss, a weight or another number of the state that is not finite.
    :raises CorruptDataError: no undamaged checkpoint among those that are there.
    """
    group = group or Group()
    validates = validation is not None and execution.validate_steps > 0
    require(
        recipe.patience is None or validates or not group.leads,
        f"patience={recipe.patience}: expected validations to judge by, and there are none; give "
        "validate_steps above 0 and a data set with validation puzzles, or leave patience out",
    )
    trainer = Trainer(variant, recipe, examples, seed, execution, group)
    del examples  # They are on the device now, and need not be here as well.
    while True:
        try:
            return _train(run, trainer, initial, validation, report, send, stop)
        except _DivergedError as error:
            ended: TrainingError | None = None
            if group.leads:
                try:
                    report(_rewound(run, error, recipe))
                except TrainingError as verdict:
                    ended = verdict
            # The others stay until the lead has read what it has to say: it would be killed if they
            # ended first.
            if group.told(int(ended is not None)):
                lost = LostError("the process that leads ends: numbers are not finite")
                raise (ended or lost) from error
        trainer.begin()


def _train(
    run: Path,
    trainer: Trainer,
    initial: Mapping[str, Tensor] | None,
    validation: Validation | None,
    report: Callable[[str], None],
    send: Callable[[int, Mapping[str, float]], None],
    stop: Callable[[], bool],
) -> Progress:
    recipe, execution, group = trainer.recipe, trainer.execution, trainer.group
    found = _newest(run, group, report)
    if found is not None:
        trainer.resume(found)
        del found  # All that it holds is in the trainer now, on the device.
        report(f"continuing from step {trainer.progress.step} of {recipe.steps}")
    elif initial is not None:
        trainer.begin_with(initial)
    metrics = run / METRICS
    if group.leads:
        for rows in (metrics, run / EVENTS):
            keep_rows(rows, trainer.progress.step)
    gone_back = rewinds(run) if group.leads else []
    if times := group.told(len(gone_back)):
        trainer.go_on_otherwise(times)
        if group.told(int(gone_back[-1:] == [trainer.progress.step])):
            trainer.drop_carry()
    if not group.leads:
        _follow(trainer, stop)
        return trainer.progress
    clock = _Clock(trainer.progress)
    saved_at = reported_at = time.monotonic()
    finite_at = begun_at = trainer.progress.step
    validations = read_validated(metrics)
    best = best_of(validations)
    if best is not None:  # Killed between the two, a process has saved it and not said so.
        checkpoints.keep_best(run, best.step)

    def validated(step: int) -> Validated | None:
        if validation is None or not is_due(step, recipe.steps, execution):
            return None
        started = time.monotonic()
        try:
            return validation(trainer.evaluated(), step)
        except Exception as error:  # noqa: BLE001 (whatever it is, the training is sound)
            report(f"step {step}: validation failed, the training goes on: {one_line(error)}")
            return None
        finally:
            clock.leave_out(time.monotonic() - started)

    with (
        metrics.open("a", encoding="utf-8") as lines,
        Writer(run, execution.keep_checkpoints, report) as writer,
    ):

        def told(totals: Tensor) -> Validated | None:
            """Write and tell the row of an interval, unless no step of it was finite; what its
            validation found, if it has one."""
            nonlocal reported_at, finite_at
            step = trainer.progress.step
            learned_nothing = over(step) and not metrics.stat().st_size
            if not totals[0] and (learned_nothing or step - finite_at >= MOST_SPOILED):
                what = f"none of the last {step - finite_at} steps was finite"
                raise _DivergedError(what, Found(step))
            if not totals[0]:
                return None
            finite_at = step
            row = _row(trainer, totals, clock)
            if not math.isfinite(row["loss"]):
                what = f"loss {row['loss']}, expected a finite number"
                raise _DivergedError(what, Found(step))
            found = validated(step)
            if found is not None:
                validations.append(found)
            figures = {**row, **columns(found)}
            lines.write(json.dumps(figures) + "\n")
            lines.flush()
            send(step, {name: value for name, value in figures.items() if value is not None})
            if time.monotonic() - reported_at > 10 or over(step):
                reported_at = time.monotonic()
                # The first steps of a process load or compile what the others find.
                settled = step - begun_at > execution.log_steps
                left = time_left(row, recipe) if settled else ""
                report(
                    f"step {step}/{recipe.steps}: loss {row['loss']:.4f}, cells "
                    f"{row['cell_accuracy']:.1%}, "
                    f"solved {row['exact_accuracy']:.1%}, {row['examples_per_second']:.0f} "
                    f"examples/s{_best(best_of(validations))}{left}"
                )
            return found

        def over(step: int) -> bool:
            return step == recipe.steps or gave_up(validations, recipe)

        def on_step(current: Trainer, totals: Tensor | None) -> bool:
            nonlocal saved_at
            step, ended = current.progress.step, totals is not None
            diverged: _DivergedError | None = None
            found: Validated | None = None
            if totals is not None:
                try:
                    _look(run, current, report)
                    found = told(totals)
                except _DivergedError as error:
                    diverged = error
            improved = found is not None and best_of(validations) is found
            due = not writer.busy and time.monotonic() - saved_at >= execution.checkpoint_seconds
            stopping, saving, last = group.agreed(stop(), improved or due, ended and over(step))
            if stopping or saving or last:
                saved_at = time.monotonic()
                lines.flush()
                os.fsync(lines.fileno())
                state = current.checkpoint(clock.seconds(), clock.since_lap())
                try:
                    _look(run, current, report)
                    if diverged is None:
                        writer.write(state, best=improved)
                except _DivergedError as error:
                    diverged = error
                except NotFiniteError as error:
                    diverged = _DivergedError(str(error), Found(step))
            if ended or stopping or saving or last:
                group.agreed(diverged is not None)
            try:
                if diverged is not None:
                    raise diverged
            finally:
                # Its traceback holds this frame, and so the state, whose memory is needed again.
                del diverged
            return not (stopping or last)

        if group.told(gave_up(validations, recipe)):
            return trainer.progress
        trainer.run(on_step)
        if trainer.progress.step < recipe.steps and gave_up(validations, recipe):
            report(
                f"ended early: no better validation in the last {recipe.patience} steps (patience)"
            )
    return trainer.progress


def _follow(trainer: Trainer, stop: Callable[[], bool]) -> None:
    """What a process does that does not lead: it trains, and gives what the lead writes."""
    group = trainer.group

    def on_step(current: Trainer, totals: Tensor | None) -> bool:
        ended = totals is not None
        if ended:
            current.watch.read(group)
        stopping, saving, last = group.agreed(stop(), False, False)
        if stopping or saving or last:
            current.checkpoint(0.0, 0.0)
            current.watch.read(group)
        if ended or stopping or saving or last:
            (diverged,) = group.agreed(False)
            if diverged:
                raise _DivergedError("as the lead says", Found(current.progress.step))
        return not (stopping or last)

    if not group.told(False):
        trainer.run(on_step)


def _best(found: Validated | None) -> str:
    if found is None:
        return ""
    return f", at best {found.exact:.1%} of the validation puzzles (step {found.step})"


def time_left(row: Mapping[str, Any], recipe: Recipe) -> str:
    """How long the remaining steps will take at the speed of a row, for people."""
    left = seconds_left(row, recipe.steps, recipe.batch_size)
    return f", about {duration(left)} left" if left else ""


def _look(run: Path, trainer: Trainer, report: Callable[[str], None]) -> None:
    """Ask whether steps were not finite, and tell those that were passed over.

    :raises _DivergedError: there were some, which may not be passed over.
    """
    found = trainer.watch.read(trainer.group)
    if found is None:
        return
    if not trainer.skips:
        raise _DivergedError(str(found), found)
    record(run, found, "skip", found.step)
    report(f"step {found.step}: {found}: passed over")


def _rewound(run: Path, error: _DivergedError, recipe: Recipe) -> str:
    """Note that a run goes back to its newest checkpoint; returns what is to be told.

    :raises TrainingError: the recipe does not say so, or it has gone back there before, in vain.
    """
    if recipe.on_nonfinite != "rewind":
        raise _ended(run, error) from error
    back = checkpoints.intact_step(run)
    times = rewinds(run).count(back)
    if times >= MOST_REWINDS:
        raise _ended(run, error, f"; going back to step {back} did not help, {times} times")
    record(run, error.found, "rewind", back)
    return f"{error}: back to step {back}, and on with another order and other draws"


def _ended(run: Path, error: _DivergedError, why: str = "") -> TrainingError:
    """Note that a run has ended by numbers that are not finite; the error that says so."""
    record(run, error.found, "stop", error.found.step)
    good = checkpoints.intact_step(run)
    before = (
        f"the checkpoint of step {good} is sound, and starting again goes on from it, but the "
        "same steps from the same seed may end here again: "
        if good
        else ""
    )
    return TrainingError(
        f"{run}: {error}{why}; {before}lower learning_rate or lengthen warmup_steps in the "
        "recipe, or change its on_nonfinite, which begins a new run"
    )


def _newest(run: Path, group: Group, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest undamaged checkpoint, that which the lead has found; None if there is none."""
    found = checkpoints.newest(run, report) if group.leads else None
    step = group.told(found.progress.step if found else 0)
    return found if group.leads or not step else checkpoints.load(at(run, step))


class _Clock:
    """Seconds trained in all and since the last row, earlier processes included."""

    def __init__(self, before: Progress) -> None:
        now = time.monotonic()
        self.started, self.last = now - before.wall_seconds, now - before.lap_seconds

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def since_lap(self) -> float:
        return max(time.monotonic() - self.last, 1e-9)

    def leave_out(self, seconds: float) -> None:
        """Do not count seconds that have just passed."""
        self.started += seconds
        self.last += seconds

    def lap(self) -> float:
        lap = self.since_lap()
        self.last = time.monotonic()
        return lap


def _row(trainer: Trainer, totals: Tensor, clock: _Clock) -> dict[str, Any]:
    total = dict(zip(TOTALS, totals.tolist(), strict=True))
    examples, step = total["examples"], trainer.progress.step
    answer, halt = total["answer_loss"] / examples, total["halt_loss"] / examples
    return {
        "step": step,
        "examples": step * trainer.recipe.batch_size,
        "loss": answer + trainer.recipe.halting_weight * halt,
        "answer_loss": answer,
        "halt_loss": halt,
        "cell_accuracy": total["right_cells"] / max(total["labelled_cells"], 1.0),
        "exact_accuracy": total["solved"] / examples,
        # Of the examples that halted; an interval in which none did has seen no full run yet.
        "mean_steps": total["steps"] / total["halted"]
        if total["halted"]
        else float(trainer.recipe.max_steps),
        "learning_rate": trainer.recipe.learning_rate * rate_factor(step, trainer.recipe),
        "examples_per_second": examples / clock.lap(),
        "wall_seconds": clock.seconds(),
    }
