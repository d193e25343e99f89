"""The axis of how a model tells one position from another."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from trm_model.choices import Choice
from trm_model.errors import require
from trm_model.model.layout import Layout


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

    def lookups(self, layout: Layout) -> npt.NDArray[np.int64]:
        """Which learned vectors stand for each position, [K, P + L]: K of them are added. They are
        numbered from 0, each number is used. Default: none, K = 0.

        :raises ConfigurationError: a layout that it cannot do with.
        """
        return np.zeros((0, layout.count), dtype=np.int64)


def require_distinct(positions: Sequence[Position]) -> None:
    """Whether there is at least one, and each kind at most once.

    :raises ConfigurationError: there is none, or two of a kind.
    """
    names = [position.name for position in positions]
    require(
        0 < len(set(names)) == len(names),
        f"positions {names}: expected at least one, each at most once; give none for none",
    )


def joined_lookups(positions: Sequence[Position], layout: Layout) -> npt.NDArray[np.int64]:
    """:meth:`Position.lookups` of several, into one table of all their vectors: those of the first,
    then those of the second, … [K, P + L].
    """
    found, vectors = [np.zeros((0, layout.count), dtype=np.int64)], 0
    for position in positions:
        own = position.lookups(layout)
        found.append(own + vectors)
        vectors += int(own.max(initial=-1)) + 1
    return np.concatenate(found)
