"""``dagster dev`` on 127.0.0.1 with our home folder: the page, the code location and the daemon.
``make ui`` runs it."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.home import prepare_home

HOST = "127.0.0.1"


def main(arguments: Sequence[str]) -> int:
    """Replace this process by the server; returns 2 if the port is taken."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.ui", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--port", type=int, default=3000)
    port: int = parser.parse_args(arguments).port
    with socket.socket() as probe:
        # Dagster would start a second server on a port in use without a word.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            print(
                f"error: port {port} on {HOST} is taken ({error.strerror}); use another: make ui "
                f"PORT={port + 1}",
                file=sys.stderr,
            )
            return 2
    prepare_home()
    workspace = Path(__file__).parent.parent / "workspace.yaml"
    # A shell's background job ignores SIGINT, and the server would inherit that and never end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "--host",
        HOST,
        "--port",
        str(port),
        "--workspace",
        str(workspace),
    ]
    os.execv(sys.executable, command)  # noqa: S606
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
