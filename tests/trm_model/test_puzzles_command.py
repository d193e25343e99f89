"""The puzzles' command line: what it writes it reads, and what is wrong is one line and exit code 2."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from assets.maze_csv import read_maze_csv
from assets.sudoku_csv import read_sudoku_csv
from trm_model.puzzles.__main__ import main

SUDOKU = ["sudoku", "generate", "--count", "3", "--digits", "4", "--extra-clues", "1", "2"]
MAZE = ["maze", "generate", "--count", "3", "--side", "8", "--longer-than", "12"]


@pytest.mark.parametrize("generate", [SUDOKU, MAZE], ids=lambda arguments: arguments[0])
def test_what_is_generated_can_be_imported_checked_and_solved(
    generate: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, path = generate[0], tmp_path / "made.csv"
    assert main([*generate, "--format", "csv", "--out", str(path)]) == 0
    if kind == "maze":
        table = read_maze_csv(str(path))
        assert (len(table.inputs), table.side) == (3, 8)
    else:
        assert len(read_sudoku_csv(str(path), 4).puzzles) == 3
    assert main([kind, "check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 3 puzzles are right, 3 with answers\n"
    assert main([kind, "solve", str(path), "--format", "csv"]) == 0
    assert capsys.readouterr().out == path.read_text()
    # Lines of text, from standard input.
    assert main(generate) == 0
    questions = capsys.readouterr().out
    assert [line.split(",")[1] for line in path.read_text().splitlines()[1:]] == questions.splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO(questions))
    assert main([kind, "solve"]) == 0
    answers = capsys.readouterr().out
    assert [line.split(",")[2] for line in path.read_text().splitlines()[1:]] == answers.splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO(questions))
    assert main([kind, "check", "-"]) == 0
    assert capsys.readouterr().out == "-: 3 puzzles are right, 0 with answers\n"
    assert main([*generate, "--format", "drawing"]) == 0
    drawing = capsys.readouterr().out
    assert drawing.count("\n\n") == 3


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
    "wrong answer": ("maze", f"{HEADER}a,{GOOD_MAZE},{GOOD_MAZE},1", "line 2: the answer's o are not the inner cells"),
    "short answer": ("maze", f"{HEADER}a,{GOOD_MAZE},S,1", "line 2: the answer has 1 characters, expected 16"),
    "other answer": ("maze", f"{HEADER}a,{GOOD_MAZE},{GOOD_ANSWER.replace('#', ' ')},1", "line 2: the answer differs"),
    "fields": ("maze", f"{HEADER}a,{GOOD_MAZE}", "line 2: 2 fields, expected source,question,answer,rating"),
    "empty": ("maze", "\n", "no puzzles; expected one question a line"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_puzzles_are_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    with pytest.raises(SystemExit) as stop:
        main(["chess", "generate"])
    assert stop.value.code == 2


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trm_model.puzzles", "sudoku", "solve"],
        input="1.......4......2\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: -: line 1: the question has more than one solution, expected exactly one; mend or remove the row\n"
