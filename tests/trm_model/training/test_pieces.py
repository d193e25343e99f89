"""Small pieces of a training against their closed forms."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from storage.manifest import CorruptDataError, write_manifest
from trm_model.model.batch import Batch
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.optimizers.adam_atan2 import AdamAtan2
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.muon import Muon
from trm_model.optimizers.optimizer import Optimizer
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import (
    Checkpoint,
    Progress,
    carry_from_tensors,
    carry_tensors,
    intact_step,
    load,
    save,
)
from trm_model.training.ema import Ema
from trm_model.training.folders import saved, step_reached
from trm_model.training.optimizers import make_optimizers, set_rates, warmup
from trm_model.training.puzzle_rows import sign_sgd_
from trm_model.training.recipe import Recipe
from trm_model.training.sampler import Position
from trm_model.training.supervision import Carry


@pytest.mark.parametrize(
    ("step", "steps", "factor"),
    [(1, 4, 0.25), (3, 4, 0.75), (4, 4, 1.0), (5, 4, 1.0), (1, 1, 1.0), (1, 0, 1.0), (9, 0, 1.0)],
)
def test_rates_rise_linearly(step: int, steps: int, factor: float) -> None:
    assert warmup(step, steps) == factor


def test_averages_start_from_the_first_weights() -> None:
    module = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
        ema = Ema(module, 0.75)
        module.weight.fill_(2.0)
        ema.update(module, 1)
        module.weight.fill_(4.0)
        ema.update(module, 2)
    assert ema.average["weight"].tolist() == [[0.75 * 1.25 + 0.25 * 4.0] * 2]


def test_averages_may_begin_late() -> None:
    """Until then they are the weights themselves, not others that share their memory."""
    module = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
        ema = Ema(module, 0.75, start=2)
        for step, weight, average in ((1, 3.0, 3.0), (2, 2.0, 2.0), (3, 6.0, 3.0), (4, 7.0, 4.0)):
            module.weight.fill_(weight)
            ema.update(module, step)
            assert ema.average["weight"].tolist() == [[average] * 2]
        module.weight.fill_(9.0)
    assert ema.average["weight"].tolist() == [[4.0] * 2]


def test_rows_move_by_the_sign_of_the_summed_gradient() -> None:
    table = torch.tensor([[1.0, -2.0, 4.0], [8.0, 8.0, 8.0], [2.0, 2.0, 2.0]])
    sign_sgd_(
        table,
        torch.tensor([2, 0, 2]),
        torch.tensor([[1.0, -1.0, 2.0], [-5.0, 0.0, 1e-9], [-3.0, 0.5, -2.0]]),
        learning_rate=0.5,
        weight_decay=0.25,
    )
    # 1 - 0.5 * 0.25 = 0.875; the last row's gradients are -2, -0.5, 0.
    assert table.tolist() == [
        [0.875 + 0.5, -1.75, 3.5 - 0.5],
        [8.0, 8.0, 8.0],
        [1.75 + 0.5, 1.75 + 0.5, 1.75],
    ]


def test_rows_are_summed_in_the_order_of_the_batch_in_fixed_shapes() -> None:
    """In another order 1e8, 1 and -1e8 do not cancel; without numbers, as on torch's meta device,
    no shape can depend on how many rows a batch has."""
    generator = torch.Generator().manual_seed(0)
    table = torch.zeros(5, 40)
    ids = torch.randint(0, 5, (60,), generator=generator)
    gradient = torch.tensor([1e8, 1.0, -1e8])[torch.randint(0, 3, (60, 40), generator=generator)]
    expected = torch.zeros(5, 40)
    for row, each in zip(ids, gradient, strict=True):
        expected[row] += each
    rates = {"learning_rate": 1.0, "weight_decay": 0.0}
    sign_sgd_(table, ids, gradient, **rates)
    assert torch.equal(table, -expected.sign())
    assert 0 < (table == 0).sum() < 200
    sign_sgd_(table.to("meta"), ids.to("meta"), gradient.to("meta"), **rates)


def model(variant: Variant) -> Reasoner:
    return Reasoner(
        variant,
        Size(width=16, heads=2, prefix=1, puzzle_width=8),
        vocabulary=5,
        length=4,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
    )


def test_muon_takes_the_matrices_of_the_networks() -> None:
    recipe = Recipe(betas=(0.5, 0.75), weight_decay=0.125)
    own = model(Variant(optimizer=Muon()))
    others, muon = make_optimizers(own, recipe)
    matrices = {id(p) for network in own.networks for p in network.parameters()}
    assert {id(p) for p in muon.param_groups[0]["params"]} == matrices
    rest = {id(p) for p in own.parameters()} - matrices
    assert {id(p) for p in others.param_groups[0]["params"]} == rest
    assert others.param_groups[0]["betas"] == (0.5, 0.75)
    (adamw,) = make_optimizers(model(Variant()), recipe)
    assert adamw.param_groups[0]["weight_decay"] == 0.125
    assert isinstance(adamw, torch.optim.AdamW)
    assert AdamW() == recipe.optimizer


def rated(optimizers: list[torch.optim.Optimizer]) -> dict[str, tuple[str, float, float]]:
    """Of each shape of weights the optimizer, rate and decay."""
    return {
        str(tuple(weight.shape)): (type(made).__name__, group["lr"], group["weight_decay"])
        for made in optimizers
        for group in made.param_groups
        for weight in group["params"]
    }


@pytest.mark.parametrize(
    ("optimizer", "changes", "matrices", "others"),
    [
        (None, {}, ("AdamW", 0.25, 0.5), ("AdamW", 0.25, 0.5)),
        (None, {"embedding_learning_rate": 4.0}, ("AdamW", 0.25, 0.5), ("AdamW", 2.0, 0.5)),
        (None, {"embedding_learning_rate": 0.0}, ("AdamW", 0.25, 0.5), ("AdamW", 0.0, 0.5)),
        (None, {"embedding_weight_decay": 0.0}, ("AdamW", 0.25, 0.5), ("AdamW", 0.25, 0.0)),
        (
            None,
            {"embedding_optimizer": AdamAtan2()},
            ("AdamW", 0.25, 0.5),
            ("Atan2Steps", 0.25, 0.5),
        ),
        (
            Muon(),
            {"embedding_optimizer": AdamAtan2(), "embedding_weight_decay": 0.0},
            ("MuonSteps", 0.25, 0.5),
            ("Atan2Steps", 0.25, 0.0),
        ),
        (Muon(), {"embedding_learning_rate": 2.0}, ("MuonSteps", 0.25, 0.5), ("AdamW", 1.0, 0.5)),
        (
            AdamAtan2(),
            {"embedding_optimizer": AdamW()},
            ("Atan2Steps", 0.25, 0.5),
            ("AdamW", 0.25, 0.5),
        ),
    ],
)
def test_matrices_and_other_weights_have_settings_of_their_own(
    optimizer: Optimizer | None,
    changes: dict[str, Any],
    matrices: tuple[str, float, float],
    others: tuple[str, float, float],
) -> None:
    """The same whether the variant has the optimizer or the recipe."""
    recipe = Recipe(learning_rate=0.5, weight_decay=0.5, **changes)
    reasoner = model(Variant(optimizer=optimizer))
    made = make_optimizers(reasoner, recipe)
    set_rates(made, 0.5)
    inside = {str(tuple(weight.shape)) for weight in reasoner.networks.parameters()}
    found = rated(made)
    assert {found[shape] for shape in inside} == {matrices}
    assert {found[shape] for shape in found if shape not in inside} == {others}
    groups = [group["params"] for each in made for group in each.param_groups]
    assert sorted(id(weight) for group in groups for weight in group) == sorted(
        id(weight) for weight in reasoner.parameters()
    )
    if optimizer is not None and recipe.embedding_optimizer is not None:
        own = make_optimizers(model(Variant()), replace(recipe, optimizer=optimizer))
        set_rates(own, 0.5)
        assert rated(own) == found


def at(step: int) -> Checkpoint:
    one = {"w": torch.full((2,), float(step))}
    return Checkpoint(one, {}, one, one, Progress(step, Position(1, 2), (3.0, 4.0), 5.0, 6.0))


def test_the_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    assert (saved(tmp_path), step_reached(tmp_path), intact_step(tmp_path)) == ([], 0, 0)
    for step in (1, 5, 30):
        assert save(tmp_path, at(step)).name == f"step-{step:08d}"
    assert [folder.name for folder in saved(tmp_path)] == ["step-00000005", "step-00000030"]
    assert (step_reached(tmp_path), intact_step(tmp_path)) == (30, 30)
    found = load(saved(tmp_path)[-1])
    assert found.progress == at(30).progress
    assert found.weights["w"].tolist() == [30.0, 30.0]
    (saved(tmp_path)[-1] / "weights.safetensors").write_bytes(b"")
    assert (step_reached(tmp_path), intact_step(tmp_path)) == (30, 5)
    (saved(tmp_path)[0] / "weights.safetensors").write_bytes(b"")
    with pytest.raises(CorruptDataError, match="step-00000005.*; or remove .* to train from the"):
        intact_step(tmp_path)
    # Others' folders are none of ours.
    (tmp_path / checkpoints.FOLDER / "step-new").mkdir()
    assert step_reached(tmp_path) == 30


@pytest.mark.parametrize(
    ("changes", "is_fine"),
    [
        ({}, True),
        ({"step": 0, "wall_seconds": 0, "lap_seconds": 0.0}, True),
        ({"position": {"epoch": 0, "offset": 0}}, True),
        ({"step": -1}, False),
        ({"step": 1.0}, False),
        ({"step": True}, False),
        ({"position": {"epoch": -1, "offset": 0}}, False),
        ({"position": {"epoch": 0, "offset": -1}}, False),
        ({"position": {"epoch": 0}}, False),
        ({"position": {"epoch": 0, "offset": 0, "more": 0}}, False),
        ({"wall_seconds": -1e-9}, False),
        ({"lap_seconds": -1e-9}, False),
        ({"wall_seconds": "1"}, False),
        ({"totals": ["a"]}, False),
        ({"more": 1}, False),
    ],
)
def test_progress_must_make_sense(
    tmp_path: Path, changes: dict[str, Any], *, is_fine: bool
) -> None:
    folder = save(tmp_path, at(7))
    path = folder / "progress.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    write_manifest(folder)
    if is_fine:
        load(folder)
    else:
        with pytest.raises(CorruptDataError, match=r"progress\.json"):
            load(folder)


@pytest.mark.parametrize("latents", [0, 1, 3])
def test_a_carry_there_and_back(latents: int) -> None:
    carry = Carry(
        Batch(torch.ones(2, 3), torch.zeros(2, 3), torch.arange(2)),
        State(torch.full((2, 4, 1), 9.0), tuple(torch.full((2, 4, 1), n) for n in range(latents))),
        torch.tensor([1, 2]),
        torch.tensor([True, False]),
    )
    found = carry_from_tensors(carry_tensors(carry), torch.device("cpu"))
    assert torch.equal(found.state.answer, carry.state.answer)
    assert [int(latent[0, 0, 0]) for latent in found.state.latents] == list(range(latents))
    assert found.steps.tolist() == [1, 2]
    assert found.halted.tolist() == [True, False]
    assert torch.equal(found.batch.labels, carry.batch.labels)
