"""Puzzles as people save them, and puzzles that nobody can solve."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trm_model.puzzles.actions import read_rows
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.family import NO_SOLUTION, Family
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.sequence.family import Addition
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.solving.trained import find_text

SUDOKU = "1...\n....\n.4..\n...2\n"
TASK = json.dumps({"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]]}]})
TEXTS: dict[str, tuple[Family, str]] = {
    "sudoku": (Sudoku(4), SUDOKU),
    "maze": (Maze(2), "S\n#G\n"),
    "sequence": (Addition(2), "12+34=\n"),
    "arc": (Arc(10), TASK + "\n"),
}
MARK = b"\xef\xbb\xbf"
SAVED: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "with a mark": lambda text: MARK + text.encode(),
    "Windows": lambda text: MARK + text.replace("\n", "\r\n").encode(),
    "empty lines behind": lambda text: text.encode() + b"\n\n",
}


@pytest.mark.parametrize("saved", list(SAVED))
@pytest.mark.parametrize("name", list(TEXTS))
def test_files_of_every_family(name: str, saved: str, tmp_path: Path) -> None:
    family, text = TEXTS[name]
    path = tmp_path / "puzzle.txt"
    path.write_bytes(SAVED[saved](text))
    (expected,), (found,) = family.read(text), family.read(find_text(str(path))[1])
    np.testing.assert_array_equal(found.cells, expected.cells)


def test_a_mark_in_the_argument_is_no_cell() -> None:
    assert find_text("\ufeff" + SUDOKU)[1] == SUDOKU


@pytest.mark.parametrize("saved", ["plain", "with a mark", "Windows"])
def test_files_of_the_puzzles_command(saved: str, tmp_path: Path) -> None:
    path = tmp_path / "puzzles.csv"
    path.write_bytes(SAVED[saved]("source,question,answer,rating\nme,12+34=,64,0\n"))
    ((line, row),) = read_rows(str(path))
    assert (line, *row) == (2, "me", "12+34=", "64", "0")
    path.write_bytes(SAVED[saved]("12+34=\n"))
    assert [row.question for _, row in read_rows(str(path))] == ["12+34="]


@pytest.mark.parametrize("question", ["11..............", "1...1...........", "123....4........"])
def test_a_sudoku_without_a_solution_is_named_so(question: str) -> None:
    family = Sudoku(4)
    (asked,) = family.read(question)
    assert family.judge(asked, asked.cells) == (False, NO_SOLUTION)


def test_a_maze_without_a_way_is_named_so() -> None:
    family = Maze(3)
    (asked,) = family.read("S# \n## \n  G")
    verdict = family.judge(asked, asked.cells)
    assert verdict == (False, f"{NO_SOLUTION}: there is no way from S to G")


def test_a_wrong_answer_to_a_good_puzzle_stays_wrong() -> None:
    family = Sudoku(4)
    (asked,) = family.read("1.......4......2")
    assert "not every row" in family.judge(asked, asked.cells).reason
