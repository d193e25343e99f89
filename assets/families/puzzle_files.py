"""Puzzle files ``source,question,answer,rating``, plain or gzip, local or URL: what is the same for
all families."""

import gzip
import hashlib
import io
import zlib
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from storage.reading import one_line, open_bytes
from storage.refusals import UserError

COLUMNS = ("source", "question", "answer", "rating")


Rows = npt.NDArray[np.int64]


class RowsOfFile(Protocol):
    """What a file of puzzles holds. Only the rows that are taken are checked in depth: a file may
    have millions."""

    @property
    def file_hash(self) -> str: ...

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> pl.DataFrame:
        """Some rows in the order asked for, as columns of the origin's schema (split, puzzle and
        name are missing yet).

        :raises PuzzleFileError: the first thing that is wrong with them.
        """
        ...


def every_row(count: int) -> Rows:
    """All rows, in order."""
    return np.arange(count)


class PuzzleFileError(UserError, ValueError):
    """A file of puzzles that cannot be used: one line that names the file, the row, what was found,
    what was expected and the remedy."""


def row_name(index: int) -> str:
    return f"row {index + 1} (line {index + 2})"


def read_bytes(path: str) -> bytes:
    """The file's bytes, unpacked if they are gzip (whatever the name says).

    :raises PuzzleFileError: not there, not reachable, or broken gzip.
    """
    try:
        with open_bytes(path) as file:
            data = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise PuzzleFileError(
            f"{path}: cannot be read ({one_line(error)}); expected a file; give an existing local "
            "path or URL"
        ) from error
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise PuzzleFileError(
                f"{path}: broken gzip ({one_line(error)}); expected a whole gzip file; fetch it "
                "again"
            ) from error
    if path.endswith(".gz"):
        raise PuzzleFileError(
            f"{path}: named .gz but not gzip (it starts with {data[:8]!r}), expected gzip; rename "
            "it or compress it"
        )
    return data


def read_table(path: str) -> tuple[pl.DataFrame, str]:
    """The file's :data:`COLUMNS` as text, empty where a field is missing, and the hash of its
    (unpacked) bytes.

    :raises PuzzleFileError: no such file, or not a CSV file with these columns and at least one
        row.
    """
    data = read_bytes(path)
    if not data.strip():
        raise PuzzleFileError(
            f"{path}: the file is empty; expected a header {','.join(COLUMNS)} and one row per "
            "puzzle; give a file of puzzles"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PuzzleFileError(
            f"{path}: not a text file (byte {data[error.start]:#04x} at {error.start}); expected "
            "CSV in UTF-8; save it in that encoding"
        ) from error
    if "\x00" in text:
        raise PuzzleFileError(
            f"{path}: not a text file (a zero byte at {text.index(chr(0))}); expected CSV in "
            "UTF-8; save it in that encoding"
        )
    header = [name.strip().strip('"') for name in text.partition("\n")[0].strip().split(",")]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise PuzzleFileError(
            f"{path}: header {','.join(header)[:100]!r} has no column {missing[0]!r}; expected "
            f"{','.join(COLUMNS)}; add the column"
        )
    repeated = [name for name in COLUMNS if header.count(name) > 1]
    if repeated:
        raise PuzzleFileError(
            f"{path}: header has the column {repeated[0]!r} twice, expected each once; remove or "
            "rename one"
        )
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), infer_schema=False, truncate_ragged_lines=False
        )
    except pl.exceptions.PolarsError as error:
        for index, line in enumerate(text.split("\n")[1:]):
            if line.count(",") != len(header) - 1:
                raise PuzzleFileError(
                    f"{path}: {row_name(index)}: {line.count(',') + 1} fields, expected "
                    f"{len(header)}; mend or remove the row"
                ) from error
        raise PuzzleFileError(
            f"{path}: not readable as CSV ({one_line(error)[:200]}); expected "
            f"{','.join(COLUMNS)}; mend the file"
        ) from error
    if frame.is_empty():
        raise PuzzleFileError(
            f"{path}: a header but no rows; expected one row per puzzle; give a file of puzzles"
        )
    columns = frame.rename(str.strip).select(COLUMNS).with_columns(pl.all().fill_null(""))
    return columns.with_columns(pl.col("source", "rating").str.strip_chars()), hashlib.sha256(
        data
    ).hexdigest()


def characters(
    path: str, frame: pl.DataFrame, column: str, length: int, allowed: str
) -> npt.NDArray[np.uint8]:
    """ASCII codes of a column's strings, [N, length].

    :raises PuzzleFileError: a string of another length or with a character that is not ``allowed``.
    """
    # Other lengths in bytes: other lengths in characters, or characters outside ASCII.
    for index in (frame[column].str.len_bytes() != length).arg_true():
        _refuse_text(path, index, column, frame[column][index], length, allowed)
    raw = np.frombuffer("".join(frame[column]).encode(), np.uint8).reshape(len(frame), length)
    good = np.isin(raw, np.frombuffer(allowed.encode(), np.uint8)).all(axis=1)
    for index in np.flatnonzero(~good).tolist():
        _refuse_text(path, index, column, frame[column][index], length, allowed)
    return raw


def _refuse_text(
    path: str, index: int, column: str, text: str, length: int, allowed: str
) -> NoReturn:
    """Say what is wrong with a text that is not ``length`` of the ``allowed`` characters."""
    strange = next((cell for cell, symbol in enumerate(text) if symbol not in allowed), 0)
    found, expected = (
        (f"{len(text)} characters", str(length))
        if len(text) != length
        else (f"{text[strange]!r} at cell {strange + 1}", f"one of {allowed}")
    )
    raise PuzzleFileError(
        f"{path}: {row_name(index)}: {column} has {found}, expected {expected}; mend or remove "
        "the row"
    )


def refuse(path: str, rows: Rows, bad: npt.NDArray[np.bool_], message: str) -> None:
    """Name the first of the ``rows`` [N] of the file that is bad [N], and how many there are.

    :raises PuzzleFileError: there is one.
    """
    found = np.sort(rows[bad])
    if len(found):
        raise PuzzleFileError(
            f"{path}: {row_name(int(found[0]))}: {message}; mend or remove the row ({len(found)} "
            "such)"
        )


def refuse_repeated(path: str, rows: Rows, forms: npt.NDArray[Any], noun: str) -> None:
    """Name a row whose canonical form [N, ...] another of the ``rows`` [N] of the file has;
    ``noun`` says what rows are.

    :raises PuzzleFileError: there is one.
    """
    seen: dict[bytes, int] = {}
    for row, form in zip(rows.tolist(), forms, strict=True):
        other = seen.setdefault(form.tobytes(), row)
        if other != row:
            first, second = sorted((row, other))
            raise PuzzleFileError(
                f"{path}: {row_name(second)}: the same {noun} as {row_name(first)} (equal up to "
                f"symmetry), expected each {noun} once; "
                "remove one of the rows"
            )
