"""What nothing refers to may be removed, and nothing else is."""

import os
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from assets import keys
from assets.pruning import prune, sizes, stored
from assets.tables import Predictions, Runs, Scores, ScoresElsewhere, Training
from pipelines import command
from pipelines.place import DATA_VARIABLE
from storage.atomic import write_text
from storage.manifest import CorruptDataError, hash_file
from storage.store import LocalStore
from storage.tables import Table, publish_partition
from tests.assets.test_tables import ROWS
from tests.trm_model.training.recipes import tiny_spec
from trm_model.terminal import run
from trm_model.training.process import LOCK
from trm_model.training.run import RUN_FILE, Parent, RunSpec

OLD = time.time() - 30 * 24 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore.create(tmp_path / "store")


def written(store: LocalStore, key: str) -> str:
    """A file of 1,000 bytes in the folder ``key``; returns the key."""
    write_text(store.open(key) / "file", "x" * 1_000)
    return key


def grow_old(store: LocalStore) -> None:
    for path in store.root.rglob("*"):
        os.utime(path, (OLD, OLD))


def trained(store: LocalStore, key: str, data: str, seed: int = 0) -> str:
    """A run on a data set; returns its key."""
    run = written(store, keys.run("tiny", "trm", seed, key))
    spec = tiny_spec(store.open(run), store.open(data), "version")
    spec.write(store.open(run))
    return run


def found(store: LocalStore) -> dict[str, str]:
    return {item.key: item.kept for item in stored(store)}


def in_table(store: LocalStore, table: type, **values: object) -> None:
    row = {**ROWS[table], "benchmark": "tiny", "variant": "trm", "seed": 0, **values}
    publish_partition(
        store,
        table,
        pl.DataFrame([row], schema_overrides={"k": pl.Int32, "group": pl.String}, strict=False),
    )


def test_what_is_referred_to_is_kept_and_the_rest_is_removed(store: LocalStore) -> None:
    current, of_run, scored, useless = (
        written(store, f"{keys.examples('tiny')}/{name * 16}") for name in "abcd"
    )
    store.point(keys.current_examples("tiny"), current)
    its_validation, no_validation = (
        written(store, f"{keys.validation('tiny')}/{name * 16}") for name in "ef"
    )
    store.point(keys.validation_of("tiny", current), its_validation)
    last = trained(store, "last", current)
    store.point(keys.current_run("tiny", "trm", 0), last)
    predicted = trained(store, "predicted", of_run)
    in_table(store, Predictions, run="predicted")
    in_table(store, Scores, run="scored", data_version="c" * 64)
    of_scores = trained(store, "scored", current)
    failed = trained(store, "failed", useless)
    other_seed = trained(store, "scored", current, seed=1)
    building = written(store, f"{keys.examples('tiny')}/.building-1234")
    evaluating = written(store, f"{last}/evaluating/abc")
    grow_old(store)
    assert found(store) == {
        last: "trained last",
        predicted: "has predictions",
        of_scores: "scored",
        failed: "",
        other_seed: "",
        current: "current",
        of_run: "of a run that is kept",
        scored: "scored",
        useless: "",
        its_validation: "of a data set that is kept",
        no_validation: "",
        building: "",
        evaluating: "",
    }
    gone = prune(store, {*found(store)})
    assert {item.key for item in gone} == {
        failed,
        other_seed,
        useless,
        no_validation,
        building,
        evaluating,
    }
    assert all(item.size >= 1_000 for item in gone)
    assert not any(store.open(item.key).exists() for item in gone)
    left = {key for key, why in found(store).items() if not why}
    assert left == set()
    # Nothing is left under another name either.
    assert not list(store.root.rglob(".tmp-*"))


def test_what_somebody_may_be_working_on_is_kept(store: LocalStore) -> None:
    data = written(store, f"{keys.examples('tiny')}/{'a' * 16}")
    run = trained(store, "run", data)
    assert found(store) == {run: "changed just now", data: "of a run that is kept"}
    grow_old(store)
    with store.lock(f"{run}/{LOCK}", label="training", wait_seconds=0, waiting=print):
        assert found(store)[run] == "in use"
        assert prune(store, {run}) == []
    assert found(store) == {run: "", data: ""}
    # What has been chosen and is referred to by now stays.
    in_table(store, Scores, run="run")
    assert prune(store, {run, data}) == []


def test_only_what_is_chosen_is_removed(store: LocalStore) -> None:
    one, other = (written(store, f"{keys.validation('tiny')}/{name * 16}") for name in "ab")
    grow_old(store)
    assert [item.key for item in prune(store, {one})] == [one]
    assert store.open(other).is_dir()


