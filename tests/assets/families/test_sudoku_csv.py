"""Import of Sudoku files: good ones, and every way we know to be wrong."""

import gzip
import http.server
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.families.file_origin import FileConfig
from assets.families.origin import Imported
from assets.families.puzzle_files import PuzzleFileError
from assets.families.sudoku import SudokuFile, read_sudoku_csv
from tests.assets.families.files import checked
from trm_model.errors import ConfigurationError
from trm_model.puzzles import sudoku
from trm_model.puzzles.sudoku.tokens import SHAPES

MADE = sudoku.generate(6, SHAPES[9], seed=1)
HEADER = "source,question,answer,rating"
ROWS = [
    f"made,{sudoku.to_text(p)},{sudoku.to_text(a)},0"
    for p, a in zip(MADE.puzzles, MADE.answers, strict=True)
]
GOOD = "\n".join([HEADER, *ROWS]) + "\n"


REVISION = "0123456789" * 4


def replace_field(row: int, field: int, change: Callable[[str], str]) -> str:
    rows = [line.split(",") for line in ROWS]
    rows[row][field] = change(rows[row][field])
    return "\n".join([HEADER, *(",".join(fields) for fields in rows)])


def first_clue(question: str) -> int:
    return next(cell for cell, character in enumerate(question) if character != ".")


def contradict(_: str) -> str:
    """The answer of another puzzle: a solved grid, but not of this question."""
    return sudoku.to_text(MADE.answers[0])


def shuffled(row: int) -> str:
    p, a = sudoku.shuffle(
        MADE.puzzles[row : row + 1],
        MADE.answers[row : row + 1],
        np.array([9], np.uint64),
        SHAPES[9],
    )
    return f"again,{sudoku.to_text(p[0])},{sudoku.to_text(a[0])},0"


def without_clue(question: str) -> str:
    """A minimal puzzle without one of its clues has several solutions."""
    cell = first_clue(question)
    return question[:cell] + "." + question[cell + 1 :]


