"""Several processes train as one would, and any number of them goes on from what others wrote."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist

from storage.examples import ExampleSet, read_examples
from tests.trm_model.training.recipes import TINY
from trm_model.errors import ConfigurationError
from trm_model.model.reasoner import Reasoner, build
from trm_model.names import STORE_VARIABLE
from trm_model.noise import Noise
from trm_model.training import checkpoint as checkpoints
from trm_model.training import group as groups
from trm_model.training import loop, trainer
from trm_model.training.execution import Execution, most_shares
from trm_model.training.figures import read_rows
from trm_model.training.folders import step_reached
from trm_model.training.group import Group, JoinedGroup, LostError, join
from trm_model.training.loop import train
from trm_model.training.nonfinite import EVENTS
from trm_model.training.recipe import Recipe
from trm_model.training.supervision import Carry, Learned
from trm_model.training.trainer import Trainer
from trm_model.training.validation import Validated
from trm_model.variants import VARIANTS

# One process imports torch, and those that train are forked off it.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])

VARIANT = replace(VARIANTS["trm_mlp"], state_noise=0.1, cycles=2, latent_updates=2)
"""With few calls: of three cycles of seven, random weights make rounding fifty times larger in each
step, also in float64."""
SEVERAL_STARTS = next(name for name, each in VARIANTS.items() if each.training_rollouts > 1)
RECIPE = replace(TINY, exploration=0.5)
EXECUTION = Execution(log_steps=2, threads=1, validate_steps=0)


def _in_float64(*arguments: Any) -> Reasoner:
    """A model in which what rounding changes does not grow to 1e-5 within a test."""
    model = build(*arguments).double()
    model.dtype = torch.float64
    return model


def _rank(rank: int, size: int, store: str, work: Callable[..., None], *told: Any) -> None:
    trainer.build = _in_float64
    if size == 1:
        work(Group(), *told)
        return
    dist.init_process_group("gloo", f"file://{store}", rank=rank, world_size=size)
    work(JoinedGroup(rank, size, rank, size), *told)


def together(
    size: int, folder: Path, work: Callable[..., None], *told: Any, seconds: float = 120
) -> list[int | None]:
    """Run ``work(group, *told)`` in so many processes, connected by gloo; returns their exit codes.

    :param seconds: after which one that has not ended is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / f"store-{size}"
    ranks = [(_rank, rank, size, str(store), work, *told) for rank in range(size)]
    return in_processes(ranks, seconds)


