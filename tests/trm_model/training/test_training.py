"""Sampling, training, exact resumption, evaluation."""

import re
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from storage.examples import Examples, Header, read_examples
from storage.manifest import CorruptDataError
from tests.trm_model.training.recipes import TINY, at_once, tiny_spec
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import evaluate
from trm_model.model.batch import DeviceExamples
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.reasoner import build
from trm_model.model.recursion import Recursion
from trm_model.noise import Noise
from trm_model.optimizers.adam_atan2 import AdamAtan2
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.optimizer import Optimizer
from trm_model.training import checkpoint as checkpoints
from trm_model.training.execution import Execution
from trm_model.training.group import Group
from trm_model.training.loop import TrainingError, train
from trm_model.training.run import RunSpec
from trm_model.training.sampler import Position, Sampler
from trm_model.training.supervision import Carry, Learned, Supervision, supervise
from trm_model.training.trainer import TOTALS, Trainer
from trm_model.variants import VARIANTS


def uneven() -> Examples:
    """Two groups of 2 and 1 puzzles with 3, 1 and 4 examples."""
    sizes, groups = np.array([3, 1, 4]), np.array([2, 1])
    inputs = np.arange(8, dtype=np.uint8)[:, None]
    offsets = [np.concatenate(([0], part.cumsum())) for part in (sizes, groups)]
    return Examples(
        Header(vocabulary=("pad", "a"), grid=(1, 1)),
        inputs,
        inputs,
        np.arange(3, dtype=np.int32),
        *offsets,
    )


def test_an_epoch_visits_each_group_once_with_a_random_member() -> None:
    sampler = Sampler(uneven(), batch_size=3, seed=0)
    members = set()
    for number in range(40):
        epoch = sampler.epoch(number)
        first, second = sorted(set(epoch) & {0, 1, 2, 3}), sorted(set(epoch) & {4, 5, 6, 7})
        assert second == [4, 5, 6, 7]
        assert first in ([0, 1, 2], [3])
        assert len(epoch) == len(first) + 4
        members.add(tuple(first))
    assert members == {(0, 1, 2), (3,)}


def test_batches_resume_anywhere_and_depend_on_the_seed() -> None:
    sampler = Sampler(uneven(), batch_size=3, seed=7)
    stream = sampler.batches(Position())
    taken = [next(stream) for _ in range(20)]
    for start in (0, 3, 11):
        resumed = Sampler(uneven(), batch_size=3, seed=7).batches(taken[start][1])
        for index, position in taken[start + 1 :]:
            again = next(resumed)
            assert (again[0] == index).all()
            assert again[1] == position
    other = Sampler(uneven(), batch_size=3, seed=8).batches(Position())
    assert any((next(other)[0] != index).any() for index, _ in taken)


def test_ranks_take_disjoint_parts_of_one_batch() -> None:
    whole = Sampler(uneven(), batch_size=6, seed=7).batches(Position())
    ranks = [
        Sampler(uneven(), batch_size=6, seed=7, share=Group(rank, 3).share(6)).batches(Position())
        for rank in range(3)
    ]
    for _ in range(10):
        expected, position = next(whole)
        parts = [next(stream) for stream in ranks]
        np.testing.assert_array_equal(np.concatenate([index for index, _ in parts]), expected)
        assert {after for _, after in parts} == {position}
    with pytest.raises(ConfigurationError, match="multiple of 4"):
        Group(0, 4).share(6)


def test_an_epoch_of_the_first_puzzles_leaves_the_others_out() -> None:
    sampler = Sampler(uneven(), batch_size=3, seed=0, puzzles=1)
    visited = {int(index) for number in range(40) for index in sampler.epoch(number)}
    assert visited == {0, 1, 2, 3}
    both = Sampler(uneven(), batch_size=3, seed=0, puzzles=2)
    assert (both.epoch(3) == Sampler(uneven(), batch_size=3, seed=0).epoch(3)).all()
    with pytest.raises(ConfigurationError, match=r"puzzles=3: .*at most the 2 training puzzles"):
        Sampler(uneven(), batch_size=3, seed=0, puzzles=3)


def tensors(run: Path) -> dict[str, torch.Tensor]:
    state = checkpoints.load(checkpoints.saved(run)[-1])
    parts = {
        "weights": state.weights,
        "average": state.average,
        "optimizer": state.optimizer,
        "carry": state.carry,
    }
    return {
        f"{part}/{name}": tensor
        for part, values in parts.items()
        for name, tensor in values.items()
    }


