"""Import of Sudoku files in the format of sapientinc/sudoku-extreme: ``source,question,answer,rating``, plain or gzip, local or URL."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from trm_model.puzzles import sudoku

COLUMNS = ("source", "question", "answer", "rating")


class SourceError(ValueError):
    """A source file that cannot be used: one line that names the file, the row, what was found, what was expected, the remedy."""


@dataclass(frozen=True, slots=True)
class SudokuTable:
    """Valid puzzles: grids uint8 [N, n * n], their source, difficulties [N], canonical forms, and the file's hash."""

    puzzles: sudoku.Grids
    answers: sudoku.Grids
    sources: list[str]
    difficulty: npt.NDArray[np.int64]
    forms: sudoku.Grids
    file_hash: str


def _row(index: int) -> str:
    return f"row {index + 1} (line {index + 2})"


def read_bytes(path: str) -> bytes:
    """The file's bytes, unpacked if they are gzip (whatever the name says).

    :raises SourceError: not there, not reachable, or broken gzip.
    """
    import fsspec

    try:
        with fsspec.open(path, "rb") as file:
            data = cast(IO[bytes], file).read()
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"{path}: cannot be read ({_one_line(error)}); give an existing local path or URL") from error
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: broken gzip ({_one_line(error)}); expected a whole .csv or .csv.gz; fetch it again") from error
    if path.endswith(".gz"):
        raise SourceError(f"{path}: named .gz but not gzip (it starts with {data[:8]!r}); rename it to .csv or compress it")
    return data


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _parse(path: str, data: bytes) -> pl.DataFrame:
    if not data.strip():
        raise SourceError(f"{path}: the file is empty; expected a header {','.join(COLUMNS)} and one row per puzzle")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not a text file (byte {data[error.start]:#04x} at {error.start}); expected CSV in UTF-8") from error
    if "\x00" in text:
        raise SourceError(f"{path}: not a text file (a zero byte at {text.index(chr(0))}); expected CSV in UTF-8")
    header = [name.strip().strip('"') for name in text.partition("\n")[0].strip().split(",")]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise SourceError(
            f"{path}: header {','.join(header)[:100]!r} has no column {missing[0]!r}; expected {','.join(COLUMNS)}; add the column"
        )
    try:
        frame = pl.read_csv(io.BytesIO(data), infer_schema=False, truncate_ragged_lines=False)
    except pl.exceptions.PolarsError as error:
        for index, line in enumerate(text.splitlines()[1:]):
            if line.count(",") != len(header) - 1:
                raise SourceError(
                    f"{path}: {_row(index)}: {line.count(',') + 1} fields, expected {len(header)}; mend or remove the row"
                ) from error
        raise SourceError(f"{path}: not readable as CSV ({_one_line(error)}); expected {','.join(COLUMNS)}") from error
    if frame.is_empty():
        raise SourceError(f"{path}: a header but no rows; expected one row per puzzle")
    return frame.rename(str.strip).select(COLUMNS).with_columns(pl.all().fill_null("").str.strip_chars())


def _grids(path: str, frame: pl.DataFrame, column: str, shape: sudoku.Shape, allowed: str) -> sudoku.Grids:
    lengths = frame[column].str.len_bytes()
    wrong = lengths != shape.cells
    if wrong.any():
        index = int(wrong.arg_true()[0])
        raise SourceError(
            f"{path}: {_row(index)}: {column} has {lengths[index]} characters, expected {shape.cells}; mend or remove the row"
        )
    raw = np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), shape.cells)
    good = np.isin(raw, np.frombuffer(allowed.encode(), np.uint8))
    if not good.all():
        index, cell = (int(i) for i in np.argwhere(~good)[0])
        raise SourceError(
            f"{path}: {_row(index)}: {column} has {chr(raw[index, cell])!r} at cell {cell + 1}, expected one of {allowed}; "
            "mend or remove the row"
        )
    return sudoku.from_characters(raw)


def _first(path: str, bad: Iterable[bool], message: str) -> None:
    found = np.flatnonzero(np.asarray(bad))
    if len(found):
        raise SourceError(f"{path}: {_row(int(found[0]))}: {message}; mend or remove the row ({len(found)} such rows)")


def read_sudoku_csv(path: str, digits: int = 9) -> SudokuTable:
    """Read and check a file; every row must be a puzzle with exactly one solution, which is its answer.

    :raises SourceError: the first thing that is wrong.
    """
    shape = sudoku.SHAPES[digits]
    data = read_bytes(path)
    frame = _parse(path, data)
    symbols = "".join(str(digit) for digit in range(1, digits + 1))
    puzzles = _grids(path, frame, "question", shape, f".0{symbols}")
    answers = _grids(path, frame, "answer", shape, symbols)
    _first(path, ~sudoku.is_solution(answers, shape), "answer repeats a digit in a row, column or box, expected a solved grid")
    _first(path, ~sudoku.keeps_clues(puzzles, answers), "answer contradicts a clue of the question, expected the same digits there")
    forms = sudoku.canonical(puzzles, answers, shape)
    seen: dict[bytes, int] = {}
    for index, form in enumerate(forms):
        first = seen.setdefault(form.tobytes(), index)
        if first != index:
            raise SourceError(
                f"{path}: {_row(index)}: the same puzzle as {_row(first)} (equal up to symmetry), expected each puzzle once; "
                "remove one of the rows"
            )
    _first(path, sudoku.solve(puzzles, shape).counts != 1, "the question has more than one solution, expected exactly one")
    return SudokuTable(
        puzzles, answers, frame["source"].to_list(), sudoku.difficulty(puzzles, shape), forms, hashlib.sha256(data).hexdigest()
    )
