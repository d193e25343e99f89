"""MLflow, on a server or in a database of this machine."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

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

_RUN = "trm.run"
"""The tag by which a training that goes on finds its run there."""


_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""MLflow's own settings, by the names of its environment variables; times in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlFlow(Tracker):
    """Runs of MLflow. A training that goes on is the same run there. MLflow takes no figure back:
    where a training has gone back, both figures of a step stand there, and the later one counts.

    :param uri: of the tracking store: a server's address, or ``sqlite:///PATH`` of a file of this
        machine (relative to where the training was started).
    """

    name: ClassVar[str] = "mlflow"
    package: ClassVar[str] = "mlflow"
    uri: str = "sqlite:///mlflow.db"

    def __post_init__(self) -> None:
        check_fields(self)
        require_text("uri", self.uri)

    @contextmanager
    def follow(self, tracked: Tracked) -> Generator[Send]:
        """See :class:`Tracker`."""
        # Unless the user has decided otherwise: it would tell its makers what is used, and let the
        # training wait four minutes for a server that does not answer.
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric
        except ImportError as error:
            raise missing(self) from error
        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name(tracked.group)
        where = (
            client.create_experiment(tracked.group)
            if experiment is None
            else experiment.experiment_id
        )
        found = client.search_runs([where], f"tags.`{_RUN}` = '{tracked.name}'")
        run = (
            found[0]
            if found
            else client.create_run(where, run_name=tracked.name, tags={_RUN: tracked.name})
        )
        key = run.info.run_id
        if not found:
            for name, value in tracked.configuration.items():
                client.log_param(key, name, value)

        def send(step: int, figures: Figures) -> None:
            now = int(1000 * time.time())
            metrics = [Metric(name, value, now, step) for name, value in figures.items()]
            client.log_batch(key, metrics=metrics)

        client.update_run(key, status="RUNNING")
        status = "FAILED"
        try:
            yield send
            status = "FINISHED"
        except (Interrupted, KeyboardInterrupt):
            status = "KILLED"
            raise
        finally:
            client.set_terminated(key, status)
