"""Ways in which a CSV file of puzzles can be wrong."""

import copy
import json
from collections.abc import Callable

import numpy as np

from tests.faults.bad_input.damage import Damage, Kinds, into_folder, remove, to_bytes
from tests.faults.bad_input.good import (
    GOOD_ARC,
    HEADER,
    MADE,
    MAZE_ROWS,
    SUDOKU_ROWS,
    csv_text,
)
from trm_model.puzzles import sudoku

KINDS = Kinds()
kind = KINDS.add


def sudoku_row(row: int, field: int, change: Callable[[str], str]) -> Damage:
    rows = copy.deepcopy(SUDOKU_ROWS)
    rows[row][field] = change(rows[row][field])
    return to_bytes("x.csv", csv_text(rows).encode())


def maze_row(row: int, field: int, change: Callable[[str], str]) -> Damage:
    rows = copy.deepcopy(MAZE_ROWS)
    rows[row][field] = change(rows[row][field])
    return to_bytes("x.csv", csv_text(rows).encode())


def swapped(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def one_clue_less(question: str) -> str:
    cell = next(cell for cell, character in enumerate(question) if character != ".")
    return question[:cell] + "." + question[cell + 1 :]


def other_sudoku(row: int) -> str:
    p, a = sudoku.shuffle(
        MADE.puzzles[row : row + 1],
        MADE.answers[row : row + 1],
        np.array([9], np.uint64),
        sudoku.SHAPES[4],
    )
    return f"again,{sudoku.to_text(p[0])},{sudoku.to_text(a[0])},0\n"


for which, rows, more in (
    ("sudoku csv", SUDOKU_ROWS, other_sudoku(4)),
    ("maze csv", MAZE_ROWS, ",".join(MAZE_ROWS[4]) + "\n"),
):
    good = csv_text(rows)
    binary = good.encode()
    for column in HEADER.split(","):
        kind(
            which,
            f"no column {column}",
            to_bytes("x.csv", good.replace(column, "other", 1).encode()),
            f"no column {column!r}",
        )
        kind(
            which,
            f"column {column} twice",
            to_bytes("x.csv", good.replace("\n", f",{column}\n").encode()),
            f"column {column!r} twice",
        )
    kind(
        which,
        "no header",
        to_bytes("x.csv", good.partition("\n")[2].encode()),
        "no column 'source'",
    )
    kind(
        which,
        "other delimiter",
        to_bytes("x.csv", good.replace(",", ";").encode()),
        "no column 'source'",
    )
    kind(
        which,
        "line ends of the old Mac",
        to_bytes("x.csv", good.replace("\n", "\r").encode()),
        "no column 'rating'",
    )
    kind(which, "empty", to_bytes("x.csv", b""), "the file is empty")
    kind(which, "blank lines only", to_bytes("x.csv", b"\n \n\n"), "the file is empty")
    kind(which, "header only", to_bytes("x.csv", f"{HEADER}\n".encode()), "a header but no rows")
    kind(
        which, "binary", to_bytes("x.csv", bytes(range(256))), "not a text file (byte 0x80 at 128)"
    )
    kind(
        which,
        "a zero byte",
        to_bytes("x.csv", binary[:50] + b"\0" + binary[51:]),
        "a zero byte at 50",
    )
    kind(
        which,
        "Latin-1",
        to_bytes("x.csv", good.replace("made", "mäde", 1).encode("latin-1")),
        "not a text file (byte 0xe4",
    )
    kind(which, "UTF-16", to_bytes("x.csv", good.encode("utf-16")), "not a text file")
    kind(which, "an image", to_bytes("x.csv", b"\x89PNG\r\n\x1a\n" + bytes(64)), "not a text file")
    kind(
        which,
        "a web page",
        to_bytes("x.csv", b"<!DOCTYPE html>\n<html></html>\n"),
        "no column 'source'",
    )
    kind(which, "JSON", to_bytes("x.csv", json.dumps(GOOD_ARC).encode()), "no column 'source'")
    kind(which, "too few fields", to_bytes("x.csv", f"{good}made,12\n".encode()), "row 7 (line 8)")
    kind(
        which,
        "too many fields",
        to_bytes("x.csv", f"{good}{','.join(rows[0])},5\n".encode()),
        "row 7 (line 8): 5 fields, expected 4",
    )
    kind(
        which,
        "an open quote",
        to_bytes("x.csv", good.replace("made", '"made', 1).encode()),
        "x.csv: ",
    )
    kind(
        which,
        "blank line between",
        to_bytes("x.csv", good.replace("\n", "\n\n", 2).encode()),
        "row 1 (line 2)",
    )
    kind(
        which,
        "the same row twice",
        to_bytes("x.csv", f"{good}{','.join(rows[1])}\n".encode()),
        "row 7 (line 8): the same",
    )
    kind(
        which,
        "equal up to symmetry",
        to_bytes("x.csv", (good + more).encode()),
        "row 7 (line 8): the same",
    )
    kind(which, "cut in a row", to_bytes("x.csv", binary[:-20]), "row 6 (line 7)")
    kind(which, "not there", remove("x.csv"), "cannot be read")
    kind(which, "a folder", into_folder("x.csv"), "cannot be read")

for name, row, field, change, says in (
    (
        "short question",
        3,
        1,
        lambda q: q[:-1],
        "row 4 (line 5): question has 15 characters, expected 16",
    ),
    ("long question", 2, 1, lambda q: q + ".", "row 3 (line 4): question has 17 characters"),
    ("short answer", 0, 2, lambda a: a[1:], "row 1 (line 2): answer has 15 characters"),
    ("long answer", 5, 2, lambda a: a + "1", "row 6 (line 7): answer has 17 characters"),
    ("empty question", 1, 1, lambda _: "", "row 2 (line 3): question has 0 characters"),
    ("empty answer", 1, 2, lambda _: "", "row 2 (line 3): answer has 0 characters"),
    (
        "letter in the question",
        1,
        1,
        lambda q: "x" + q[1:],
        "row 2 (line 3): question has 'x' at cell 1",
    ),
    (
        "digit too large",
        1,
        1,
        lambda q: q[:2] + "5" + q[3:],
        "row 2 (line 3): question has '5' at cell 3",
    ),
    ("not ASCII", 1, 1, lambda q: "é" + q[2:], "row 2 (line 3): question has"),
    ("fullwidth digit", 1, 1, lambda q: "１" + q[3:], "row 2 (line 3): question has"),
    (
        "blank inside",
        2,
        2,
        lambda a: a[:3] + " " + a[4:],
        "row 3 (line 4): answer has ' ' at cell 4",
    ),
    (
        "zero in the answer",
        4,
        2,
        lambda a: a[:10] + "0" + a[11:],
        "row 5 (line 6): answer has '0' at cell 11",
    ),
    (
        "blank in the answer",
        4,
        2,
        lambda a: "." + a[1:],
        "row 5 (line 6): answer has '.' at cell 1",
    ),
    ("not solved", 0, 2, lambda a: a[1] + a[1:], "row 1 (line 2): answer repeats a digit"),
    (
        "another's answer",
        2,
        2,
        lambda _: SUDOKU_ROWS[0][2],
        "row 3 (line 4): answer contradicts a clue",
    ),
    (
        "several solutions",
        5,
        1,
        one_clue_less,
        "row 6 (line 7): the question has more than one solution",
    ),
    (
        "no clues",
        3,
        1,
        lambda _: "." * 16,
        "row 4 (line 5): the question has more than one solution",
    ),
    (
        "a quoted line break",
        3,
        1,
        lambda q: f'"{q[:4]}\n{q[4:]}"',
        "row 4 (line 5): question has 17 characters",
    ),
):
    kind("sudoku csv", name, sudoku_row(row, field, change), says)
kind(
    "sudoku csv",
    "9 x 9 in place of 4 x 4",
    to_bytes("x.csv", csv_text([["a", "1" * 81, "1" * 81, "0"]]).encode()),
    "has 81 characters",
)

for name, row, field, change, says in (
    (
        "not square",
        0,
        1,
        lambda q: q[:-1],
        "row 1 (line 2): question has 35 characters, expected a square",
    ),
    ("one cell", 0, 1, lambda _: "S", "row 1 (line 2): question has 1 characters"),
    ("too large", 0, 1, lambda _: "#" * 64 * 64, "row 1 (line 2): question has 4096 characters"),
    (
        "another size",
        3,
        1,
        lambda q: q[:25],
        "row 4 (line 5): question has 25 characters, expected 36",
    ),
    ("long answer", 3, 2, lambda a: a + "#", "row 4 (line 5): answer has 37 characters"),
    ("empty question", 2, 1, lambda _: "", "row 3 (line 4): question has 0 characters"),
    ("empty answer", 2, 2, lambda _: "", "row 3 (line 4): answer has 0 characters"),
    ("stripped spaces", 2, 1, lambda q: "".join(q.split(" ")), "row 3 (line 4): question has"),
    ("letter", 1, 1, lambda q: "x" + q[1:], "row 2 (line 3): question has 'x' at cell 1"),
    ("tab", 1, 1, lambda q: "\t" + q[1:], "row 2 (line 3): question has '\\t' at cell 1"),
    ("small letters", 1, 1, str.lower, "row 2 (line 3): question has 's'"),
    (
        "path in the question",
        1,
        1,
        lambda q: swapped(q, " ", "o"),
        "row 2 (line 3): question has 'o'",
    ),
    (
        "two starts",
        4,
        1,
        lambda q: swapped(q, " ", "S"),
        "row 5 (line 6): question has not exactly one start S",
    ),
    (
        "two goals",
        4,
        1,
        lambda q: swapped(q, " ", "G"),
        "row 5 (line 6): question has not exactly one goal G",
    ),
    (
        "no start",
        4,
        1,
        lambda q: swapped(q, "S", "#"),
        "row 5 (line 6): question has not exactly one start S",
    ),
    (
        "no goal",
        4,
        1,
        lambda q: swapped(q, "G", "#"),
        "row 5 (line 6): question has not exactly one goal G",
    ),
    (
        "no goal in the answer",
        4,
        2,
        lambda a: swapped(a, "G", "o"),
        "row 5 (line 6): answer has not exactly one goal G",
    ),
    (
        "no start in the answer",
        4,
        2,
        lambda a: swapped(a, "S", "o"),
        "row 5 (line 6): answer has not exactly one start S",
    ),
    (
        "other walls",
        2,
        2,
        lambda a: swapped(a, "#", " "),
        "row 3 (line 4): answer differs from the question",
    ),
    (
        "path through a wall",
        2,
        2,
        lambda a: swapped(a, "#", "o"),
        "row 3 (line 4): answer differs from the question",
    ),
    ("gap in the path", 2, 2, lambda a: swapped(a, "o", " "), "row 3 (line 4): answer's o are not"),
    ("too many marks", 5, 2, lambda a: swapped(a, " ", "o"), "row 6 (line 7): answer's o are not"),
    ("no path", 5, 2, lambda a: a.replace("o", " "), "row 6 (line 7): answer's o are not"),
    ("another's answer", 5, 2, lambda _: MAZE_ROWS[0][2], "row 6 (line 7): answer differs"),
):
    kind("maze csv", name, maze_row(row, field, change), says)
WALLED = "S#" + "#" * 33 + "G"
kind(
    "maze csv",
    "no way",
    to_bytes("x.csv", csv_text([*MAZE_ROWS[:3], ["a", WALLED, WALLED, "0"]]).encode()),
    "row 4 (line 5): question has no way",
)
