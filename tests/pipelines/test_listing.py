"""Scores, listed by a command that only reads."""

import io
import json
from pathlib import Path

import polars as pl
import pytest

from assets.tables import Scores
from pipelines import command
from pipelines.place import DATA_VARIABLE
from storage.store import LocalStore
from storage.tables import partition_key, publish_partition
from tests.assets.test_tables import ROWS
from tests.pipelines.test_command import call
from trm_model.terminal import MISTAKE, run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """Two evaluations of one configuration and one of another benchmark."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    store = LocalStore.create(tmp_path)
    for benchmark, name, day in (
        ("sudoku_4x4", "old", 1),
        ("sudoku_4x4", "new", 2),
        ("addition", "other", 3),
    ):
        row = {
            **ROWS[Scores],
            "benchmark": benchmark,
            "variant": "trm",
            "seed": 7,
            "run": name,
            "created_at": f"2026-01-0{day}T09:30:15.000000+00:00",
        }
        rows = [
            {**row, "metric": "exact_accuracy", "value": 0.25, "high": 0.5, "n": 1_500},
            {**row, "metric": "exact_accuracy_after_step", "k": 4},
            {**row, "metric": "exact_accuracy_of_group", "group": "blanks=8"},
        ]
        publish_partition(
            store,
            Scores,
            pl.DataFrame(rows, schema_overrides={"k": pl.Int32, "group": pl.String}, strict=False),
        )
    return store


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(command.trm, ["scores", *arguments], program="trm") == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("store")
def test_the_latest_of_each_configuration_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = listed(capsys, "sudoku_4x4").splitlines()
    assert [word for word in shown[1].split() if word.isalpha()][:4] == [
        "variant", "seed", "metric", "value",
    ]  # fmt: skip
    assert len(shown) == 5
    for word in ("trm", "7", "exact_accuracy", "0.2500", "1500", "new", "2026-01-02 09:30"):
        assert f" {word} " in shown[3], word
    assert " sudoku_4x4 " not in shown[3]
    assert " blanks=8 " in listed(capsys, "--metric", "exact_accuracy_of_group")
    everything = listed(capsys)
    assert " addition " in everything
    assert " sudoku_4x4 " in everything
    assert " old " not in everything
    assert " old " in listed(capsys, "--all")


@pytest.mark.usefixtures("store")
def test_programs_read_them_as_csv_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    after = ("--metric", "exact_accuracy_after_step")
    frame = pl.read_csv(io.StringIO(listed(capsys, "--all", *after, "--format", "csv")))
    assert set(frame["run"]) == {"old", "new", "other"}
    assert set(frame["k"]) == {4}
    [row] = json.loads(listed(capsys, "addition", *after, "--format", "json"))
    assert (row["run"], row["created_at"]) == ("other", "2026-01-03T09:30:15.000000+00:00")


def test_mistakes_are_one_line(store: LocalStore, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = store.open(partition_key(Scores, "addition", "trm", 7, "other", "e"))
    assert damaged.exists()
    damaged.write_bytes(b"nothing")
    for arguments, message in (
        (
            ["sudoku_4x4", "--metric", "nothing"],
            "no metric 'nothing' here: expected exact_accuracy",
        ),
        (["addition"], "remove what is damaged or old"),
        (["maze_small"], "no scores yet; first: trm train maze_small --partition 'VARIANT|SEED'"),
        (["maze"], "no benchmark 'maze': did you mean maze_small"),
    ):
        assert run(command.trm, ["scores", *arguments], program="trm") == MISTAKE
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.usefixtures("store")
def test_they_are_listed_at_once() -> None:
    assert call("scores").stderr == "heavy: polars\n"
