"""What trainings take is said without starting any, and before there are data."""

from pathlib import Path

import pytest

import pipelines.plan
from pipelines import command
from storage.store import LocalStore
from trm_model.terminal import run


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store."""
    store = LocalStore.create(tmp_path)
    monkeypatch.setattr(pipelines.plan, "open_store", lambda: store)


def told(capsys: pytest.CaptureFixture[str], benchmark: str, partition: str, *more: str) -> str:
    arguments = ["plan", benchmark, "--partition", partition, *more]
    assert run(command.trm, arguments, program="trm") == 0
    return capsys.readouterr().out


def test_a_recipe_for_gpus_says_what_some_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    first, h100, *_, published = told(capsys, "sudoku_extreme", "trm_mlp|0").splitlines()
    assert first.startswith("sudoku_extreme trm_mlp|0: 65,104 steps of 768 examples; 5,029,378 ")
    assert h100.startswith("  H100 (80 GiB): about 2.9 h, computed")
    assert published.startswith("  published: 87.4% on sudoku_extreme (TRM ")


def test_the_papers_name_of_a_variant_is_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "maze_hard", "trm_attention_n4_t3|0").splitlines()
    assert lines[-1].startswith("  published: 85.3% on maze_hard (TRM ")


def test_a_recipe_for_cpus_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings = "--set", "checkpoint.steps=7"
    (line,) = told(capsys, "sudoku_4x4", "trm_mlp|0", *settings).splitlines()
    assert line.startswith("sudoku_4x4 trm_mlp|0: 7 steps of 32 examples; ")


def test_where_rows_are_as_many_as_puzzles_the_data_are_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["plan", "arc_demo", "--partition", "trm|0"]
    assert run(command.trm, arguments, program="trm") == 2
    assert "no data set yet; first: trm data arc_demo" in capsys.readouterr().err
