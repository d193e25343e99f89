"""How many rollouts are computed together, from what is free on the device."""

from functools import lru_cache
from typing import NamedTuple

from trm_model.devices import free_bytes
from trm_model.model.cost import model_on, shape_of
from trm_model.model.evaluation import Evaluation
from trm_model.model.kept import kept_by_calls
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import Variant

ON_CPU = 256
"""A CPU computes so many rollouts together; more are no faster."""
SHARE = 0.8
"""Of the free bytes: memory comes in pieces, and not all of them fit."""
MOST_MAPS = 65_535
"""A kernel on a GPU computes at most so many heads' attention at once."""
STATES = 6
"""A rollout needs memory for so many states: the first one, those before and after a step, one
between them, noise, and a copy of those that go on."""


class Rollout(NamedTuple):
    """The bytes of one rollout of an example, in float32: at most about, while it is computed
    (some states, what one call would keep for a gradient, logits and their probabilities); and
    while others are computed (its first state and its last)."""

    computed: int
    waiting: int


@lru_cache(maxsize=256)
def rollout_bytes(shape: Variant, size: Size, vocabulary: int, grid: tuple[int, int]) -> Rollout:
    """What a rollout of a variant of this shape takes on a GPU (:class:`Rollout`)."""
    model = model_on("meta", shape, size, vocabulary, grid)
    state = 4 * (1 + shape.latents) * (size.prefix + model.length) * size.width
    call = max(kept.each for kept in kept_by_calls(model))
    return Rollout(STATES * state + call + 2 * 4 * model.length * vocabulary, 2 * state)


def fitting(reasoner: Reasoner, evaluation: Evaluation, otherwise: int = ON_CPU) -> int:
    """How many rollouts the device of a model can compute together, at least one.

    :param otherwise: so many on a CPU.
    """
    free = free_bytes(reasoner.answer_start.device)
    if free is None:
        return otherwise
    shape = shape_of(reasoner.variant)
    each = rollout_bytes(shape, reasoner.size, reasoner.vocabulary, reasoner.grid)
    budget = SHARE * free * 4 / reasoner.dtype.itemsize
    count = budget // each.computed
    if count < evaluation.rollouts:  # Those of an example that wait keep their states.
        count = (budget - evaluation.rollouts * each.waiting) // each.computed
    return max(1, min(int(count), MOST_MAPS // reasoner.size.heads))
