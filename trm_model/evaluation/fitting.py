"""How many rollouts are computed together, from what is free on the device."""

from trm_model.devices import free_bytes
from trm_model.model.cost import cost
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner

ON_CPU = 256
"""Rollouts together on a CPU, which more make no faster."""
SHARE = 0.8
"""Of the free bytes: memory comes in pieces, and not all of them fit."""
MOST_MAPS = 65_535
"""A kernel on a GPU computes at most so many heads' attention at once."""


def fitting(reasoner: Reasoner, evaluation: Evaluation, otherwise: int = ON_CPU) -> int:
    """How many rollouts the device of a model can compute together, at least one.

    :param otherwise: so many on a CPU.
    """
    free = free_bytes(reasoner.answer_start.device)
    if free is None:
        return otherwise
    each = cost(
        reasoner.variant,
        reasoner.size,
        vocabulary=reasoner.vocabulary,
        length=reasoner.length,
        grid=reasoner.grid,
    )
    budget = SHARE * free * 4 / reasoner.dtype.itemsize
    count = budget // each.test_bytes
    if count < evaluation.rollouts:  # Those of an example that wait keep their states.
        count = (budget - evaluation.rollouts * each.waiting_bytes) // each.test_bytes
    return max(1, min(int(count), MOST_MAPS // reasoner.size.heads))
