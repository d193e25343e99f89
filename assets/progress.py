"""How long steps say how far they are."""

import time
from collections.abc import Callable


def spaced(log: Callable[[str], object], seconds: float = 10.0) -> Callable[[str], None]:
    """``log``, with the messages left out that come less than ``seconds`` after the one before."""
    told = float("-inf")

    def say(text: str) -> None:
        nonlocal told
        if time.monotonic() - told > seconds:
            told = time.monotonic()
            log(text)

    return say
