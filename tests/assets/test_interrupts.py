"""Runs that are ended before they are done."""

import os
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.interrupts import raise_interrupts_as

from assets import interrupts
from assets.interrupts import noted_signals, sent_again
from assets.store import StoreResource

Act = Callable[[dg.AssetExecutionContext], None]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Dagster gives SIGTERM the handler of SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _run(folder: Path, act: Act) -> dg.DagsterRunStatus:
    """The status of a run whose asset acts and then works until it is interrupted."""

    @dg.asset
    def works(context: dg.AssetExecutionContext, store: StoreResource) -> None:
        act(context)
        time.sleep(30)

    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        result = dg.materialize(
            [works],
            resources={"store": StoreResource(root=str(folder / "store"))},
            instance=instance,
            raise_on_error=False,
        )
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run.status


def test_a_run_that_the_page_has_canceled_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run of the command line that somebody terminates in the page: no server tells it."""
    monkeypatch.setattr(interrupts, "POLL_SECONDS", 0.05)
    with noted_signals() as signals:
        status = _run(tmp_path, lambda context: context.instance.report_run_canceling(context.run))
        assert signals.received == [signal.SIGTERM]
    assert status is dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_interrupted_on_the_command_line_is_canceled(
    tmp_path: Path, number: signal.Signals
) -> None:
    with noted_signals() as signals:
        status = _run(tmp_path, lambda _: os.kill(os.getpid(), number))
        assert signals.received == [number]
    assert status is dg.DagsterRunStatus.CANCELED


def test_what_came_before_the_run_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "POLL_SECONDS", 0.05)
    signal.signal(signal.SIGINT, lambda *_: None)
    with noted_signals():
        os.kill(os.getpid(), signal.SIGINT)
        assert _run(tmp_path, lambda _: None) is dg.DagsterRunStatus.CANCELED


def test_an_interrupt_that_python_discards_comes_again() -> None:
    """What is raised while an object is cleaned up goes nowhere."""

    class Thing:
        pass

    with (
        sent_again(),
        raise_interrupts_as(dg.DagsterExecutionInterruptedError),
        pytest.raises(dg.DagsterExecutionInterruptedError),
    ):
        thing = Thing()
        _kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        time.sleep(60.0)
