"""The puzzles' command line: what it writes it reads, and what is wrong is one line and exit code
2."""

import csv
import gzip
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from assets.families.arc import read_arc
from assets.families.maze import read_maze_csv
from assets.families.sudoku import read_sudoku_csv
from tests.assets.families.files import checked
from tests.trm_model.puzzles.test_arc import random_task
from trm_model.puzzles import registry
from trm_model.puzzles.arc.augmentation import parse_name
from trm_model.puzzles.arc.drawing import preview
from trm_model.puzzles.arc.parsing import from_task
from trm_model.puzzles.command import main

SUDOKU = ["sudoku", "generate", "--count", "3", "--digits", "4", "--extra-clues", "1", "2"]
ADDITION = ["sequence", "generate", "--count", "3", "--digits", "2"]
MAZE = ["maze", "generate", "--count", "3", "--side", "8", "--longer-than", "12"]


@pytest.mark.parametrize("generate", [SUDOKU, MAZE, ADDITION], ids=lambda arguments: arguments[0])
def test_what_is_generated_can_be_imported_checked_and_solved(
    generate: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, path = generate[0], tmp_path / "made.csv"
    assert main([*generate, "--format", "csv", "--out", str(path)]) == 0
    if kind == "maze":
        table = checked(read_maze_csv(str(path)))
        assert (len(table.inputs), table.side) == (3, 8)
    elif kind == "sudoku":
        assert len(checked(read_sudoku_csv(str(path), 4)).puzzles) == 3
    assert main([kind, "check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 3 puzzles are right, 3 with answers\n"
    assert main([kind, "solve", str(path), "--format", "csv"]) == 0
    assert capsys.readouterr().out == path.read_text()
    # Lines of text, from standard input.
    assert main(generate) == 0
    questions = capsys.readouterr().out
    assert [
        line.split(",")[1] for line in path.read_text().splitlines()[1:]
    ] == questions.splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO(questions))
    assert main([kind, "solve"]) == 0
    answers = capsys.readouterr().out
    assert [
        line.split(",")[2] for line in path.read_text().splitlines()[1:]
    ] == answers.splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO(questions))
    assert main([kind, "check", "-"]) == 0
    assert capsys.readouterr().out == "-: 3 puzzles are right, 0 with answers\n"
    assert main([*generate, "--format", "drawing"]) == 0
    drawing = capsys.readouterr().out
    assert drawing.count("\n\n") == 3


def test_sums_of_several_lengths(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """About as many of each length, as the benchmark has them: no leading zeros, and answers as
    long as the sum."""
    arguments = ["sequence", "generate", "--count", "30", "--digits", "3", "--lengths"]
    assert main([*arguments, "--format", "csv"]) == 0
    text = capsys.readouterr().out
    made = list(csv.DictReader(io.StringIO(text)))
    longest = Counter[int]()
    for row in made:
        first, second = row["question"].removesuffix("=").split("+")
        assert row["answer"] == str(int(first) + int(second))[::-1]
        assert (first, second) == (str(int(first)), str(int(second)))
        longest[max(len(first), len(second))] += 1
    assert longest == {1: 10, 2: 10, 3: 10}
    assert len({frozenset(row["question"][:-1].split("+")) for row in made}) == 30
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["sequence", "check"]) == 0
    assert "30 puzzles are right, 30 with answers" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("5+12=\n05+12=\n"))
    assert main(["sequence", "solve"]) == 0
    assert capsys.readouterr().out.split() == ["71", "710"]