def test_the_command_shows_first_and_removes_when_told(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(store.root))
    useless = written(store, f"{keys.examples('tiny')}/{'a' * 16}")
    grow_old(store)

    def prints(*arguments: str) -> str:
        assert run(command.trm, ["prune", *arguments], program="trm") == 0
        return capsys.readouterr().out

    shown = prints()
    assert shown.startswith(f"{store.root}: 1,000 B in all\n  examples/: 1,000 B\n")
    assert "examples: 1, 1,000 B in all" in shown
    assert f"  {useless} (examples, 1,000 B, 30.0 days old)" in shown
    assert "1 thing with 1,000 B may be removed" in shown
    assert "nothing to remove" in prints("--older-than", "31", "--remove")
    assert store.open(useless).is_dir()
    assert "removed 1 thing" in prints("--remove")
    assert not store.open(useless).exists()
    assert "nothing to remove" in prints("--all")


def test_a_table_that_cannot_be_read_stops_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(store.root))
    path = store.open("tables/scores/benchmark=tiny/variant=trm/seed=0/a.parquet")
    write_text(path, "no parquet")
    useless = written(store, f"{keys.examples('tiny')}/{'a' * 16}")
    grow_old(store)
    assert run(command.trm, ["prune", "--remove"], program="trm") == 2
    assert "a.parquet" in capsys.readouterr().err
    assert store.open(useless).is_dir()


def test_a_training_that_can_go_on_is_kept_with_its_data(store: LocalStore) -> None:
    data, other = (written(store, f"{keys.examples('tiny')}/{name * 16}") for name in "ab")
    begun, done = trained(store, "begun", data), trained(store, "done", other)
    for run_ in (begun, done):
        written(store, f"{run_}/checkpoints/step-00000004")
    in_table(store, Runs, run="done", status="finished")
    in_table(store, Training, run="done")
    in_table(store, Runs, run="begun", status="interrupted")
    # A description that names a class of the user's own, which is not imported here.
    path = store.open(begun) / RUN_FILE
    path.write_text(path.read_text().replace('"fixed"', '"my_starts:Mine"'))
    grow_old(store)
    assert found(store) == {
        begun: "not finished: it can go on",
        done: "",
        data: "of a run that is kept",
        other: "",
    }


def test_a_finished_run_waits_for_its_test(store: LocalStore) -> None:
    """That of a study is never current, and its evaluation may wait for the device for days."""
    done = trained(store, "done", written(store, f"{keys.examples('tiny')}/{'a' * 16}"))
    written(store, f"{done}/checkpoints/step-00000004")
    in_table(store, Runs, run="done", status="finished")
    grow_old(store)

    def kept(days: float) -> str:
        items = stored(store, now=OLD + 24 * 3600 * days)
        return next(item.kept for item in items if item.key == done)

    assert kept(6.9) == "finished lately: it may wait for its test"
    assert kept(7.1) == ""


def test_a_description_that_cannot_be_read_stops_it(store: LocalStore) -> None:
    run_ = trained(store, "run", written(store, f"{keys.examples('tiny')}/{'a' * 16}"))
    in_table(store, Scores, run="run")
    (store.open(run_) / RUN_FILE).write_text("{")
    with pytest.raises(CorruptDataError, match="run.json"):
        stored(store)


def test_a_folder_that_has_just_been_made_is_kept(store: LocalStore) -> None:
    run_ = keys.run("tiny", "trm", 0, "begins")
    store.open(run_).mkdir(parents=True)
    assert found(store) == {run_: "changed just now"}


NAMING_RUNS = [table for table in ROWS if "run" in ROWS[table] and table not in (Runs, Training)]
"""All tables that name runs, but for those that a training writes of itself."""


@pytest.mark.parametrize("table", NAMING_RUNS)
def test_a_run_that_only_a_table_names_is_kept(store: LocalStore, table: type[Table]) -> None:
    data = written(store, f"{keys.examples('tiny')}/{'a' * 16}")
    named, other = (trained(store, name, data) for name in ("named", "other"))
    for run_ in (named, other):  # Neither is kept because it can go on.
        in_table(store, Runs, run=store.open(run_).name, status="finished")
    elsewhere = {"benchmark": "another", "trained_on": "tiny"} if table is ScoresElsewhere else {}
    in_table(store, table, run="named", **elsewhere)
    grow_old(store)
    why = found(store)
    assert why.pop(named)
    assert why == {other: "", data: "of a run that is kept"}
    assert [item.key for item in prune(store, {*found(store)})] == [other]


def test_what_is_tested_elsewhere_is_kept_with_the_data_of_both(store: LocalStore) -> None:
    trained_on, tested_on, useless = (
        written(store, f"{keys.examples(benchmark)}/{name * 16}")
        for benchmark, name in (("tiny", "a"), ("another", "b"), ("tiny", "b"))
    )
    in_table(
        store, ScoresElsewhere, benchmark="another", data_version="b" * 64, run="removed",
        trained_on="tiny", trained_data_version="a" * 64,
    )  # fmt: skip
    # Of a file of the authors' there is no training.
    in_table(store, ScoresElsewhere, benchmark="another", data_version="b" * 64, variant=None,
             seed=None, model="authors")  # fmt: skip
    grow_old(store)
    assert found(store) == {trained_on: "scored", tested_on: "scored", useless: ""}


