"""Rows of ``metrics.jsonl``, reports and checkpoints by the clock, on a clock of our own."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from storage.examples import Examples, read_examples
from tests.trm_model.training.recipes import TINY, at_once
from trm_model.model.recursion import Recursion
from trm_model.model.variant import Variant
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.muon import Muon
from trm_model.schedules.linear import Linear
from trm_model.training import loop, trainer
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS, read_rows
from trm_model.training.folders import saved
from trm_model.training.loop import train
from trm_model.training.supervision import Supervision
from trm_model.variants import VARIANTS

SECONDS = 5.0
"""What each step takes."""


class Watched:
    """A clock that a step moves on by :data:`SECONDS`; the steps' recursions and results."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.results, inner = 1000.0, list[Supervision](), trainer.supervise
        self.recursions: list[Recursion] = []

        def supervise(*given: Any, **named: Any) -> Supervision:
            self.now += SECONDS
            self.recursions.append(named["recursion"])
            self.results.append(inner(*given, **named))
            return self.results[-1]

        monkeypatch.setattr(trainer, "supervise", supervise)
        monkeypatch.setattr(loop.time, "monotonic", lambda: self.now)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.fixture
def examples(tiny: tuple[object, Path, str]) -> Examples:
    return read_examples(tiny[1] / "train.zarr")


def run(
    folder: Path,
    examples: Examples,
    variant: Variant,
    *,
    report: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    **execution: Any,
) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    train(folder, variant, TINY, examples, 0, Execution(**execution), report=report, stop=stop)
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


@pytest.mark.parametrize("name", ["trm_mlp", "with_act"])
def test_a_row_sums_up_its_interval(
    tmp_path: Path, watched: Watched, examples: Examples, name: str
) -> None:
    """TINY: 12 steps of 8 examples, warm-up of 4 steps to 1e-3; 5 steps per row, the last has 2."""
    rows = run(tmp_path, examples, VARIANTS[name], log_steps=5)
    assert [row["step"] for row in rows] == [5, 10, 12]
    assert [row["examples"] for row in rows] == [40, 80, 96]
    assert [row["wall_seconds"] for row in rows] == [25.0, 50.0, 60.0]
    assert [row["examples_per_second"] for row in rows] == [8 / 5.0] * 3
    assert [row["learning_rate"] for row in rows] == [1e-3] * 3
    for row, first in zip(rows, (0, 5, 10), strict=True):
        steps = watched.results[first : row["step"]]
        count = 8 * len(steps)
        losses = [step.losses for step in steps]
        answer = sum(float(each.answer.detach().sum()) for each in losses) / count
        halt = sum(float((each.halt + each.go_on).detach().sum()) for each in losses) / count
        assert row["answer_loss"] == pytest.approx(answer, rel=1e-9)
        assert row["halt_loss"] == pytest.approx(halt, rel=1e-5)
        assert row["loss"] == pytest.approx(answer + 0.5 * halt, rel=1e-5)
        right = sum(int(step.losses.right_cells.sum()) for step in steps)
        labelled = sum(int(step.losses.labelled_cells.sum()) for step in steps)
        assert row["cell_accuracy"] == pytest.approx(right / labelled)
        solved = sum(int(step.losses.solved.sum()) for step in steps)
        assert row["exact_accuracy"] == pytest.approx(solved / count)
        taken = [
            int(number)
            for step in steps
            for number, halted in zip(step.carry.steps, step.carry.halted, strict=True)
            if halted
        ]
        assert row["mean_steps"] == pytest.approx(sum(taken) / len(taken))


def test_the_rate_rises_to_the_end_of_the_warm_up(
    tmp_path: Path, watched: Watched, examples: Examples
) -> None:
    rows = run(tmp_path, examples, VARIANTS["trm_mlp"], log_steps=1)
    expected = [0.25e-3, 0.5e-3, 0.75e-3, *[1e-3] * 9]
    assert [row["learning_rate"] for row in rows] == pytest.approx(expected)
    # Nobody has halted in the first three of at most four steps.
    assert [row["mean_steps"] for row in rows[:4]] == [4.0] * 4


def test_a_curriculum_deepens_by_the_share_of_steps_done(
    tmp_path: Path, watched: Watched, examples: Examples
) -> None:
    """Until 0.3 and 0.6 of the training: 3 and 7 of 12 steps."""
    run(tmp_path, examples, VARIANTS["depth_curriculum"])
    made = [(each.cycles, each.latent_updates) for each in watched.recursions]
    assert made == [(1, 2)] * 3 + [(2, 4)] * 4 + [(3, 6)] * 5


