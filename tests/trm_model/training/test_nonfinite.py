"""Losses and gradients that are not finite: no checkpoint holds what follows from them, and a
training stops, passes over them or goes back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from storage.examples import Examples, read_examples
from tests.trm_model.training.recipes import TINY, at_once
from trm_model.model.batch import Batch
from trm_model.model.state import State
from trm_model.optimizers.adam_atan2 import AdamAtan2
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.muon import Muon
from trm_model.optimizers.optimizer import Optimizer
from trm_model.training import checkpoint as checkpoints
from trm_model.training import loop, trainer
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS, read_rows
from trm_model.training.group import Group
from trm_model.training.loop import TrainingError, train
from trm_model.training.losses import Losses
from trm_model.training.nonfinite import (
    EVENTS,
    MOST_REWINDS,
    Found,
    Watch,
    dropped_unless,
    passed_over,
    unchanged_unless,
)
from trm_model.training.recipe import Recipe
from trm_model.training.supervision import Carry, Learned, Supervision
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

STEPS, BAD, ROW = 60, 7, 50
LONG = replace(TINY, steps=STEPS)
"""With a checkpoint after the 4th, 9th, 14th, … step."""


@pytest.fixture
def examples(tiny: tuple[object, Path, str]) -> Examples:
    return read_examples(tiny[1] / "train.zarr")


NOW = [0.0]
"""Seconds, where :func:`every_fifth` is used; a training starts at -1."""


@pytest.fixture
def every_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes a second; checkpoints are written before the next one."""
    at_once(monkeypatch)
    inner = trainer.supervise

    def supervise(*given: Any, **named: Any) -> Supervision:
        NOW[0] += 1.0
        return inner(*given, **named)

    monkeypatch.setattr(trainer, "supervise", supervise)
    monkeypatch.setattr(loop.time, "monotonic", lambda: NOW[0] or -1.0)


def inject(
    monkeypatch: pytest.MonkeyPatch, is_bad: Callable[[Trainer], bool], *, gradient: bool = False
) -> None:
    """Let the loss of the third example, or a gradient alone, be NaN in some steps."""
    update = Trainer._update  # pyright: ignore[reportPrivateUsage]

    def updated(trainer: Trainer, result: Learned, step: int) -> torch.Tensor:
        if not is_bad(trainer):
            return update(trainer, result, step)
        if gradient:
            trainer.reasoner.halt_bias.grad = trainer.reasoner.halt_bias * torch.nan
            return update(trainer, result, step)
        factor = torch.ones_like(result.losses.answer)
        factor[2] = torch.nan
        losses = result.losses._replace(answer=result.losses.answer * factor)
        state = result.carry.state
        spoiled = State(state.answer * torch.nan, state.latents)
        carry = replace(result.carry, state=spoiled)
        return update(trainer, replace(result, losses=losses, carry=carry), step)

    monkeypatch.setattr(Trainer, "_update", updated)


def at_step(step: int) -> Callable[[Trainer], bool]:
    return lambda trainer: trainer.progress.step + 1 == step


def once(step: int) -> Callable[[Trainer], bool]:
    return lambda trainer: trainer.progress.step + 1 == step and trainer.draws == trainer.seed


def run(folder: Path, examples: Examples, recipe: Recipe = LONG, **changes: Any) -> list[str]:
    told: list[str] = []
    NOW[0] = 0.0
    execution = Execution(log_steps=ROW, checkpoint_seconds=5.0, keep_checkpoints=100)
    folder.mkdir(exist_ok=True)
    train(
        folder,
        VARIANTS["trm_mlp"],
        replace(recipe, **changes),
        examples,
        0,
        execution,
        report=told.append,
    )
    return told


def saved_steps(folder: Path) -> list[int]:
    return [checkpoints.step_of(checkpoint) for checkpoint in checkpoints.saved(folder)]