@pytest.mark.parametrize(
    ("variant", "optimizer"),
    [
        ("trm_mlp", AdamW()),
        ("trm", AdamAtan2()),
        ("no_ema", AdamW()),
        ("multi_scale", AdamW()),
        ("autoregressive", AdamW()),
    ],
)
def test_stopping_anywhere_and_continuing_changes_no_bit(
    tmp_path: Path, tiny: tuple[object, Path, str], variant: str, optimizer: Optimizer
) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    recipe = replace(TINY, optimizer=optimizer)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        run.mkdir()
    execution = Execution(log_steps=5)
    train(whole, VARIANTS[variant], recipe, examples, 3, execution, report=lambda _: None)
    steps = 0
    for stop_after in (1, 3, 100):
        steps = 0

        def stop(stop_after: int = stop_after) -> bool:
            nonlocal steps
            steps += 1
            return steps >= stop_after

        progress = train(
            parts,
            VARIANTS[variant],
            recipe,
            examples,
            3,
            execution,
            report=lambda _: None,
            stop=stop,
        )
    assert progress.step == recipe.steps
    first, second = tensors(whole), tensors(parts)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    columns = [
        [
            line.split('"learning_rate"')[0]
            for line in (run / "metrics.jsonl").read_text().splitlines()
        ]
        for run in (whole, parts)
    ]
    assert columns[0] == columns[1]
    assert len(columns[0]) == 3


