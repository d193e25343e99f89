"""What trainings take is said without starting any, and before there are data."""

from pathlib import Path

import pytest
import torch

import pipelines.plan
import pipelines.study
import trm_model.training.this_cpu as this_cpu
from assets.studies.study import Studies, Study
from pipelines import command
from pipelines.definitions import STUDIES
from storage.store import LocalStore
from trm_model.terminal import run
from trm_model.training.accelerators import ACCELERATORS


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store."""
    store = LocalStore.create(tmp_path)
    for module in (pipelines.plan, pipelines.study):
        monkeypatch.setattr(module, "open_store", lambda: store)


def told(capsys: pytest.CaptureFixture[str], benchmark: str, partition: str, *more: str) -> str:
    arguments = ["plan", benchmark, "--partition", partition, *more]
    assert run(command.trm, arguments, program="trm") == 0
    return capsys.readouterr().out


def test_a_recipe_for_gpus_says_what_some_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    first, h100, *_, published = told(capsys, "sudoku_extreme", "trm_mlp|0").splitlines()
    assert first.startswith("sudoku_extreme trm_mlp|0: 65,104 steps of 768 examples; 5,029,378 ")
    assert h100.startswith("  H100 (79 GiB): about 97 min and 9.")
    assert published.startswith(
        "  published, by the authors' own recipe: 87.4% on sudoku_extreme (TRM "
    )


def test_the_papers_name_of_a_variant_is_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "maze_hard", "trm_attention_n4_t3|0").splitlines()
    assert lines[-1].startswith("  published, by the authors' own recipe: 85.3% on maze_hard (TRM ")


def test_every_setting_is_shown_as_it_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*more: str) -> list[str]:
        lines = told(capsys, "sudoku_4x4", "trm_mlp|0", "--recipe", *more).splitlines()
        return [line.strip() for line in lines if line.startswith("  checkpoint.")]

    every = shown()
    assert {"checkpoint.recipe.learning_rate=0.001", "checkpoint.variant.cycles=3"} < set(every)
    assert shown(*(word for setting in every for word in ("--set", setting))) == every
    other = "checkpoint.recipe.schedule=cosine"
    assert set(shown("--set", other)) - set(every) == {
        'checkpoint.recipe.schedule={"cosine": {"final": 0.0}}'
    }


def test_a_recipe_for_cpus_says_what_this_one_would_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(this_cpu, "product_rate", lambda: 50e9)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    settings = "checkpoint.steps=700", "checkpoint.device=cpu"
    words = (word for setting in settings for word in ("--set", setting))
    line, here = told(capsys, "sudoku_4x4", "trm_mlp|0", *words).splitlines()
    assert line.startswith("sudoku_4x4 trm_mlp|0: 700 steps of 32 examples; ")
    assert here == (
        "  this processor, 3 of its threads: about 3 min, computed, at 70% (assumed; small "
        "networks reach less) of the 50 GFLOP/s that a matrix product reaches now"
    )


def test_a_plan_may_be_for_a_machine_that_is_not_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    (line,) = told(
        capsys, "sudoku_4x4", "trm_mlp|0", "--set", "checkpoint.device=cuda"
    ).splitlines()
    assert line.startswith("sudoku_4x4 trm_mlp|0: 1,000 steps of 32 examples; ")

    study = Study(
        title="t", benchmark="sudoku_4x4", variants=("trm_mlp",), execution={"device": "cuda"}
    )
    monkeypatch.setattr(
        pipelines.study, "STUDIES", Studies("study", "trm study", {"mine": study}, {})
    )
    assert run(command.trm, ["study", "mine", "--plan"], program="trm") == 0
    assert capsys.readouterr().out.startswith("trm_mlp seed=0: to do: 1,000 steps of 32 examples; ")
    # It is refused where it is to be made, before any data are.
    started = "a study was started"
    monkeypatch.setattr(pipelines.study, "until_interrupted", lambda *_: pytest.fail(started))
    assert run(command.trm, ["study", "mine"], program="trm") == 2
    refused = capsys.readouterr().err
    assert "point 'trm_mlp seed=0': device='cuda': torch finds 0 cuda devices here" in refused
    assert refused.count("\n") == 1


def test_before_there_are_data_the_most_puzzle_rows_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows, takes, *_ = told(capsys, "arc_demo", "trm|0").splitlines()
    assert rows == ("arc_demo: no data set yet: at most 567 examples and 169 puzzle rows")
    parameters = int(takes.split(" parameters (")[0].rpartition(" ")[2].replace(",", ""))
    without = int(takes.split(" parameters (")[1].split()[0].replace(",", ""))
    assert parameters - without == 169 * 32


def test_where_files_decide_on_the_rows_the_data_are_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["plan", "arc_files", "--partition", "trm|0"]
    assert run(command.trm, arguments, program="trm") == 2
    assert "no data set yet; first: trm data arc_files" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [name for name, study in STUDIES.known.items() if study.published is not None]
)
def test_each_point_of_a_recipe_says_what_gpus_take_and_what_was_published(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command.trm, ["study", name, "--plan"], program="trm") == 0
    lines = capsys.readouterr().out.splitlines()
    points = [number for number, line in enumerate(lines) if ": to do: " in line]
    assert len(points) == len(STUDIES.known[name].trainings())
    for first in points:
        assert " of memory" in lines[first]
        after = first + 1 + len(ACCELERATORS)
        cards = lines[first + 1 : after]
        names = [card.name for card in ACCELERATORS]
        assert [card.split(" (")[0].strip() for card in cards] == names
        assert "computed, at " in cards[0]
        # The batch is computed in parts that a card of the papers holds.
        assert cards[0].endswith("% of its peak (assumed)")
        # What was measured has plain SwiGLU.
        basis = "assumed" if name.endswith("_fast") else "as measured on one"
        assert cards[1].endswith(f"% of its peak ({basis})")
        assert lines[after].startswith("  published, by ")
