"""Runs and scores, listed by a command that only reads."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.tables import Runs, Scores, ScoresElsewhere
from pipelines import command
from pipelines.listing import HEADLINES, sparkline
from pipelines.place import DATA_VARIABLE
from storage.atomic import write_text
from storage.lock import lock
from storage.manifest import write_manifest
from storage.store import LocalStore
from storage.tables import partition_key, publish_partition
from tests.assets.test_tables import ROWS
from tests.pipelines.test_command import call
from trm_model.terminal import MISTAKE, run
from trm_model.training.figures import METRICS, WAITING
from trm_model.training.process import LOCK


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
        same = {name: row[name] for name in (*Runs.levels(), "run", "config_hash", "created_at")}
        publish_partition(store, Runs, pl.DataFrame([{**ROWS[Runs], **same}]))
        store.open(keys.run(benchmark, "trm", 7, name)).mkdir(parents=True)
    return store


def listed(capsys: pytest.CaptureFixture[str], *arguments: str, what: str = "scores") -> str:
    assert run(command.trm, [what, *arguments], program="trm") == 0
    return capsys.readouterr().out


def add_run(store: LocalStore, **values: object) -> None:
    row = {**ROWS[Runs], "benchmark": "sudoku_4x4", "variant": "trm", "seed": 7, **values}
    publish_partition(store, Runs, pl.DataFrame([row]))
    folder = keys.run("sudoku_4x4", "trm", 7, str(row["run"]))
    store.open(folder).mkdir(parents=True, exist_ok=True)


def test_a_run_that_was_removed_says_so(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.open(keys.run("sudoku_4x4", "trm", 7, "new")).rmdir()
    rows = json.loads(listed(capsys, "sudoku_4x4", "--all", "--format", "json", what="runs"))
    assert {row["run"]: row["status"] for row in rows} == {"new": "removed", "old": "interrupted"}


def test_runs_are_listed_latest_first(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(
        store, run="rate", config_hash="rate", created_at="2026-02-01T10:00", steps=300, step=120,
        seconds=61.4, status="interrupted", changes="learning_rate=0.1 in place of 0.001",
    )  # fmt: skip
    form = ("--format", "json")
    rows = json.loads(listed(capsys, "sudoku_4x4", *form, what="runs"))
    assert [row["run"] for row in rows] == ["rate", "new"]
    assert [row["score"] for row in rows] == [None, 0.25]
    assert rows[0] | {"changes": ""} == {
        "benchmark": "sudoku_4x4", "variant": "trm", "seed": 7, "run": "rate",
        "status": "interrupted", "step": 120, "steps": 300, "seconds": 61, "score": None,
        "n": None, "curve": None, "left": None, "changes": "", "created_at": "2026-02-01T10:00",
    }  # fmt: skip
    everything = json.loads(listed(capsys, "--all", *form, what="runs"))
    assert [row["run"] for row in everything] == ["rate", "other", "new", "old"]
    shown = listed(capsys, "sudoku_4x4", what="runs")
    for word in (
        "interrupted",
        "learning_rate=0.1 in place of 0.001",
        "0.2500",
        "2026-01-02 09:30",
    ):
        assert f" {word} " in shown, word
    assert "null" not in shown
    assert listed(capsys, "sudoku_4x4", "--format", "csv", what="runs").count("\n") == 3


def test_a_run_has_the_score_that_reports_compare_of_its_latest_test(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(HEADLINES) == {entry.metric for entry in BENCHMARKS.values()}
    add_run(store, run="voted", config_hash="v", created_at="2026-02")
    for evaluation, day, scores in (
        ("first", "1", [("exact_accuracy", None, 0.9)]),
        (
            "then",
            "2",
            [("exact_accuracy", None, 0.1), ("pass_at_k", 1, 0.2), ("pass_at_k", 2, 0.3)],
        ),
    ):
        rows = [
            {
                **ROWS[Scores], "benchmark": "sudoku_4x4", "variant": "trm", "seed": 7,
                "run": "voted", "config_hash": "v", "evaluation": evaluation, "created_at": day,
                "metric": metric, "k": k, "value": value,
            }
            for metric, k, value in scores
        ]  # fmt: skip
        kinds = {"k": pl.Int32, "group": pl.String}
        publish_partition(store, Scores, pl.DataFrame(rows, schema_overrides=kinds))
    rows = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
    assert rows[0]["run"] == "voted"
    assert rows[0]["score"] == 0.3


def test_a_run_under_way_shows_its_curve_and_the_time_left(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(
        store, run="now", config_hash="now", created_at="2026-02-01T10:00+00:00", status="started",
        step=0,
        steps=1_000, batch_size=10,
    )  # fmt: skip
    figures = [
        {
            "step": step, "exact_accuracy": step / 400, "wall_seconds": step / 2.0,
            "examples_per_second": 20.0,
        }
        for step in (100, 200, 400)
    ]  # fmt: skip
    lines = [*map(json.dumps, figures), '{"step": 500, "exa']  # It is being written.
    run = store.open(keys.run("sudoku_4x4", "trm", 7, "now"))
    write_text(run / METRICS, "\n".join(lines))
    with lock(run / LOCK, label="a test", wait_seconds=0, waiting=print):
        [row, _] = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
        assert (row["step"], row["seconds"]) == (400, 200)
        assert row["curve"] == "▃▅█"
        assert row["left"] == "5 min"
        assert " ▃▅█ " in listed(capsys, "sudoku_4x4", what="runs")
        write_text(run / WAITING, "until free")
        assert " waits for the device " in listed(capsys, "sudoku_4x4", what="runs")

    # One has just held the lock, and another may be starting.
    [row, _] = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
    assert row["status"] == "started"
    # They have been killed, and what had started them, too.
    (run / "checkpoints" / "step-00000300").mkdir(parents=True)
    os.utime(run / LOCK, (0, 0))
    [row, _] = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
    assert (row["status"], row["step"], row["left"]) == ("interrupted", 300, None)
    # It was finished without Dagster.
    last = run / "checkpoints" / "step-00001000"
    last.mkdir()
    [row, _] = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
    assert (row["status"], row["step"]) == ("interrupted", 1_000)  # That checkpoint is damaged.
    write_manifest(last)
    [row, _] = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
    assert (row["status"], row["step"], row["left"]) == ("finished", 1_000, None)


def test_a_run_that_has_just_started_is_not_taken_for_a_killed_one(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    add_run(store, run="now", config_hash="now", created_at=now, status="started", step=0)
    [row, _] = json.loads(listed(capsys, "sudoku_4x4", "--format", "json", what="runs"))
    assert row["status"] == "started"


def test_curves_are_as_wide_as_they_may_be() -> None:
    assert sparkline([]) == ""
    assert sparkline([0.0, 1.0]) == "▁█"
    assert sparkline([index / 63 for index in range(64)], width=8) == "▁▂▃▄▅▆▇█"


def test_runs_without_scores_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert run(command.trm, ["runs"], program="trm") == MISTAKE
    assert "no runs yet; first: trm train BENCHMARK" in capsys.readouterr().err
    add_run(LocalStore.create(tmp_path), run="only")
    assert " only " in listed(capsys, what="runs")


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


def test_scores_say_what_their_run_changes(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> list[str | None]:
        rows = json.loads(listed(capsys, "--all", "--format", "json"))
        return [row["changes"] for row in rows if row["run"] == "new"]

    assert told() == [ROWS[Runs]["changes"]]
    add_run(store, run="new", changes="learning_rate=0.1 in place of 0.001")
    assert told() == ["learning_rate=0.1 in place of 0.001"]


def test_scores_of_any_checkpoint_are_listed_apart(
    store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of ``trm test``, the latest checkpoint of each source alone."""
    elsewhere = ("sudoku_4x4", "--elsewhere")
    assert run(command.trm, ["scores", *elsewhere], program="trm") == MISTAKE
    error = capsys.readouterr().err
    assert "no scores_elsewhere yet; first: trm test CHECKPOINT sudoku_4x4" in error
    for source, model, evaluation, day in (
        ("theirs.pt", "a", "e", 1),
        ("my run", "b", "e", 2),
        ("my run", "c", "e", 3),
        ("my run", "c", "deeper", 2),
    ):
        row = {
            **ROWS[ScoresElsewhere], "benchmark": "sudoku_4x4", "source": source, "model": model,
            "evaluation": evaluation, "created_at": f"2026-01-0{day}T09:30", "group": None,
            "run": None if source == "theirs.pt" else "r",
        }  # fmt: skip
        rows = [
            {**row, "metric": "exact_accuracy"},
            {**row, "metric": "exact_accuracy_by_selection", "group": "last_step"},
        ]
        schema = ScoresElsewhere.to_schema().dtypes
        kinds = {name: kind.type for name, kind in schema.items()}
        publish_partition(store, ScoresElsewhere, pl.DataFrame(rows, schema_overrides=kinds))
    rows = json.loads(listed(capsys, *elsewhere, "--format", "json"))
    assert [(row["source"], row["model"], row["evaluation"]) for row in rows] == [
        ("my run", "c", "deeper"), ("my run", "c", "e"), ("theirs.pt", "a", "e"),
    ]  # fmt: skip
    assert {row["metric"] for row in rows} == {"exact_accuracy"}
    by_selection = ("--metric", "exact_accuracy_by_selection")
    assert " last_step " in listed(capsys, *elsewhere, *by_selection)
    assert len(json.loads(listed(capsys, *elsewhere, "--all", "--format", "json"))) == 4
    assert " theirs.pt " not in listed(capsys, "sudoku_4x4")


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
