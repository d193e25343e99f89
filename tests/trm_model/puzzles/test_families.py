"""Every built-in family reads, draws, judges and paints, and is found from a header."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from storage.examples import Header
from tests.trm_model.puzzles.test_arc import random_task
from trm_model.errors import ConfigurationError
from trm_model.puzzles.arc import Arc, from_task
from trm_model.puzzles.family import Family
from trm_model.puzzles.maze import Maze
from trm_model.puzzles.picture import paint, to_svg
from trm_model.puzzles.registry import families_at, family_named, family_of, names
from trm_model.puzzles.sequence import Addition, to_tokens
from trm_model.puzzles.sudoku import Sudoku

SUDOKU = "12..34....43..21"
FAMILIES: dict[str, tuple[Family, str]] = {
    "sudoku": (Sudoku(4), SUDOKU),
    "maze": (Maze(4), "S # #    #  #  G"),
    "arc": (Arc(12), json.dumps(from_task(random_task("x", 0)))),
    "sequence": (Addition(2), "07+95="),
    "sequence ended": (Addition(2, ended=True), "7+95="),
}
"""By name, and by what else there is of a family."""


def header(family: Family) -> Header:
    return Header(vocabulary=family.vocabulary, grid=family.grid)


def test_the_built_in_families() -> None:
    assert names() == ("sudoku", "maze", "arc", "sequence")
    for name, (family, _) in FAMILIES.items():
        assert type(family) is family_named(name.split()[0])
    with pytest.raises(ConfigurationError, match="'chess': expected one of sudoku, maze, arc"):
        family_named("chess")


@pytest.mark.parametrize("name", list(FAMILIES))
def test_found_from_a_header(name: str) -> None:
    family, _ = FAMILIES[name]
    name = family.name
    assert family_of(header(family)) == family
    assert family_of(header(family), name) == family
    assert type(family).at((2, 7)) is None
    with pytest.raises(ConfigurationError, match=f"which is {name}: expected chess"):
        family_of(header(family), "chess")
    with pytest.raises(ConfigurationError, match="which is no puzzle known here: expected one"):
        family_of(replace(header(family), grid=(2, 7)))


def test_sizes() -> None:
    assert [family.name for family in families_at((4, 4))] == ["sudoku", "maze", "arc"]
    assert families_at((30, 30)) == [Maze(30), Arc(30)]
    assert families_at((1, 9)) == [Addition(2)]
    assert families_at((1, 10)) == [Addition(2, ended=True)]
    assert families_at((1, 11)) == []
    assert families_at((1, 24)) == []


@pytest.mark.parametrize("name", list(FAMILIES))
def test_read_written_checked_and_painted(name: str) -> None:
    family, text = FAMILIES[name]
    question = family.read(text)[0]
    assert question.cells.shape == (family.cells,)
    assert question.cells.dtype == np.uint8
    plain = family.plain(question.cells)
    if isinstance(plain, str):
        assert (family.read(plain.rstrip("_"))[0].cells == question.cells).all()
    # A model may write a token past the vocabulary.
    past = np.full(family.cells, len(family.vocabulary), np.uint8)
    family.draw(past)
    family.plain(past)
    assert not family.judge(question, past).right
    checked = family.check(question.cells[None], past[None])
    assert list(checked) == list(family.checks)
    assert not all(good.all() for good in checked.values())
    for shown, label in ((question.cells, question.cells), (past, None)):
        picture, axes = family.picture(question.cells, shown, label), Figure().subplots()
        paint(axes, picture)
        assert axes.lines or axes.images or axes.texts
        ET.fromstring(to_svg([("<a>", picture)], "b & c"))
    questions = np.stack([question.cells, past])
    trivial = family.trivial(questions)
    assert trivial
    for answers in trivial.values():
        assert (answers.shape, answers.dtype) == (questions.shape, np.uint8)
        for holds in family.metrics(questions, questions, answers).values():
            assert (holds.shape, holds.dtype) == ((2,), np.bool_)
    for numbers in family.groups(questions, questions).values():
        assert numbers.shape == (2,)
        assert numbers.dtype.kind == "i"
        assert (numbers >= 0).all()


def test_sums_are_judged() -> None:
    family = Addition(2)
    [question] = family.read(" 7+95=\n")
    right = to_tokens(np.array([(7, 95)]), 2)[1][0]
    assert family.plain(question.cells) == "07+95=___"
    assert str(family.judge(question, right)) == "right: 7 + 95 = 102"
    # What a model writes over the question counts for nothing.
    noisy = right.copy()
    noisy[:6] = 3
    assert family.judge(question, noisy).right
    for cell in (6, 8):
        wrong = right.copy()
        wrong[cell] = wrong[cell] % 11 + 1
        assert family.judge(question, wrong).right is False
    with pytest.raises(ValueError, match="'7\\+951=': expected numbers of at most 2 digits"):
        family.read("7+951=")
    with pytest.raises(ValueError, match="expected a question such as"):
        family.read("7-95=")


def test_sums_by_length_and_their_trivial_answer() -> None:
    family = Addition(3)
    pairs = np.array([(0, 0), (7, 9), (10, 3), (4, 99), (100, 0), (0, 999)])
    inputs, labels = to_tokens(pairs, 3)
    assert family.groups(inputs, labels)["length"].tolist() == [1, 1, 2, 2, 3, 3]
    [(name, answers)] = family.trivial(inputs).items()
    assert name == "copy the first number"
    expected = to_tokens(pairs * np.array([1, 0]), 3)[1]
    assert (answers == expected)[:, family.asked :].all()


def test_a_valid_sudoku_obeys_the_rules_and_keeps_the_clues() -> None:
    family = Sudoku(4)
    [solution] = family.read("1234341221434321")
    [exchanged] = family.read("2134342112434312")
    question = solution.cells.copy()
    question[1:] = 1
    labels = np.stack([solution.cells] * 4)
    answers = np.stack([solution.cells, solution.cells % 5 + 2, exchanged.cells, solution.cells])
    answers[3, -1] = 3
    # The second and the third obey the rules and change the clue; the last breaks the rules.
    found = family.metrics(np.stack([question] * 4), labels, answers)
    assert found["valid"].tolist() == [True, False, False, False]
    open_question = np.full((2, 16), 1, np.uint8)
    both = np.stack([solution.cells, exchanged.cells])
    assert family.metrics(open_question, labels[:2], both)["valid"].tolist() == [True, True]
    blanks = family.groups(np.stack([question, solution.cells]), labels[:2])["blanks"]
    assert blanks.tolist() == [15, 0]


def test_answers_are_judged_with_reasons() -> None:
    sudoku, maze = Sudoku(4), Maze(4)
    [question] = sudoku.read(SUDOKU)
    for text, said in (
        (
            "1234341221434321",
            "right: every row, column and box has every digit once, and the clues are kept",
        ),
        ("3412123421434321", "wrong: clues changed: 4"),
        (
            "1234341221434322",
            "wrong: not every row, column and box has every digit once; clues changed: 1",
        ),
    ):
        assert str(sudoku.judge(question, sudoku.read(text)[0].cells)) == said
    [asked] = maze.read(FAMILIES["maze"][1])
    said = "0 marks are no shortest path from S to G, which has 6 moves"
    assert str(maze.judge(asked, asked.cells)) == f"wrong: {said}"
    changed = asked.cells.copy()
    changed[2] = 2
    assert str(maze.judge(asked, changed)) == f"wrong: cells of the maze changed: 1; {said}"
