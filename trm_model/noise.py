"""Random numbers for the examples of a batch: what an example draws depends on the seed, its number
and the purpose alone, so that results do not depend on the batch it is in, on the device, or on
what was drawn before.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from trm_model.seeding import derive

_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch generator for one purpose (:func:`trm_model.seeding.derive`), on the CPU: those of
    other devices draw other numbers.
    """
    return torch.Generator().manual_seed(derive(seed, *purpose))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), on int64 that wrap around."""
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


class Noise:
    """Random numbers of the examples numbered ``items``, int64 [B], on their device."""

    def __init__(self, seed: int, items: Tensor) -> None:
        self.seed = seed
        self.items = items

    def at(self, *purpose: str | int) -> "Noise":
        """Other numbers for the same examples, e.g. of the next step."""
        return Noise(derive(self.seed, *purpose), self.items)

    def of(self, rows: Tensor | slice) -> "Noise":
        """The numbers of some of the examples, ``rows`` int64 [R] or a part of them."""
        return Noise(self.seed, self.items[rows])

    def repeat(self, count: int, numbers: Iterable[int] | None = None) -> "Noise":
        """``count`` rollouts of each example with numbers of their own, [count * B], the first
        rollout of all examples first.

        :param numbers: of these rollouts alone; None: of all.
        """
        chosen = range(count) if numbers is None else numbers
        return Noise(self.seed, torch.cat([self.items * count + number for number in chosen]))

    def _bits(self, purpose: str, shape: tuple[int, ...]) -> Tensor:
        keys = _mix(_mix(self.items * _GOLDEN) ^ derive(self.seed, purpose))
        counters = torch.arange(1, math.prod(shape) + 1, device=self.items.device) * _GOLDEN
        return _mix(keys.unsqueeze(-1) + counters).view(-1, *shape)

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Uniform in [0, 1), float64 [B, *shape]."""
        return _shift(self._bits(purpose, shape), 11).double() * 2.0**-53

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal, float32 [B, *shape]."""
        centred = (_shift(self._bits(purpose, shape), 41).float() + 0.5) * 2.0**-22 - 1.0
        return torch.erfinv(centred).mul_(math.sqrt(2.0))
