"""The training loop: deep supervision with a carried state, one for all variants."""

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
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
        self.sampler = Sampler(
            examples,
            recipe.batch_size,
            derive(examples.header.seed, "order"),
            puzzles=recipe.puzzles,
        )
        self.carry: Carry | None = None
        self.progress = Progress()
        self.totals = torch.zeros(len(TOTALS), dtype=torch.float64, device=device)

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
            noise = Noise(derive(self.seed, "noise", step), items)
            carry = (
                Carry.fresh(self.reasoner, batch, noise)
                if self.carry is None
                else self.carry.refill(self.reasoner, batch, noise)
            )
            earliest = earliest_halts(
                recipe.batch_size,
                max_steps,
                recipe.exploration,
                torch_generator(self.seed, "halt", step),
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
            self._update(result, rate_factor(step, recipe))
            self.carry = result.carry
            self._count(result)
            self.progress = Progress(step, position)
            ended = step % self.execution.log_steps == 0 or step == recipe.steps
            totals = self.totals.clone() if ended else None
            if ended:
                self.totals.zero_()
            if not on_step(self, totals):
                return

    def _update(self, result: Supervision, factor: float) -> None:
        recipe = self.recipe
        set_rates(self.optimizers, factor)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        (result.losses.weighted(recipe.halting_weight) / recipe.batch_size).backward()
        if recipe.clip_norm is not None:
            clip_grad_norm_(self.reasoner.parameters(), recipe.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.ema is not None:
            self.ema.update(self.reasoner)
        if recipe.size.puzzle_width:
            assert result.rows.grad is not None
            sign_sgd_(
                self.reasoner.puzzle_rows,
                result.carry.batch.puzzle_ids,
                result.rows.grad,
                learning_rate=recipe.puzzle_learning_rate * factor,
                weight_decay=recipe.puzzle_weight_decay,
            )

    @torch.no_grad()
    def _count(self, result: Supervision) -> None:
        losses, carry = result.losses, result.carry
        self.totals += torch.stack(
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
    trainer = Trainer(variant, recipe, examples, seed, execution)
    found = _newest(run, report)
    if found is not None:
        trainer.resume(found)
        report(f"continuing from step {trainer.progress.step} of {recipe.steps}")
    elif initial is not None:
        trainer.begin_with(initial)
    metrics = run / METRICS
    keep_rows(metrics, trainer.progress.step)
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

    with metrics.open("a", encoding="utf-8") as lines:

        def save() -> None:
            nonlocal saved_at
            lines.flush()
            os.fsync(lines.fileno())
            try:
                checkpoints.save(run, trainer.checkpoint(clock.seconds(), clock.since_lap()))
            except NotFiniteError as error:
                raise _diverged(run, trainer.progress.step, str(error)) from error
            saved_at = time.monotonic()

        def on_step(current: Trainer, totals: Tensor | None) -> bool:
            nonlocal reported_at, best
            step = current.progress.step
            improved = over = False
            if totals is not None:
                row = _row(current, totals, clock)
                if not math.isfinite(row["loss"]):
                    raise _diverged(run, step, f"loss {row['loss']}, expected a finite number")
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
            stopping = stop()
            if (
                stopping
                or improved
                or over
                or time.monotonic() - saved_at >= execution.checkpoint_seconds
            ):
                save()
                if improved:
                    checkpoints.keep_best(run, step)
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


def _diverged(run: Path, step: int, found: str) -> TrainingError:
    """The error for numbers that are not finite, which were noticed after ``step``."""
    good = checkpoints.intact_step(run)
    before = (
        f"the checkpoint of step {good} is sound, and starting again goes on from it, but the "
        "same steps from the same seed may end here again: "
        if good
        else ""
    )
    return TrainingError(
        f"{run}: step {step}: {found}; {before}lower learning_rate or lengthen warmup_steps in the "
        "recipe, which begins a new run"
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
