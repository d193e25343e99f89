"""What users write is read as they meant it, or refused."""

import pytest

from trm_model.errors import ConfigurationError
from trm_model.texts import from_yaml, in_bytes, in_operations


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' stands twice, the second time in line 3; expected"),
        ("x:\n  y: {z: 1, z: 1}", "the key 'z' stands twice, the second time in line 2"),
        ("- {a: 1}\n- {b: 1, b: 2}", "the key 'b' stands twice, the second time in line 2"),
        ("{1: a, 1: b}", "the key '1' stands twice"),
        ("[1,", "expected YAML; mend it"),
        ("2020-13-45", "month must be in 1..12; expected YAML"),
        ("[" * 100_000, "expected YAML"),
        ("{[1]: 2}", "expected YAML"),
        ("!!python/object:os.system {}", "expected YAML"),
    ],
)
def test_bad_yaml_is_refused_in_one_line(text: str, message: str) -> None:
    for given in (text, text.encode()):
        with pytest.raises(ConfigurationError) as error:
            from_yaml(given)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_a_key_may_stand_in_several_mappings() -> None:
    merged = "base: &b {a: 1, c: {a: 2}}\nother: {<<: *b, a: 3}\n"
    assert from_yaml(merged) == {
        "base": {"a": 1, "c": {"a": 2}},
        "other": {"a": 3, "c": {"a": 2}},
    }
    assert from_yaml("[{a: 1}, {a: 2}]") == [{"a": 1}, {"a": 2}]
    assert from_yaml("") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("-1E5", -1e5),
        ("1.5e3", 1500.0),
        (".5e+1", 5.0),
        ("0.1", 0.1),
        ("7", 7),
        ("e5", "e5"),
        ("1e", "1e"),
        ("'3e-4'", "3e-4"),
    ],
)
def test_numbers_with_an_exponent_are_numbers(text: str, value: object) -> None:
    found = from_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (999, "999 B"),
        (1_000, "1,000 B"),
        (1_023, "1,023 B"),
        (1_024, "1 KiB"),
        (1_023.6 * 1_024, "1,024 KiB"),
        (1.5 * 2**40, "1.5 TiB"),
        (2_000 * 2**40, "2,000 TiB"),
    ],
)
def test_bytes_for_people(size: float, said: str) -> None:
    assert in_bytes(size) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 FLOP"), (999e3, "999 kFLOP"), (32.8e12, "32.8 TFLOP"), (2.5e18, "2,500 PFLOP")],
)
def test_operations_for_people(count: float, said: str) -> None:
    assert in_operations(count) == said
