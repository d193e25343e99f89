"""The page as a newcomer meets it: a real server, a real browser, one click on Materialize."""

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from assets.benchmarks import BENCHMARKS
from assets.checks import checks_of
from assets.families.sudoku import GeneratedSudoku
from pipelines.home import VARIABLE
from pipelines.resources import DATA_VARIABLE

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).resolve().parents[2]
HOST, BENCHMARK = "127.0.0.1", "sudoku_4x4"
SWITCHES = (
    *(
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
    ),
    *("disable-component-update", "disable-sync", "window-size=1500,1200"),
)
LOCATIONS = (
    "{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {__typename ... on "
    "PythonError {message}}}}}}"
)
RUNS = "{runsOrError {... on Runs {results {runId status}}}}"
T = TypeVar("T")


def _until(condition: Callable[[], T], what: str, seconds: float = 120) -> T:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.3)
    return value


def _ask(port: int, query: str) -> dict[str, Any]:
    """The answer to a GraphQL query; empty where the server does not answer yet."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        try:
            connection.request(
                "POST",
                "/graphql",
                json.dumps({"query": query}),
                {"Content-Type": "application/json"},
            )
            return json.loads(connection.getresponse().read())["data"]
        except ConnectionError:
            return {}


def _members(session: int) -> list[int]:
    """Living processes of a session."""
    members: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_session) == session and state != "Z":
            members.append(int(folder.name))
    return members


@contextmanager
def _server(home: Path) -> Generator[int]:
    """``make ui`` on a free port with its own folders, once the code location is loaded; ended
    whatever happens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    log = home / "server.log"
    environment = {**os.environ, VARIABLE: str(home / "dagster"), DATA_VARIABLE: str(home / "data")}
    command = [sys.executable, "-m", "pipelines", "ui", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )

    def loaded() -> bool:
        assert server.poll() is None, f"the server ended at once:\n{log.read_text()}"
        entries = _ask(port, LOCATIONS).get("workspaceOrError", {}).get("locationEntries", [])
        state = [entry["locationOrLoadError"] or {} for entry in entries]
        assert not any("message" in found for found in state), (
            f"the code location does not load: {state}"
        )
        return bool(state) and all(state)

    try:
        _until(loaded, f"the code location is loaded; see {log}", 180)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(60)
            _until(
                lambda: not _members(server.pid),
                f"every process of the server has ended; see {log}",
                30,
            )
        finally:
            for left in _members(server.pid):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
            server.wait(10)


@contextmanager
def _browser(home: Path) -> Generator["Chrome"]:
    """Headless Chromium with a fresh profile; an error inside comes with a screenshot."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for switch in (*SWITCHES, f"user-data-dir={home / 'profile'}"):
        options.add_argument(f"--{switch}")
    service = ChromeService(shutil.which("chromedriver"), env={**os.environ, "HOME": str(home)})
    with Chrome(options=options, service=service) as browser:
        try:
            yield browser
        except (AssertionError, WebDriverException) as error:
            picture = home / "failure.png"
            browser.save_screenshot(str(picture))
            raise AssertionError(
                f"{getattr(error, 'msg', error)}; on {browser.current_url}, screenshot: {picture}"
            ) from error


@pytest.mark.browser
def test_materialize_puzzles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [
        name for name in ("selenium", "dagster_webserver") if importlib.util.find_spec(name) is None
    ]
    missing += [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"not installed: {', '.join(missing)} (pip install -e '.[ui,dev]'; apt install "
            "chromium chromium-driver)"
        )
    from selenium.webdriver.support.expected_conditions import visibility_of_element_located
    from selenium.webdriver.support.wait import WebDriverWait

    monkeypatch.setenv("no_proxy", HOST + ",localhost")
    origin = BENCHMARKS[BENCHMARK].origin
    assert isinstance(origin, GeneratedSudoku)

    with _server(tmp_path) as port, _browser(tmp_path) as page:
        url = f"http://{HOST}:{port}/assets/{BENCHMARK}/puzzles"

        def shown(xpath: str, what: str) -> Any:
            return WebDriverWait(page, 120).until(
                visibility_of_element_located(("xpath", xpath)), f"not shown: {what}"
            )

        page.get(url)
        shown("//*[text()='Never materialized']", "that nothing is there yet")
        shown(
            "//button[normalize-space()='Materialize' and not(@disabled)]", "the button Materialize"
        ).click()

        def finished() -> list[dict[str, str]]:
            runs = _ask(port, RUNS).get("runsOrError", {}).get("results", [])
            return [run for run in runs if run["status"] in ("SUCCESS", "FAILURE", "CANCELED")]

        run = _until(finished, f"the run has finished; see {tmp_path / 'server.log'}")[0]
        assert run["status"] == "SUCCESS", f"the run failed; see {tmp_path / 'server.log'}"
        # The page notices by itself ...
        shown(
            f"//a[contains(@href, '/runs/{run['runId']}') and contains(., 'ago')]",
            "the materialization",
        )

        # ... but not the metadata of a first materialization: Dagster's page asks for those when it
        # is opened.
        page.get(url)
        for split, count in (("train", origin.train), ("test", origin.test)):
            shown(
                f"//tr[td[1][normalize-space()='{split}']]/td[last()][normalize-space()='{count}']",
                f"{split} {count}",
            )
        shown(
            "//tr[td[1][normalize-space()='sample']]//a[contains(., 'Show Markdown')]",
            "the link to the picture",
        ).click()
        picture = shown("//img[@alt='puzzles and answers']", "the picture of puzzles")
        assert picture.get_property("naturalWidth") > 300, "the browser could not read the picture"

        page.get(f"{url}?view=checks")
        for check in checks_of(BENCHMARKS["sudoku_4x4"], "puzzles"):
            shown(
                f"//*[@title='{check}']/following-sibling::*[normalize-space()='Succeeded']",
                f"check {check}, passed",
            )
