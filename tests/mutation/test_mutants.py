"""The changes that a trial makes, and what it leaves alone."""

import ast

import pytest

from tests.mutation.__main__ import ROOT, read_reasons
from tests.mutation.mutants import places


def changes(source: str) -> list[list[str]]:
    return [[mutant.change for mutant in place] for place in places(source.encode())]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", [["a < b -> a <= b"]]),
        ("x = a is not None", [["a is not None -> a is None"]]),
        ("x = a + b * c", [["a + b * c -> a - b * c"], ["b * c -> b / c"]]),
        ("x = a or not b", [["a or not b -> a and (not b)"], ["not b -> b"]]),
        ("x = 3", [["3 -> 4", "3 -> 2"]]),
        ("x = [0.5, 0.0]", [["0.5 -> 1.0"], ["0.0 -> 1.0"]]),
        ("x = True", [["True -> False"]]),
        ("x = max(a, b.amin(c))", [["max -> min"], ["b.amin -> b.amax"]]),
        ("def f(a, b=c, *, d: int = e): ...", [["b = c -> b"], ["d = e -> d"]]),
        ("class A:\n    b: int = c", [["b = c -> b"]]),
    ],
)
def test_one_operator_constant_name_or_default(source: str, expected: list[list[str]]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Text with 3 < 4."""',
        "x: Literal[1, 2]",
        "def f(a: Literal[1]) -> Literal[2]: ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "raise ValueError(1 + 2)",
        'x = f"{a + 1}"',
        "x = zip(a, b, strict=True)",
        "x = -a",
        "x = a @ b",
    ],
)
def test_annotations_messages_and_decorators_are_left_alone(source: str) -> None:
    assert changes(source) == []


def test_every_mutant_is_python_and_differs_in_its_line_only() -> None:
    source = "é = (\n    1 +\n    b  # why\n)\n\nx = é > 2\n"
    for place in places(source.encode()):
        for mutant in place:
            text = mutant.applied(source.encode()).decode()
            assert ast.unparse(ast.parse(text)) != ast.unparse(ast.parse(source))
            assert text.endswith("x = é > 2\n") or mutant.line == 6


def test_reasons_are_of_mutants_that_there_are() -> None:
    for module, line, change in read_reasons():
        source = (ROOT / module).read_bytes()
        lines = [text.decode().strip() for text in source.splitlines()]
        possible = {
            (lines[mutant.line - 1], mutant.change) for place in places(source) for mutant in place
        }
        assert (line, change) in possible, f"{module}: {line}: {change}"
