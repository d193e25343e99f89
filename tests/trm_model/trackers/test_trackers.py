"""Figures arrive where they are sent, and a training that goes on is the same run there."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import pytest

from trm_model.choices import from_plain, to_plain
from trm_model.errors import ConfigurationError
from trm_model.trackers.following import following
from trm_model.trackers.ml_flow import MlFlow
from trm_model.trackers.tensorboard import FOLDER, TensorBoard
from trm_model.trackers.tracker import Figures, Interrupted, Send, Tracked, Tracker
from trm_model.trackers.weights_and_biases import WeightsAndBiases
from trm_model.training.tracked import flat

# What these packages warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def tracked(folder: Path, step: int = 0) -> Tracked:
    return Tracked("run-1", "tiny/trm", folder, {"recipe.learning_rate": 1e-3}, step)


def twice(tracker: Tracker, folder: Path) -> None:
    """Steps 1 and 2; then, as if it had been interrupted, from step 1 on steps 2 and 3."""
    with tracker.follow(tracked(folder)) as send:
        send(1, {"loss": 0.5, "exact_accuracy": 0.0})
        send(2, {"loss": 0.4, "exact_accuracy": 0.1})
    with tracker.follow(tracked(folder, step=1)) as send:
        send(2, {"loss": 0.4, "exact_accuracy": 0.1})
        send(3, {"loss": 0.3, "exact_accuracy": 0.2})


def test_tensorboard_shows_each_step_once(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    twice(TensorBoard(), tmp_path)
    found = accumulator(str(tmp_path / FOLDER))
    found.Reload()
    assert found.Tags()["scalars"] == ["loss", "exact_accuracy"]
    losses = [(event.step, round(event.value, 3)) for event in found.Scalars("loss")]
    assert losses == [(1, 0.5), (2, 0.4), (3, 0.3)]


def test_tensorboard_forgets_what_a_training_has_gone_back_from(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    with TensorBoard().follow(tracked(tmp_path)) as send:
        for step, loss in ((2, 0.5), (4, 0.4), (6, 9.0), (4, 0.3), (6, 0.2)):
            send(step, {"loss": loss})
    found = accumulator(str(tmp_path / FOLDER))
    found.Reload()
    losses = [(event.step, round(event.value, 3)) for event in found.Scalars("loss")]
    assert losses == [(2, 0.5), (4, 0.3), (6, 0.2)]


def test_weights_and_biases_is_written_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    twice(WeightsAndBiases(project="tests"), tmp_path)
    written = sorted((tmp_path / "wandb").glob("offline-run-*-run-1/run-run-1.wandb"))
    assert written
    assert all(path.stat().st_size > 0 for path in written)


@pytest.mark.parametrize(
    ("ending", "code", "preempted"),
    [(None, 0, False), (Interrupted(), 1, True), (RuntimeError(), 1, False)],
)
def test_weights_and_biases_is_told_how_a_training_ended(
    ending: Exception | None,
    code: int,
    preempted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wandb = pytest.importorskip("wandb")
    run = Mock()
    monkeypatch.setattr(wandb, "init", lambda **_: run)
    with (
        nullcontext() if ending is None else pytest.raises(type(ending)),
        WeightsAndBiases().follow(tracked(tmp_path)),
    ):
        if ending is not None:
            raise ending
    run.finish.assert_called_once_with(code)
    assert run.mark_preempting.called == preempted


def test_mlflow_does_not_wait_long_for_a_server_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    from mlflow.environment_variables import (
        MLFLOW_HTTP_REQUEST_MAX_RETRIES,
        MLFLOW_HTTP_REQUEST_TIMEOUT,
    )

    for variable in (MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT):
        monkeypatch.delenv(variable.name, raising=False)
    said: list[str] = []
    with following([MlFlow(uri="http://127.0.0.1:9")], tracked(tmp_path, 1), said.append):
        # Each try may take so long, and one more follows.
        assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 1
        assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 10
    (told,) = said
    assert told.startswith("tracker mlflow: ")
    assert told.endswith("; the training goes on without it")


def test_mlflow_keeps_one_run(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    twice(MlFlow(uri=uri), tmp_path)
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tiny/trm")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run-1"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"recipe.learning_rate": "0.001"}
    assert {metric.step for metric in client.get_metric_history(run.info.run_id, "loss")} == {
        1,
        2,
        3,
    }
    for ending, status in ((Interrupted(), "KILLED"), (RuntimeError(), "FAILED")):
        with pytest.raises(type(ending)), MlFlow(uri=uri).follow(tracked(tmp_path, 3)) as send:
            assert client.get_run(run.info.run_id).info.status == "RUNNING"
            send(3, {"loss": 0.1 if status == "KILLED" else 0.25})
            raise ending
        assert client.get_run(run.info.run_id).info.status == status
    # Of two figures of a step the later one counts.
    assert client.get_run(run.info.run_id).data.metrics["loss"] == 0.25


@pytest.mark.parametrize(
    ("tracker", "module"),
    [
        (TensorBoard(), "torch.utils.tensorboard"),
        (WeightsAndBiases(), "wandb"),
        (MlFlow(), "mlflow"),
    ],
)
def test_a_missing_package_is_named_with_the_remedy(
    tracker: Tracker, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(ConfigurationError, match=rf"tracker {tracker.name}: .*pip install 'trm-"),
        tracker.follow(tracked(tmp_path)),
    ):
        pass


@dataclass(frozen=True, slots=True)
class Tracking:
    trackers: tuple[Tracker, ...] = ()


def test_trackers_are_named_in_settings() -> None:
    given = ["tensorboard", {"wandb": {"project": "mine"}}, {"mlflow": {"uri": "sqlite:///x"}}]
    found = from_plain(Tracking, {"trackers": given})
    assert found.trackers == (
        TensorBoard(),
        WeightsAndBiases(project="mine"),
        MlFlow(uri="sqlite:///x"),
    )
    assert from_plain(Tracking, to_plain(found)) == found
    with pytest.raises(ConfigurationError, match="project=' ': expected a name"):
        WeightsAndBiases(project=" ")


@dataclass(frozen=True, slots=True)
class Fails(Tracker):
    """One that fails, from the given moment on."""

    package: ClassVar[str] = "json"
    when: str = "send"

    @contextmanager
    def follow(self, tracked: Tracked) -> Generator[Send]:
        def send(step: int, figures: Figures) -> None:
            if self.when == "send":
                raise OSError(f"step {step}:\nno network for {len(figures)} figures")

        if self.when == "start":
            raise OSError("no server")
        yield send
        if self.when == "end":
            raise OSError("not flushed")


@pytest.mark.parametrize(
    ("when", "said"), [("start", "no server"), ("send", "no network"), ("end", "not flushed")]
)
def test_a_tracker_that_fails_is_told_of_once_and_left_out(
    when: str, said: str, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    told: list[str] = []
    with following([Fails(when), TensorBoard()], tracked(tmp_path), told.append) as send:
        send(1, {"loss": 0.5})
        send(2, {"loss": 0.4})
    [line] = told
    assert line.startswith(f"tracker {Fails.name}: ")
    assert said in line
    assert "\n" not in line
    assert list((tmp_path / FOLDER).iterdir())


def test_what_interrupts_a_training_is_raised(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        pytest.raises(KeyboardInterrupt),
        following([Fails("end")], tracked(tmp_path), told.append),
    ):
        raise KeyboardInterrupt
    assert told == []


def test_settings_are_flat() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": [2]}, "e": {}}) == {"a.b.c": 1, "a.d": [2], "e": {}}
