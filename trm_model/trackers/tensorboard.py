"""TensorBoard, in files of this machine."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from trm_model.trackers.tracker import Figures, Send, Tracked, Tracker, missing

FOLDER = "tensorboard"


@dataclass(frozen=True, slots=True)
class TensorBoard(Tracker):
    """Event files in the folder ``tensorboard`` of each run: ``tensorboard --logdir data/runs``
    shows them all."""

    name: ClassVar[str] = "tensorboard"
    package: ClassVar[str] = "tensorboard"

    @contextmanager
    def follow(self, tracked: Tracked) -> Generator[Send]:
        """See :class:`Tracker`."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise missing(self) from error

        def writer_from(step: int) -> SummaryWriter:
            """Of figures that take the places of those from ``step`` on."""
            return SummaryWriter(str(tracked.folder / FOLDER), purge_step=step)

        writer, newest = writer_from(tracked.step + 1), tracked.step

        def send(step: int, figures: Figures) -> None:
            nonlocal writer, newest
            if step <= newest:  # The training has gone back.
                writer.close()
                writer = writer_from(step)
            newest = step
            for name, value in figures.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        try:
            yield send
        finally:
            writer.close()
