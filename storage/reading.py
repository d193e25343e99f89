"""Reading bytes that somebody else may have written: whatever is wrong with them becomes one type
of error with a message of one line. What is wrong with the machine, or with this program, is not
taken for damaged data."""

import contextlib
import errno
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, cast

MALFORMED = (ArithmeticError, EOFError, LookupError, RecursionError, ValueError)
"""What Python and its libraries raise on bytes that are not what they should be. Other types mean a
mistake in the program unless a library is known to raise them on bad bytes, which those who use it
say (``further`` of :func:`reading`)."""
_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_UNREACHABLE = (ConnectionError, PermissionError, TimeoutError)
"""The machine's, whether or not they say the operating system's number."""
_NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "ALLOC_FAILED")
"""Parts of the messages of libraries that have another type of error for too little memory."""


def one_line(said: object) -> str:
    """A message, or an error's message, on one line; a missing key says that it is missing."""
    text = " ".join(str(said).split()) or type(said).__name__
    return f"no {text}" if isinstance(said, KeyError) else text


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had."""
    said = str(error)
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and any(part in said for part in _NO_MEMORY))
    )


def json_object(
    value: object, what: str, needed: Iterable[str] = (), known: Iterable[str] | None = None
) -> dict[str, Any]:
    """``value``, which must be a JSON object with the fields ``needed``.

    :param what: it is, for the message.
    :param known: the fields that it may have; None: any.
    :raises KeyError: the first field that is missing.
    :raises ValueError: no object, or a field that is not known.
    """
    found = cast("dict[str, Any] | None", value if isinstance(value, dict) else None)
    if found is None:
        raise ValueError(f"{what} is {str(value)[:100]!r}, not an object")
    for name in needed:
        if name not in found:
            raise KeyError(name)
    unknown = set[str]() if known is None else set(found) - set(known)
    if unknown:
        raise ValueError(f"{what} has the unknown field {min(unknown)!r}")
    return found


def _from_bytes(error: OSError) -> bool:
    """Whether bytes, or a file that is missing, are to blame, and not the machine.

    Libraries raise OSError themselves, without a number, on bytes that they cannot read; and a
    place in a file that is computed from wrong bytes may be none (EINVAL).
    """
    return isinstance(error, _NOT_THERE) or (
        not isinstance(error, _UNREACHABLE) and error.errno in (None, errno.EINVAL)
    )


@contextlib.contextmanager
def reading(
    raising: type[Exception], where: object, expected: str, *further: type[Exception]
) -> Generator[None]:
    """Turn what is wrong with the bytes that are read at ``where`` into an error of the type
    ``raising`` that says ``WHERE: what went wrong; expected EXPECTED``.

    :param expected: what should be there, and after a semicolon the remedy.
    :param further: types that a library raises on bad bytes and that are none of
        :data:`MALFORMED`.
    :raises MemoryError: there is not enough memory to read them.
    :raises OSError: the operating system refuses to read them: no permission, a broken disk, …
        (:func:`storage.refusals.refusal` says it in one line).
    """
    try:
        yield
    except (*MALFORMED, *further, MemoryError, OSError, RuntimeError) as error:
        if out_of_memory(error):
            raise MemoryError(f"{where}: {one_line(error)}") from error
        if isinstance(error, OSError) and not _from_bytes(error):
            said = error.strerror or one_line(error)
            raise OSError(error.errno or errno.EIO, said, str(where)) from error
        if not isinstance(error, (*MALFORMED, *further, OSError)):
            raise
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
