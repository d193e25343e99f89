"""Figures arrive where they are sent, and a training that goes on is the same run there."""

import sys
from pathlib import Path

import pytest

from trm_model.choices import from_plain, to_plain
from trm_model.errors import ConfigurationError
from trm_model.trackers.ml_flow import MlFlow
from trm_model.trackers.tensorboard import FOLDER, TensorBoard
from trm_model.trackers.tracker import Tracked, Tracker
from trm_model.trackers.weights_and_biases import WeightsAndBiases
from trm_model.training.execution import Execution

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


def test_weights_and_biases_is_written_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    twice(WeightsAndBiases(project="tests"), tmp_path)
    written = sorted((tmp_path / "wandb").glob("offline-run-*-run-1/run-run-1.wandb"))
    assert written
    assert all(path.stat().st_size > 0 for path in written)


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
    with pytest.raises(RuntimeError), MlFlow(uri=uri).follow(tracked(tmp_path, 3)):
        raise RuntimeError("interrupted")
    assert client.get_run(run.info.run_id).info.status == "KILLED"


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
        pytest.raises(ConfigurationError, match=rf"tracker {tracker.name}: .*pip install 'trm-pip"),
        tracker.follow(tracked(tmp_path)),
    ):
        pass


def test_trackers_are_named_in_settings() -> None:
    given = ["tensorboard", {"wandb": {"project": "mine"}}, {"mlflow": {"uri": "sqlite:///x"}}]
    found = from_plain(Execution, {"trackers": given})
    assert found.trackers == (
        TensorBoard(),
        WeightsAndBiases(project="mine"),
        MlFlow(uri="sqlite:///x"),
    )
    assert from_plain(Execution, to_plain(found)) == found
    with pytest.raises(ConfigurationError, match="project=' ': expected a name"):
        WeightsAndBiases(project=" ")
