"""A published model: what it holds, and what is refused."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.configs import TrainingConfig
from assets.declared import evaluation_key
from assets.tables import Scores
from pipelines.execute import parse_settings
from pipelines.publishing import publish_model
from storage.examples import Header
from storage.store import LocalStore
from storage.tables import publish_partition
from tests.trm_model.training.recipes import tiny_spec
from trm_model.errors import ConfigurationError
from trm_model.model.reasoner import build
from trm_model.pretrained import CARD
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.solving.loading import load
from trm_model.trackers.tensorboard import TensorBoard
from trm_model.training import checkpoint as checkpoints
from trm_model.training.recipe import Recipe
from trm_model.training.run import RunSpec

STEP = 7
VALUE = 0.625
DEFAULTS: dict[Any, Any] = {pl.String: "x", pl.Int64: 1, pl.Int32: 1, pl.Float64: 0.5}


def write_scores(store: LocalStore, **values: Any) -> None:
    """One row: its exact accuracy is ``VALUE``; what is not given is anything that may be."""
    schema = Scores.empty().schema
    row = {name: DEFAULTS[type(dtype)] for name, dtype in schema.items()}
    row |= {
        "split": "test",
        "metric": "exact_accuracy",
        "k": None,
        "group": None,
        "value": VALUE,
        **values,
    }
    publish_partition(store, Scores, pl.DataFrame([row], schema=schema))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run without scores in a store of its own: its averages are not its weights."""
    store = LocalStore.create(tmp_path / "store")
    made = store.open(keys.run("sudoku_4x4", "trm_mlp", 0, "key"))
    made.mkdir(parents=True)
    family = Sudoku(4)
    header = Header(vocabulary=family.vocabulary, grid=family.grid)
    spec = replace(
        tiny_spec(made, store.open("examples/sudoku_4x4/gone"), "0123"),
        benchmark="sudoku_4x4",
        header=header,
    )
    spec.write(made)
    reasoner = build(spec.variant, spec.recipe.size, header, 0)
    average = {name: tensor + 1 for name, tensor in reasoner.named_parameters()}
    progress = checkpoints.Progress(STEP, wall_seconds=60.0)
    carry = {"steps": torch.zeros(8)}
    state = checkpoints.Checkpoint(reasoner.state_dict(), average, {}, carry, progress)
    checkpoints.save(made, state)
    return made


def scored(run: Path, **changes: Any) -> None:
    spec = RunSpec.read(run)
    declared = evaluation_key(spec.variant.evaluation, BENCHMARKS["sudoku_4x4"].evaluated)
    values = {"run": run.name, "evaluation": declared, "step": STEP, **changes}
    write_scores(LocalStore.containing(run), benchmark=spec.benchmark, **values)


def settings_of(card: str) -> Recipe:
    """The recipe that the command of a card trains by."""
    (command,) = re.findall("^trm train .*$", card, re.MULTILINE)
    words = shlex.split(command)
    assert words[:5] == ["trm", "train", "sudoku_4x4", "--partition", "trm_mlp|0"]
    assert set(words[5::2]) == {"--set"}
    settings = parse_settings("sudoku_4x4", words[6::2])
    values = settings["sudoku_4x4__checkpoint"]["config"]
    return TrainingConfig(**values).recipe_of(BENCHMARKS["sudoku_4x4"].recipe)


def test_the_averages_the_scores_and_a_card(run: Path, tmp_path: Path) -> None:
    scored(run)
    made = tmp_path / "published" / "mine"
    spec = RunSpec.read(run)
    replace(spec, trackers=(TensorBoard(),), device_locks=("locks/cpu.lock",)).write(run)
    said = publish_model(run, made)
    assert said.startswith(f"{made}: trm_mlp trained on sudoku_4x4, ")
    # How it was trained here stays here.
    assert RunSpec.read(made) == replace(spec, trackers=(), device_locks=())
    trained, published = load(run, device="cpu"), load(made, device="cpu")
    assert published.description == trained.description
    weights = published.reasoner.state_dict()
    assert weights.keys() == trained.reasoner.state_dict().keys()
    for name, tensor in trained.reasoner.state_dict().items():
        assert torch.equal(tensor, weights[name])
    card = (made / CARD).read_text("utf-8")
    assert f"| `exact_accuracy` | {VALUE:.4f} | " in card
    assert "7 of 12 steps, seed 0, 60 s on `cpu`" in card
    assert settings_of(card) == RunSpec.read(run).recipe
    # A published model is published again from its own files.
    publish_model(made, made)
    assert (made / CARD).read_text("utf-8") == card


def test_what_is_not_evaluated_as_declared_is_refused(run: Path, tmp_path: Path) -> None:
    remedy = r"first trm evaluate sudoku_4x4 --partition 'trm_mlp\|0'"
    scored(run, evaluation="other")
    with pytest.raises(ConfigurationError, match=f"no scores yet; {remedy}"):
        publish_model(run, tmp_path / "mine")
    scored(run, step=STEP - 1)
    with pytest.raises(ConfigurationError, match=f"checkpoint is of step {STEP}; {remedy}"):
        publish_model(run, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_folder_of_another_kind_is_not_replaced(run: Path, tmp_path: Path) -> None:
    scored(run)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_mother").write_text("dear")
    with pytest.raises(ConfigurationError, match="letters: there already, and no published model"):
        publish_model(run, tmp_path / "letters")
    assert (tmp_path / "letters" / "to_mother").read_text() == "dear"