def in_processes(
    calls: Iterable[tuple[Callable[..., None], *tuple[Any, ...]]], seconds: float = 120
) -> list[int | None]:
    """Make each call, a function and its arguments, in a process of its own, all at once; returns
    their exit codes. One that has not ended after so many seconds is killed."""
    processes = [
        PROCESSES.Process(target=function, args=arguments) for function, *arguments in calls
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def _train(group: Group, run: Path, data: Path, stop_after: int | None, recipe: Recipe) -> None:
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        # One process alone is told to stop.
        return group.rank == group.size - 1 and steps == stop_after

    run.mkdir(exist_ok=True)
    examples = read_examples(data / "train.zarr")
    settings = (VARIANT, recipe, examples, 3, EXECUTION)
    train(run, *settings, group=group, report=lambda _: None, stop=stop)
    group.leave()


def _train_in_float32(group: Group, run: Path, data: Path, recipe: Recipe) -> None:
    trainer.build = build
    _train(group, run, data, None, recipe)


def _train_through_nan(group: Group, run: Path, data: Path) -> None:
    update = Trainer._update  # pyright: ignore[reportPrivateUsage]

    def updated(trainer: Trainer, learned: Learned, step: int) -> torch.Tensor:
        # In the last process alone, and not once the training has gone back.
        if step == 5 and trainer.draws == trainer.seed and group.rank == group.size - 1:
            spoiled = torch.ones_like(learned.losses.answer)
            spoiled[1] = torch.nan
            losses = learned.losses._replace(answer=learned.losses.answer * spoiled)
            learned = replace(learned, losses=losses)
        return update(trainer, learned, step)

    Trainer._update = updated  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    _train(group, run, data, None, replace(RECIPE, on_nonfinite="rewind"))


def _diverge_with_a_slow_lead(group: Group, run: Path, data: Path) -> None:
    """The lead reads long before it says that it ends; no other has ended by then."""
    verdict = loop._rewound  # pyright: ignore[reportPrivateUsage]

    def slow(*arguments: Any) -> str:
        time.sleep(2.0)
        (run / "verdict").touch()
        return verdict(*arguments)

    loop._rewound = slow  # pyright: ignore[reportPrivateUsage]
    trainer.build = build
    with pytest.raises(loop.TrainingError if group.leads else LostError):
        _train(group, run, data, None, replace(RECIPE, learning_rate=1e38, warmup_steps=0))
    assert (run / "verdict").exists()


def losses(run: Path) -> torch.Tensor:
    """The loss, the shares of right cells and puzzles, and the mean steps, of every row."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    names = ("step", "examples", "loss", "cell_accuracy", "exact_accuracy", "mean_steps")
    return torch.tensor([[row[name] for name in names] for row in rows], dtype=torch.float64)


def final(run: Path) -> checkpoints.Checkpoint:
    return checkpoints.load(checkpoints.saved(run)[-1])


@pytest.fixture(scope="module")
def alone(tiny: tuple[object, Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    run = tmp_path_factory.mktemp("alone")
    assert together(1, run, _train, run, tiny[1], None, RECIPE) == [0]
    return run


def assert_same_examples(one: checkpoints.Checkpoint, other: checkpoints.Checkpoint) -> None:
    """The same puzzles at the same place, as many steps on, with the same noise."""
    for name in ("inputs", "labels", "puzzle_ids", "steps", "halted"):
        assert torch.equal(one.carry[name], other.carry[name]), name
    assert one.progress.position == other.progress.position
    torch.testing.assert_close(one.carry["answer"], other.carry["answer"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [2, 4])
def test_several_processes_see_what_one_sees(
    tmp_path: Path, tiny: tuple[object, Path, str], alone: Path, size: int
) -> None:
    run = tmp_path / "run"
    assert together(size, tmp_path, _train, run, tiny[1], None, RECIPE) == [0] * size
    assert len(losses(alone)) == RECIPE.steps // 2
    torch.testing.assert_close(losses(run), losses(alone), rtol=0, atol=1e-5)
    assert_same_examples(final(run), final(alone))
    for name, weight in final(alone).weights.items():
        torch.testing.assert_close(final(run).weights[name], weight, rtol=0, atol=1e-4)


def test_in_float32_they_begin_alike(tmp_path: Path, tiny: tuple[object, Path, str]) -> None:
    """Before rounding, which is theirs as it is that of another number of threads, has grown."""
    recipe, found = replace(RECIPE, steps=2), list[torch.Tensor]()
    for size in (1, 2):
        run = tmp_path / str(size)
        assert together(size, run, _train_in_float32, run, tiny[1], recipe) == [0] * size
        assert final(run).weights["head"].dtype == torch.float32
        found.append(losses(run))
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_two_processes_go_on_from_what_four_wrote(
    tmp_path: Path, tiny: tuple[object, Path, str], alone: Path
) -> None:
    """Four stop within an interval, since the last of them is told to; two finish."""
    run = tmp_path / "run"
    assert together(4, tmp_path, _train, run, tiny[1], 5, RECIPE) == [0] * 4
    assert step_reached(run) == 5
    assert len(final(run).carry["steps"]) == RECIPE.batch_size
    assert together(2, tmp_path, _train, run, tiny[1], None, RECIPE) == [0] * 2
    torch.testing.assert_close(losses(run), losses(alone), rtol=0, atol=1e-5)
    assert_same_examples(final(run), final(alone))


def _give_up(group: Group, run: Path, data: Path) -> None:
    """The lead alone validates, and finds no better puzzle than the first time."""

    def validation(_: Reasoner, step: int) -> Validated:
        return Validated(0.5, 0.5, step)

    run.mkdir(exist_ok=True)
    progress = train(
        run,
        VARIANT,
        replace(RECIPE, patience=4),
        read_examples(data / "train.zarr"),
        3,
        replace(EXECUTION, validate_steps=2),
        group=group,
        validation=validation if group.leads else None,
        report=lambda _: None,
    )
    assert progress.step == 6
    group.leave()


def test_all_end_where_the_lead_loses_patience(
    tmp_path: Path, tiny: tuple[object, Path, str]
) -> None:
    run = tmp_path / "run"
    assert together(2, tmp_path, _give_up, run, tiny[1]) == [0, 0]
    assert step_reached(run) == 6


def _die_midway(group: Group, run: Path, data: Path) -> None:
    """The second process dies in the third step; the first one notices."""
    trainer = Trainer(VARIANT, RECIPE, read_examples(data / "train.zarr"), 3, EXECUTION, group)

    def on_step(current: Trainer, _: torch.Tensor | None) -> bool:
        if group.rank == 1 and current.progress.step == 2:
            raise SystemExit(9)
        return True

    try:
        trainer.run(on_step)
    except LostError as error:
        (run / "noticed").write_text(str(error))


def test_a_process_that_dies_is_noticed(tmp_path: Path, tiny: tuple[object, Path, str]) -> None:
    assert together(2, tmp_path, _die_midway, tmp_path, tiny[1]) == [0, 9]
    assert (tmp_path / "noticed").read_text().startswith("another process of the group has ended")


def _exchange(group: Group, folder: Path) -> None:
    groups.BUCKET = 8  # Several messages, one of them too large for any.
    shapes = [(3, 2), (5,), (1,), (3, 3), (2,)]
    tensors = [torch.full(shape, float(group.rank + 1)) for shape in shapes]
    tensors.append(torch.tensor([group.rank + 1], dtype=torch.float64))
    group.sum_(tensors)
    assert all((tensor == 3.0).all() for tensor in tensors)
    rows = torch.arange(4).view(4, 1)[group.share(4)]
    assert group.everyones(rows).tolist() == [[0], [1], [2], [3]]
    found = group.collected({"rows": rows, "done": rows[:, 0] > 1})
    assert len(found) == (2 if group.leads else 0)
    assert [part["done"].tolist() for part in found] in ([], [[False, False], [True, True]])
    assert group.agreed(group.rank == 1, False) == [True, False]
    assert group.told(7 + group.rank) == 7
    (folder / str(group.rank)).write_text("done")


def test_what_processes_say_to_one_another(tmp_path: Path) -> None:
    assert together(2, tmp_path, _exchange, tmp_path) == [0, 0]
    assert {path.name for path in tmp_path.glob("[01]")} == {"0", "1"}
    alone = Group()
    assert alone.collected({"a": torch.ones(1)}) == [{"a": torch.ones(1)}]
    assert alone.agreed(True, False) == [True, False]


def test_its_share_of_batch_machine_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(rank=3, size=4, local_rank=1, local_size=2)
    assert group.share(8) == slice(6, 8)
    assert [group.device(name) for name in ("cpu", "cuda", "cuda:2")] == ["cpu", "cuda:1", "cuda:3"]
    assert Execution(device="cuda:2", processes=2).devices == ["cuda:2", "cuda:3"]
    assert Execution(processes=2).devices == ["cpu"]
    taken: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    JoinedGroup(local_rank=1, local_size=4).set_threads(2)
    JoinedGroup(local_rank=1, local_size=4).set_threads(8)
    assert taken == [1, 2]
    assert join({}).leads


def _join_on_a_machine_with_a_gpu(rank: int, store: str) -> None:
    """As torch sees such a machine; gloo stands in for the GPU's own library."""
    gpu = torch.device("cuda")
    torch._C._get_accelerator = lambda *_: gpu  # pyright: ignore[reportPrivateUsage]
    torch.accelerator.is_available = lambda: True
    torch.accelerator.current_accelerator = lambda *_: gpu
    dist.Backend.default_device_backend_map["cuda"] = "gloo"
    told = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2}
    group = join({name: str(number) for name, number in told.items()} | {STORE_VARIABLE: store})
    assert group.agreed(group.rank == 1, False) == [True, False]
    assert group.told(5 + group.rank) == 5
    group.leave()


