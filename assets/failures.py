"""How an asset says that the user must mend something."""

import contextlib
from collections.abc import Generator

import dagster as dg

from storage.reading import one_line
from storage.refusals import UserError, refusal


def user_error(message: object) -> dg.Failure:
    """A failure that a retry would not mend, shown as one line."""
    return dg.Failure(description=one_line(message), allow_retries=False)


@contextlib.contextmanager
def told_in_one_line() -> Generator[None]:
    """Whatever the user or the operating system has to mend becomes a :func:`user_error`."""
    try:
        yield
    except UserError as error:
        raise user_error(error) from error
    except OSError as error:
        raise user_error(refusal(error)) from error
