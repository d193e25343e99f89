"""Ways in which files of ARC tasks can be wrong."""

import json

from tests.faults.bad_input.damage import (
    Kinds,
    into_folder,
    on_bytes,
    on_json,
    put,
    remove,
    to_bytes,
    without,
)
from tests.faults.bad_input.good import GOOD_ARC, SUDOKU_ROWS, csv_text, kaggle

KINDS = Kinds()
kind = KINDS.add

GRID = ("two", "train", 1, "output")
WHERE = "task 'two': train pair 2: output: "
for name, change, says in (
    ("task a list", put("two", []), "task 'two' is an empty list"),
    ("task text", put("two", "task"), "task 'two' is \"task\""),
    ("task null", put("two", None), "task 'two' is null"),
    ("task a number", put("two", 5), "task 'two' is 5"),
    ("no train", without("two", "train"), "task 'two': 'train' is null"),
    ("no test", without("two", "test"), "task 'two': 'test' is null"),
    ("train empty", put("two", "train", []), "task 'two': 'train' is an empty list"),
    ("test empty", put("two", "test", []), "task 'two': 'test' is an empty list"),
    ("train an object", put("two", "train", {"0": {}}), "task 'two': 'train' is an object of 1"),
    ("test text", put("two", "test", "x"), "task 'two': 'test' is \"x\""),
    ("pair a list", put("two", "train", 1, [[1], [2]]), "task 'two': train pair 2 is a list of 2"),
    ("pair null", put("two", "test", 1, None), "task 'two': test pair 2 is null"),
    ("no output", without("two", "test", 0, "output"), "task 'two': test pair 1 has no 'output'"),
    ("no input", without("one", "train", 2, "input"), "task 'one': train pair 3 has no 'input'"),
    ("grid null", put(*GRID, None), WHERE + "null"),
    ("grid a number", put(*GRID, 5), WHERE + "5"),
    ("grid empty", put(*GRID, []), WHERE + "an empty list"),
    ("grid flat", put(*GRID, [1, 2]), WHERE + "row 1 is 1"),
    ("grid text", put(*GRID, "01/10"), WHERE + '"01/10"'),
    ("grid an object", put(*GRID, {"0": [1]}), WHERE + "an object of 1"),
    ("row empty", put(*GRID, [[]]), WHERE + "row 1 is an empty list"),
    ("row text", put(*GRID, ["012"]), WHERE + 'row 1 is "012"'),
    ("later row null", put(*GRID, [[1], None]), WHERE + "row 2 is null"),
    ("ragged", put(*GRID, [[1, 2], [3]]), WHERE + "row 2 has 1 cells"),
    ("31 rows", put(*GRID, [[1]] * 31), WHERE + "31 rows"),
    ("31 columns", put(*GRID, [[1] * 31]), WHERE + "row 1 has 31 cells"),
    ("colour 10", put(*GRID, [[1, 10]]), WHERE + "row 1, column 2 is 10"),
    ("colour -1", put(*GRID, [[1], [-1]]), WHERE + "row 2, column 1 is -1"),
    ("colour 1.0", put(*GRID, [[1.0]]), WHERE + "row 1, column 1 is 1.0"),
    ("colour NaN", put(*GRID, [[float("nan")]]), WHERE + "row 1, column 1 is NaN"),
    ("colour infinite", put(*GRID, [[float("inf")]]), WHERE + "row 1, column 1 is Infinity"),
    ("colour huge", put(*GRID, [[10**50]]), WHERE + "row 1, column 1 is 1000"),
    ("colour true", put(*GRID, [[True]]), WHERE + "row 1, column 1 is true"),
    ("colour text", put(*GRID, [["1"]]), WHERE + 'row 1, column 1 is "1"'),
    ("colour null", put(*GRID, [[None]]), WHERE + "row 1, column 1 is null"),
    ("grid too deep", put(*GRID, [[[1]]]), WHERE + "row 1, column 1 is a list of 1"),
    ("name with separator", put("a|||t1", GOOD_ARC["one"]), "task name 'a|||t1'"),
    ("name empty", put("", GOOD_ARC["one"]), "task name ''"),
    ("name with line break", put("a\nb", GOOD_ARC["one"]), "task name 'a\\nb'"),
    ("name no text", put("\ud800", GOOD_ARC["one"]), "task name '\\ud800'"),
):
    kind("arc json", name, on_json("x.json", change), says)
