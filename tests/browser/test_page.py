"""The page as a newcomer meets it: a real server, a real browser, one click on Materialize."""

import importlib.util
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assets.benchmarks import BENCHMARKS
from assets.checks import checks_of
from assets.families.sudoku import GeneratedSudoku
from tests.server import HOST, serving, until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

BENCHMARK = "sudoku_4x4"
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

    with serving(tmp_path) as server, _browser(tmp_path) as page:
        url = f"http://{HOST}:{server.port}/assets/{BENCHMARK}/puzzles"

        def shown(xpath: str, what: str) -> Any:
            return WebDriverWait(page, 120).until(
                visibility_of_element_located(("xpath", xpath)), f"not shown: {what}"
            )

        page.get(url)
        shown("//*[text()='Never materialized']", "that nothing is there yet")
        shown(
            "//button[normalize-space()='Materialize' and not(@disabled)]", "the button Materialize"
        ).click()

        def finished() -> list[tuple[str, str]]:
            ends = ("SUCCESS", "FAILURE", "CANCELED")
            return [(run, status) for run, status in server.runs().items() if status in ends]

        [(run, status)] = until(finished, f"the run has finished; see {server.log}")
        assert status == "SUCCESS", f"the run failed; see {server.log}"
        # The page notices by itself ...
        shown(
            f"//a[contains(@href, '/runs/{run}') and contains(., 'ago')]",
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
        for check in checks_of("puzzles", BENCHMARKS["sudoku_4x4"]):
            shown(
                f"//*[@title='{check}']/following-sibling::*[normalize-space()='Succeeded']",
                f"check {check}, passed",
            )
