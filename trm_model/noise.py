"""Random numbers for the examples of a batch: what an example draws depends on the seed, its number
and the purpose alone, so that results do not depend on the batch it is in, on the device, or on
what was drawn before.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from trm_model.seeding import derive

PIECE = 1 << 20
"""So many numbers are drawn at once: what that needs besides the result are a few tensors of 8 MiB,
where whole ones would take 2.9 GB each at 768 x 916 x 512."""
_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch generator for one purpose (:func:`trm_model.seeding.derive`), on the CPU: those of
    other devices draw other numbers.
    """
    return torch.Generator().manual_seed(derive(seed, *purpose))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), on int64 that wrap around."""
    x = _shift(x, 30).bitwise_xor_(x).mul_(_FIRST)
    x = _shift(x, 27).bitwise_xor_(x).mul_(_SECOND)
    return _shift(x, 31).bitwise_xor_(x)


class Noise:
    """Random numbers of the examples numbered ``items``, int64 [B], on their device."""

    def __init__(self, seed: int, items: Tensor) -> None:
        self.seed = seed
        self.items = items

    def at(self, *purpose: str | int) -> "Noise":
        """Other numbers for the same examples, e.g. of the next step."""
        return Noise(derive(self.seed, *purpose), self.items)

    def of(self, rows: Tensor | slice) -> "Noise":
        """The numbers of some of the examples, row numbers int64 [R] or a slice."""
        return Noise(self.seed, self.items[rows])

    def repeat(self, count: int, numbers: Iterable[int] | None = None) -> "Noise":
        """``count`` rollouts of each example with numbers of their own, [count * B], the first
        rollout of all examples first.

        :param numbers: of these rollouts alone; None: of all.
        """
        chosen = range(count) if numbers is None else numbers
        return Noise(self.seed, torch.cat([self.items * count + number for number in chosen]))

    def _drawn(self, purpose: str, shape: tuple[int, ...], bits: int, dtype: torch.dtype) -> Tensor:
        """Whole numbers of so many random bits, in a type that holds them exactly, [B, *shape]."""
        keys = _mix(_mix(self.items * _GOLDEN) ^ derive(self.seed, purpose))
        count = math.prod(shape)
        drawn = torch.empty(len(keys), count, dtype=dtype, device=keys.device)
        columns = max(1, min(count, PIECE))
        rows = PIECE // columns
        for start in range(0, count, columns):
            part = drawn[:, start : start + columns]
            counters = torch.arange(1, part.shape[1] + 1, device=keys.device).add_(start) * _GOLDEN
            for some, into in zip(keys.split(rows), part.split(rows), strict=True):
                into.copy_(_shift(_mix(some.unsqueeze(-1) + counters), 64 - bits))
        return drawn.view(len(keys), *shape)

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Uniform in [0, 1), float64 [B, *shape]."""
        return self._drawn(purpose, shape, 53, torch.float64).mul_(2.0**-53)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal, float32 [B, *shape]."""
        drawn = self._drawn(purpose, shape, 23, torch.float32)
        return drawn.add_(0.5).mul_(2.0**-22).sub_(1.0).erfinv_().mul_(math.sqrt(2.0))
