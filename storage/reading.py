"""Reading bytes that somebody else may have written: whatever is wrong with them becomes one type
of error with a message of one line."""

import contextlib
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, cast

MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What Python and its libraries raise on bytes that are not what they should be."""


def one_line(error: BaseException) -> str:
    """The error's message on one line; a missing key says that it is missing."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"no {text}" if isinstance(error, KeyError) else text


@contextlib.contextmanager
def reading(
    raising: type[Exception], where: object, expected: str, *further: type[Exception]
) -> Generator[None]:
    """Turn whatever goes wrong while ``where`` is read into an error of the type ``raising`` that
    says ``WHERE: what went wrong; expected EXPECTED``.

    :param expected: what should be there, and after a semicolon the remedy.
    :param further: error types of libraries that are none of :data:`MALFORMED`.
    """
    try:
        yield
    except (*MALFORMED, *further) as error:
        raise raising(f"{where}: {one_line(error)}; expected {expected}") from error


def open_bytes(place: str) -> AbstractContextManager[IO[bytes]]:
    """The bytes at a local path or at anything else that fsspec opens.

    A path is tried as it is first: fsspec would read ``::`` in a folder's name as two URLs.

    :raises OSError, ValueError, ImportError: what Python and fsspec raise where nothing can be
        read.
    """
    if Path(place).is_file():
        return Path(place).open("rb")
    import fsspec

    return cast(Any, fsspec).open(place, "rb")