@pytest.mark.usefixtures("every_fifth")
@pytest.mark.parametrize("gradient", [False, True])
def test_it_stops_before_the_next_checkpoint(
    tmp_path: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch, *, gradient: bool
) -> None:
    """NaN at step 7 of a row of 50 steps, and a checkpoint due at step 9: none holds it."""
    with monkeypatch.context() as broken:
        inject(broken, at_step(BAD), gradient=gradient)
        with pytest.raises(TrainingError) as caught:
            run(tmp_path, examples)
    assert saved_steps(tmp_path) == [4]
    (event,) = read_rows(tmp_path / EVENTS)
    assert (event["action"], event["step"], event["at"]) == ("stop", BAD, BAD)
    assert len(event["examples"]) == (LONG.batch_size if gradient else 1)
    assert event["puzzle_ids"] == [0]
    message = str(caught.value)
    assert f"step {BAD}: a loss or gradient that is not finite, of the examples " in message
    assert str(event["examples"][0]) in message
    assert "the checkpoint of step 4 is sound" in message
    run(tmp_path, examples)
    assert read_rows(tmp_path / EVENTS) == []
    assert saved_steps(tmp_path)[-1] == STEPS


@pytest.mark.usefixtures("every_fifth")
@pytest.mark.parametrize("optimizer", [AdamW(), AdamAtan2(), Muon()])
@pytest.mark.parametrize("bad", [1, BAD])
def test_a_step_that_is_passed_over_changes_nothing(
    tmp_path: Path,
    examples: Examples,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: Optimizer,
    bad: int,
) -> None:
    """But for the examples under way, which give way to fresh ones."""
    before: dict[str, torch.Tensor] = {}
    after: dict[str, torch.Tensor] = {}
    halted: list[bool] = []
    update = Trainer._update  # pyright: ignore[reportPrivateUsage]
    other = AdamW()
    recipe = replace(LONG, optimizer=optimizer, embedding_optimizer=other, steps=12)

    def everything(trainer: Trainer) -> dict[str, torch.Tensor]:
        assert trainer.ema is not None
        state = checkpoints.optimizer_tensors(trainer.optimizers)
        parts = {**trainer.reasoner.state_dict(), **state}
        average = {f"average.{name}": tensor for name, tensor in trainer.ema.average.items()}
        return {name: t.detach().clone() for name, t in {**parts, **average}.items()}

    inject(monkeypatch, at_step(bad))
    spoiled = Trainer._update  # pyright: ignore[reportPrivateUsage]
    assert spoiled is not update

    def watched(trainer: Trainer, result: Learned, step: int) -> torch.Tensor:
        if step == bad + 1:
            after.update(everything(trainer))
            assert trainer.carry is not None
            halted.extend(trainer.carry.halted.tolist())
        if step == bad:
            before.update(everything(trainer))
        return spoiled(trainer, result, step)

    monkeypatch.setattr(Trainer, "_update", watched)
    told = run(tmp_path, examples, recipe, on_nonfinite="skip")
    assert halted == [True] * TINY.batch_size
    for name, tensor in after.items():
        old = before.get(name, torch.zeros_like(tensor))
        torch.testing.assert_close(tensor, old, rtol=0, atol=0, msg=name)
    (event,) = read_rows(tmp_path / EVENTS)
    assert (event["action"], event["step"], event["steps"]) == ("skip", bad, 1)
    assert passed_over(tmp_path) == 1
    assert any(line.startswith(f"step {bad}: ") and "passed over" in line for line in told)
    assert saved_steps(tmp_path) == [4, 9, 12]
    [row] = read_rows(tmp_path / METRICS)
    assert 0 < row["loss"] < 10


@pytest.mark.usefixtures("every_fifth")
def test_what_is_finite_is_trained_as_without_passing_over(
    tmp_path: Path, examples: Examples
) -> None:
    for kind in ("stop", "skip", "rewind"):
        run(tmp_path / kind, examples, on_nonfinite=kind, steps=12)
    first, *others = (
        checkpoints.load(checkpoints.saved(tmp_path / kind)[-1])
        for kind in ("stop", "skip", "rewind")
    )
    for other in others:
        for part in ("weights", "average", "optimizer", "carry"):
            one, two = getattr(first, part), getattr(other, part)
            assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.usefixtures("every_fifth")
@pytest.mark.parametrize(("steps", "last"), [(STEPS, 50), (12, 12)])
def test_nothing_but_such_steps_in_a_row_or_in_a_shorter_training_ends_it(
    tmp_path: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch, steps: int, last: int
) -> None:
    inject(monkeypatch, lambda _: True)
    expected = f"step {last}: none of the last {last} steps was finite"
    with pytest.raises(TrainingError, match=expected):
        run(tmp_path, examples, on_nonfinite="skip", steps=steps)
    assert last not in saved_steps(tmp_path)


