"""Which answers of one set of ARC tasks another set gives away."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from trm_model.puzzles.arc.canonical_form import canonical
from trm_model.puzzles.arc.tasks import Task


class Leak(NamedTuple):
    """A test task's tie to a training task. ``kind``: ``task`` all pairs are the same; ``pair`` the
    test pair numbered ``test_pair`` (from 1) is one of the training task's pairs, both up to
    symmetry; ``name`` the names are equal. ``test_pair`` is 0 for the others."""

    kind: Literal["task", "pair", "name"]
    train: str
    test: str
    test_pair: int = 0


KNOWN_LEAKS = frozenset({("40853293", "070dd51e"), ("caa06a1f", "50a16a69")})
"""(training task, evaluation task) of ARC-AGI-1 that leak as published: the first two are the same
task, the second share a test pair. Whoever leaves them out measures another benchmark, so a check
lets these pass, and says so."""


def leaks(train: Iterable[Task], test: Iterable[Task]) -> list[Leak]:
    """The answers of ``test`` that the training data hold, up to the augmentations' group
    (:func:`canonical`).

    All pairs of ``train`` count as trained on. A benchmark is checked with its training and its
    test tasks, two benchmarks with the training tasks of one and the test tasks of the other.
    ``pair`` is what a check should go by: such an answer has been seen, whatever else the two tasks
    have in common. ``task`` misses tasks that were edited since, and ``name`` tasks that were
    renamed.
    """
    names: set[str] = set()
    tasks, pairs = defaultdict[bytes, list[str]](list), defaultdict[bytes, list[str]](list)
    for task in train:
        names.add(task.name)
        tasks[canonical(task.pairs)].append(task.name)
        for form in {canonical((pair,)) for pair in task.pairs}:
            pairs[form].append(task.name)
    found: list[Leak] = []
    for task in test:
        if task.name in names:
            found.append(Leak("name", task.name, task.name))
        found.extend(Leak("task", name, task.name) for name in tasks.get(canonical(task.pairs), ()))
        for number, pair in enumerate(task.test, 1):
            found.extend(
                Leak("pair", name, task.name, number) for name in pairs.get(canonical((pair,)), ())
            )
    return found
