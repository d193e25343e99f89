"""How long a training would take on this machine's processor: computed from its operations and the
rate of a matrix product, which is measured."""

import time

import torch

from trm_model.texts import duration
from trm_model.training.plan import Plan

SHARE = 0.7
"""Share of a large product's rate that steps reached in float32: 0.61 to 0.86 on two threads, wider
networks more, and 0.5 a short training of a small one with its start and its validations
(docs/measurements.md, 2026-11-27)."""


def product_rate(rows: int = 1_024) -> float:
    """Floating-point operations a second of a product of two square matrices in float32 on torch's
    threads, the best of ten after the first, which starts the threads."""
    a, b = torch.rand(rows, rows), torch.rand(rows, rows)
    best = float("inf")
    for number in range(11):
        started = time.perf_counter()
        torch.mm(a, b)
        if number > 0:
            best = min(best, time.perf_counter() - started)
    return 2 * rows**3 / best


def expected_here(takes: Plan) -> str:
    """How long a training would take here, on one line."""
    rate = product_rate()
    return (
        f"this processor, {torch.get_num_threads()} of its threads: about "
        f"{duration(takes.flops / (SHARE * rate))}, computed, at {SHARE:.0%} (assumed; small "
        f"networks reach less) of the {rate / 1e9:.0f} GFLOP/s that a matrix product reaches now"
    )