def test_what_processes_agree_on_is_sent_where_gpus_are_too(tmp_path: Path) -> None:
    """torch connects GPUs alone on a machine that has any, unless it is told otherwise."""
    store = f"file://{tmp_path}/store"
    assert in_processes([(_join_on_a_machine_with_a_gpu, rank, store) for rank in range(2)]) == [
        0,
        0,
    ]


def test_a_batch_that_cannot_be_shared_is_refused(tiny: tuple[object, Path, str]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^batch_size=8 with processes=3: .* multiple of 3, or other"
    ):
        Execution(processes=3).require_batch(8)
    examples = read_examples(tiny[1] / "train.zarr")
    with pytest.raises(ConfigurationError, match=r"batch_size=8 on 3 processes: .* multiple of 3"):
        Trainer(VARIANT, RECIPE, examples, 0, EXECUTION, Group(rank=1, size=3))
    assert [most_shares(8, count) for count in (1, 3, 7, 8)] == [1, 2, 4, 8]


# Parts of a batch


def trained(examples: ExampleSet, variant: str, execution: Execution) -> Trainer:
    """A training of a few steps."""
    changed = replace(VARIANTS[variant], state_noise=0.1)
    trainer = Trainer(changed, replace(RECIPE, steps=4), examples, 0, execution)
    trainer.run(lambda *_: True)
    return trainer


