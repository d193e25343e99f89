"""The training loop: deep supervision with a carried state, one for all variants."""

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
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
from trm_model.model.variant import Variant
from trm_model.model.weights import load_weights
from trm_model.noise import Noise, torch_generator
from trm_model.seeding import derive
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress
from trm_model.training.ema import Ema
from trm_model.training.execution import Execution
from trm_model.training.exploration import earliest_halts
from trm_model.training.figures import METRICS, keep_rows
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
from trm_model.training.supervision import Carry, Supervision, supervise
from trm_model.training.validation import (
    Validated,
    Validation,
    best_of,
    columns,
    is_due,
    read_validated,
)
from trm_model.training.writer import Writer

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

    :param seed: of weights, exploration and noise; the order of the data comes from the data set's
        own seed.
    :raises ConfigurationError: a device that is not here.
    """

    def __init__(
        self,
        variant: Variant,
        recipe: Recipe,
        examples: ExampleSet,
        seed: int,
        execution: Execution,
    ) -> None:
        device = open_device(execution.device)
        if execution.threads is not None:
            torch.set_num_threads(execution.threads)
        self.recipe, self.seed, self.execution = recipe, seed, execution
        self.header = examples.header
        self.reasoner = build(variant, recipe.size, examples.header, seed, recipe.precision).to(
            device
        )
        if execution.compile:
            for network in self.reasoner.networks:
                network.compile(dynamic=False)
        self.optimizers = make_optimizers(self.reasoner, recipe)
        self.ema = Ema(self.reasoner, recipe.ema_decay) if variant.ema else None
        self.data = DeviceExamples(examples, device)
        self.examples = examples
        self.draws = seed
        self.sampler = self._sampler("order")
        self.watch = Watch(device)
        self.carry: Carry | None = None
        self.progress = Progress()
        self.totals = torch.zeros(len(TOTALS), dtype=torch.float64, device=device)

    def _sampler(self, *purpose: str | int) -> Sampler:
        recipe = self.recipe
        return Sampler(
            self.examples,
            recipe.batch_size,
            derive(self.header.seed, *purpose),
            puzzles=recipe.puzzles,
        )

    def go_on_otherwise(self, times: int) -> None:
        """Let the following steps have another order of the data, other exploration and other noise
        than before.

        :param times: so often it has been rewound; each time is other than the ones before.
        """
        self.draws = derive(self.seed, "rewind", times)
        self.sampler = self._sampler("order", times)

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
            self.ema = Ema(self.reasoner, self.recipe.ema_decay)

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
        self.carry = checkpoints.carry_from_tensors(state.carry, self.data.device)
        self.progress = state.progress
        self.totals = torch.tensor(
            state.progress.totals, dtype=torch.float64, device=self.data.device
        )

    def evaluated(self) -> Reasoner:
        """The model with the weights that are evaluated: a copy."""
        average = {} if self.ema is None else self.ema.average
        model = build(
            self.reasoner.variant, self.recipe.size, self.header, self.seed, self.recipe.precision
        ).to(self.data.device)
        model.load_state_dict({**self.reasoner.state_dict(), **average})
        return model.eval()

    def checkpoint(self, wall_seconds: float, lap_seconds: float) -> Checkpoint:
        """The state between two steps (references, not copies: save before the next step)."""
        assert self.carry is not None, "nothing trained yet"
        return Checkpoint(
            self.reasoner.state_dict(),
            self.ema.average if self.ema is not None else {},
            checkpoints.optimizer_tensors(self.optimizers),
            checkpoints.carry_tensors(self.carry),
            Progress(
                self.progress.step,
                self.progress.position,
                tuple(self.totals.tolist()),
                wall_seconds,
                lap_seconds,
            ),
        )

    def run(self, on_step: Callable[["Trainer", Tensor | None], bool]) -> None:
        """Train to the recipe's last step.

        :param on_step: called after each optimizer step with the interval's totals (see
            :data:`TOTALS`) when one has ended, else None; returning False stops.
        """
        recipe, device, variant = self.recipe, self.data.device, self.reasoner.variant
        items, max_steps = (
            torch.arange(recipe.batch_size, device=device),
            variant.training_steps(recipe.max_steps),
        )
        for index, position in self.sampler.batches(self.progress.position):
            if self.progress.step >= recipe.steps:
                return
            step = self.progress.step + 1
            batch = self.data.gather(index)
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
            ).to(device)
            stage = variant.stage(step / recipe.steps)
            result = supervise(
                self.reasoner,
                carry,
                max_steps=max_steps,
                noise=noise,
                earliest=earliest,
                recursion=stage,
                label_smoothing=recipe.label_smoothing,
            )
            finite = self._update(result, step)
            self.carry = dropped_unless(finite, result.carry) if self.skips else result.carry
            self._count(result, finite)
            self.progress = Progress(step, position)
            ended = step % self.execution.log_steps == 0 or step == recipe.steps
            totals = self.totals.clone() if ended else None
            if ended:
                self.totals.zero_()
            if not on_step(self, totals):
                return

    @property
    def skips(self) -> bool:
        """Whether steps that are not finite change nothing."""
        return self.recipe.on_nonfinite == "skip"

    def _update(self, result: Supervision, step: int) -> Tensor:
        """Change the weights; returns whether loss and gradients were finite, on the device."""
        recipe, factor = self.recipe, rate_factor(step, self.recipe)
        set_rates(self.optimizers, factor)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        (result.losses.weighted(recipe.halting_weight) / recipe.batch_size).backward()
        finite = self.watch.note(step, result, self.reasoner)
        if recipe.clip_norm is not None:
            clip_grad_norm_(self.reasoner.parameters(), recipe.clip_norm)
        with unchanged_unless(finite, self._averaged_and_kept) if self.skips else nullcontext():
            for optimizer in self.optimizers:
                optimizer.step()
            if self.ema is not None:
                self.ema.update(self.reasoner)
        if recipe.size.puzzle_width:
            assert result.rows.grad is not None
            table, ids = self.reasoner.puzzle_rows, result.carry.batch.puzzle_ids
            before = table[ids]
            sign_sgd_(
                table,
                ids,
                result.rows.grad,
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
    def _count(self, result: Supervision, finite: Tensor) -> None:
        losses, carry = result.losses, result.carry
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
    initial: Mapping[str, Tensor] | None = None,
    validation: Validation | None = None,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train in the folder ``run``, from its newest checkpoint if it has one; writes checkpoints and
    ``metrics.jsonl`` there.

    :param initial: weights to begin with; None: those drawn from the seed.
    :param validation: tests the evaluated weights on the way (``execution.validate_steps``);
        nothing of the training depends on it, but that the best checkpoint is kept beside the last,
        and when it ends where the recipe has patience.
    :param report: told about progress, a few times a minute.
    :param stop: asked after each step; True writes a checkpoint and returns.
    :returns: the progress at the last checkpoint; whether the training is over there,
        :func:`trm_model.training.stopping.is_over` tells.
    :raises ConfigurationError: a recipe with patience, and nothing to validate with.
    :raises TrainingError: a loss, a weight or another number of the state that is not finite.
    :raises CorruptDataError: no undamaged checkpoint among those that are there.
    """
    require(
        recipe.patience is None or (validation is not None and execution.validate_steps > 0),
        f"patience={recipe.patience}: expected validations to judge by, and there are none; give "
        "validate_steps above 0 and a data set with validation puzzles, or leave patience out",
    )
    while True:
        try:
            # No name for the trainer: the memory of one that has failed is the next one's.
            return _train(
                run,
                Trainer(variant, recipe, examples, seed, execution),
                initial,
                validation,
                report,
                stop,
            )
        except _DivergedError as error:
            if recipe.on_nonfinite != "rewind":
                raise _ended(run, error) from error
            report(_rewound(run, error))


