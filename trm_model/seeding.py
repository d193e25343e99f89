"""Random generators derived from a seed and a purpose.

There is no global state, and nothing to save but the counters in the purpose.
"""

import hashlib

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. ``derive(seed, "epoch", 3)``.

    Equal arguments give equal results everywhere.
    """
    text = "\x1f".join((str(seed), *map(str, purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator (Philox) for one purpose."""
    return np.random.Generator(np.random.Philox(derive(seed, *purpose)))
