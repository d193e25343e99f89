"""The Dagster UI on this machine, which ``trm ui`` runs: the page, the code location and the
daemon."""

import importlib.util
import os
import signal
import socket
import sys
from pathlib import Path

import dagster as dg

from pipelines.home import prepare_home
from pipelines.pools import know_pools
from trm_model.errors import ConfigurationError, require

HOST = "127.0.0.1"
WORKSPACE = Path(__file__).parent / "deployment" / "workspace.yaml"


def serve(port: int) -> None:
    """Replace this process by ``dagster dev`` on 127.0.0.1 with our home folder.

    :raises ConfigurationError: the port is taken, or the server is not installed.
    """
    require(
        importlib.util.find_spec("dagster_webserver") is not None,
        "dagster-webserver is not installed; pip install 'trm-pipelines[ui]'",
    )
    _require_free(port)
    home = prepare_home()
    with dg.DagsterInstance.get() as instance:
        know_pools(instance)
    print(
        f"the graph of every benchmark: http://{HOST}:{port}/asset-groups (4 x 4 Sudoku: "
        f"http://{HOST}:{port}/locations/trm/asset-groups/sudoku_4x4); runs are kept in {home}",
        flush=True,
    )
    # A shell's background job ignores SIGINT, and the server would inherit that and never end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Dagster would rather be started by `dg`, which is not installed here.
    quiet = ["-W", "ignore:Function `dev_command` is superseded:FutureWarning"]
    options = ["--host", HOST, "--port", str(port), "--workspace", str(WORKSPACE)]
    os.execv(sys.executable, [sys.executable, *quiet, "-m", "dagster", "dev", *options])  # noqa: S606


def _require_free(port: int) -> None:
    """Dagster would start a second server on a port in use without a word."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"port {port} on {HOST} cannot be had ({error}); use another: trm ui --port "
                f"{port + 1 if 0 < port < 65535 else 3000}"
            ) from error
