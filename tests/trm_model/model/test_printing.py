"""Variants and costs as lines of text."""

from dataclasses import replace

from trm_model.model.cost import cost
from trm_model.model.feed_forwards.experts import Experts
from trm_model.model.printing import cost_lines, differences, variant_lines
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.variants import VARIANTS

SIZE = Size(width=32, heads=2, prefix=2, puzzle_width=32)


def test_what_a_variant_costs() -> None:
    lines = cost_lines(
        VARIANTS["hrm"],
        SIZE,
        vocabulary=6,
        length=16,
        num_puzzles=3,
        batch_size=8,
        max_steps=4,
    )
    assert lines == [
        "parameters           229,922",
        "depth                24 layers per supervision step: 6 calls x 4",
        "calls with gradient  2 of 6",
        "forward passes       2 per optimizer step",
        "FLOPs                550 MFLOP per optimizer step of 8 examples",
        "FLOPs at test        103 MFLOP per example in 4 steps",
        "state                1,152 numbers per example, 4.5 KiB in float32",
    ]


def test_answer_layers_are_told_where_they_differ() -> None:
    variant = replace(VARIANTS["hrm"], answer_layers=3)
    lines = cost_lines(
        variant, SIZE, vocabulary=6, length=16, num_puzzles=1, batch_size=1, max_steps=1
    )
    assert (
        lines[1] == "depth                22 layers per supervision step: 6 calls x 4 (answer: 3)"
    )


def test_costs_by_default_are_those_of_the_paper_and_one_puzzle() -> None:
    explicit = cost(
        Variant(), SIZE, vocabulary=6, length=16, num_puzzles=1, batch_size=768, max_steps=16
    )
    assert cost(Variant(), SIZE, vocabulary=6, length=16) == explicit


def test_a_variant_is_shown_beside_the_nearest_one_before_it() -> None:
    base = Variant()
    lines = list(
        variant_lines(
            {
                "base": base,
                "deep": replace(base, cycles=4),
                "deeper": replace(base, cycles=4, layers=3),
                "again": replace(base, cycles=4),
                "mixed": replace(base, feed_forward=Experts()),
                "few": replace(base, feed_forward=Experts(count=3)),
            }
        )
    )
    assert lines == [
        "base    the base of the others: 42 layers per supervision step in 21 calls",
        "deep    base with cycles=4",
        "deeper  deep with layers=3",
        "again   the same as deep",
        "mixed   base with feed_forward=Experts(count=4, active=2)",
        # Of equally near ones the first.
        "few     base with feed_forward=Experts(count=3, active=2)",
    ]


def test_differences_name_the_field_of_a_choice_that_stays() -> None:
    one = replace(Variant(), feed_forward=Experts())
    assert differences(one, replace(one, feed_forward=Experts(count=3), ema=False)) == [
        "feed_forward.count=3",
        "ema=False",
    ]
    assert differences(one, one) == []
