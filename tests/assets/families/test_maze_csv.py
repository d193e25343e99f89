"""Import of maze files: good ones, and every way we know to be wrong."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.families.maze import columns, read_maze_csv
from assets.families.puzzle_files import PuzzleFileError, every_row
from tests.assets.families.files import checked
from trm_model.puzzles import maze
from trm_model.puzzles.symmetry import dihedral

SIDE = 7
MADE = maze.generate(6, SIDE, 1, longer_than=10)
HEADER = "source,question,answer,rating"
ROWS = [
    f"made,{maze.to_text(q)},{maze.to_text(a)},{n}"
    for q, a, n in zip(MADE.inputs, MADE.labels, MADE.path_length, strict=True)
]
GOOD = "\n".join([HEADER, *ROWS]) + "\n"


def change(row: int, field: int, new: Callable[[str], str]) -> bytes:
    rows = [line.split(",") for line in ROWS]
    rows[row][field] = new(rows[row][field])
    return "\n".join([HEADER, *(",".join(fields) for fields in rows)]).encode()


def put(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def both(row: int, question: str, answer: str) -> bytes:
    rows = list(ROWS)
    rows[row] = f"made,{question},{answer},0"
    return "\n".join([HEADER, *rows]).encode()


def image(row: int, which: int) -> str:
    q, a = (
        maze.to_text(dihedral(grids[row].reshape(SIDE, SIDE), which).ravel())
        for grids in (MADE.inputs, MADE.labels)
    )
    return f"again,{q},{a},0"


WALLED = "S#" + " " * 4 + "G" + "#" + " " * 41
BAD: dict[str, tuple[bytes, str]] = {
    "missing column": (GOOD.replace("answer", "reply").encode(), "has no column 'answer'"),
    "not square": (
        change(0, 1, lambda q: q[:-1]),
        "row 1 (line 2): question has 48 characters, expected a square grid of 2 to 63",
    ),
    "short question": (
        change(3, 1, lambda q: q[:-1]),
        "row 4 (line 5): question has 48 characters, expected 49",
    ),
    "long answer": (
        change(3, 2, lambda a: a + "#"),
        "row 4 (line 5): answer has 50 characters, expected 49",
    ),
    "empty field": (change(2, 2, lambda _: ""), "row 3 (line 4): answer has 0 characters"),
    "letter": (change(1, 1, lambda q: "x" + q[1:]), "row 2 (line 3): question has 'x' at cell 1"),
    "path in the question": (change(1, 1, put(" ", "o")), "row 2 (line 3): question has 'o'"),
    "two starts": (
        change(4, 1, put(" ", "S")),
        "row 5 (line 6): question has not exactly one start S",
    ),
    "no goal": (change(4, 2, put("G", "o")), "row 5 (line 6): answer has not exactly one goal G"),
    "other walls": (
        change(2, 2, put("#", " ")),
        "row 3 (line 4): answer differs from the question",
    ),
    "not connected": (
        change(2, 2, put("o", " ")),
        "row 3 (line 4): answer's o are not the inner cells of a shortest path",
    ),
    "too many marks": (
        change(5, 2, put(" ", "o")),
        "row 6 (line 7): answer's o are not the inner cells of a shortest path",
    ),
    "no way": (both(3, WALLED, WALLED), "row 4 (line 5): question has no way from S to G"),
    "duplicate": ((GOOD + ROWS[1]).encode(), "row 7 (line 8): the same maze as row 2 (line 3)"),
    "rotated duplicate": (
        (GOOD + image(4, 1)).encode(),
        "row 7 (line 8): the same maze as row 5 (line 6)",
    ),
    "mirrored duplicate": (
        (GOOD + image(0, 7)).encode(),
        "row 7 (line 8): the same maze as row 1 (line 2)",
    ),
    "too few fields": ((GOOD + "made,S").encode(), "row 7 (line 8)"),
    "empty file": (b"", "the file is empty"),
    "header only": (HEADER.encode() + b"\n", "a header but no rows"),
    "binary file": (bytes(range(256)) * 20, "not a text file (byte 0x80 at 128)"),
    "cut gzip": (gzip.compress(GOOD.encode())[:-20], "broken gzip"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_files_are_one_line_that_names_file_and_row(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(PuzzleFileError) as error:
        checked(read_maze_csv(str(path)))
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_good_files(tmp_path: Path, packed: bool, line_end: str) -> None:
    content = GOOD.replace("\n", line_end).encode()
    path = tmp_path / "x.csv"
    path.write_bytes(gzip.compress(content) if packed else content)
    table = read_maze_csv(str(path))
    assert table.side == SIDE
    rows = every_row(6)[::-1]
    expected = columns(MADE.inputs, MADE.labels, MADE.path_length, MADE.forms, ["made"] * 6)
    assert table.take(rows).equals(expected[rows])


def test_free_cells_at_the_ends_of_a_row_are_kept(tmp_path: Path) -> None:
    """A maze may begin and end with spaces, which are cells and not padding."""
    path = tmp_path / "x.csv"
    path.write_text(f"{HEADER}\nmade,  S G    , oS G    ,2\n")
    [row] = read_maze_csv(str(path)).take(every_row(1)).rows(named=True)
    assert row["question"] == "  S G    "
    assert row["answer"] == " oS G    "
    assert row["difficulty"] == 2


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), remove=st.booleans())
def test_any_single_change_is_accepted_only_if_harmless(
    tmp_path: Path, position: int, byte: int, remove: bool
) -> None:
    data = bytearray(GOOD.encode())
    if remove:
        del data[position]
    else:
        data[position] = byte
    path = tmp_path / "changed.csv"
    path.write_bytes(bytes(data))
    try:
        table = checked(read_maze_csv(str(path)))
    except PuzzleFileError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert maze.check_examples(table.inputs, table.labels, table.side).shortest.all()
