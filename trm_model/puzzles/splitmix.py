"""Random numbers inside compiled loops: splitmix64 (Steele, Lea and Flood 2014), seeded per item.

A state is an uint64 array [1] that the caller seeds; equal seeds give equal numbers.
"""

import numpy as np

from trm_model.compiled import numba

STEP = np.uint64(0x9E3779B97F4A7C15)


@numba.njit(cache=True, inline="always")
def mix(z):
    """64 bits that look random, from 64 that need not."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def next_bits(state):
    """Advance the state and return its next 64 bits."""
    state[0] += STEP
    return mix(state[0])


@numba.njit(cache=True, inline="always")
def scale(bits, bound):
    """A number in 0..bound - 1 from 32 random bits (bias below bound / 2**32)."""
    return np.int64((bits * np.uint64(bound)) >> np.uint64(32))


@numba.njit(cache=True)
def below(state, bound):
    """A number in 0..bound - 1."""
    return scale(next_bits(state) >> np.uint64(32), bound)


@numba.njit(cache=True)
def uniform(state):
    """A multiple of 2**-53 in [0, 1)."""
    return np.float64(next_bits(state) >> np.uint64(11)) * 2.0**-53
