"""Checkpoints written in the background."""

import threading
from pathlib import Path

import pytest
import torch

from storage.examples import Examples, read_examples
from tests.trm_model.training.recipes import TINY
from trm_model.finite import NotFiniteError
from trm_model.training import checkpoint as checkpoints
from trm_model.training import writer as writing
from trm_model.training.checkpoint import Checkpoint, Progress, best, load
from trm_model.training.execution import Execution
from trm_model.training.folders import saved
from trm_model.training.loop import train
from trm_model.training.writer import Writer
from trm_model.variants import VARIANTS

SECONDS = 60.0


def at(step: int, weight: torch.Tensor) -> Checkpoint:
    return Checkpoint({"w": weight}, {}, {}, {}, Progress(step=step))


class Slow:
    """Writes that begin when :attr:`go` is set, and fail where there is an :attr:`error`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.steps, self.error = threading.Event(), list[int](), OSError("no space")
        self.fails, self.under_way, self.most, inner = False, 0, 0, checkpoints.save

        def save(run: Path, checkpoint: Checkpoint, keep: int) -> Path:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.steps.append(checkpoint.progress.step)
            assert self.go.wait(SECONDS)
            self.under_way -= 1
            if self.fails:
                raise self.error
            return inner(run, checkpoint, keep)

        monkeypatch.setattr(writing.checkpoints, "save", save)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


def test_it_writes_what_there_was_and_only_then_the_next(tmp_path: Path, slow: Slow) -> None:
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).T
    with Writer(tmp_path, 2, print) as writer:
        assert not writer.busy
        writer.write(at(1, weight), best=True)
        assert writer.busy
        weight += 10.0
        assert saved(tmp_path) == []
        later = threading.Timer(0.05, slow.go.set)
        later.start()
        writer.write(at(2, weight), best=False)
        assert load(saved(tmp_path)[0]).weights["w"].tolist() == [[1.0, 3.0], [2.0, 4.0]]
    first, second = saved(tmp_path)
    assert load(second).weights["w"].tolist() == [[11.0, 13.0], [12.0, 14.0]]
    assert best(tmp_path) == first
    assert slow.most == 1


def test_a_write_that_fails_is_raised_by_what_comes_next(tmp_path: Path, slow: Slow) -> None:
    slow.fails = True
    slow.go.set()
    weight = torch.ones(2)

    def look(writer: Writer) -> None:
        while writer.busy:
            pass

    def finish(writer: Writer) -> None:
        writer.finish()

    def write(writer: Writer) -> None:
        writer.write(at(2, weight), best=False)

    def leave(writer: Writer) -> None:
        del writer

    for act in (look, finish, write, leave):
        with pytest.raises(OSError, match="no space"), Writer(tmp_path, 2, print) as writer:
            writer.write(at(1, weight), best=False)
            act(writer)
    assert slow.steps == [1] * 4
    # What ends the training otherwise is what is told.
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), Writer(tmp_path, 2, told.append) as writer:
        writer.write(at(1, weight), best=False)
        raise KeyboardInterrupt
    [line] = told
    assert line.startswith("the checkpoint before it could not be written: ")
    assert "no space" in line


def test_what_is_not_finite_is_refused_at_once(tmp_path: Path) -> None:
    with Writer(tmp_path, 2, print) as writer:
        with pytest.raises(NotFiniteError, match="weights/w: 1 of 2"):
            writer.write(at(1, torch.tensor([1.0, torch.inf])), best=False)
        assert not writer.busy
    assert saved(tmp_path) == []


@pytest.fixture
def examples(tiny: tuple[object, Path, str]) -> Examples:
    return read_examples(tiny[1] / "train.zarr")


def test_the_training_goes_on_meanwhile_and_waits_in_the_end(
    tmp_path: Path, examples: Examples, slow: Slow
) -> None:
    asked = 0

    def stop() -> bool:
        """Each step asks; the write ends after the ninth."""
        nonlocal asked
        asked += 1
        if asked == 9:
            assert slow.steps == [1]
            slow.go.set()
        return False

    execution = Execution(checkpoint_seconds=0.0, keep_checkpoints=100)
    settings = (VARIANTS["trm_mlp"], TINY, examples, 0, execution)
    train(tmp_path, *settings, report=lambda _: None, stop=stop)
    assert asked == TINY.steps
    assert slow.most == 1
    assert slow.steps[-1] == TINY.steps
    assert [checkpoints.step_of(folder) for folder in saved(tmp_path)] == slow.steps


def test_a_training_whose_checkpoint_cannot_be_written_ends(
    tmp_path: Path, examples: Examples, slow: Slow
) -> None:
    slow.fails = True
    slow.go.set()
    settings = (VARIANTS["trm_mlp"], TINY, examples, 0, Execution(checkpoint_seconds=0.0))
    with pytest.raises(OSError, match="no space"):
        train(tmp_path, *settings, report=lambda _: None)
    assert saved(tmp_path) == []


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_are_kept_as_were_asked_for(tmp_path: Path, keep: int) -> None:
    with Writer(tmp_path, keep, print) as writer:
        for step in range(1, 6):
            writer.write(at(step, torch.ones(1)), best=step == 2)
    kept = [checkpoints.step_of(folder) for folder in saved(tmp_path)]
    assert kept == [2, *range(6 - keep, 6)]
