"""ARC's examples: versions and rows, against the definition."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.trm_model.puzzles.test_arc import SIDE, constant, naive_tokens, random_task
from trm_model.errors import ConfigurationError
from trm_model.puzzles.arc import versions as arc_versions
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.arc.checks import check_examples
from trm_model.puzzles.arc.examples import ArcExamples, make_examples
from trm_model.puzzles.arc.tasks import Pair, Task
from trm_model.puzzles.arc.versions import draw_versions
from trm_model.seeding import numpy_generator

TRAIN, TEST = (
    [random_task("a", 0), random_task("b", 1, pairs=2, tests=2)],
    [random_task("c", 2, pairs=4, tests=2)],
)


def small(**changes: int) -> tuple[ArcExamples, ArcExamples]:
    return make_examples(TRAIN, TEST, **{"augmentations": 20, "seed": 3, "side": SIDE, **changes})  # type: ignore[arg-type]


# Versions


def images(task: Task, versions: arc_versions.Versions, number: int) -> list[tuple[bytes, ...]]:
    """The pairs of each version as a set, by brute force."""
    result: list[tuple[bytes, ...]] = []
    for version in range(versions.offsets[number], versions.offsets[number + 1]):
        augmentation = Augmentation(
            task.name, int(versions.dihedrals[version]), tuple(versions.colours[version].tolist())
        )
        made = [[augmentation.apply(grid) for grid in pair] for pair in task.pairs]
        result.append(
            tuple(
                sorted(
                    b"".join(bytes(grid.shape) + grid.tobytes() for grid in pair) for pair in made
                )
            )
        )
    return result


def test_versions_are_distinct_and_start_with_the_task() -> None:
    tasks = [
        random_task(f"t{colours}{side}", side, colours=colours, side=side)
        for colours in (2, 3, 10)
        for side in (1, 2, 4)
    ]
    versions = draw_versions(tasks, 100, seed=5)
    for number, task in enumerate(tasks):
        made = images(task, versions, number)
        assert len(set(made)) == len(made) <= 101
        first = versions.offsets[number]
        assert versions.dihedrals[first] == 0
        assert versions.colours[first].tolist() == list(range(10))
    assert (np.sort(versions.colours, axis=1) == np.arange(10)).all()
    assert (versions.colours[:, 0] == 0).all()
    assert np.diff(versions.offsets)[-1] == 101


def test_few_colours_have_few_versions() -> None:
    """Black alone: one version; one colour: nine; two that may be swapped, as pairs have no order:
    36, not 72."""
    two = constant("two", 1, 2).train
    swapped = Task("two", two, two)
    versions = draw_versions([constant("black", 0), constant("one", 1), swapped], 1000, seed=0)
    assert np.diff(versions.offsets).tolist() == [1, 9, 36]


@pytest.mark.parametrize("seed", range(8))
def test_all_versions_of_a_task_of_one_colour_are_found(seed: int) -> None:
    """At most 8 x 9 images, which 5,000 draws do not miss: as many versions as different images, by
    brute force."""
    task = random_task("x", seed, pairs=1, side=1 + seed % 3, colours=2)
    group = list(itertools.product(range(8), range(1, 10)))
    dihedrals, colours = (
        np.array([which for which, _ in group], np.uint8),
        np.array([swap(colour) for _, colour in group], np.uint8),
    )
    everything = arc_versions.Versions(dihedrals, colours, np.array([0, len(group)]))
    assert len(draw_versions([task], 1000, seed=0).dihedrals) == len(
        set(images(task, everything, 0))
    )


def test_repeated_draws_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 72 images, 300 draws find 60 more than the task; 60 draws alone do not."""
    task = random_task("x", 3, side=3, colours=2)
    assert len(draw_versions([task], 60, seed=0).dihedrals) == 61
    monkeypatch.setattr(arc_versions, "TRIES", 1)
    assert len(draw_versions([task], 60, seed=0).dihedrals) < 55


def swap(colour: int) -> list[int]:
    """Colours with 1 and another one exchanged."""
    return [colour if old == 1 else 1 if old == colour else old for old in range(10)]


def test_symmetries_and_colours_are_drawn_uniformly() -> None:
    versions = draw_versions([random_task("x", 0, side=6)], 4000, seed=1)
    assert np.bincount(versions.dihedrals[1:], minlength=8).tolist() == pytest.approx(
        [500] * 8, abs=110
    )
    for place in range(1, 10):
        assert np.bincount(versions.colours[1:, place], minlength=10)[1:].tolist() == pytest.approx(
            [4000 / 9] * 9, abs=110
        )


def test_a_task_depends_on_itself_alone() -> None:
    both, alone = draw_versions([*TRAIN, *TEST], 30, seed=7), draw_versions(TEST, 30, seed=7)
    first = both.offsets[2]
    np.testing.assert_array_equal(both.colours[first:], alone.colours)
    np.testing.assert_array_equal(both.dihedrals[first:], alone.dihedrals)
    assert (draw_versions(TEST, 30, seed=8).colours != alone.colours).any()


# Examples


