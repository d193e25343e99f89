"""Random numbers that depend on the seed, the example and the purpose: fixed values, since stored
results were made with them."""

import math

import numpy as np
import pytest
import torch

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