def test_progress_is_told_after_more_than_ten_seconds_and_at_the_end(
    tmp_path: Path, watched: Watched, examples: Examples
) -> None:
    told: list[str] = []
    run(tmp_path, examples, VARIANTS["trm_mlp"], log_steps=1, report=told.append)
    assert [text.partition(":")[0] for text in told] == [
        "step 3/12",
        "step 6/12",
        "step 9/12",
        "step 12/12",
    ]
    told.clear()
    run(tmp_path / "other", examples, VARIANTS["trm_mlp"], log_steps=4, report=told.append)
    assert [text.partition(":")[0] for text in told] == ["step 4/12", "step 8/12", "step 12/12"]
    # The first row of a process is slower than the others.
    assert [" left" in text for text in told] == [False, True, False]


def test_checkpoints_are_written_when_their_time_has_come(
    tmp_path: Path,
    watched: Watched,
    examples: Examples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[int] = []
    inner = loop.checkpoints.save

    def save(folder: Path, checkpoint: Any, keep: int) -> Path:
        steps.append(checkpoint.progress.step)
        return inner(folder, checkpoint, keep)

    at_once(monkeypatch)

    monkeypatch.setattr(loop.checkpoints, "save", save)
    run(tmp_path, examples, VARIANTS["trm_mlp"], checkpoint_seconds=3 * SECONDS)
    assert steps == [3, 6, 9, 12]
    # The two newest are kept.
    assert [folder.name for folder in saved(tmp_path)] == ["step-00000009", "step-00000012"]


def test_seconds_go_on_after_an_interruption(
    tmp_path: Path, watched: Watched, examples: Examples
) -> None:
    stops = iter([False, False, True])
    told: list[str] = []
    arguments: dict[str, Any] = {"log_steps": 2, "report": told.append}
    run(tmp_path, examples, VARIANTS["trm_mlp"], stop=lambda: next(stops), **arguments)
    watched.now += 1e6
    rows = run(tmp_path, examples, VARIANTS["trm_mlp"], **arguments)
    assert "continuing from step 3 of 12" in told
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [row["wall_seconds"] for row in rows] == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    assert [row["examples_per_second"] for row in rows] == [1.6] * 6


def test_rows_of_steps_that_will_be_trained_again_are_dropped(
    tmp_path: Path, watched: Watched, examples: Examples
) -> None:
    first = run(tmp_path, examples, VARIANTS["trm_mlp"], log_steps=2)
    with (tmp_path / METRICS).open("a") as lines:
        lines.write('{"step": 13}\n{"step": 12, "loss"')
    assert run(tmp_path, examples, VARIANTS["trm_mlp"], log_steps=2) == first


def test_rates_gradients_and_losses_are_those_of_the_recipe(
    tmp_path: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[float] = []
    clip = trainer.clip_grad_norm_

    def clipped(weights: Iterable[torch.nn.Parameter], most: float) -> Tensor:
        every = list(weights)
        found = clip(every, most)
        after = [w.grad.norm() for w in every if w.grad is not None]
        lengths.append(torch.stack(after).norm().item())
        return found

    monkeypatch.setattr(trainer, "clip_grad_norm_", clipped)
    recipe = replace(
        TINY,
        schedule=Linear(final=0.5),
        clip_norm=1e-3,
        halting_weight=0.125,
        label_smoothing=0.5,
        optimizer=Muon(),
        embedding_optimizer=AdamW(),
    )
    train(
        tmp_path,
        VARIANTS["trm_mlp"],
        recipe,
        examples,
        0,
        Execution(log_steps=4),
        report=lambda _: None,
    )
    rows = read_rows(tmp_path / METRICS)
    assert [row["learning_rate"] for row in rows] == [1e-3, 0.75e-3, 0.5e-3]
    for row in rows:
        assert row["loss"] == row["answer_loss"] + 0.125 * row["halt_loss"]
    # Evenly spread halves of the targets keep the loss from falling below this.
    assert rows[-1]["answer_loss"] > 0.5 * math.log(len(examples.header.vocabulary))
    assert lengths == pytest.approx([1e-3] * TINY.steps, rel=1e-3)