@pytest.mark.usefixtures("every_fifth")
def test_it_goes_back_and_on_with_other_draws(
    tmp_path: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, once(BAD))
    told = run(tmp_path / "whole", examples, on_nonfinite="rewind")
    assert any(line.startswith(f"step {BAD}: ") and "back to step 4" in line for line in told)
    assert saved_steps(tmp_path / "whole")[-1] == STEPS
    (event,) = read_rows(tmp_path / "whole" / EVENTS)
    assert (event["action"], event["step"], event["at"]) == ("rewind", 4, BAD)
    assert [row["step"] for row in read_rows(tmp_path / "whole" / METRICS)] == [50, 60]
    # Killed at once after it has gone back, it ends with the same bits.
    interrupted = tmp_path / "interrupted"
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        inner = Trainer.drop_carry

        def kill(trainer: Trainer) -> None:
            inner(trainer)
            raise KeyboardInterrupt

        killed.setattr(Trainer, "drop_carry", kill)
        run(interrupted, examples, on_nonfinite="rewind")
    run(interrupted, examples, on_nonfinite="rewind")
    one, other = (
        checkpoints.load(checkpoints.saved(folder)[-1]).weights
        for folder in (tmp_path / "whole", interrupted)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("every_fifth")
def test_going_back_in_vain_ends_it(
    tmp_path: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, at_step(BAD))
    with pytest.raises(TrainingError, match=f"back to step 4 did not help, {MOST_REWINDS} times"):
        run(tmp_path, examples, on_nonfinite="rewind")
    actions = [event["action"] for event in read_rows(tmp_path / EVENTS)]
    assert actions == ["rewind"] * MOST_REWINDS + ["stop"]
    assert saved_steps(tmp_path) == [4]


def test_noting_waits_for_no_device() -> None:
    """Tensors on ``meta`` have no numbers that anything could wait for."""
    device = torch.device("meta")
    weights = torch.nn.Linear(2, 2, device=device)
    for weight in weights.parameters():
        weight.grad = torch.empty_like(weight)
    one, number = torch.empty(3, device=device), torch.empty(3, dtype=torch.int64, device=device)
    state = State(torch.empty(3, 5, 4, device=device), (torch.empty(3, 5, 4, device=device),))
    carry = Carry(Batch(number, number, number), state, number, number > 0)
    learned = Learned(Losses(one, one, one, number, number, one), carry, None)
    gradients = [weight.grad for weight in weights.parameters() if weight.grad is not None]
    watch = Watch(device)
    for _ in range(2):
        watch.take(number, carry.halted)
        finite = watch.note(7, learned, torch.empty(1, device=device), gradients)
        with unchanged_unless(finite, lambda: dict(weights.named_parameters())):
            pass
        assert dropped_unless(finite, carry).state.answer.shape == state.answer.shape


def test_of_several_steps_the_first_is_told() -> None:
    watch, number, alone = Watch(torch.device("cpu")), torch.arange(3), Group()
    state = State(torch.zeros(3, 1, 1), ())
    carry = Carry(Batch(number, number, number % 2 + 4), state, number, number > 0)
    found = []
    for step, bad in ((1, None), (2, 0), (3, 1), (4, None)):
        loss = torch.ones(3)
        if bad is not None:
            loss[bad] = torch.inf
        learned = Learned(Losses(loss, loss, loss, number, number, loss), carry, None)
        watch.take(10 * step + number, None if step == 1 else torch.tensor([False, True, True]))
        spoiled = torch.tensor([0.0 if bad is None else 1.0])
        assert bool(watch.note(step, learned, spoiled, [torch.zeros(2)])) == (bad is None)
        if step in (1, 4):
            found.append(watch.read(alone))
    assert found == [None, Found(2, 2, (10,), (4,))]
    assert "of the examples 10 (puzzle ids 4); later steps like it: 1" in str(found[1])
    assert watch.read(alone) is None
    # The examples that were under way when a process starts are not known to it.
    late = Watch(torch.device("cpu"))
    late.take(number + 20, torch.tensor([True, False, False]))
    ones = torch.ones(3)
    learned = Learned(Losses(ones, ones, ones, number, number, ones), carry, None)
    late.note(9, learned, torch.zeros(1), [torch.full((2,), torch.nan)])
    assert late.read(alone) == Found(9, 1, (20,), (4, 5))
