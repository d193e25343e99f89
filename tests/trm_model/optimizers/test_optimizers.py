"""Each optimizer's steps against its formula, and what it is given."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from trm_model.choices import choices
from trm_model.errors import ConfigurationError
from trm_model.optimizers.adam_atan2 import AdamAtan2, Atan2Steps
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.muon import Muon, MuonSteps
from trm_model.optimizers.optimizer import Optimizer, Weights

BETAS, DECAY = (0.8, 0.9), 0.3
SETTINGS = ("momentum", "nesterov", "ns_steps")


def weights() -> Weights:
    generator = torch.Generator().manual_seed(0)
    everything = [
        nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4,), (3, 4), (5, 4))
    ]
    return Weights(everything, everything[1:2])


def test_names_that_recipes_and_stored_runs_write() -> None:
    assert {name: cls for name, cls in choices(Optimizer).items() if ":" not in name} == {
        "adam_atan2": AdamAtan2,
        "adamw": AdamW,
        "muon": Muon,
    }


def test_others_are_all_but_the_matrices() -> None:
    given = weights()
    assert [id(weight) for weight in given.others] == [id(given.all[0]), id(given.all[2])]


@pytest.mark.parametrize("kind", [AdamW(), AdamAtan2()])
def test_one_optimizer_has_all_weights_and_the_settings(kind: AdamW | AdamAtan2) -> None:
    given = weights()
    (optimizer,) = kind.build(given, betas=BETAS, weight_decay=DECAY, base=kind)
    (group,) = optimizer.param_groups
    assert [id(weight) for weight in group["params"]] == [id(weight) for weight in given.all]
    # The loop sets the rate before each step; forgotten, it would show at once.
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.0, BETAS, DECAY)


def test_adamw_is_the_fused_one() -> None:
    (optimizer,) = AdamW().build(weights(), betas=BETAS, weight_decay=DECAY, base=AdamW())
    assert optimizer.defaults["fused"] is True


def test_muon_has_the_matrices_and_the_base_has_the_rest() -> None:
    given = weights()
    others, muon = Muon().build(given, betas=BETAS, weight_decay=DECAY, base=AdamAtan2())
    assert isinstance(others, Atan2Steps)
    assert isinstance(muon, torch.optim.Muon)
    (rest,), (matrices,) = others.param_groups, muon.param_groups
    assert [id(weight) for weight in rest["params"]] == [id(given.all[0]), id(given.all[2])]
    assert [id(weight) for weight in matrices["params"]] == [id(given.all[1])]
    assert (rest["betas"], rest["weight_decay"], rest["lr"]) == (BETAS, DECAY, 0.0)
    assert (matrices["weight_decay"], matrices["lr"]) == (DECAY, 0.0)
    assert matrices["adjust_lr_fn"] == "match_rms_adamw"
    torchs = torch.optim.Muon([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
    assert [matrices[name] for name in SETTINGS] == [torchs[name] for name in SETTINGS]


def test_muon_as_its_author_scales_it() -> None:
    kind = Muon(momentum=0.6, iterations=3, scale="original")
    _, muon = kind.build(weights(), betas=BETAS, weight_decay=DECAY, base=AdamW())
    (group,) = muon.param_groups
    assert [group[name] for name in SETTINGS] == [0.6, True, 3]
    assert group["adjust_lr_fn"] == "original"
    for wrong in ({"momentum": 1.0}, {"momentum": -0.1}, {"iterations": 0}, {"scale": "mine"}):
        with pytest.raises(ConfigurationError):
            Muon(**wrong)  # type: ignore[arg-type]


def test_atan2_steps_are_their_formula() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    unused = nn.Parameter(torch.ones(2))
    (optimizer,) = AdamAtan2().build(
        Weights([unused, weight], []), betas=BETAS, weight_decay=DECAY, base=AdamW()
    )
    optimizer.param_groups[0]["lr"] = 0.1
    values, means, squares = weight.tolist(), [0.0] * 3, [0.0] * 3
    for step, gradient in enumerate(([1.0, 0.0, -3.0], [0.5, 2.0, 1.0], [-1.0, 1.0, 1.0]), 1):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        for i, g in enumerate(gradient):
            means[i] = 0.8 * means[i] + 0.2 * g
            squares[i] = 0.9 * squares[i] + 0.1 * g * g
            mean, square = means[i] / (1 - 0.8**step), squares[i] / (1 - 0.9**step)
            values[i] = (1 - 0.1 * DECAY) * values[i] - 0.1 * math.atan2(mean, math.sqrt(square))
        torch.testing.assert_close(weight.detach(), torch.tensor(values))
    assert unused.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("scale", ["adamw", "original"])
def test_muon_takes_the_steps_of_torchs_one(scale: Any) -> None:
    """Within the rounding of bfloat16: here the products of all matrices of a shape are one."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((6, 4), (4, 6), (6, 4), (5, 5), (2, 3))
    mine = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = [nn.Parameter(weight.detach().clone()) for weight in mine]
    other = nn.Parameter(torch.ones(2))
    _, muon = Muon(scale=scale).build(
        Weights([other, *mine], mine), betas=BETAS, weight_decay=DECAY, base=AdamAtan2()
    )
    assert isinstance(muon, MuonSteps)
    (group,) = muon.param_groups
    torchs = torch.optim.Muon(
        theirs, weight_decay=DECAY, momentum=0.95, adjust_lr_fn=group["adjust_lr_fn"]
    )
    group["lr"] = torchs.param_groups[0]["lr"] = 0.1
    for _ in range(3):
        for one, two in zip(mine, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            two.grad = one.grad.clone()
        muon.step()
        torchs.step()
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=0.02, atol=0.02)
    names = {name for state in torchs.state.values() for name in state}
    assert {name for state in muon.state.values() for name in state} == names


class Operations(TorchDispatchMode):
    """Counts what is asked of the device."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(kind: Optimizer, copies: int) -> int:
    """Of the second step on so many copies of three weights."""
    everything = [
        nn.Parameter(torch.ones(shape)) for shape in ((4,), (3, 4), (5, 4)) for _ in range(copies)
    ]
    matrices = [weight for weight in everything if weight.ndim == 2]
    made = kind.build(Weights(everything, matrices), betas=BETAS, weight_decay=DECAY, base=AdamW())
    for weight in everything:
        weight.grad = torch.ones_like(weight)
    counted = Operations()
    for _ in range(2):
        counted.count = 0
        with counted:
            for optimizer in made:
                optimizer.step()
    return counted.count


@pytest.mark.parametrize(("kind", "each"), [(AdamW(), 0), (Muon(), 0), (AdamAtan2(), 2)])
def test_operations_do_not_grow_with_the_weights(kind: Optimizer, each: int) -> None:
    """But for one ``atan2`` of each, and its count of steps, which the host reads."""
    assert operations(kind, 5) == operations(kind, 1) + each * 12
