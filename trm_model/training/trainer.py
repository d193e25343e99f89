"""A training under way: optimizer steps of deep supervision with a carried state, one loop for all
variants."""

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from storage.examples import ExampleSet
from trm_model.devices import open_device, placed
from trm_model.model.batch import DeviceExamples
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.recursion import Recursion
from trm_model.model.variant import Variant
from trm_model.model.weights import load_weights
from trm_model.noise import Noise, torch_generator
from trm_model.seeding import derive
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress
from trm_model.training.ema import Ema
from trm_model.training.execution import Execution
from trm_model.training.exploration import earliest_halts
from trm_model.training.group import Group
from trm_model.training.nonfinite import Watch, dropped_unless, unchanged_unless
from trm_model.training.optimizers import make_optimizers, rate_factor, set_rates
from trm_model.training.puzzle_rows import sign_sgd_
from trm_model.training.recipe import Recipe
from trm_model.training.sampler import Sampler
from trm_model.training.supervision import Carry, Learned, supervise

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
"""What is counted of the examples of the steps between two rows, in this order."""


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
        self.variant, self.recipe, self.seed, self.execution = variant, recipe, seed, execution
        self.header = examples.header
        self.data = DeviceExamples(examples, device)
        self._order = Sampler(
            examples,
            recipe.batch_size,
            derive(self.header.seed, "order"),
            puzzles=recipe.puzzles,
            share=self.group.share(recipe.batch_size),
        )
        self.begin()

    def begin(self) -> None:
        """Begin, once more if need be: weights drawn from the seed, and nothing trained."""
        device = self.data.device
        self.carry: Carry | None = None
        self.reasoner = self._built()
        self.reasoner.recompute = self.execution.recompute
        if self.execution.compile:
            self.reasoner.compile_networks()
        self.optimizers = make_optimizers(self.reasoner, self.recipe)
        self.ema = self._average() if self.variant.ema else None
        self.draws, self.sampler = self.seed, self._order
        self.watch = Watch(device)
        self.progress = Progress()
        self.totals = torch.zeros(len(TOTALS), dtype=torch.float64, device=device)

    def _built(self) -> Reasoner:
        model = build(self.variant, self.recipe.size, self.header, self.seed, self.recipe.precision)
        return model.to(self.data.device)

    def _average(self) -> Ema:
        return Ema(self.reasoner, self.recipe.ema_decay, self.recipe.ema_start)

    def go_on_otherwise(self, times: int) -> None:
        """Let the following steps have another order of the data, other exploration and other noise
        than before.

        :param times: so often it has been rewound; each time is other than the ones before.
        """
        self.draws = derive(self.seed, "rewind", times)
        self.sampler = self._order.reseeded(derive(self.header.seed, "order", times))

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
        model = self._built()
        model.load_state_dict({**self.reasoner.state_dict(), **average})
        if self.execution.compile:
            model.compile_networks(any_size=True)
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
        recipe, device, variant = self.recipe, self.data.device, self.variant
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
                    placed(torch.from_numpy(index), device),
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
                )
                stage = variant.stage(step / recipe.steps)
                learned = self._learn(
                    carry, max_steps, noise, placed(earliest[share], device), stage
                )
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
