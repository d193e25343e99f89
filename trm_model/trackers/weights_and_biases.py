"""Weights & Biases, on its server or in files of this machine."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

from trm_model.choices import check_fields
from trm_model.trackers.tracker import (
    Figures,
    Interrupted,
    Send,
    Tracked,
    Tracker,
    missing,
    require_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsAndBiases(Tracker):
    """Runs of Weights & Biases. A training that goes on is the same run there.

    :param project: that the runs are shown in.
    :param mode: ``offline``: in files of the run's folder, which ``wandb sync`` sends later;
        ``online``: to the server that ``wandb login`` has chosen.
    """

    name: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"
    project: str = "trm"
    mode: Literal["offline", "online"] = "offline"

    def __post_init__(self) -> None:
        check_fields(self)
        require_text("project", self.project)

    @contextmanager
    def follow(self, tracked: Tracked) -> Generator[Send]:
        """See :class:`Tracker`."""
        # It would send errors to its makers, unless the user has decided otherwise.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except ImportError as error:
            raise missing(self) from error
        run = wandb.init(
            project=self.project,
            id=tracked.name,
            name=tracked.name,
            group=tracked.group,
            dir=str(tracked.folder),
            config=dict(tracked.configuration),
            mode=self.mode,
            resume="allow",
            settings=wandb.Settings(silent=True),
        )

        # An axis of our own: of a training that has gone back, its own would drop what comes again.
        run.define_metric("*", step_metric="step")

        def send(step: int, figures: Figures) -> None:
            run.log({**figures, "step": step})

        code = 1
        try:
            yield send
            code = 0
        except (Interrupted, KeyboardInterrupt):
            run.mark_preempting()
            raise
        finally:
            run.finish(code)
