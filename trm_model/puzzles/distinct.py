"""Which of some canonical forms are new."""

from typing import Any

import numpy.typing as npt


def first_of_each(forms: npt.NDArray[Any], seen: set[bytes]) -> list[int]:
    """The rows of ``forms`` [N, ...] that are neither in ``seen`` nor equal to an earlier row; adds
    them to ``seen``."""
    fresh: list[int] = []
    for index, form in enumerate(forms):
        key = form.tobytes()
        if key not in seen:
            seen.add(key)
            fresh.append(index)
    return fresh
