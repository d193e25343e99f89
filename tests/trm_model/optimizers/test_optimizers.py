"""Each optimizer's steps against its formula, and what it is given."""

import math

import pytest
import torch
from torch import nn

from trm_model.choices import choices
from trm_model.errors import ConfigurationError
from trm_model.optimizers.adam_atan2 import AdamAtan2, Atan2Steps
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.muon import Muon
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
