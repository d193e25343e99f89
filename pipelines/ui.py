"""The Dagster UI on this machine, which ``trm ui`` runs: the page, the code location and the
daemon."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg

from assets.pages.links import VARIABLE
from pipelines.home import prepare_home
from pipelines.place import data_folder
from pipelines.pools import know_pools
from pipelines.reports import HOST
from trm_model.errors import ConfigurationError, require

WORKSPACE = Path(__file__).parent / "deployment" / "workspace.yaml"


def serve(port: int, reports_port: int | None = None) -> None:
    """Replace this process by ``dagster dev`` on 127.0.0.1 with our home folder, and serve the
    store's reports beside it.

    :param reports_port: of the reports; None: the next after ``port``.
    :raises ConfigurationError: a port is taken, or the server is not installed.
    """
    require(
        importlib.util.find_spec("dagster_webserver") is not None,
        "dagster-webserver is not installed; pip install 'trm-pipelines[ui]'",
    )
    reports_port = port + 1 if reports_port is None else reports_port
    _require_free("--port", port)
    require(
        port != reports_port,
        f"--reports-port {reports_port}: expected another than --port; leave it out",
    )
    _require_free("--reports-port", reports_port)
    home = prepare_home()
    os.environ[VARIABLE] = f"http://{HOST}:{reports_port}"
    with dg.DagsterInstance.get() as instance:
        know_pools(instance)
    print(
        f"the graph of every benchmark: http://{HOST}:{port}/asset-groups (4 x 4 Sudoku: "
        f"http://{HOST}:{port}/locations/trm/asset-groups/sudoku_4x4); reports: "
        f"{os.environ[VARIABLE]}; runs are kept in {home}",
        flush=True,
    )
    # A shell's background job ignores SIGINT, and the server would inherit that and never end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # This process becomes Dagster's and keeps its number.
    told = map(str, (reports_port, data_folder(), os.getpid()))
    subprocess.Popen([sys.executable, "-m", "pipelines.reports", *told])
    # Dagster would rather be started by `dg`, which is not installed here.
    quiet = ["-W", "ignore:Function `dev_command` is superseded:FutureWarning"]
    options = ["--host", HOST, "--port", str(port), "--workspace", str(WORKSPACE)]
    os.execv(sys.executable, [sys.executable, *quiet, "-m", "dagster", "dev", *options])  # noqa: S606


def _require_free(option: str, port: int) -> None:
    """Dagster would start a second server on a port in use without a word."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"port {port} on {HOST} cannot be had ({error}); use another: trm ui {option} "
                f"{port + 2 if 0 < port < 65534 else 3000}"
            ) from error
