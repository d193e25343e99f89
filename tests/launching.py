"""A launcher for tests of something else: starting Python and torch for a training takes longer
than its few steps."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from types import TracebackType
from typing import Self

from trm_model.launching import Ending, Job, Outcome
from trm_model.training.process import SIGNALS


@dataclass(frozen=True, slots=True)
class ThisProcess:
    """Runs each job in this process, when its lines are read; every one has to finish."""

    def start(self, job: Job) -> "RunningHere":
        return RunningHere(job)


class NothingToEnd:
    """The context of a job that has ended when it has been waited for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True)
class RunningHere(NothingToEnd):
    """A job of :class:`ThisProcess`."""

    job: Job

    def lines(self) -> Iterator[str]:
        with ExitStack() as held:
            for number in SIGNALS:  # The job handles them.
                held.callback(signal.signal, number, signal.getsignal(number))
            said = held.enter_context(redirect_stdout(StringIO()))
            held.enter_context(redirect_stderr(said))
            code = import_module(self.job.module).main([*self.job.arguments])
        assert code == 0, said.getvalue()
        yield from said.getvalue().splitlines()

    def wait(self, report: Callable[[str], None] = print) -> Outcome:
        for line in self.lines():
            report(line)
        return Outcome(Ending.FINISHED)

    def stop(self, report: Callable[[str], None] = print) -> Outcome:
        return Outcome(Ending.FINISHED)
