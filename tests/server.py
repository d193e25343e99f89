"""The page's server for tests: ``trm ui`` with folders of its own, and the requests that the page
sends to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pipelines.home import VARIABLE
from pipelines.place import DATA_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
LOCATIONS = (
    "{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {__typename ... on "
    "PythonError {message}}}}}}"
)
RUNS = "{runsOrError {... on Runs {results {runId status}}}}"
LAUNCH = (
    "mutation ($params: ExecutionParams!) {launchRun(executionParams: $params) {__typename ... on "
    "LaunchRunSuccess {run {runId}} ... on PythonError {message} ... on RunConfigValidationInvalid "
    "{errors {message}}}}"
)
TERMINATE = (
    "mutation ($runs: [String!]!) {terminateRuns(runIds: $runs) {... on TerminateRunsResult "
    "{terminateRunResults {__typename ... on TerminateRunFailure {message}}}}}"
)
T = TypeVar("T")


def until(condition: Callable[[], T | None], what: str, seconds: float = 120) -> T:
    """What ``condition`` returns as soon as it is true; fails with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return value


def members(session: int) -> list[int]:
    """Living processes of a session."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(folder.name))
    return found


class Server:
    """``trm ui`` on free ports.

    :param home: the folder of its ``dagster`` and ``data`` and of its log.
    """

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe, socket.socket() as other:
            for each in (probe, other):
                each.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
            self.reports_port: int = other.getsockname()[1]
        self.data, self.log = home / "data", home / "server.log"
        self.environment = {
            **os.environ,
            VARIABLE: str(home / "dagster"),
            DATA_VARIABLE: str(self.data),
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pipelines", "ui", "--port", str(self.port)),
                    *("--reports-port", str(self.reports_port)),
                ],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The answer to a GraphQL query; empty where the server does not answer yet."""
        body = json.dumps({"query": query, "variables": variables})
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=30)) as connection:
            try:
                connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
                answer = json.loads(connection.getresponse().read())
            except (ConnectionError, http.client.HTTPException):
                return {}
        assert "errors" not in answer, answer
        return answer["data"]

    def ready(self) -> bool:
        """Whether the code location is loaded."""
        assert self.process.poll() is None, f"the server has ended:\n{self.log.read_text()}"
        entries = self.ask(LOCATIONS).get("workspaceOrError", {}).get("locationEntries", [])
        state = [entry["locationOrLoadError"] or {} for entry in entries]
        assert not any("message" in found for found in state), f"does not load: {state}"
        return bool(state) and all(state)

    def runs(self) -> dict[str, str]:
        """The status of every run by its id, the newest first."""
        found = self.ask(RUNS).get("runsOrError", {}).get("results", [])
        return {run["runId"]: run["status"] for run in found}

    def launch(
        self,
        *assets: str,
        partition: Mapping[str, str] | None = None,
        **config: Mapping[str, object],
    ) -> str:
        """Start a run, as "Materialize" does; returns its id.

        :param assets: ``BENCHMARK/STAGE``.
        :param partition: the key of each dimension, in order.
        :param config: fields of the configuration by op, ``BENCHMARK__STAGE``.
        """
        tags = {
            "dagster/partition": "|".join(partition.values()),
            **{f"dagster/partition/{dimension}": key for dimension, key in partition.items()},
        } if partition else {}  # fmt: skip
        params = {
            "selector": {
                "repositoryLocationName": "trm",
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "assetCheckSelection": None,
            },
            "runConfigData": {"ops": {op: {"config": fields} for op, fields in config.items()}},
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in tags.items()]
            },
        }
        answer = self.ask(LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def terminate(self, *runs: str) -> list[dict[str, str]]:
        """Terminate runs, as the page's button does; returns the answer for each."""
        return self.ask(TERMINATE, runs=runs)["terminateRuns"]["terminateRunResults"]

    def end(self) -> None:
        """Ctrl-C, and every process of the server is gone; what is left is killed."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(60)
            # Dagster may start its code server again in the middle of ending: that one ends when it
            # has not been asked for anything for 30 seconds.
            until(lambda: not members(self.process.pid), f"the server's end; see {self.log}", 120)
        finally:
            for left in members(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
            self.process.wait(10)


@contextmanager
def serving(home: Path) -> Generator[Server]:
    """A server that is ready; ended whatever happens."""
    server = Server(home)
    try:
        until(server.ready, f"the code location is loaded; see {server.log}", 180)
        yield server
    finally:
        server.end()
