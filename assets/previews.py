"""This project uses some things knowingly that Dagster calls a preview or a beta."""

import contextlib
import warnings
from collections.abc import Generator

import dagster as dg


@contextlib.contextmanager
def previews() -> Generator[None]:
    """Without Dagster's warnings that what is used inside may change."""
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning):
            warnings.simplefilter("ignore", category)
        yield
