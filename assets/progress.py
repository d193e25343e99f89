"""How long steps say how far they are, and what every stage says when it has made something."""

import time
from collections.abc import Callable

MADE = "made"
"""Key in the metadata of each materialization: one line that says what was made and where, which
the stage's log and the command line end with."""


def spaced(log: Callable[[str], object], seconds: float = 10.0) -> Callable[[str], None]:
    """``log``, with the messages left out that come less than ``seconds`` after the one before."""
    told = float("-inf")

    def say(text: str) -> None:
        nonlocal told
        if time.monotonic() - told > seconds:
            told = time.monotonic()
            log(text)

    return say