@pytest.mark.parametrize("side", [5, SIDE, 30])
def test_examples_are_what_the_definition_says(side: int) -> None:
    train, test = small(side=side)
    pairs = {"a": TRAIN[0].pairs, "b": TRAIN[1].pairs, "c": TEST[0].train}
    for source, of_task, moved in ((train, pairs, True), (test, {"c": TEST[0].test}, False)):
        inputs, labels = source.rows(np.arange(len(source)))
        assert check_examples(inputs, labels).all()
        for puzzle in range(len(source.puzzle_ids)):
            augmentation = source.augmentation(puzzle)
            first, last = source.example_offsets[puzzle : puzzle + 2]
            assert last - first == len(of_task[augmentation.task])
            corners = 0
            for example, pair in zip(range(first, last), of_task[augmentation.task], strict=True):
                place = int(np.flatnonzero(inputs[example])[0])
                top, left = divmod(place, side)
                corners += place == 0
                for tokens, grid in zip((inputs[example], labels[example]), pair, strict=True):
                    np.testing.assert_array_equal(
                        tokens, naive_tokens(augmentation.apply(grid), top, left, side)
                    )
            assert corners >= 1 if moved else corners == last - first


def test_places_are_uniform_and_one_pair_stays() -> None:
    pair = Pair(np.ones((2, 3), np.uint8), np.ones((3, 1), np.uint8))
    counts: dict[tuple[int, int], int] = {}
    stays = np.zeros(4, int)
    tasks = [Task(f"x{number}", (pair, pair, pair), (pair,)) for number in range(2_000)]
    source, _ = make_examples(tasks, [random_task("y", 0)], augmentations=0, seed=0, side=6)
    inputs, _ = source.rows(np.arange(8_000))
    for number, tokens in enumerate(inputs):
        place = int(np.flatnonzero(tokens)[0])
        counts[divmod(place, 6)] = counts.get(divmod(place, 6), 0) + 1
        stays[number % 4] += place == 0
    # 16 places; a pair that may move (3 of 4) is in the corner by chance too.
    assert set(counts) == set(itertools.product(range(4), range(4)))
    assert counts.pop((0, 0)) == pytest.approx(2_000 + 6_000 / 16, abs=120)
    assert list(counts.values()) == pytest.approx([6_000 / 16] * 15, abs=90)
    assert stays.tolist() == pytest.approx([2_000 / 4 + 1_500 / 16] * 4, abs=100)


def test_rows_depend_on_their_index_alone() -> None:
    train, _ = small()
    inputs, labels = train.rows(np.arange(len(train)))
    index = numpy_generator(0, "order").integers(0, len(train), 500)
    chosen = train.rows(index)
    np.testing.assert_array_equal(chosen[0], inputs[index])
    np.testing.assert_array_equal(chosen[1], labels[index])
    assert train.rows(np.zeros(0, np.int64))[0].shape == (0, SIDE * SIDE)
    for wrong in (-1, len(train)):
        with pytest.raises(IndexError, match="expected 0.."):
            train.rows(np.array([0, wrong]))


def test_threads_may_read_at_once() -> None:
    train, _ = small()
    parts = np.array_split(np.arange(len(train)), 8)
    with ThreadPoolExecutor(4) as threads:
        made = np.concatenate([inputs for inputs, _ in threads.map(train.rows, parts)])
    np.testing.assert_array_equal(made, train.rows(np.arange(len(train)))[0])


def test_a_stored_plan_gives_the_same_rows(tmp_path: Path) -> None:
    for source in small():
        parameters, tables = source.plan()
        np.savez(tmp_path / "plan.npz", allow_pickle=False, **tables)
        with np.load(tmp_path / "plan.npz") as stored:
            again = ArcExamples.from_plan(
                source.header, json.loads(json.dumps(parameters)), dict(stored)
            )
        assert again.names() == source.names()
        np.testing.assert_array_equal(again.example_offsets, source.example_offsets)
        for mine, theirs in zip(
            source.rows(np.arange(len(source))), again.rows(np.arange(len(source))), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_test_puzzles_are_training_puzzles_under_the_same_id() -> None:
    train, test = small()
    ids = dict(zip(train.names(), train.puzzle_ids.tolist(), strict=True))
    assert len(ids) == len(train.puzzle_ids) == train.header.num_puzzle_ids - 1
    assert dict(zip(test.names(), test.puzzle_ids.tolist(), strict=True)).items() <= ids.items()
    assert [name for name in test.names() if name == "c"] == ["c"]
    assert len(test.puzzle_ids) == test.group_offsets[-1] == len(test.example_offsets) - 1
    assert train.names()[30] == train.augmentation(30).name
    assert min(ids.values()) == 1


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (TRAIN, [], "no test tasks"),
        (TRAIN, TRAIN[:1], "'a' is there twice"),
        (
            [random_task("wide", 0, side=9, pairs=20)],
            TEST,
            "has a grid of side 9: expected at most 8",
        ),
        (TRAIN, [Task("d", TRAIN[0].train, ())], "expected demonstrations and test pairs"),
    ],
)
def test_impossible_splits_are_refused(train: list[Task], test: list[Task], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_examples(train, test, augmentations=1, seed=0, side=SIDE)