def _train(
    run: Path,
    trainer: Trainer,
    initial: Mapping[str, Tensor] | None,
    validation: Validation | None,
    report: Callable[[str], None],
    stop: Callable[[], bool],
) -> Progress:
    recipe, execution = trainer.recipe, trainer.execution
    found = _newest(run, report)
    if found is not None:
        trainer.resume(found)
        report(f"continuing from step {trainer.progress.step} of {recipe.steps}")
    elif initial is not None:
        trainer.begin_with(initial)
    metrics = run / METRICS
    for rows in (metrics, run / EVENTS):
        keep_rows(rows, trainer.progress.step)
    if gone_back := rewinds(run):
        trainer.go_on_otherwise(len(gone_back))
        if gone_back[-1] == trainer.progress.step:
            trainer.drop_carry()
    clock = _Clock(trainer.progress)
    saved_at = reported_at = time.monotonic()
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

        def save(*, best: bool) -> None:
            nonlocal saved_at
            saved_at = time.monotonic()
            lines.flush()
            os.fsync(lines.fileno())
            state = trainer.checkpoint(clock.seconds(), clock.since_lap())
            try:
                writer.write(state, best=best)
            except NotFiniteError as error:
                raise _DivergedError(str(error), Found(state.progress.step)) from error

        def on_step(current: Trainer, totals: Tensor | None) -> bool:
            nonlocal reported_at, best
            step = current.progress.step
            improved = over = False
            if totals is not None:
                _look(run, current, report)
                if not totals[0]:
                    raise _DivergedError("no step since the row before was finite", Found(step))
                row = _row(current, totals, clock)
                if not math.isfinite(row["loss"]):
                    what = f"loss {row['loss']}, expected a finite number"
                    raise _DivergedError(what, Found(step))
                found = validated(step)
                if found is not None:
                    validations.append(found)
                    best = best_of(validations)
                    improved = best is found
                lines.write(json.dumps({**row, **columns(found)}) + "\n")
                lines.flush()
                over = step == recipe.steps or gave_up(validations, recipe)
                if time.monotonic() - reported_at > 10 or over:
                    reported_at = time.monotonic()
                    report(
                        f"step {step}/{recipe.steps}: loss {row['loss']:.4f}, cells "
                        f"{row['cell_accuracy']:.1%}, "
                        f"solved {row['exact_accuracy']:.1%}, {row['examples_per_second']:.0f} "
                        f"examples/s{_best(best)}{time_left(row, recipe)}"
                    )
            stopping, busy = stop(), writer.busy
            due = not busy and time.monotonic() - saved_at >= execution.checkpoint_seconds
            if stopping or improved or over or due:
                _look(run, current, report)
                save(best=improved)
            return not (stopping or over)

        if gave_up(validations, recipe):
            return trainer.progress
        trainer.run(on_step)
        if trainer.progress.step < recipe.steps and gave_up(validations, recipe):
            report(
                f"ended early: no better validation in the last {recipe.patience} steps (patience)"
            )
    return trainer.progress