def test_a_curriculum_deepens_at_its_shares_of_the_training(
    tmp_path: Path, tiny: tuple[object, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def recording(*arguments: Any, recursion: Recursion, **settings: Any) -> Supervision:
        taken.append((recursion.cycles, recursion.latent_updates))
        return supervise(*arguments, recursion=recursion, **settings)

    monkeypatch.setattr("trm_model.training.trainer.supervise", recording)
    curriculum = DepthCurriculum(until=(0.25, 0.75), cycles=(1, 2), latent_updates=(1, 2))
    variant = replace(VARIANTS["trm_mlp"], cycles=3, latent_updates=3, curriculum=curriculum)
    examples = read_examples(tiny[1] / "train.zarr")
    recipe = replace(TINY, steps=8)
    train(tmp_path, variant, recipe, examples, 0, Execution(), report=lambda _: None)
    assert taken == [(1, 1)] * 2 + [(2, 2)] * 4 + [(3, 3)] * 2


def test_a_training_that_goes_on_does_not_keep_what_it_has_read(
    tmp_path: Path, tiny: tuple[object, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ARC a checkpoint has gigabytes."""
    read: list[weakref.ref[torch.Tensor]] = []

    def load(folder: Path) -> checkpoints.Checkpoint:
        state = loading(folder)
        read.append(weakref.ref(state.weights["tokens"]))
        return state

    loading = checkpoints.load
    examples, execution = read_examples(tiny[1] / "train.zarr"), Execution(log_steps=1)
    go = partial(train, tmp_path, VARIANTS["trm_mlp"], TINY, examples, 0, execution)
    go(stop=lambda: True, report=lambda _: None)
    monkeypatch.setattr(checkpoints, "load", load)
    alive: list[bool] = []
    go(send=lambda *_: alive.append(read[0]() is not None), report=lambda _: None)
    assert len(alive) > 1
    assert not any(alive)


def test_another_seed_gives_other_weights(tmp_path: Path, tiny: tuple[object, Path, str]) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    heads = []
    for seed in (0, 1):
        run = tmp_path / str(seed)
        run.mkdir()
        train(
            run,
            VARIANTS["trm_mlp"],
            replace(TINY, steps=2),
            examples,
            seed,
            Execution(),
            report=lambda _: None,
        )
        heads.append(tensors(run)["weights/head"])
    assert not torch.equal(*heads)


# Of TRM's Table 3, which varies n and T only, the smallest models; of names for one variant, the
# first.
LEARNING = {
    v: name
    for name, v in reversed(VARIANTS.items())
    if not re.search(r"_n\d+_t", name) or name in ("hrm_n1_t1", "trm_n2_t1")
}


@pytest.mark.parametrize("name", list(LEARNING.values()))
def test_every_variant_trains_and_resumes_exactly(
    tmp_path: Path, tiny: tuple[object, Path, str], name: str
) -> None:
    """Thirty steps: the loss falls and all gradients are finite; continued from a checkpoint after
    24, the weights end up equal."""
    examples = read_examples(tiny[1] / "train.zarr")
    recipe = replace(TINY, steps=30, learning_rate=3e-3)
    variant, execution = VARIANTS[name], Execution(log_steps=10)
    losses: list[float] = []

    def watch(trainer: Trainer, totals: torch.Tensor | None) -> bool:
        gradients = [p.grad for p in trainer.reasoner.parameters() if p.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)
        if totals is not None:
            losses.append(float(totals[TOTALS.index("answer_loss")]))
        if trainer.progress.step == 24 and not checkpoints.saved(tmp_path):
            checkpoints.save(tmp_path, trainer.checkpoint(0.0, 0.0).copied())
        return True

    whole = Trainer(variant, recipe, examples, 0, execution)
    whole.run(watch)
    assert losses[2] < losses[0]
    rest = Trainer(variant, recipe, examples, 0, execution)
    rest.resume(checkpoints.load(checkpoints.saved(tmp_path)[0]))
    rest.run(watch)
    assert losses[3] == losses[2]
    first, second = whole.checkpoint(0.0, 0.0), rest.checkpoint(0.0, 0.0)
    for part in ("weights", "average", "optimizer", "carry"):
        one, other = getattr(first, part), getattr(second, part)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), part


def spoiled_at(step: int, part: str) -> Callable[[Trainer, Learned, torch.Tensor], None]:
    """What counts a step's losses, and at one step writes NaN into a part of the training."""
    count = Trainer._count  # pyright: ignore[reportPrivateUsage]

    def counting(trainer: Trainer, learned: Learned, finite: torch.Tensor) -> None:
        count(trainer, learned, finite)
        if trainer.progress.step + 1 == step:
            assert trainer.ema is not None
            assert trainer.carry is not None
            spoiled = {
                "weights/halt_bias": trainer.reasoner.halt_bias.detach(),
                "weights/puzzle_rows": trainer.reasoner.puzzle_rows,
                "average/halt_bias": trainer.ema.average["halt_bias"],
                "carry/answer": trainer.carry.state.answer,
                "totals": trainer.totals,
            }
            spoiled[part].view(-1)[-1] = torch.nan

    return counting


@pytest.mark.parametrize(
    ("part", "at", "found", "good"),
    [
        ("totals", 6, r"step 6: totals: 1 of 8 numbers are NaN or infinite", 5),
        ("weights/halt_bias", 3, r"step 3: weights/halt_bias: 1 of 2 numbers", 2),
        ("weights/halt_bias", 1, r"step 1: weights/halt_bias: 1 of 2 numbers", 0),
        ("weights/puzzle_rows", 4, r"step 4: weights/puzzle_rows: 1 of 16 numbers", 3),
        ("average/halt_bias", 12, r"step 12: average/halt_bias: 1 of 2 numbers", 11),
        ("carry/answer", 5, r"step 5: carry/answer: 1 of 2304 numbers", 4),
    ],
)
def test_numbers_that_are_not_finite_are_never_written(
    tmp_path: Path,
    tiny: tuple[object, Path, str],
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    at: int,
    found: str,
    good: int,
) -> None:
    """With a checkpoint after each step: those before are kept, and the message says how to go on;
    what goes on from them ends as if nothing had been."""
    at_once(monkeypatch)
    examples = read_examples(tiny[1] / "train.zarr")
    settings = (VARIANTS["trm_mlp"], TINY, examples, 0)
    execution = Execution(log_steps=100, checkpoint_seconds=0.0)
    with monkeypatch.context() as broken, pytest.raises(TrainingError, match=found) as caught:
        broken.setattr(Trainer, "_count", spoiled_at(at, part))
        train(tmp_path, *settings, execution, report=lambda _: None)
    told = f"the checkpoint of step {good} is sound, and starting again goes on from it"
    assert (told in str(caught.value)) == (good > 0)
    assert "lower learning_rate or lengthen warmup_steps" in str(caught.value)
    assert checkpoints.intact_step(tmp_path) == good
    reached = train(tmp_path, *settings, execution, report=lambda _: None)
    assert reached.step == TINY.steps


def test_a_loss_that_is_not_finite_stops_training(
    tmp_path: Path, tiny: tuple[object, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    monkeypatch.setattr(Trainer, "_count", spoiled_at(3, "carry/answer"))
    with pytest.raises(
        TrainingError,
        match=r"step 4: a loss or gradient that is not finite, of the examples .*; lower",
    ):
        train(
            tmp_path,
            VARIANTS["trm"],
            TINY,
            examples,
            0,
            Execution(log_steps=2),
            report=lambda _: None,
        )
    assert checkpoints.saved(tmp_path) == []
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("optimizer", [AdamW(), AdamAtan2()])
def test_one_step_that_is_far_too_large_is_not_a_finished_training(
    tmp_path: Path, tiny: tuple[object, Path, str], optimizer: Optimizer
) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    recipe = replace(TINY, steps=1, learning_rate=1e38, warmup_steps=0, optimizer=optimizer)
    recipe = replace(recipe, weight_decay=100.0)
    with pytest.raises(TrainingError, match=r"step 1: \S+: \d+ of \d+ numbers are NaN or infinite"):
        train(tmp_path, VARIANTS["trm"], recipe, examples, 0, Execution(), report=lambda _: None)
    assert checkpoints.saved(tmp_path) == []


def test_numbers_that_older_versions_wrote_are_passed_over(
    tmp_path: Path, tiny: tuple[object, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    examples = read_examples(tiny[1] / "train.zarr")
    settings = (VARIANTS["trm_mlp"], TINY, examples, 0, Execution(checkpoint_seconds=0.0))
    with monkeypatch.context() as older:
        older.setattr(checkpoints.Checkpoint, "require_finite", lambda _: None)
        older.setattr(Trainer, "_count", spoiled_at(TINY.steps, "weights/halt_bias"))
        train(tmp_path, *settings, report=lambda _: None)
    assert checkpoints.intact_step(tmp_path) == TINY.steps - 1
    with pytest.raises(CorruptDataError, match="weights/halt_bias: 1 of 2 numbers are NaN"):
        checkpoints.load(checkpoints.saved(tmp_path)[-1])
    told: list[str] = []
    train(tmp_path, *settings, report=told.append)
    assert any("passing over a damaged checkpoint" in line for line in told)
    assert checkpoints.intact_step(tmp_path) == TINY.steps


def test_a_damaged_checkpoint_is_named(tmp_path: Path, tiny: tuple[object, Path, str]) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    train(
        tmp_path,
        VARIANTS["trm"],
        replace(TINY, steps=2),
        examples,
        0,
        Execution(),
        report=lambda _: None,
    )
    path = checkpoints.saved(tmp_path)[-1] / "optimizer.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match=r"optimizer\.safetensors: its bytes changed"):
        train(tmp_path, VARIANTS["trm"], TINY, examples, 0, Execution(), report=lambda _: None)


def test_a_damaged_newest_checkpoint_is_passed_over(
    tmp_path: Path, tiny: tuple[object, Path, str]
) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    runs = tmp_path / "whole", tmp_path / "damaged"
    for run in runs:
        run.mkdir()
        train(
            run,
            VARIANTS["trm"],
            TINY,
            examples,
            0,
            Execution(checkpoint_seconds=0.0),
            report=lambda _: None,
        )
    path = checkpoints.saved(runs[1])[-1] / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    told: list[str] = []
    train(runs[1], VARIANTS["trm"], TINY, examples, 0, Execution(), report=told.append)
    assert any("passing over a damaged checkpoint" in line for line in told)
    first, second = (tensors(run) for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_run_description_round_trip_and_key(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, tmp_path / "data", "abc")
    spec.write(tmp_path)
    assert RunSpec.read(tmp_path) == spec
    assert replace(spec, execution=Execution(log_steps=9)).key == spec.key
    for other in (
        replace(spec, seed=1),
        replace(spec, data_version="d"),
        replace(spec, variant=VARIANTS["trm"]),
        replace(spec, attempt="2"),
    ):
        assert other.key != spec.key
    other_seed = replace(spec, seed=1)
    assert other_seed.key != spec.key
    assert other_seed.config_hash == spec.config_hash
    (tmp_path / "run.json").write_text('{"benchmark": 3}')
    with pytest.raises(ConfigurationError, match=r"run\.json"):
        RunSpec.read(tmp_path)


def test_evaluation_equals_supervision_steps(tiny: tuple[object, Path, str]) -> None:
    examples = read_examples(tiny[1] / "test.zarr")
    model = build(VARIANTS["trm_mlp"], TINY.size, examples.header, 0)
    data = DeviceExamples(examples, torch.device("cpu"))
    found = evaluate(model, data, max_steps=3, batch_size=20)
    assert found.predictions.shape == (20, 3, 16)
    noise = Noise(0, torch.arange(20))
    carry = Carry.fresh(model, data.gather(np.arange(20)), noise)
    with torch.no_grad():
        for step in range(3):
            result = supervise(model, carry, max_steps=3, noise=noise)
            carry = result.carry
            np.testing.assert_array_equal(
                found.right_cells[:, step], result.losses.right_cells.numpy()
            )
            np.testing.assert_allclose(
                found.halt_logits[:, step], result.output.halt_logits.numpy(), rtol=1e-4
            )
