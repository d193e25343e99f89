"""Sums: drawn, written as tokens, checked, given by index; and in the graph."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.data.checks import example_checks
from assets.data.datasets import write_dataset
from assets.families.sequence import GeneratedAddition, GeneratedLengths, SequencePuzzles
from assets.pages.pictures import png, question_sheet
from storage.examples import read_examples
from storage.store import LocalStore
from trm_model.errors import ConfigurationError
from trm_model.puzzles import sequence
from trm_model.puzzles.family import Question
from trm_model.puzzles.plans import open_examples, plan_of
from trm_model.puzzles.registry import family_named
from trm_model.puzzles.sequence import Addition

ENTRY = GeneratedAddition(digits=2, train=60, test=20)
LENGTHS = GeneratedLengths(digits=3, trained_digits=2, train=60, test=20)
digits = st.integers(1, sequence.MAX_DIGITS)


@settings(max_examples=40, deadline=None)
@given(digits, st.data())
def test_rows_are_sums_as_written_on_paper(count: int, data: st.DataObject) -> None:
    number = st.integers(0, 10**count - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=5))
    inputs, labels = sequence.to_tokens(np.array(pairs, np.int64), count)
    handed_on = sequence.carries(np.array(pairs, np.int64))
    for (a, b), question, label, carries in zip(pairs, inputs, labels, handed_on, strict=True):
        text = f"{a:0{count}}+{b:0{count}}="
        assert sequence.to_text(question) == text + "_" * (count + 1)
        assert sequence.to_text(label) == "?" * len(text) + f"{a + b:0{count + 1}}"[::-1]
        assert sequence.from_text(text) == (a, b)
        # A digit sum falls by 9 with each carry.
        assert sum(map(int, str(a) + str(b))) - sum(map(int, str(a + b))) == 9 * carries
    assert sequence.check_examples(inputs, labels).all()


@settings(max_examples=40, deadline=None)
@given(digits, st.data())
def test_answers_that_end_are_written_without_leading_zeros(
    count: int, data: st.DataObject
) -> None:
    number = st.integers(0, 10**count - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=5))
    inputs, labels = sequence.to_tokens(np.array(pairs, np.int64), count, ended=True)
    family = Addition(count, ended=True)
    for (a, b), question, label in zip(pairs, inputs, labels, strict=True):
        question_text = f"{a:?>{count}}+{b:?>{count}}="
        answer = f"{a + b}"[::-1] + "."
        assert sequence.to_text(question) == question_text + "_" * (count + 2)
        assert sequence.to_text(label) == "?" * len(question_text) + f"{answer:?<{count + 2}}"
        assert family.plain(label) == answer
        assert family.judge(Question(question), label).right
        [again] = family.read(f"{a}+{b}=")
        np.testing.assert_array_equal(again.cells, question)
    assert sequence.check_examples(inputs, labels).all()
    assert (family.answered(inputs) == (np.arange(family.cells) >= family.asked)).all()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.booleans(),
    st.booleans(),
    st.integers(0, 8),
    st.integers(0, 20),
    st.booleans(),
)
def test_any_other_token_is_found(
    seed: int, in_label: bool, one_digit: bool, cell: int, token: int, ended: bool
) -> None:
    pairs = sequence.generate(3, 1 if one_digit else 2, seed)
    inputs, labels = sequence.to_tokens(pairs, 2, ended=ended)
    changed = labels if in_label else inputs
    before = changed[1, cell]
    changed[1, cell] = token
    assert sequence.check_examples(inputs, labels).tolist() == [True, token == before, True]


@pytest.mark.parametrize("seed", range(3))
def test_all_pairs_can_be_drawn_and_none_twice(seed: int) -> None:
    pairs = sequence.generate(55, 1, seed)
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == {
        (a, b) for a in range(10) for b in range(a, 10)
    }
    assert (pairs[:, 0] > pairs[:, 1]).any()
    assert (pairs[:, 0] < pairs[:, 1]).any()
    many = sequence.generate(2_000, 6, seed)
    assert len({tuple(sorted(pair)) for pair in many.tolist()}) == 2_000
    # Uniform over pairs: each number is half a million on average.
    assert abs(many.mean() - 5e5) < 5 * 3e5 / 4_000**0.5
    np.testing.assert_array_equal(many, sequence.generate(2_000, 6, seed))


@pytest.mark.parametrize("seed", range(3))
def test_lengths_are_shared_out_evenly_and_splits_share_no_pair(seed: int) -> None:
    splits = sequence.generate_lengths(300, 100, 2, 4, seed)
    lengths = [np.char.str_len(pairs.max(axis=1).astype(str)) for pairs in splits]
    # There are 55 pairs of one digit: a third of them for the test, the rest to train on.
    assert [np.bincount(each).tolist() for each in lengths] == [[0, 37, 263], [0, 18, 27, 27, 28]]
    together = np.concatenate(splits)
    assert len({tuple(sorted(pair)) for pair in together.tolist()}) == 400
    # Not one length after the other.
    assert all((np.diff(each) < 0).any() for each in lengths)


@pytest.mark.parametrize("ended", [False, True])
def test_examples_by_index_and_from_their_plan(ended: bool) -> None:
    pairs = sequence.generate(9, 3, 0)
    source = sequence.AdditionExamples(pairs, 3, 1, seed=0, ended=ended)
    index = np.array([17, 0, 1, 4])
    inputs, labels = source.rows(index)
    expected = np.stack((pairs[8, ::-1], pairs[0], pairs[0, ::-1], pairs[2]))
    np.testing.assert_array_equal(
        np.stack((inputs, labels)), np.stack(sequence.to_tokens(expected, 3, ended=ended))
    )
    plan = plan_of(source)
    again = family_named(plan.kind).examples.from_plan(source.header, plan.parameters, plan.arrays)
    np.testing.assert_array_equal(
        np.stack(again.rows(np.arange(18))), np.stack(source.rows(np.arange(18)))
    )
    assert again.header == source.header


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: sequence.generate(56, 1, 0), "count=56 with digits=1: expected 1..55"),
        (lambda: sequence.generate(1, 7, 0), "digits=7: expected 1..6"),
        (
            lambda: sequence.generate_lengths(38, 18, 1, 1, 0),
            "train=38, test=18 with numbers of up to 1 and 1 digits: expected at most 37 and 18",
        ),
        (
            lambda: sequence.generate_lengths(1, 1, 3, 2, 0),
            "trained_digits=3, digits=2: expected 1 <= trained_digits <= digits <= 6",
        ),
        (
            lambda: sequence.AdditionExamples(np.zeros((1, 2), np.int64), 1, 2, 0),
            "copies=2: expected 0 or 1",
        ),
        (lambda: sequence.AdditionExamples(np.full((1, 2), 10), 1, 0, 0), "numbers of 1 digits"),
    ],
)
def test_what_cannot_be_is_refused(work: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        work()


@pytest.mark.parametrize("text", ["12+34", "12+=", "+3=", "1+2+3=", "12-34=", ""])
def test_text_that_is_no_question(text: str) -> None:
    with pytest.raises(ValueError, match="expected a question such as"):
        sequence.from_text(text)


@pytest.mark.parametrize("entry", [ENTRY, LENGTHS])
def test_checks_of_the_table_find_planted_faults(
    entry: GeneratedAddition | GeneratedLengths,
) -> None:
    frame = entry.puzzles().frame
    SequencePuzzles.validate(frame)
    assert all(outcome.passed for outcome in entry.check_puzzles(frame).values())
    wrong = frame.with_columns(
        answer=pl.when(pl.col("puzzle") == 3).then(pl.lit("999")).otherwise("answer")
    )
    assert {name for name, outcome in entry.check_puzzles(wrong).items() if not outcome.passed} == {
        "label_solves_input"
    }
    first, plus, second = frame["question"][0][:-1].partition("+")
    exchanged = f"{second}{plus}{first}="
    leaking = frame.with_columns(
        question=pl.when(pl.col("puzzle") == 79).then(pl.lit(exchanged)).otherwise("question"),
        answer=pl.when(pl.col("puzzle") == 79).then(pl.lit(frame["answer"][0])).otherwise("answer"),
    )
    assert {
        name for name, outcome in entry.check_puzzles(leaking).items() if not outcome.passed
    } == {"no_leakage"}


def test_further_sums_are_of_trained_lengths_and_others() -> None:
    frame = LENGTHS.puzzles().frame
    further = LENGTHS.further(frame, 50)
    assert len(further) == 50
    assert not set(further["form"]) & set(frame["form"])
    assert max(len(form.split("+")[0]) for form in further["form"]) == 2


@pytest.mark.parametrize("entry", [ENTRY, LENGTHS])
@pytest.mark.parametrize("online", [False, True])
def test_stored_checked_and_drawn(
    tmp_path: Path, online: bool, entry: GeneratedAddition | GeneratedLengths
) -> None:
    store = LocalStore(tmp_path)
    key, _ = write_dataset(
        store,
        "sums",
        entry.puzzles().frame,
        entry,
        augmentations=1,
        seed=0,
        online=online,
    )
    folder = store.open(key)
    assert all(outcome.passed for outcome in example_checks(folder, entry.family).values())
    train, test = open_examples(folder / "train.zarr"), read_examples(folder / "test.zarr")
    assert (int(train.example_offsets[-1]), len(test.inputs)) == (120, 20)
    assert train.header == replace(test.header, augmentations=1)
    assert png(question_sheet(entry.family, *train.rows(np.arange(3))))[:4] == b"\x89PNG"
