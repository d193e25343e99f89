"""The axis of how a model tells one position from another."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from trm_model.choices import Choice
from trm_model.errors import require
from trm_model.model.layout import Layout

Lookups = npt.NDArray[np.int64]
"""Numbers of the learned vectors that are added at each position, [K, P + L]."""


class Position(Choice, axis=True):
    """How a model tells one position from another. A mixer takes several, which add up: angles by
    which queries and keys are turned, and learned vectors in what is embedded.
    """

    __slots__ = ()
    turns: ClassVar[bool] = False
    """Whether queries and keys of attention are turned: :meth:`angles`."""

    def angles(self, layout: Layout, head_width: int) -> Tensor:
        """By how much each pair of a head's channels is turned, float32 [P + L, head_width / 2], in
        radians. Asked only where ``turns``.

        :raises ConfigurationError: a layout or a head's width that it cannot do with.
        """
        raise NotImplementedError

    def lookups(self, layout: Layout) -> Lookups:
        """Which learned vectors stand for each position, [K, P + L]: K of them are added. They are
        numbered from 0, each number is used. Default: none, K = 0.

        :raises ConfigurationError: a layout that it cannot do with.
        """
        return np.zeros((0, layout.positions), dtype=np.int64)


def require_distinct(positions: Sequence[Position]) -> None:
    """Whether there is at least one, and each kind at most once.

    :raises ConfigurationError: there is none, or two of a kind.
    """
    names = [position.name for position in positions]
    require(
        0 < len(set(names)) == len(names),
        f"positions {names}: expected at least one, each at most once; give none for none",
    )


def joined_lookups(lookups: Iterable[Lookups], layout: Layout) -> Lookups:
    """Several of them, each [K_i, P + L] and numbered from 0, into one table of all their vectors:
    those of the first, then those of the second, and so on. [sum of K_i, P + L].
    """
    found, vectors = [np.zeros((0, layout.positions), dtype=np.int64)], 0
    for own in lookups:
        found.append(own + vectors)
        vectors += int(own.max(initial=-1)) + 1
    return np.concatenate(found)
