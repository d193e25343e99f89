"""What a command says on standard error while it works: lines, and how far it is."""

import logging
import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from assets.progress import IN_PLACE


class Screen:
    """Standard error. On a terminal the progress is one line, which is refreshed in place until
    something else is said or the context ends; elsewhere it is a line each time.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, force_terminal=sys.stderr.isatty())
        self._live: Live | None = None
        self.refreshes = self._console.is_interactive
        """Whether the progress is refreshed in place."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wipe()

    def say(self, text: str) -> None:
        """Say something that stays."""
        self._wipe()
        self._console.out(text, highlight=False)

    def progress(self, text: str) -> None:
        """Say how far it is."""
        if not self.refreshes:
            self.say(text)
            return
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(Text(text), refresh=True)

    def _wipe(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class ScreenHandler(logging.Handler):
    """Shows the records of a log on a screen; those that say how far a step is
    (:data:`assets.progress.IN_PLACE`) as progress.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        show = self._screen.progress if IN_PLACE in record.__dict__ else self._screen.say
        try:
            show(self.format(record))
        except OSError:
            self.handleError(record)