def test_runs_that_a_kept_run_began_with_are_kept(store: LocalStore) -> None:
    data = written(store, f"{keys.examples('tiny')}/{'a' * 16}")
    first, second, third, other = (
        trained(store, name, data, seed)
        for seed, name in enumerate(("first", "second", "third", "other"))
    )
    for run_, parent in ((second, "first"), (third, "second"), (other, "weights.pt")):
        spec = RunSpec.read(store.open(run_))
        began = Parent(name=parent, step=3, checkpoint="abc")
        replace(spec, parent=began).write(store.open(run_))
    grow_old(store)
    assert not any(found(store).values())
    in_table(store, Scores, run="third", seed=2)
    why = "a run that is kept began with it"
    assert found(store) == {
        first: why,
        second: why,
        third: "scored",
        other: "",
        data: "of a run that is kept",
    }


def test_of_further_puzzles_those_of_todays_puzzles_are_kept(store: LocalStore) -> None:
    for benchmark in ("tiny", "gone"):
        write_text(store.open(keys.puzzles(benchmark)), "puzzles")
    file_hash = hash_file(store.open(keys.puzzles("tiny")))
    needed, replaced, without = (
        keys.further_puzzles(benchmark, hash_)
        for benchmark, hash_ in (("tiny", file_hash), ("tiny", "0" * 64), ("gone", file_hash))
    )
    for key in (needed, replaced, without):
        write_text(store.open(key), "further")
    store.remove(keys.puzzles("gone"))
    grow_old(store)
    assert found(store) == {needed: "of the puzzles that are there", replaced: "", without: ""}
    assert {item.key for item in prune(store, {*found(store)})} == {replaced, without}


def test_what_killed_processes_were_writing_is_removed(store: LocalStore) -> None:
    machine, dead = os.uname().nodename, 999_999_999
    data = f"{keys.examples('tiny')}/{'a' * 16}"
    run_ = trained(store, "run", written(store, data))
    in_table(store, Scores, run="run")
    useless = trained(store, "useless", data)
    half, replaced, needed, alive, foreign, unknown = (
        written(store, key)
        for key in (
            f"shards/.tmp-{machine}-{dead}-0000000a-folder",
            f"{keys.examples('tiny')}/.old-{machine}-{dead}-0000000a-{'a' * 16}",
            f"{keys.examples('tiny')}/.old-{machine}-{dead}-0000000a-{'b' * 16}",
            f"{run_}/checkpoints/.tmp-{machine}-{os.getpid()}-0000000a-folder",
            "tables/.tmp-elsewhere-1-0000000a-part.parquet",
            f"{keys.examples('tiny')}/.old-x",
        )
    )
    # They go with what they lie in.
    written(store, f"{half}/.tmp-{machine}-{dead}-0000000a-inner")
    written(store, f"{useless}/.tmp-{machine}-{dead}-0000000a-run.json")
    assert all(found(store).values()), "all has just been written"
    grow_old(store)
    why = "perhaps being written, or the only copy"
    assert found(store) == {
        run_: "scored",
        useless: "",
        data: "of a run that is kept",
        half: "",
        replaced: "",
        needed: why,
        alive: why,
        foreign: why,
        unknown: why,
    }
    gone = {item.key: item.size for item in prune(store, {*found(store)})}
    assert gone.keys() == {useless, half, replaced}
    assert gone[half] == 2_000


def test_every_folder_at_the_top_is_measured(
    store: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(store.root))
    keys_ = ("examples/tiny/.old-x", "tables/a/b", "reports", "puzzles", "shards/tiny/train")
    for key in keys_:
        written(store, key)
    written(store, "reports/tiny")
    (tmp_path / "disk").mkdir()
    write_text(tmp_path / "disk" / "file", "x" * 1_000)
    store.open("runs").symlink_to(tmp_path / "disk")
    assert sizes(store) == {
        "examples": 1_000,
        "puzzles": 1_000,
        "reports": 2_000,
        "runs": 1_000,
        "shards": 1_000,
        "tables": 1_000,
    }
    assert run(command.trm, ["prune"], program="trm") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{store.root}: 6.84 KiB in all"
    assert told[1:7] == [
        "  examples/: 1,000 B",
        "  puzzles/: 1,000 B",
        "  reports/: 1.95 KiB",
        "  runs/: 1,000 B",
        "  shards/: 1,000 B",
        "  tables/: 1,000 B",
    ]
