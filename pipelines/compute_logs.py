"""Where Dagster keeps what steps print, as ``dagster.yaml`` names it."""

import signal
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClassData


class ComputeLogs(LocalComputeLogManager):
    """Dagster's own logs in its home folder, written by processes that Ctrl-C leaves alone.

    For each step four processes copy what it prints to the terminal too. The terminal's SIGINT
    would end them before the step is over: its last lines were lost, and two of them printed a
    traceback. The step ends them itself.

    :param base_dir: Dagster's home folder.
    """

    def __init__(self, base_dir: str, **options: Any) -> None:
        super().__init__(base_dir=str(Path(base_dir) / "storage"), **options)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """See :class:`dagster.ComputeLogManager`; its own names the class and not ``cls``."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        """See :class:`dagster.ComputeLogManager`."""
        with ExitStack() as stack:
            # Processes inherit which signals are blocked when they are started.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                captured = stack.enter_context(super().capture_logs(log_key))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield captured