BAD: dict[str, tuple[bytes, str]] = {
    "missing column": (GOOD.replace("answer", "reply").encode(), "has no column 'answer'"),
    "missing rating": (
        "\n".join(line.rpartition(",")[0] for line in GOOD.splitlines()).encode(),
        "has no column 'rating'",
    ),
    "80 characters": (
        replace_field(3, 1, lambda q: q[:-1]).encode(),
        "row 4 (line 5): question has 80 characters, expected 81",
    ),
    "82 characters": (
        replace_field(3, 2, lambda a: a + "1").encode(),
        "row 4 (line 5): answer has 82 characters, expected 81",
    ),
    "a character of two bytes": (
        replace_field(3, 1, lambda q: "é" + q[1:]).encode(),
        "row 4 (line 5): question has 'é' at cell 1, expected one of .0123456789;",
    ),
    "too long with a character of two bytes": (
        replace_field(3, 1, lambda q: q + "é").encode(),
        "row 4 (line 5): question has 82 characters, expected 81",
    ),
    "empty field": (
        replace_field(2, 1, lambda _: "").encode(),
        "row 3 (line 4): question has 0 characters",
    ),
    "letter": (
        replace_field(1, 1, lambda q: "x" + q[1:]).encode(),
        "row 2 (line 3): question has 'x' at cell 1",
    ),
    "zero in answer": (
        replace_field(4, 2, lambda a: a[:10] + "0" + a[11:]).encode(),
        "row 5 (line 6): answer has '0' at cell 11",
    ),
    "blank in answer": (
        replace_field(4, 2, lambda a: "." + a[1:]).encode(),
        "row 5 (line 6): answer has '.' at cell 1",
    ),
    "not solved": (
        replace_field(0, 2, lambda a: a[1] + a[1:]).encode(),
        "row 1 (line 2): answer repeats a digit",
    ),
    "contradiction": (
        replace_field(2, 2, contradict).encode(),
        "row 3 (line 4): answer contradicts a clue",
    ),
    "two solutions": (
        replace_field(5, 1, without_clue).encode(),
        "row 6 (line 7): the question has more than one solution",
    ),
    "duplicate": ((GOOD + ROWS[1]).encode(), "row 7 (line 8): the same puzzle as row 2 (line 3)"),
    "duplicate up to symmetry": (
        (GOOD + shuffled(4)).encode(),
        "row 7 (line 8): the same puzzle as row 5 (line 6)",
    ),
    "too few fields": ((GOOD + "made,123").encode(), "row 7 (line 8)"),
    "too many fields": ((GOOD + ROWS[0] + ",7").encode(), "row 7 (line 8): 5 fields, expected 4"),
    "empty file": (b"", "the file is empty"),
    "only blanks": (b"\n\n  \n", "the file is empty"),
    "header only": (HEADER.encode() + b"\n", "a header but no rows"),
    "binary file": (bytes(range(256)) * 20, "not a text file (byte 0x80 at 128)"),
    "zero bytes": (
        GOOD.encode()[:50] + b"\0" + GOOD.encode()[50:],
        "not a text file (a zero byte at 50)",
    ),
    "cut gzip": (gzip.compress(GOOD.encode())[:-20], "broken gzip"),
    "damaged gzip": (
        gzip.compress(GOOD.encode(), mtime=0)[:200]
        + b"????"
        + gzip.compress(GOOD.encode(), mtime=0)[204:],
        "broken gzip",
    ),
    "json": (b'[{"question": 1}]', "has no column 'source'"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_files_are_one_line_that_names_file_and_row(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(PuzzleFileError) as error:
        checked(read_sudoku_csv(str(path)))
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_not_gzip_and_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_text(GOOD)
    with pytest.raises(PuzzleFileError, match=r"named \.gz but not gzip"):
        checked(read_sudoku_csv(str(tmp_path / "x.csv.gz")))
    for path in (str(tmp_path / "nowhere.csv"), "nonsense://x/y.csv", str(tmp_path)):
        with pytest.raises(PuzzleFileError, match="cannot be read"):
            checked(read_sudoku_csv(path))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), remove=st.booleans())
def test_any_single_change_is_accepted_only_if_harmless(
    tmp_path: Path, position: int, byte: int, remove: bool
) -> None:
    """One byte changed or removed anywhere: either a one-line error naming the file, or puzzles
    that are still valid."""
    data = bytearray(GOOD.encode())
    if remove:
        del data[position]
    else:
        data[position] = byte
    path = tmp_path / "changed.csv"
    path.write_bytes(bytes(data))
    try:
        table = checked(read_sudoku_csv(str(path)))
    except PuzzleFileError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert (sudoku.solve(table.puzzles, SHAPES[9]).answers == table.answers).all()


@pytest.mark.parametrize("packed", [False, True])
def test_good_files_plain_and_gzip(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    path.write_bytes(gzip.compress(GOOD.encode()) if packed else GOOD.encode())
    table = checked(read_sudoku_csv(str(path)))
    assert (table.puzzles == MADE.puzzles).all()
    assert (table.answers == MADE.answers).all()


def test_other_column_order_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    lines = [",".join(reversed(line.split(","))) for line in GOOD.splitlines()]
    path.write_bytes("\r\n".join(lines).replace(".", "0").encode())
    assert (checked(read_sudoku_csv(str(path))).puzzles == MADE.puzzles).all()


def test_from_a_url(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(GOOD.encode()))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"
            assert (checked(read_sudoku_csv(f"{base}/x.csv.gz")).puzzles == MADE.puzzles).all()
            with pytest.raises(PuzzleFileError, match="cannot be read"):
                checked(read_sudoku_csv(f"{base}/nowhere.csv"))
        finally:
            server.shutdown()
            thread.join()


def imported(**config: Any) -> Imported:
    return SudokuFile(side=9).puzzles(FileConfig(**config))


def test_splits(tmp_path: Path) -> None:
    path, other = tmp_path / "x.csv", tmp_path / "y.csv"
    path.write_text(GOOD)
    found = imported(path=str(path), test_share=0.34)
    assert found.frame["split"].value_counts().sort("split").rows() == [("test", 2), ("train", 4)]
    assert found.frame["form"].n_unique() == 6
    assert set(found.sources) == {"file", "split"}
    assert (
        imported(path=str(path), seed=1).frame["question"].to_list()
        != found.frame["question"].to_list()
    )
    assert len(imported(path=str(path), train_puzzles=2, test_puzzles=1).frame) == 3
    other.write_text("\n".join([HEADER, shuffled(2)]))
    with pytest.raises(PuzzleFileError, match="is also in"):
        imported(path=str(path), test_path=str(other))
    with pytest.raises(PuzzleFileError, match=r"test_share=1\.5"):
        imported(path=str(path), test_share=1.5)
    with pytest.raises(PuzzleFileError, match=r"give puzzles\.path"):
        imported()
    path.write_text("\n".join([HEADER, ROWS[0]]))
    with pytest.raises(PuzzleFileError, match="no puzzles are left for the train split"):
        imported(path=str(path))


@pytest.mark.parametrize("folder", ["x[1]", "run*", "a::b", "http:", "a{b,c}"])
def test_no_folder_of_a_file_is_a_pattern(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "puzzles.csv"
    path.parent.mkdir()
    path.write_text(GOOD)
    assert len(imported(path=str(path)).frame) == len(ROWS)


def test_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network: huggingface_hub's download is replaced, the rest is what a user's machine
    runs."""
    (tmp_path / "train.csv").write_text("\n".join([HEADER, *ROWS[:4]]))
    (tmp_path / "test.csv").write_text("\n".join([HEADER, *ROWS[4:]]))
    entry = SudokuFile(
        side=9, repository="sapientinc/sudoku-extreme", revision=REVISION, train_puzzles=3
    )
    fetched: list[tuple[str, ...]] = []

    def download(repository: str, name: str, *, repo_type: str, revision: str) -> str:
        fetched.append((repository, name, repo_type, revision))
        return str(tmp_path / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    frame = entry.puzzles(FileConfig()).frame
    assert frame["split"].to_list() == ["train"] * 3 + ["test"] * 2
    assert fetched == [
        ("sapientinc/sudoku-extreme", f"{split}.csv", "dataset", REVISION)
        for split in ("train", "test")
    ]

    def fail(*_: object, **__: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(
        PuzzleFileError,
        match=(
            rf"sapientinc/sudoku-extreme/train\.csv: revision {REVISION} cannot be fetched "
            r"\(no route to host\); .*; give path"
        ),
    ):
        entry.puzzles(FileConfig())


@pytest.mark.parametrize("revision", ["", "main", REVISION[:8]])
def test_a_repository_is_pinned_to_a_commit(revision: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a commit's 40 hexadecimal digits"):
        SudokuFile(side=9, repository="somebody/something", revision=revision)
    # What data were made from is told by the files' hashes: the entry's hash stays.
    pinned = SudokuFile(side=9, repository="somebody/something", revision=REVISION)
    assert "revision" not in repr(pinned)


def test_real_files(real_sudoku: Path) -> None:
    frame = imported(
        path=str(real_sudoku / "hard_test.csv.gz"),
        test_share=0.2,
        train_puzzles=1000,
        test_puzzles=200,
    ).frame
    assert len(frame) == 1200
    assert set(frame["source"]) >= {"puzzles2_17_clue"}
