"""How a run ends before it is done: by Ctrl-C, by SIGTERM, or by "Terminate" in the page.

Each of them becomes a signal, which Dagster raises as an exception in the main thread. Whatever
works there then ends in order: a training writes a checkpoint, a build keeps what it has finished.
"""

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import dagster as dg

POLL_SECONDS = 1.0
AGAIN_SECONDS = 0.1
"""How long an interrupt waits that is sent again, so that the cleaning up is over."""
PATIENCE_SECONDS = 5.0
"""How long a run that the page has ended waits to be told so by the server that has started it."""
ENDING = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a program."""


class Signals:
    """Those of :data:`ENDING` that have come, as Python itself notes them
    (:func:`signal.set_wakeup_fd`), whoever handles them: Dagster exchanges the handlers at every
    step, and its own do not say which signal came.
    """

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._noted = b""

    @property
    def received(self) -> list[signal.Signals]:
        """In the order in which they came."""
        with suppress(BlockingIOError):
            self._noted += os.read(self._reader, 1 << 12)
        return [signal.Signals(number) for number in self._noted if number in ENDING]


_NOTED: ContextVar[Signals] = ContextVar("signals")


@contextmanager
def noted_signals() -> Generator[Signals]:
    """Notes signals while the context lasts, in the main thread; contexts inside share the
    outermost one's."""
    outer = _NOTED.get(None)
    if outer is not None:
        yield outer
        return
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    token = _NOTED.set(Signals(reader))
    try:
        yield _NOTED.get()
    finally:
        _NOTED.reset(token)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


@contextmanager
def sent_again() -> Generator[None]:
    """An interrupt comes again to the main thread, which calls this, where Python has discarded it,
    as it does with whatever is raised while an object is cleaned up."""
    main, before = threading.get_ident(), sys.unraisablehook

    def hook(discarded: "sys.UnraisableHookArgs") -> None:
        if not isinstance(discarded.exc_value, dg.DagsterExecutionInterruptedError):
            before(discarded)
            return
        timer = threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGTERM))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def terminable(context: dg.InitResourceContext) -> Generator[None]:
    """A run that somebody terminates in the page ends, whoever has started it.

    The page asks the server that has started a run's process to interrupt it. There is none where
    the run was started on the command line, or where the server was killed and the run goes on: the
    run then finds out by itself that the page has it as ended, and interrupts itself.

    A run of the command line that was interrupted there counts as canceled, not as failed.
    """
    instance, run = context.instance, context.run
    if (
        instance is None
        or run is None
        or instance.is_ephemeral
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    ours = run.remote_job_origin is None  # No server has started it.
    done = threading.Event()

    def ended() -> bool:
        """Whether the page has the run as ended, or about to end."""
        found = instance.get_run_by_id(run.run_id)
        return found is None or found.is_finished or found.status is dg.DagsterRunStatus.CANCELING

    def watch() -> None:
        told_before = bool(signals.received)  # Before Dagster was ready for it.
        while not done.wait(POLL_SECONDS):
            if told_before or ended():
                if not done.wait(0.0 if ours else PATIENCE_SECONDS) and (
                    told_before or not signals.received
                ):
                    signal.pthread_kill(main, signal.SIGTERM)
                return

    main = threading.get_ident()
    with noted_signals() as signals, sent_again():
        watcher = threading.Thread(target=watch, name="watching the run", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            if ours and signals.received and not ended():
                instance.report_run_canceling(run)
