"""ARC's canonical forms, against all symmetries tried; leaks made up, and those known in the public
data."""

import itertools
from functools import cache
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.trm_model.puzzles.test_arc import augmentations, constant, random_task
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.arc.canonical_form import canonical
from trm_model.puzzles.arc.leaks import KNOWN_LEAKS, Leak, leaks
from trm_model.puzzles.arc.packaged import packaged_tasks
from trm_model.puzzles.arc.tasks import Pair, Task

TRAIN, TEST = (
    [random_task("a", 0), random_task("b", 1, pairs=2, tests=2)],
    [random_task("c", 2, pairs=4, tests=2)],
)

tiny = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 2), st.integers(1, 2)), elements=st.integers(0, 3)
)
tiny_pairs = st.lists(st.builds(Pair, tiny, tiny), min_size=1, max_size=3)


def equivalent(first: list[Pair], second: list[Pair]) -> bool:
    """By trying all symmetries and all permutations of the colours 1..3."""

    def image(pairs: list[Pair], augmentation: Augmentation) -> list[bytes]:
        applied = [[augmentation.apply(grid) for grid in pair] for pair in pairs]
        return sorted(
            b"".join(bytes(grid.shape) + grid.tobytes() for grid in pair) for pair in applied
        )

    target = image(second, Augmentation(""))
    group = itertools.product(range(8), itertools.permutations((1, 2, 3)))
    return any(
        image(first, Augmentation("", which, (0, *colours, *range(4, 10)))) == target
        for which, colours in group
    )


@settings(max_examples=150, deadline=None)
@given(tiny_pairs, tiny_pairs, augmentations, st.randoms(use_true_random=False))
def test_canonical_forms_are_equal_for_equivalent_pairs_alone(
    first: list[Pair], second: list[Pair], augmentation: Augmentation, order: Random
) -> None:
    moved = [Pair(*(augmentation.apply(grid) for grid in pair)) for pair in first]
    order.shuffle(moved)
    assert canonical(moved) == canonical(first)
    assert (canonical(first) == canonical(second)) == equivalent(first, second)


def test_many_pairs_that_differ_in_colour_alone_have_a_form() -> None:
    """Nine interchangeable pairs: 9! orders, of which one has to be looked at."""
    first, second = constant("a", *range(1, 10)), constant("b", *range(9, 0, -1))
    assert canonical(first.train) == canonical(second.train)
    assert canonical(first.train) != canonical(constant("c", *range(9)).train)


def test_leaks_are_found_by_kind() -> None:
    augmentation = Augmentation("", 3, (0, 3, 1, 2, 9, 8, 7, 6, 5, 4))

    def image(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(Pair(*(augmentation.apply(grid) for grid in pair)) for pair in pairs)

    a, b = TRAIN
    whole = Task("whole", image(a.pairs[1:]), image(a.pairs[:1]))
    answer = Task("answer", TEST[0].train, (TEST[0].test[0], *image(b.train[1:])))
    demonstration = Task("demonstration", image(b.train), TEST[0].test)
    assert set(leaks(TRAIN, [whole, answer, demonstration])) == {
        Leak("task", "a", "whole"),
        Leak("pair", "a", "whole", 1),
        Leak("pair", "b", "answer", 2),
    }
    assert leaks(TRAIN, [Task("a", TEST[0].train, TEST[0].test)]) == [Leak("name", "a", "a")]


def test_the_leaks_known_in_the_public_data_are_found() -> None:
    """../shared/data/README.md; and one test pair that is in a training task which is not the same
    as a whole."""

    tasks = cache(packaged_tasks)

    def tests(train: str, test: str) -> dict[str, set[str]]:
        found = leaks(tasks(train), tasks(test))
        return {
            kind: {leak.test for leak in found if leak.kind == kind}
            for kind in ("name", "task", "pair")
        }

    first = tests("arc_agi_2/training", "arc_agi_1/evaluation")
    assert [len(tests) for tests in first.values()] == [376, 375, 376]
    second = tests("arc_agi_2/evaluation", "arc_agi_1/evaluation")
    assert [len(tests) for tests in second.values()] == [6, 6, 6]
    inside = tests("arc_agi_1/training", "arc_agi_1/evaluation")
    assert inside == {"name": set(), "task": {"070dd51e"}, "pair": {"070dd51e", "50a16a69"}}
    known = leaks(tasks("arc_agi_1/training"), tasks("arc_agi_1/evaluation"))
    assert {(leak.train, leak.test) for leak in known} == KNOWN_LEAKS
    assert tests("arc_agi_2/training", "arc_agi_2/evaluation") == {
        "name": set(),
        "task": set(),
        "pair": set(),
    }
