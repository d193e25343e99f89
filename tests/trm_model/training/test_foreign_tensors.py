"""Checkpoints whose tensors are not the model's: one line wherever they are read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from storage.examples import open_header
from storage.manifest import write_manifest
from storage.store import LocalStore
from tests.trm_model.training.recipes import tiny_spec
from trm_model.command import main
from trm_model.errors import ConfigurationError
from trm_model.model.weights import require_same_names
from trm_model.puzzles.plans import open_examples
from trm_model.training import checkpoint as checkpoints
from trm_model.training.loop import train
from trm_model.training.run import RunSpec
from trm_model.training.trainer import Trainer

Tensors = dict[str, Tensor]


@pytest.fixture
def run(tiny: tuple[LocalStore, Path, str], tmp_path: Path) -> Path:
    """A run of two steps, finished."""
    _, folder, content_hash = tiny
    run = tmp_path / "run"
    run.mkdir()
    spec = tiny_spec(run, folder, content_hash, steps=2)
    spec = replace(spec, header=open_header(folder / "train.zarr"))
    spec.write(run)
    examples = open_examples(folder / "train.zarr")
    train(run, spec.variant, spec.recipe, examples, spec.seed, spec.execution)
    return run


def rewrite(run: Path, part: str, change: Callable[[Tensors], Tensors]) -> Path:
    """Change a part of the run's newest checkpoint, checksums included."""
    folder = checkpoints.saved(run)[-1]
    path = folder / f"{part}.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(change(tensors), path)
    write_manifest(folder)
    return folder


def missing(tensors: Tensors) -> Tensors:
    return dict(sorted(tensors.items())[1:])


def extra(tensors: Tensors) -> Tensors:
    return {**tensors, "another": torch.zeros(2)}


def prefixed(tensors: Tensors) -> Tensors:
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


def reshaped(tensors: Tensors) -> Tensors:
    name = next(name for name, tensor in sorted(tensors.items()) if tensor.ndim == 2)
    return {**tensors, name: tensors[name][1:].clone()}


def resume(run: Path) -> None:
    """Continue from the run's newest checkpoint, as a training does."""
    spec = RunSpec.read(run)
    assert spec.header is not None
    examples = open_examples(spec.data_folder(run) / "train.zarr")
    trainer = Trainer(spec.variant, spec.recipe, examples, spec.seed, spec.execution)
    trainer.resume(checkpoints.load(checkpoints.saved(run)[-1]))


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("weights", missing, "1 missing ("),
        ("weights", extra, "1 unknown (another)"),
        ("weights", prefixed, "every name begins with 'module.'; save it again without"),
        ("weights", reshaped, "has the shape ["),
        ("average", missing, "1 missing ("),
        ("average", extra, "1 unknown (another)"),
        ("average", prefixed, "every name begins with 'module.'"),
        ("average", reshaped, "has the shape ["),
    ],
)
def test_solving_and_training_say_which(
    part: str,
    change: Callable[[Tensors], Tensors],
    says: str,
    run: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = rewrite(run, part, change)
    assert main(["solve", str(run), "1.......4......2"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {folder}: {part}: ")
    assert says in printed
    assert "; use the checkpoint" in printed or "; save it again" in printed
    assert printed.count("\n") == 1
    with pytest.raises(ConfigurationError, match=f"{folder}: {part}: "):
        resume(run)


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("carry", missing, "1 missing (answer)"),
        ("carry", extra, "1 unknown (another)"),
        ("carry", prefixed, "every name begins with 'module.'"),
        ("optimizer", missing, "1 missing ("),
        ("optimizer", extra, "1 unknown (another)"),
        ("optimizer", prefixed, "unknown (module.0.0."),
        ("optimizer", lambda t: {**t, "0.9999.step": torch.zeros(1)}, "unknown (0.9999.step)"),
        ("optimizer", lambda t: {**t, "7.0.step": torch.zeros(1)}, "unknown (7.0.step)"),
    ],
)
def test_training_says_which_of_what_it_alone_needs(
    part: str, change: Callable[[Tensors], Tensors], says: str, run: Path
) -> None:
    folder = rewrite(run, part, change)
    with pytest.raises(ConfigurationError) as caught:
        resume(run)
    assert str(caught.value).startswith(f"{folder}: {part}: ")
    assert says in str(caught.value)


def test_an_average_is_not_taken_for_a_variant_that_has_none(run: Path) -> None:
    spec = RunSpec.read(run)
    replace(spec, variant=replace(spec.variant, ema=False)).write(run)
    with pytest.raises(ConfigurationError, match="average: [0-9]+ unknown"):
        resume(run)


def test_what_is_as_written_is_resumed(run: Path) -> None:
    resume(run)


def test_long_lists_are_cut() -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_same_names("x", [], [f"name{number:03d}" for number in range(500)])
    assert "500 missing (name000, name001, …)" in str(caught.value)
    assert len(str(caught.value)) < 300
