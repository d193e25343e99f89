"""The order of examples, worked out by hand from the same draws."""

import itertools

import numpy as np
import pytest

from storage.examples import Examples, Header
from trm_model.seeding import numpy_generator
from trm_model.training.group import Group
from trm_model.training.sampler import Position, Sampler


def examples(sizes: list[int], groups: list[int]) -> Examples:
    """Puzzles of ``sizes`` examples, in groups of so many puzzles."""
    cells = np.zeros((sum(sizes), 1), np.uint8)
    return Examples(
        Header(vocabulary=("pad",), grid=(1, 1)),
        cells,
        cells,
        np.zeros(len(sizes), np.int32),
        np.r_[0, np.cumsum(sizes)],
        np.r_[0, np.cumsum(groups)],
    )


@pytest.mark.parametrize("sizes", [[3, 1, 4, 2, 2], [1, 1, 1, 1, 1]])
def test_an_epoch_as_written_out(sizes: list[int]) -> None:
    """Groups in the order of a permutation, one puzzle drawn in each, its examples in the order of
    numbers drawn for them."""
    source = examples(sizes, [2, 1, 2])
    sampler = Sampler(source, batch_size=2, seed=5)
    for number in range(6):
        generator = numpy_generator(5, "epoch", number)
        groups = generator.permutation(3)
        firsts, ends = np.array([0, 2, 3])[groups], np.array([2, 3, 5])[groups]
        puzzles = generator.integers(firsts, ends)
        expected: list[int] = []
        drawn = iter(generator.random(sum(sizes[puzzle] for puzzle in puzzles)))
        for puzzle in puzzles:
            first = sum(sizes[:puzzle])
            keyed = [(next(drawn), first + example) for example in range(sizes[puzzle])]
            expected += [example for _, example in sorted(keyed)]
        assert sampler.epoch(number).tolist() == expected
        assert sampler.epoch(number).tolist() == expected


def test_batches_run_on_across_epochs() -> None:
    source = examples([1, 1, 1], [1, 1, 1])
    sampler = Sampler(source, batch_size=2, seed=0)
    stream = sampler.batches(Position())
    order = np.concatenate([sampler.epoch(number) for number in range(4)])
    taken = [next(stream) for _ in range(6)]
    assert np.concatenate([index for index, _ in taken]).tolist() == order.tolist()
    # A position at the very end of an epoch is kept as it is.
    assert [position for _, position in taken] == [
        Position(0, 2),
        Position(1, 1),
        Position(1, 3),
        Position(2, 2),
        Position(3, 1),
        Position(3, 3),
    ]


def test_another_order_of_the_same_examples() -> None:
    source = examples([1] * 6, [1] * 6)
    second = Group(1, 3).share(3)
    first = Sampler(source, 3, seed=0, share=second)
    drawn = [index.tolist() for index, _ in itertools.islice(first.batches(Position()), 6)]
    other = first.reseeded(5).batches(Position())
    expected = Sampler(source, 3, seed=5, share=second).batches(Position())
    for (index, position), (same, place) in itertools.islice(zip(other, expected, strict=False), 6):
        assert index.tolist() == same.tolist()
        assert position == place
    again = [index.tolist() for index, _ in itertools.islice(first.batches(Position()), 6)]
    assert again == drawn


def test_a_batch_may_be_larger_than_an_epoch() -> None:
    sampler = Sampler(examples([1, 1], [1, 1]), batch_size=5, seed=0)
    index, position = next(sampler.batches(Position()))
    assert sorted(index[:2]) == sorted(index[2:4]) == [0, 1]
    assert position == Position(2, 1)


def test_positions_start_at_the_beginning() -> None:
    assert Position() == Position(0, 0)


@pytest.mark.parametrize(("rank", "ranks", "batch_size"), [(0, 1, 5), (1, 2, 4), (2, 3, 6)])
def test_processes_share_a_batch_equally(rank: int, ranks: int, batch_size: int) -> None:
    source, share = examples([1] * 6, [1] * 6), Group(rank, ranks).share(batch_size)
    index, _ = next(Sampler(source, batch_size, 0, share=share).batches(Position()))
    whole, _ = next(Sampler(source, batch_size, 0).batches(Position()))
    each = batch_size // ranks
    assert index.tolist() == whole[rank * each : (rank + 1) * each].tolist()
