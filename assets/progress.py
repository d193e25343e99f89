"""How long steps say how far they are, and what every stage says when it has made something."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from trm_model.texts import duration

MADE = "made"
"""Key in the metadata of each materialization: one line that says what was made and where, which
the stage's log and the command line end with."""

IN_PLACE = "in_place"
"""Attribute of the log's records that say how far a step is: on a terminal each takes the place of
the one before."""


def progress_of(log: logging.Logger) -> Callable[[str], None]:
    """Returns a function that tells a log how far a step is."""
    return partial(log.info, extra={IN_PLACE: True})


class Pace:
    """How far a step is and how long it will still take, by what it has done since it started.

    :param unit: what is counted, such as ``test puzzles``.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._began: tuple[int, float] | None = None

    def said(self, done: int, total: int) -> str:
        """How far the work is, as text. Call it first before new work is done: what is done by then
        does not count for the pace."""
        text = f"{done:,} of {total:,} {self._unit}"
        if self._began is None:
            self._began = done, time.monotonic()
        before, started = self._began
        if done in (before, total):
            return text
        seconds = (time.monotonic() - started) / (done - before) * (total - done)
        return f"{text}, about {duration(seconds)} left"


Told = TypeVar("Told")


def spaced(log: Callable[[Told], object], seconds: float = 10.0) -> Callable[[Told], None]:
    """``log``, with what is left out that comes less than ``seconds`` after the one before."""
    told = float("-inf")

    def say(text: Told) -> None:
        nonlocal told
        if time.monotonic() - told > seconds:
            told = time.monotonic()
            log(text)

    return say