for name, data, says in (
    ("empty", b"", "not JSON"),
    ("cut", json.dumps(GOOD_ARC).encode()[:-30], "not JSON"),
    ("rest behind", json.dumps(GOOD_ARC).encode() + b"{}", "not JSON (Extra data"),
    ("single quotes", b"{'one': {}}", "not JSON (Expecting property name"),
    ("trailing comma", b'{"one": {},}', "not JSON"),
    ("binary", b"\x93NUMPY\xff", "not JSON ('utf-8' codec"),
    ("nested too deep", b"[" * 100_000, "not JSON (maximum recursion"),
    ("number too long", b'{"one": ' + b"1" * 5000 + b"}", "not JSON (Exceeds the limit"),
    ("list at the top", b"[{}]", "a list at the top"),
    ("text at the top", b'"tasks"', "a str at the top"),
    ("null at the top", b"null", "a NoneType at the top"),
    ("no tasks", b"{}", "an empty object at the top"),
    ("name twice", b'{"a": {}, "b": 1, "a": {}}', "'a' is there twice"),
    ("key twice in a task", b'{"a": {"train": [], "train": []}}', "'train' is there twice"),
    ("CSV", csv_text(SUDOKU_ROWS).encode(), "not JSON"),
    ("one task's pair", json.dumps(GOOD_ARC["one"]["train"][0]).encode(), "task 'input' is a list"),
):
    kind("arc json", name, to_bytes("x.json", data), says)
kind("arc json", "not there", remove("x.json"), "cannot be read")
kind("arc json", "a folder without tasks", into_folder("x.json"), "no .json file in this folder")
for name, change, says in (
    ("train empty", put("train", []), "task 'x': 'train' is an empty list"),
    ("test empty", put("test", []), "task 'x': 'test' is an empty list"),
    ("no output", without("test", 1, "output"), "task 'x': test pair 2 has no 'output'"),
    (
        "bad colour",
        put("train", 0, "input", [[11]]),
        "task 'x': train pair 1: input: row 1, column 1 is 11",
    ),
    ("test missing", without("test"), "task 'train' is a list of 3"),
):
    kind("arc task", name, on_json("x.json", change), says)
for name, change, says in (
    (
        "task without solutions",
        lambda _, s: s.pop("two"),
        "a_solutions.json: no list of solutions for task 'two'",
    ),
    (
        "solutions null",
        lambda _, s: s.update(two=None),
        "a_solutions.json: no list of solutions for task 'two'",
    ),
    ("too few", lambda _, s: s["two"].pop(), "a_solutions.json: task 'two' has 1 solutions"),
    (
        "too many",
        lambda _, s: s["two"].append([[1]]),
        "a_solutions.json: task 'two' has 3 solutions",
    ),
    ("of another set", lambda c, _: c.pop("one"), "a_solutions.json: task 'one' is not in"),
    (
        "bad grid",
        lambda _, s: s.update(one=[[[11]], [[1]]]),
        "task 'one': test pair 1: output: row 1, column 1 is 11",
    ),
    (
        "grid missing",
        lambda _, s: s.update(one=[None, [[1]]]),
        "task 'one': test pair 1: output: null",
    ),
    ("challenge without tests", lambda c, _: c["one"].pop("test"), "task 'one': 'test' is null"),
    ("challenge a list", lambda c, _: c.update(one=[]), "task 'one' is an empty list"),
    (
        "challenge's pair a list",
        lambda c, _: c["one"].update(test=[[], []]),
        "task 'one': test pair 1 is an empty list",
    ),
):
    kind("arc kaggle", name, lambda folder, change=change: kaggle(folder, change), says)
kind("arc kaggle", "no solutions", remove("a_solutions.json"), "a_solutions.json: cannot be read")
kind(
    "arc kaggle",
    "solutions cut",
    on_bytes("a_solutions.json", lambda d: d[:40]),
    "a_solutions.json: not JSON",
)
kind(
    "arc kaggle",
    "solutions a list",
    to_bytes("a_solutions.json", b"[1]"),
    "a_solutions.json: a list at the top",
)
kind(
    "arc folder", "one file cut", on_bytes("tasks/two.json", lambda d: d[:40]), "two.json: not JSON"
)
kind(
    "arc folder",
    "one task bad",
    on_json("tasks/two.json", put("train", 0, "input", [[11]])),
    "two.json: task 'two': train pair 1",
)
kind(
    "arc folder",
    "task in two files",
    on_json("tasks/two.json", lambda v: (v.clear(), v.update(GOOD_ARC))),
    "task 'one' is in two files",
)
kind(
    "arc folder",
    "no tasks",
    lambda f: [path.unlink() for path in (f / "tasks").iterdir()],
    "no .json file",
)
kind(
    "arc folder",
    "a folder among the files",
    lambda f: (f / "tasks" / "three.json").mkdir(),
    "three.json: cannot be read",
)