@pytest.mark.parametrize("variant", ["trm_mlp", "hrm", SEVERAL_STARTS])
@pytest.mark.parametrize("changes", [{"micro_batch": 3}, {"recompute": True}])
def test_accumulated_and_recomputed_gradients_are_those_of_the_whole(
    tiny: tuple[object, Path, str],
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
    changes: dict[str, Any],
) -> None:
    """Carried state, noise and puzzle rows included; 3 leaves a smaller last part of 8."""
    examples = read_examples(tiny[1] / "train.zarr")
    monkeypatch.setattr(trainer, "build", _in_float64)
    whole = trained(examples, variant, EXECUTION)
    parts = trained(examples, variant, replace(EXECUTION, **changes))
    first, second = whole.checkpoint(0.0, 0.0), parts.checkpoint(0.0, 0.0)
    for part in ("weights", "average", "optimizer", "carry"):
        one, other = getattr(first, part), getattr(second, part)
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-6)
    assert first.weights["puzzle_rows"].abs().sum() > 0


def test_a_carry_of_several_starts_is_put_together_again(tiny: tuple[object, Path, str]) -> None:
    trainer = Trainer(
        VARIANTS[SEVERAL_STARTS], RECIPE, read_examples(tiny[1] / "train.zarr"), 0, EXECUTION
    )
    index, _ = next(trainer.sampler.batches(trainer.progress.position))
    carry = Carry.fresh(trainer.reasoner, trainer.data.gather(index), Noise(0, torch.arange(8)))
    one = carry.part(slice(2, 5))
    starts = VARIANTS[SEVERAL_STARTS].training_rollouts
    assert starts > 1
    expected = torch.cat([torch.arange(2, 5) + 8 * start for start in range(starts)])
    assert torch.equal(one.state.latents[0], carry.state.latents[0][expected])
    again = Carry.joined([carry.part(slice(0, 2)), one, carry.part(slice(5, 8))])
    tensors = checkpoints.carry_tensors(carry)
    found = checkpoints.carry_tensors(again)
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_none_ends_before_the_lead_has_said_why(
    tmp_path: Path, tiny: tuple[object, Path, str]
) -> None:
    """It would be killed by torchrun while it reads, and its verdict with it."""
    work = _diverge_with_a_slow_lead
    assert together(2, tmp_path, work, tmp_path, tiny[1]) == [0, 0]


def test_all_go_back_where_one_has_numbers_that_are_not_finite(
    tmp_path: Path, tiny: tuple[object, Path, str]
) -> None:
    assert together(2, tmp_path, _train_through_nan, tmp_path, tiny[1]) == [0, 0]
    (event,) = read_rows(tmp_path / EVENTS)
    assert (event["action"], event["at"], event["step"]) == ("rewind", 5, 0)
    assert len(event["examples"]) == 1
    assert final(tmp_path).progress.step == RECIPE.steps
    assert losses(tmp_path).isfinite().all()
