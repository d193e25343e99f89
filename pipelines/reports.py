"""The store's reports for the browser, read-only on this machine: ``python -m pipelines.reports``
``PORT FOLDER PARENT``, which ``trm ui`` starts and which ends with it."""

import contextlib
import functools
import http
import http.server
import io
import os
import sys
from pathlib import Path
from typing import BinaryIO

HOST = "127.0.0.1"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers GET and HEAD with what lies in one folder."""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Of a link that leads out of the folder there is nothing."""
        asked = Path(self.translate_path(self.path)).resolve()
        if not asked.is_relative_to(Path(self.directory).resolve()):
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """A report is written again under its name: the browser asks whether it has changed."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: the terminal is Dagster's."""


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder as long as the process that started this one, ``parent``, is there."""

    daemon_threads = True

    def __init__(self, port: int, folder: Path, parent: int) -> None:
        super().__init__((HOST, port), functools.partial(Handler, directory=str(folder)))
        self._parent = parent

    def service_actions(self) -> None:
        """See :class:`socketserver.BaseServer`; called twice a second."""
        if os.getppid() != self._parent:
            raise SystemExit


def main() -> None:
    """Serve until the parent ends, or Ctrl-C."""
    port, folder, parent = sys.argv[1:]
    with (
        contextlib.suppress(KeyboardInterrupt),
        Server(int(port), Path(folder), int(parent)) as server,
    ):
        server.serve_forever()


if __name__ == "__main__":
    main()
