"""Random numbers that depend on the seed, the example and the purpose: fixed values, since stored
results were made with them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from trm_model import noise as module
from trm_model.noise import Noise, torch_generator
from trm_model.seeding import derive, numpy_generator

MASK = (1 << 64) - 1


def splitmix(value: int) -> int:
    """The finaliser of SplitMix64, in whole numbers without bounds."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def bits(seed: int, item: int, purpose: str, place: int) -> int:
    golden = 0x9E3779B97F4A7C15
    key = splitmix(splitmix(item * golden & MASK) ^ derive(seed, purpose))
    return splitmix(key + (place + 1) * golden & MASK)


def test_uniform_and_normal_numbers_as_written_out() -> None:
    noise = Noise(7, torch.tensor([0, 5, 2**40]))
    uniform, normal = noise.uniform("u", 2, 3), noise.normal("u", 2, 3)
    assert uniform.dtype is torch.float64
    assert normal.dtype is torch.float32
    for row, item in enumerate((0, 5, 2**40)):
        for place in range(6):
            drawn = bits(7, item, "u", place)
            assert uniform[row].flatten()[place].item() == (drawn >> 11) * 2.0**-53
            centred = ((drawn >> 41) + 0.5) * 2.0**-22 - 1.0
            expected = math.sqrt(2.0) * torch.erfinv(torch.tensor(centred)).item()
            assert normal[row].flatten()[place].item() == pytest.approx(expected, rel=1e-5)


class Sizes(TorchDispatchMode):
    """Notes the most bytes of a tensor of whole numbers that an operation gives."""

    most = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype is torch.int64:
            self.most = max(self.most, result.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("piece", [1, 5, 6, 7, 12, 40, 1 << 20])
def test_numbers_do_not_depend_on_how_many_are_drawn_at_once(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does what is needed meanwhile grow with the state that they are for."""
    noise = Noise(7, torch.tensor([0, 5, 2**40]))
    uniform, normal = noise.uniform("u", 2, 3), noise.normal("u", 2, 3)
    monkeypatch.setattr(module, "PIECE", piece)
    with Sizes() as sizes:
        assert torch.equal(noise.uniform("u", 2, 3), uniform)
        assert torch.equal(noise.normal("u", 2, 3), normal)
    assert sizes.most <= 8 * max(piece, len(noise.items))
    assert noise.normal("u", 0).shape == (3, 0)
    assert Noise(7, torch.arange(0)).uniform("u", 4).shape == (0, 4)


def test_compiled_draws_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces; seeds are made of text, outside of what is compiled."""
    items = torch.tensor([0, 5, 2**40])
    expected = Noise(7, items).normal("u", 2, 3)
    seed = derive(7, "u")
    monkeypatch.setattr(module, "PIECE", 4)
    monkeypatch.setattr(module, "derive", lambda *_: seed)
    draw = torch.compile(
        lambda items: Noise(7, items).normal("u", 2, 3), backend="eager", fullgraph=True
    )
    assert torch.equal(draw(items), expected)


def test_a_purpose_and_a_rollout_have_numbers_of_their_own() -> None:
    noise = Noise(7, torch.tensor([3, 4]))
    assert noise.at("step", 2).seed == derive(7, "step", 2)
    assert noise.repeat(3).items.tolist() == [9, 12, 10, 13, 11, 14]
    assert noise.repeat(1).items.tolist() == [3, 4]


def test_seeds_are_sha_256_of_seed_and_purpose() -> None:
    assert derive(0) == 0x5FECEB66FFC86F38 >> 1
    assert derive(0, "epoch", 3) == derive(0, "epoch", "3") != derive(0, "epoch3")
    assert 0 <= derive(1, "a") < 2**63
    first = numpy_generator(0, "a").random(3)
    expected = np.random.Generator(np.random.Philox(derive(0, "a"))).random(3)
    np.testing.assert_array_equal(first, expected)
    drawn = torch.rand(3, generator=torch_generator(0, "a"))
    again = torch.rand(3, generator=torch.Generator().manual_seed(derive(0, "a")))
    assert torch.equal(drawn, again)
