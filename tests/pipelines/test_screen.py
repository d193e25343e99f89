"""How far a step is stands on one line of a terminal, and on lines elsewhere."""

import logging
import os
from contextlib import suppress

import dagster as dg
import pytest

from assets.progress import progress_of
from pipelines.screen import Screen, ScreenHandler

WIPE = "\x1b[2K"
SAID = ["[1] begins", "1 of 3", "2 of 3", "in between", "3 of 3"]


def worked() -> None:
    """A step that says how far it is and something else."""
    with Screen() as screen:
        screen.say("[1] begins")
        screen.progress("1 of 3")
        screen.progress("2 of 3")
        screen.say("in between")
        screen.progress("3 of 3")


def on_terminal(kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal of 100 columns gets where standard error is one."""
    ours, theirs = os.openpty()
    for name, value in {"TERM": kind, "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)
    with os.fdopen(theirs, "w") as writes:
        monkeypatch.setattr("sys.stderr", writes)
        worked()
        monkeypatch.undo()
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as reads, suppress(OSError):  # its end, on Linux
        while part := reads.read(4096):
            shown += part
    return shown.decode()


def test_a_terminal_shows_the_progress_on_one_line_that_is_wiped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = on_terminal("xterm", monkeypatch)
    first, _, rest = shown.partition("2 of 3")
    assert first.endswith(f"1 of 3\r{WIPE}")
    before, _, after = rest.partition("in between")
    assert before.endswith(WIPE)
    assert after.endswith(WIPE)
    assert shown.startswith("[1] begins\r\n")


def test_elsewhere_each_is_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as many CI services set it
    worked()
    assert capsys.readouterr().err.splitlines() == SAID


def test_a_terminal_that_cannot_go_back_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_terminal("dumb", monkeypatch).splitlines() == SAID


class Noted(Screen):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.progressed: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, text: str) -> None:
        self.progressed.append(text)


def test_what_an_asset_says_of_its_progress_arrives_as_such() -> None:
    """Dagster hands on what marks a record."""
    screen = Noted()

    @dg.logger
    def console(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("console", logging.INFO)
        logger.addHandler(ScreenHandler(screen))
        return logger

    @dg.op
    def work(context: dg.OpExecutionContext) -> None:
        progress_of(context.log)("step 1 of 2")
        context.log.info("something else")

    @dg.job(logger_defs={"console": console})
    def job() -> None:
        work()

    assert job.execute_in_process(run_config={"loggers": {"console": {}}}).success
    assert [text for text in screen.progressed if "step 1 of 2" in text] == screen.progressed
    assert len(screen.progressed) == 1
    assert any("something else" in text for text in screen.said)
