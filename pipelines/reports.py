"""The store's reports for the browser, read-only on this machine, and the folders of runs that they
lead to: ``python -m pipelines.reports PORT STORE PARENT``, which ``trm ui`` starts and which ends
with it."""

import contextlib
import functools
import http
import http.server
import io
import os
import sys
from pathlib import Path
from typing import BinaryIO

from assets import keys

HOST = "127.0.0.1"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers GET and HEAD with what lies in a store's folder of reports, and at ``/runs`` with
    what lies in that of runs."""

    index_pages = ("index.html", "index.htm")

    def translate_path(self, path: str) -> str:
        """The file of an address; reports are found without the name of their folder."""
        found = Path(super().translate_path(path)).relative_to(self.directory)
        folder = () if found.parts[:1] == (keys.RUNS,) else (keys.REPORTS,)
        # The base class tells folders by the slash at their end.
        end = "/" * path.partition("?")[0].endswith("/")
        return str(Path(self.directory, *folder, found)) + end

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Answers who asks for this machine by its own name: a page of another host may have its
        name lead here. Of a link that leads out of both folders there is nothing."""
        asked_of = self.headers.get("Host", "").partition(":")[0]
        if asked_of not in (HOST, "localhost"):
            self.send_error(http.HTTPStatus.FORBIDDEN)
            return None
        if not self._is_served(Path(self.translate_path(self.path))):
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _is_served(self, path: Path) -> bool:
        """Whether a file lies in one of the folders, or a folder with the page that stands for
        it."""
        store = Path(self.directory)
        folders = [(store / name).resolve() for name in (keys.REPORTS, keys.RUNS)]
        try:
            files = [each.resolve() for each in (path, *(path / name for name in self.index_pages))]
        except ValueError:  # A name with a zero in it.
            return False
        return all(any(file.is_relative_to(folder) for folder in folders) for file in files)

    def end_headers(self) -> None:
        """A report is written again under its name: the browser asks whether it has changed."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: the terminal is Dagster's."""


class Server(http.server.ThreadingHTTPServer):
    """Serves a store's reports as long as the process that started this one, ``parent``, is
    there."""

    daemon_threads = True

    def __init__(self, port: int, store: Path, parent: int) -> None:
        super().__init__((HOST, port), functools.partial(Handler, directory=str(store.absolute())))
        self._parent = parent

    def service_actions(self) -> None:
        """See :class:`socketserver.BaseServer`; called twice a second."""
        if os.getppid() != self._parent:
            raise SystemExit


def main() -> None:
    """Serve until the parent ends, or Ctrl-C."""
    port, store, parent = sys.argv[1:]
    with (
        contextlib.suppress(KeyboardInterrupt),
        Server(int(port), Path(store), int(parent)) as server,
    ):
        server.serve_forever()


if __name__ == "__main__":
    main()
