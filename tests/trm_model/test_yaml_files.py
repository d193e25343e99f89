"""YAML as people write it."""

from pathlib import Path

import pytest

from trm_model.errors import ConfigurationError
from trm_model.yaml_files import parse_yaml, read_yaml


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
        ("{a: [1e-3, x], b: true}", {"a": [1e-3, "x"], "b": True}),
        ("", None),
    ],
)
def test_values(text: str, value: object) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"'a' stands twice, the second time in line 3; remove one"),
        ("x: {a: 1, a: 2}", r"'a' stands twice"),
        ("[1, 2", "expected YAML; mend it"),
        ("? [1]\n: 2", "expected YAML; mend it"),
    ],
)
def test_what_is_no_yaml(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_a_file_holds_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1e-3\n")
    assert read_yaml(path) == {"a": 1e-3}
    path.write_text("[1]")
    with pytest.raises(ConfigurationError, match="expected keys and values"):
        read_yaml(path)
    with pytest.raises(ConfigurationError, match="a folder"):
        read_yaml(tmp_path)
