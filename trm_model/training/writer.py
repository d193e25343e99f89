"""Checkpoints written while the training goes on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.reading import one_line
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint


class Writer:
    """Writes a run's checkpoints in a thread, one at a time, from copies of the tensors.

    As a context manager it waits for the write under way. An error of a write is raised by whatever
    is called next, as if it had been written there and then; where the training ends by an error of
    its own, that one is raised.

    :param keep: so many of the last ones are kept.
    :param report: told of an error that is not raised.
    """

    def __init__(self, run: Path, keep: int, report: Callable[[str], None]) -> None:
        self._run, self._keep, self._report = run, keep, report
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        try:
            self.finish()
        except Exception as failed:
            if error is None:
                raise
            self._report(f"the checkpoint before it could not be written: {one_line(failed)}")

    @property
    def busy(self) -> bool:
        """Whether a write is under way.

        :raises OSError: the last one has failed.
        """
        if self._under_way is not None and not self._under_way.done():
            return True
        self.finish()
        return False

    def finish(self) -> None:
        """Wait for the write under way, if there is any.

        :raises OSError: it has failed; see :func:`checkpoints.save`.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def write(self, checkpoint: Checkpoint, *, best: bool) -> None:
        """Write the checkpoint as it is now; first wait for the one before it.

        :param best: let it be kept as the best one.
        :raises NotFiniteError: numbers that are not finite; nothing is written.
        :raises OSError: the one before it has failed.
        """
        checkpoint.require_finite()
        self.finish()
        self._under_way = self._pool.submit(self._write, checkpoint.copied(), best)

    def _write(self, copy: Checkpoint, best: bool) -> None:
        checkpoints.save(self._run, copy, self._keep)
        if best:
            checkpoints.keep_best(self._run, copy.progress.step)