def _best(found: Validated | None) -> str:
    if found is None:
        return ""
    return f", at best {found.exact:.1%} of the validation puzzles (step {found.step})"


def time_left(row: Mapping[str, Any], recipe: Recipe) -> str:
    """How long the remaining steps will take at the speed of a row, for people."""
    remaining = recipe.steps - row["step"]
    if not remaining:
        return ""
    seconds = remaining * recipe.batch_size / row["examples_per_second"]
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    unit, size = next((each for each in units if seconds >= 2 * each[1]), units[-1])
    return f", about {max(1, round(seconds / size))} {unit} left"


def _look(run: Path, trainer: Trainer, report: Callable[[str], None]) -> None:
    """Ask whether steps were not finite, and tell those that were passed over.

    :raises _DivergedError: there were some, which may not be passed over.
    """
    found = trainer.watch.read()
    if found is None:
        return
    if not trainer.skips:
        raise _DivergedError(str(found), found)
    record(run, found, "skip", found.step)
    report(f"step {found.step}: {found}: passed over")


def _rewound(run: Path, error: _DivergedError) -> str:
    """Note that a run goes back to its newest checkpoint; returns what is to be told.

    :raises TrainingError: it has gone back there before, in vain.
    """
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


def _newest(run: Path, report: Callable[[str], None]) -> Checkpoint | None:
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
