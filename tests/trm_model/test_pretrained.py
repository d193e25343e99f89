"""Pretrained models: found by their names, whole, small, and no more than what answers puzzles."""

import json
from pathlib import Path

import pytest
import torch

import trm_model
from trm_model import command, pretrained
from trm_model.errors import ConfigurationError
from trm_model.solving.fine_tuning import begin_from
from trm_model.training import checkpoint as checkpoints
from trm_model.training.run import RunSpec

LARGEST = 3_000_000
NAMES = pretrained.names()


def test_there_are_some() -> None:
    assert "sudoku_4x4" in NAMES


def test_a_path_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pretrained.find("sudoku_4x4") == pretrained.HERE / "sudoku_4x4"
    assert pretrained.find("sudoku_4x5") == Path("sudoku_4x5")
    (tmp_path / "sudoku_4x4").mkdir()
    assert pretrained.find("sudoku_4x4") == Path("sudoku_4x4")


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"sudoku_4x5: no such checkpoint.*sudoku_4x4"):
        trm_model.load("sudoku_4x5", device="cpu")


@pytest.mark.parametrize("name", NAMES)
def test_whole_and_small(name: str) -> None:
    folder = pretrained.find(name)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}
    assert sum(path.stat().st_size for path in files) < LARGEST
    (weights,) = checkpoints.saved(folder)
    state = checkpoints.load(weights)  # which compares checksums
    assert not state.average
    assert not state.optimizer
    model = trm_model.load(name, device="cpu")
    with pytest.raises(ConfigurationError, match=r"carry: \d+ missing"):
        state.require_carry(model.reasoner)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_may_begin_with_it(name: str, tmp_path: Path) -> None:
    spec = RunSpec.read(pretrained.find(name))
    begun = begin_from(name, spec, tmp_path)
    assert str(begun) == f"{name}, step {begun.parent.step}; 1 of 1 puzzle rows are taken over"
    for key, tensor in trm_model.load(name, device="cpu").reasoner.state_dict().items():
        assert torch.equal(begun.weights[key], tensor)


def test_the_command_solves_by_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the answer is right may depend on how the processor rounds; that there is one does
    not."""
    code = command.main(["solve", "sudoku_4x4", "24...1.......31.", "--json", "--device", "cpu"])
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert said["model"].startswith("trm_mlp trained on sudoku_4x4, seed 0, step 1000 of 1000")
    assert len(said["answers"][0]["steps"]) == 16


def test_the_shell_completes_names_and_paths() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(command.trm, {}, "trm", "_TRM_COMPLETE")
    found = [(item.value, item.type) for item in complete.get_completions(["solve"], "sudoku_4")]
    assert found == [("sudoku_4x4", "plain"), ("sudoku_4", "file")]
