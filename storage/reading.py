"""What is wrong with bytes from outside, as one line and one type of error per container."""

import contextlib
from collections.abc import Generator

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
    """Turn whatever goes wrong while ``where`` is read into ``raising``: "where: what; expected
    ...; remedy".

    :param expected: what should be there, and the remedy.
    :param further: libraries' own errors that are none of :data:`MALFORMED`.
    """
    try:
        yield
    except (*MALFORMED, *further) as error:
        raise raising(f"{where}: {one_line(error)}; expected {expected}") from error
