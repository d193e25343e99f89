"""Random numbers inside compiled loops: splitmix64 (Steele, Lea and Flood 2014), seeded per item.

A state is an uint64 array [1] that the caller seeds; equal seeds give equal numbers.
"""

import numba
import numpy as np


@numba.njit(cache=True, inline="always")
def next_bits(state):
    """Advance the state and return its next 64 bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, inline="always")
def below(state, bound):
    """A number in 0..bound - 1 from the upper 32 bits (bias below bound / 2**32)."""
    return np.int64(((next_bits(state) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@numba.njit(cache=True, inline="always")
def uniform(state):
    """A multiple of 2**-53 in [0, 1)."""
    return np.float64(next_bits(state) >> np.uint64(11)) * 2.0**-53


@numba.njit(cache=True)
def permute(values, state):
    """Fisher-Yates, in place."""
    for last in range(len(values) - 1, 0, -1):
        other = below(state, last + 1)
        values[last], values[other] = values[other], values[last]
