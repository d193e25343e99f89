"""The training loop: deep supervision with a carried state, one for all variants."""

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from storage.examples import ExampleSet
from storage.manifest import CorruptDataError
from storage.reading import one_line
from trm_model.devices import open_device
from trm_model.errors import require
from trm_model.finite import NotFiniteError
from trm_model.model.batch import DeviceExamples
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.recursion import Recursion
from trm_model.model.variant import Variant
from trm_model.model.weights import load_weights
from trm_model.noise import Noise, torch_generator
from trm_model.seeding import derive
from trm_model.texts import duration
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress
from trm_model.training.ema import Ema
from trm_model.training.execution import Execution
from trm_model.training.exploration import earliest_halts
from trm_model.training.figures import METRICS, keep_rows, seconds_left
from trm_model.training.group import Group, LostError
from trm_model.training.nonfinite import (
    EVENTS,
    MOST_REWINDS,
    Found,
    Watch,
    dropped_unless,
    record,
    rewinds,
    unchanged_unless,
)
from trm_model.training.optimizers import make_optimizers, rate_factor, set_rates
from trm_model.training.puzzle_rows import sign_sgd_
from trm_model.training.recipe import Recipe
from trm_model.training.sampler import Sampler
from trm_model.training.stopping import gave_up
from trm_model.training.supervision import Carry, Learned, supervise
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
"""So many steps in a row that are not finite end a training that passes over such steps."""
PROGRESS = re.compile(r"step \d+/\d+: ")
"""How the reports begin that say how far a training is; each takes the place of the one before."""
TOTALS = (
    "examples",
    "answer_loss",
    "halt_loss",
    "right_cells",
    "labelled_cells",
    "solved",
    "steps",
    "halted",
)


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to do."""


class _DivergedError(Exception):
    """Numbers that are not finite; ``found``: which, and in which step first."""

    def __init__(self, what: str, found: Found) -> None:
        super().__init__(f"step {found.step}: {what}")
        self.found = found


class Trainer:
    """A training under way: model, optimizer, average, carry and position.

    Of several processes each has the whole model and its share of the carry.

    :param seed: of weights, exploration and noise; the order of the data comes from the data set's
        own seed.
    :param group: the processes that train together; they do the same, in the same order.
    :raises ConfigurationError: a device that is not here, or a batch that cannot be shared.
    """

    def __init__(
        self,
        variant: Variant,
        recipe: Recipe,
        examples: ExampleSet,
        seed: int,
        execution: Execution,
        group: Group | None = None,
    ) -> None:
        self.group = group or Group()
        device = open_device(self.group.device(execution.device))
        self.group.set_threads(execution.threads)
        self.recipe, self.seed, self.execution = recipe, seed, execution
        self.header = examples.header
        self.reasoner = build(variant, recipe.size, examples.header, seed, recipe.precision).to(
            device
        )
        self.reasoner.recompute = execution.recompute
        if execution.compile:
            for network in self.reasoner.networks:
                # A graph that breaks is an error: it would wait for the device in the middle.
                network.compile(dynamic=False, fullgraph=True)
        self.optimizers = make_optimizers(self.reasoner, recipe)
        self.ema = self._average() if variant.ema else None
        self.data = DeviceExamples(examples, device)
        self.draws = seed
        self.sampler = Sampler(
            examples,
            recipe.batch_size,
            derive(self.header.seed, "order"),
            puzzles=recipe.puzzles,
            rank=self.group.rank,
            ranks=self.group.size,
        )
        self.watch = Watch(device)
        self.carry: Carry | None = None
        self.progress = Progress()
        self.totals = torch.zeros(len(TOTALS), dtype=torch.float64, device=device)

    def _average(self) -> Ema:
        return Ema(self.reasoner, self.recipe.ema_decay, self.recipe.ema_start)

    def go_on_otherwise(self, times: int) -> None:
        """Let the following steps have another order of the data, other exploration and other noise
        than before.

        :param times: so often it has been rewound; each time is other than the ones before.
        """
        self.draws = derive(self.seed, "rewind", times)
        self.sampler = self.sampler.reseeded(derive(self.header.seed, "order", times))

    def drop_carry(self) -> None:
        """Let the examples under way give way to fresh ones."""
        if self.carry is not None:
            self.carry = replace(self.carry, halted=torch.ones_like(self.carry.halted))

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with these weights in place of those drawn from the seed.

        :raises ConfigurationError: weights of another model.
        """
        load_weights(self.reasoner, weights)
        if self.ema is not None:
            self.ema = self._average()

    def resume(self, state: Checkpoint) -> None:
        """Continue from a checkpoint exactly.

        :raises ConfigurationError: a checkpoint of another model or optimizer.
        """
        state.require_weights(self.reasoner)
        state.require_carry(self.reasoner)
        self.reasoner.load_state_dict(state.weights)
        if self.ema is not None:
            self.ema.average = {name: t.to(self.data.device) for name, t in state.average.items()}
        checkpoints.restore_optimizers(self.optimizers, state.optimizer, state.where)
        carry = checkpoints.carry_from_tensors(state.carry, self.data.device)
        self.carry = carry.part(self.group.share(len(carry.steps)))
        self.progress = state.progress
        totals = torch.tensor(state.progress.totals, dtype=torch.float64, device=self.data.device)
        self.totals = totals if self.group.leads else torch.zeros_like(totals)

    def evaluated(self) -> Reasoner:
        """The model with the weights that are evaluated: a copy."""
        average = {} if self.ema is None else self.ema.average
        model = build(
            self.reasoner.variant, self.recipe.size, self.header, self.seed, self.recipe.precision
        ).to(self.data.device)
        model.load_state_dict({**self.reasoner.state_dict(), **average})
        if self.execution.compile and not model.variant.generation.causal:
            # Cells that are answered one after the other see a cache that is never the same.
            for network in model.networks:
                # For batches of any size: the last one is smaller, and so is what goes on of one.
                network.compile(dynamic=True, fullgraph=True)
        return model.eval()

    def checkpoint(self, wall_seconds: float, lap_seconds: float) -> Checkpoint:
        """The state between two steps (references, not copies: save before the next step). Of
        several processes all must ask, and the lead alone gets the carry."""
        assert self.carry is not None, "nothing trained yet"
        parts = self.group.collected(checkpoints.carry_tensors(self.carry))
        carries = [checkpoints.carry_from_tensors(part) for part in parts]
        return Checkpoint(
            self.reasoner.state_dict(),
            self.ema.average if self.ema is not None else {},
            checkpoints.optimizer_tensors(self.optimizers),
            checkpoints.carry_tensors(Carry.joined(carries)) if carries else {},
            Progress(
                self.progress.step,
                self.progress.position,
                tuple(self._all_totals().tolist()),
                wall_seconds,
                lap_seconds,
            ),
        )

    def _all_totals(self) -> Tensor:
        """The totals of all processes."""
        totals = self.totals.clone()
        self.group.sum_([totals])
        return totals

    def run(self, on_step: Callable[["Trainer", Tensor | None], bool]) -> None:
        """Train to the recipe's last step.

        :param on_step: called after each optimizer step with the interval's totals (see
            :data:`TOTALS`) when one has ended, else None; returning False stops.
        """
        recipe, device, variant = self.recipe, self.data.device, self.reasoner.variant
        # All examples are numbered as in the whole batch, whichever process has them.
        share = self.group.share(recipe.batch_size)
        items, max_steps = (
            torch.arange(recipe.batch_size, device=device)[share],
            variant.training_steps(recipe.max_steps),
        )
        order = self.sampler.batches(self.progress.position)
        with closing(self.data.gathered(order)) as batches:
            for index, position, batch in batches:
                if self.progress.step >= recipe.steps:
                    return
                step = self.progress.step + 1
                self.watch.take(
                    torch.from_numpy(index).to(device),
                    None if self.carry is None else self.carry.halted,
                )
                noise = Noise(derive(self.draws, "noise", step), items)
                carry = (
                    Carry.fresh(self.reasoner, batch, noise)
                    if self.carry is None
                    else self.carry.refill(self.reasoner, batch, noise)
                )
                earliest = earliest_halts(
                    recipe.batch_size,
                    max_steps,
                    recipe.exploration,
                    torch_generator(self.draws, "halt", step),
                )[share].to(device)
                stage = variant.stage(step / recipe.steps)
                learned = self._learn(carry, max_steps, noise, earliest, stage)
                finite = self._update(learned, step)
                self.carry = dropped_unless(finite, learned.carry) if self.skips else learned.carry
                self._count(learned, finite)
                self.progress = Progress(step, position)
                ended = step % self.execution.log_steps == 0 or step == recipe.steps
                totals = self._all_totals() if ended else None
                if ended:
                    self.totals.zero_()
                if not on_step(self, totals):
                    return

    def _learn(
        self, carry: Carry, max_steps: int, noise: Noise, earliest: Tensor, stage: Recursion
    ) -> Learned:
        """Losses and gradients of this process's examples, a micro-batch at a time; arguments as of
        :func:`supervise`."""
        self.reasoner.zero_grad()
        recipe, size, parts = self.recipe, len(carry.steps), list[Learned]()
        at_once = self.execution.micro_batch or size
        for start in range(0, size, at_once):
            rows = slice(start, start + at_once)
            result = supervise(
                self.reasoner,
                carry.part(rows),
                max_steps=max_steps,
                noise=noise.of(rows),
                earliest=earliest[rows],
                recursion=stage,
                label_smoothing=recipe.label_smoothing,
                unsmoothed=None if recipe.smooth_padding else self.header.ignore_id,
            )
            (result.losses.weighted(recipe.halting_weight) / recipe.batch_size).backward()
            parts.append(result.learned())
        return Learned.joined(parts)

    @property
    def skips(self) -> bool:
        """Whether steps that are not finite change nothing."""
        return self.recipe.on_nonfinite == "skip"

    def _update(self, learned: Learned, step: int) -> Tensor:
        """Change the weights; returns whether losses and gradients were finite, on the device."""
        recipe, factor = self.recipe, rate_factor(step, self.recipe)
        gradients = [p.grad for p in self.reasoner.parameters() if p.grad is not None]
        spoiled = learned.spoiled.sum(dtype=torch.float32).reshape(1)
        self.group.sum_([*gradients, spoiled])
        row_gradients = [self.group.everyones(each) for each in learned.row_gradients]
        finite = self.watch.note(step, learned, spoiled, [*gradients, *row_gradients])
        set_rates(self.optimizers, factor)
        if recipe.clip_norm is not None:
            clip_grad_norm_(self.reasoner.parameters(), recipe.clip_norm)
        with unchanged_unless(finite, self._averaged_and_kept) if self.skips else nullcontext():
            for optimizer in self.optimizers:
                optimizer.step()
            if self.ema is not None:
                self.ema.update(self.reasoner, step)
        for gradient in row_gradients:
            table = self.reasoner.puzzle_rows
            ids = self.group.everyones(learned.carry.batch.puzzle_ids)
            before = table[ids]
            sign_sgd_(
                table,
                ids,
                gradient,
                learning_rate=recipe.puzzle_learning_rate * factor,
                weight_decay=recipe.puzzle_weight_decay,
            )
            if self.skips:
                table[ids] = torch.where(finite, table[ids], before)
        return finite

    def _averaged_and_kept(self) -> dict[str, Tensor]:
        """What an optimizer's step changes, by name."""
        average = {} if self.ema is None else self.ema.average
        return {
            **dict(self.reasoner.named_parameters(prefix="weights")),
            **{f"average.{name}": tensor for name, tensor in average.items()},
            **checkpoints.optimizer_tensors(self.optimizers),
        }

    @torch.no_grad()
    def _count(self, learned: Learned, finite: Tensor) -> None:
        losses, carry = learned.losses, learned.carry
        counted = torch.stack(
            [
                torch.ones_like(losses.answer).sum(),
                losses.answer.sum(),
                (losses.halt + losses.go_on).sum().double(),
                losses.right_cells.sum().double(),
                losses.labelled_cells.sum().double(),
                losses.solved.sum().double(),
                torch.where(carry.halted, carry.steps, 0).sum().double(),
                carry.halted.sum().double(),
            ]
        )
        self.totals += torch.where(finite, counted, 0.0) if self.skips else counted


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
    while True:
        try:
            # No name for the trainer: the memory of one that has failed is the next one's.
            return _train(
                run,
                Trainer(variant, recipe, examples, seed, execution, group),
                initial,
                validation,
                report,
                send,
                stop,
            )
        except _DivergedError as error:
            if group.leads:
                report(_rewound(run, error, recipe))
            elif recipe.on_nonfinite != "rewind":
                raise LostError("the process that leads ends: numbers are not finite") from error


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
    finite_at = trainer.progress.step
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
        Writer(run, execution.keep_checkpoints) as writer,
    ):

        def told(totals: Tensor) -> Validated | None:
            """Write and tell the row of an interval, unless no step of it was finite; what its
            validation found, if it has one."""
            nonlocal reported_at, finite_at
            step = trainer.progress.step
            if not totals[0] and step - finite_at >= MOST_SPOILED:
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
                report(
                    f"step {step}/{recipe.steps}: loss {row['loss']:.4f}, cells "
                    f"{row['cell_accuracy']:.1%}, "
                    f"solved {row['exact_accuracy']:.1%}, {row['examples_per_second']:.0f} "
                    f"examples/s{_best(best_of(validations))}{time_left(row, recipe)}"
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
                # Its traceback holds this frame, and so the trainer, whose memory is needed again.
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
    found = _newest_intact(run, report) if group.leads else None
    step = group.told(found.progress.step if found else 0)
    return found if group.leads or not step else checkpoints.load(checkpoints.at(run, step))


def _newest_intact(run: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest undamaged checkpoint; None if there is none at all."""
    folders = checkpoints.saved(run)
    for number, folder in enumerate(reversed(folders)):
        try:
            return checkpoints.load(folder)
        except CorruptDataError as error:
            if number == len(folders) - 1:
                raise checkpoints.none_undamaged(run, error) from error
            report(f"passing over a damaged checkpoint: {error}")
    return None


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