GOOD_MAZE, GOOD_ANSWER = "S # #    #  #  G", "So# #oo  #o # oG"
HEADER = "source,question,answer,rating\n"
WRONG = {
    "sudoku no solution": ("sudoku", "11" + "." * 14, "line 1: the question has no solution"),
    "sudoku many": ("sudoku", "." * 16, "line 1: the question has more than one solution"),
    "sudoku length": ("sudoku", "." * 17, "line 1: 17 characters: expected 16, 36, 81"),
    "sudoku character": ("sudoku", "x" + "." * 15, "line 1: character 'x' at cell 1"),
    "second line": ("maze", f"{GOOD_MAZE}\nS  \n", "line 2: 3 characters: expected a square"),
    "no way": ("maze", "S#  # #     #  G", "line 1: there is no way from S to G"),
    "two goals": ("maze", "S#  # #    G#  G", "line 1: 2 G in the question"),
    "marks": ("maze", GOOD_ANSWER, "line 1: the question has o"),
    "wrong answer": (
        "maze",
        f"{HEADER}a,{GOOD_MAZE},{GOOD_MAZE},1",
        "line 2: the answer's o are not the inner cells",
    ),
    "short answer": (
        "maze",
        f"{HEADER}a,{GOOD_MAZE},S,1",
        "line 2: the answer has 1 characters, expected 16",
    ),
    "other answer": (
        "maze",
        f"{HEADER}a,{GOOD_MAZE},{GOOD_ANSWER.replace('#', ' ')},1",
        "line 2: the answer differs",
    ),
    "fields": (
        "maze",
        f"{HEADER}a,{GOOD_MAZE}",
        "line 2: 2 fields, expected source,question,answer,rating",
    ),
    "empty": ("maze", "\n", "no puzzles; expected one question a line"),
    "wrong sum": ("sequence", f"{HEADER}a,12+34=,046,0", "line 2: the answer 046 is not the sum"),
    "lengths of numbers": ("sequence", "12+045=", "line 1: '12+045=': numbers of 2 and 3 digits"),
    "long numbers": (
        "sequence",
        f"{'9' * 30}+1=",
        "numbers of 30 and 1 digits, expected at most 6",
    ),
    "no sum": ("sequence", "12-34=", "line 1: '12-34=': expected a question such as 12+34="),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_puzzles_are_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, text, message = WRONG[name]
    path = tmp_path / "puzzles.txt"
    path.write_text(text)
    assert main([kind, "check", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_right_answer_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "puzzles.csv"
    path.write_text(f"{HEADER}a,{GOOD_MAZE},{GOOD_ANSWER},6\n")
    code = main(["maze", "check", str(path)])
    assert capsys.readouterr().err == ""
    assert code == 0


def test_mistakes_in_options_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for arguments, message in (
        (["maze", "generate", "--side", "99"], "side=99: expected 2..63"),
        (["sudoku", "generate", "--seed", "-1"], "--seed -1: expected at least 0"),
        (["maze", "solve", str(tmp_path / "nowhere")], "nowhere"),
        (["maze", "solve", str(tmp_path / "binary")], "not a text file"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1
    assert main(["chess", "generate"]) == 2
    assert "'chess'" in capsys.readouterr().err


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trm_model.puzzles", "sudoku", "solve"],
        input="1.......4......2\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: -: line 1: the question has more than one solution, expected exactly one; "
        "mend or remove the row\n"
    )


@pytest.fixture
def arc_file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps({name: from_task(random_task(name, 0)) for name in ("one", "two")}))
    return path


def test_augmented_tasks_are_read_back_and_undone(
    arc_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, packed = tmp_path / "more.json", tmp_path / "more.json.gz"
    command = ["arc", "augment", "--tasks", str(arc_file), "--count", "4", "--seed", "3"]
    assert main([*command, "--format", "json", "--out", str(out)]) == 0
    made = read_arc(str(out)).tasks
    assert len(made) == 8
    assert len({json.dumps(from_task(task)) for task in made}) == 8
    # The drawings have the authors' names, which say how to get the task back.
    assert main(command) == 0
    drawn = [
        line.removesuffix(" train 1")
        for line in capsys.readouterr().out.splitlines()
        if line.endswith(" train 1")
    ]
    assert [name.replace("|||", "-") for name in drawn] == [task.name for task in made]
    for name, task in zip(drawn, made, strict=True):
        version = parse_name(name)
        for pair, original in zip(task.pairs, random_task(version.task, 0).pairs, strict=True):
            for grid, expected in zip(pair, original, strict=True):
                assert version.undo(grid).tolist() == expected.tolist()
    # What was written can be augmented again, packed too; one task alone as the whole file.
    packed.write_bytes(gzip.compress(out.read_bytes()))
    assert (
        main(["arc", "augment", "--tasks", str(packed), "--task", made[0].name, "--count", "1"])
        == 0
    )
    assert capsys.readouterr().out.startswith(f"{made[0].name}|||t")


def test_tasks_are_shown(arc_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arc", "show", "--tasks", str(arc_file), "--task", "two"]) == 0
    assert capsys.readouterr().out == preview(random_task("two", 0)) + "\n\n"
    assert main(["arc", "show", "--tasks", str(arc_file), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(arc_file.read_text())
    assert main(["arc", "show", "--tasks", "arc_agi_1/training", "--task", "007bbfb7"]) == 0
    assert capsys.readouterr().out.startswith("007bbfb7 train 1\n.77 -> ....77.77\n")


def test_wrong_tasks_are_one_line(
    arc_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text('{"one": {"train": []}}')
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(arc_file.read_bytes())[:-20])
    for source, more, message in (
        (arc_file, ["--task", "three"], "no task 'three'; expected one of one, two"),
        (
            tmp_path / "bad.json",
            [],
            "task 'one': 'train' is an empty list: expected a list of at least one pair; mend or "
            "remove the task",
        ),
        (tmp_path / "cut.json.gz", [], "Compressed file ended"),
        (
            tmp_path / "nowhere",
            [],
            "expected a JSON file of tasks, plain or gzip, or one of arc_agi_1/training",
        ),
    ):
        assert main(["arc", "augment", "--tasks", str(source), *more]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {source}: ")
        assert message in error
        assert error.count("\n") == 1
    assert main(["arc", "augment", "--tasks", str(arc_file), "--count", "0"]) == 2
    assert "--count 0: expected at least 1" in capsys.readouterr().err


def test_a_family_from_outside_is_listed_once_its_module_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_sums.py").write_text(
        "from trm_model.puzzles.registry import register\n"
        "from trm_model.puzzles.sequence.family import Addition\n"
        "@register\n"
        "class Sums(Addition):\n"
        "    name = 'my_sums'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_registered", {})
    assert main(["--import", "my_sums", "--help"]) == 0
    assert "my_sums" in capsys.readouterr().out
    assert main(["--import", "my_sums", "my_sums", "generate", "--count", "1"]) == 0
    assert "+" in capsys.readouterr().out
    assert main(["--import", "not_there", "sudoku", "--help"]) == 2
    assert "not_there: No module named 'not_there'" in capsys.readouterr().err
