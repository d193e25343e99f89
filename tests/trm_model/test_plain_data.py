"""Frozen dataclasses and plain data: which values fit a type, and what is read back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from trm_model.choices import changed, check_fields, choices, find, from_plain, to_plain
from trm_model.errors import ConfigurationError
from trm_model.model.backprop.backprop import Backprop
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.backprop.last_cycles import LastCycles
from trm_model.model.mixers.attention import Attention


@dataclass(frozen=True, kw_only=True)
class Inner:
    a: int = 1
    b: int = 2


@dataclass(frozen=True, kw_only=True)
class Everything:
    """One field of every type that a configuration may have."""

    whole: int
    number: float = 0.5
    switch: bool = True
    text: str = "x"
    word: Literal["left", "right"] = "left"
    maybe: int | None = None
    many: tuple[float, ...] = (1.0, 2.0)
    pair: tuple[int, str] = (1, "a")
    table: dict[str, int] | None = None
    anything: Any = None
    inner: Inner = Inner()
    way: Backprop = LastCycles()

    def __post_init__(self) -> None:
        check_fields(self, whole=0, number=-1.0, maybe=3)


@pytest.mark.parametrize(
    ("name", "good", "bad", "expected"),
    [
        ("whole", 0, True, "a whole number"),
        ("whole", 1, 1.0, "a whole number"),
        ("whole", 0, -1, "a whole number of at least 0"),
        ("number", 1, True, "a finite number"),
        ("number", -1.0, -1.001, "a finite number of at least -1.0"),
        ("number", 1e300, float("inf"), "a finite number"),
        ("number", 0.0, float("nan"), "a finite number"),
        ("switch", False, 0, "true or false"),
        ("text", "", 3, "text"),
        ("word", "right", "up", "one of left, right"),
        ("maybe", None, "1", "a whole number or nothing"),
        ("maybe", 3, 2, "a whole number of at least 3"),
        ("many", (), (1.0, "a"), "a list, each a finite number"),
        ("many", (1.0, 2.0, 3.0), [1.0], "a list, each a finite number"),
        ("pair", (2, "b"), (2, "b", "c"), "a list of 2, each a whole number"),
        ("pair", (2, "b"), ("b", 2), "a list of 2, each a whole number"),
        ("pair", (2, "b"), (2,), "a list of 2, each a whole number"),
        ("table", {"a": 1}, [("a", 1)], ""),
        ("table", None, 1, ""),
        ("anything", object(), None, None),
        ("inner", Inner(a=3), {"a": 3}, "a mapping of some of its fields: a, b"),
        ("way", LastCalls(), "last_calls", "one of last_calls, last_cycles"),
    ],
)
def test_values_must_fit_their_types(name: str, good: Any, bad: Any, expected: str | None) -> None:
    fine, wrong = dict[str, Any](whole=1), dict[str, Any](whole=1)
    fine[name], wrong[name] = good, bad
    assert getattr(Everything(**fine), name) == good
    if expected is not None:
        with pytest.raises(ConfigurationError) as error:
            Everything(**wrong)
        assert str(error.value).startswith(f"{name}={bad!r}: expected {expected}")
        assert str(error.value).endswith(f"; change {name}")


def test_there_and_back() -> None:
    value = Everything(whole=2, many=(3.0,), inner=Inner(b=5), way=LastCalls(3), table={"a": 1})
    plain = to_plain(value)
    assert plain == {
        "whole": 2,
        "number": 0.5,
        "switch": True,
        "text": "x",
        "word": "left",
        "maybe": None,
        "many": [3.0],
        "pair": [1, "a"],
        "table": {"a": 1},
        "anything": None,
        "inner": {"a": 1, "b": 5},
        "way": {"last_calls": {"count": 3}},
    }
    assert from_plain(Everything, plain) == value


def test_what_differs_from_the_defaults() -> None:
    """A field without a default is always named."""
    assert changed(Everything(whole=2)) == {"whole": 2}
    value = Everything(whole=2, inner=Inner(b=5), way=LastCalls(3), maybe=4, many=())
    assert changed(value) == {
        "whole": 2,
        "maybe": 4,
        "many": [],
        "inner": {"b": 5},
        "way": {"last_calls": {"count": 3}},
    }
    # A choice with its own defaults differs from another choice.
    assert changed(Everything(whole=2, way=LastCalls())) == {"whole": 2, "way": {"last_calls": {}}}


def test_a_base_is_changed_in_the_fields_that_are_given() -> None:
    base = Everything(whole=2, number=0.25, inner=Inner(a=7, b=8))
    found = from_plain(Everything, {"maybe": 5, "inner": {"b": 9}}, base)
    assert found == Everything(whole=2, number=0.25, maybe=5, inner=Inner(a=7, b=9))
    assert from_plain(Everything, {"whole": 3, "inner": {"b": 9}}).inner == Inner(a=1, b=9)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("last_calls", LastCalls()),
        ({"last_calls": None}, LastCalls()),
        ({"last_calls": {}}, LastCalls()),
        ({"last_calls": {"count": 4}}, LastCalls(4)),
        ({"kind": "last_calls", "count": 4}, LastCalls(4)),
        ({"kind": "last_calls"}, LastCalls()),
    ],
)
def test_spellings_of_a_choice(given: Any, found: Backprop) -> None:
    assert from_plain(Everything, {"whole": 0, "way": given}).way == found


OF_SOMEBODY = f"{__name__}:Everything"


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: from_plain(Everything, {}), "everything without whole: expected a value"),
        (
            lambda: from_plain(Everything, {"whole": 1, "x": 2}),
            "unknown everything field 'x': expected whole, number, switch",
        ),
        (
            lambda: from_plain(Everything, {"whole": 1, "way": {"last_calls": {"x": 1}}}),
            "way: unknown last_calls field 'x': expected count",
        ),
        (lambda: from_plain(Inner, {"c": 2}), "unknown inner field 'c': expected a, b"),
        (
            lambda: from_plain(Everything, {"whole": 1, "way": 3}),
            "way=3: expected one of last_calls, last_cycles, or a mapping",
        ),
        (
            lambda: from_plain(Everything, {"whole": 1, "way": {}}),
            r"way=\{\}: expected one of last_calls, last_cycles, or a mapping",
        ),
        (
            lambda: from_plain(
                Everything, {"whole": 1, "way": {"last_calls": {}, "last_cycles": {}}}
            ),
            "expected one of last_calls, last_cycles, or a mapping of one",
        ),
        (
            lambda: from_plain(Everything, {"whole": 1, "way": {3: {}}}),
            "expected a name, or a mapping of a name to its options",
        ),
        (
            lambda: from_plain(Everything, {"whole": 1, "way": {"last_calls": 3}}),
            "expected a name, or a mapping of a name to its options",
        ),
        (lambda: find(Backprop, "all"), "backprop 'all': expected one of last_calls, last_cycles"),
        (lambda: find(Backprop, OF_SOMEBODY), "neither built in nor registered here"),
        (
            lambda: find(Backprop, OF_SOMEBODY, importing=True),
            "expected a frozen dataclass derived from Backprop",
        ),
        (
            lambda: find(Backprop, "trm_model.choices:to_plain", importing=True),
            "expected a frozen dataclass derived from Backprop",
        ),
        (
            lambda: find(Backprop, f"{Attention.__module__}:Attention", importing=True),
            "expected a frozen dataclass derived from Backprop",
        ),
        (
            lambda: find(Backprop, "nowhere.at_all:X", importing=True),
            "No module named 'nowhere'; expected a module",
        ),
        (
            lambda: find(Backprop, "trm_model.choices:Nothing", importing=True),
            "has no attribute 'Nothing'; expected package.module:Class",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(work: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        work()
    assert "\n" not in str(error.value)


def test_choices_are_found_by_name_and_by_module() -> None:
    assert {name: cls for name, cls in choices(Backprop).items() if ":" not in name} == {
        "last_calls": LastCalls,
        "last_cycles": LastCycles,
    }
    assert find(Backprop, "last_calls") is LastCalls
    assert find(Backprop, f"{LastCalls.__module__}:LastCalls", importing=True) is LastCalls


def test_two_choices_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="is named 'last_calls' as .*; give it another"):

        class Mine(Backprop):  # pyright: ignore[reportUnusedClass]
            name = "last_calls"

    assert find(Backprop, "last_calls") is LastCalls
