"""Checks of data find what they are there for, and what they refuse goes no further."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.benchmarks import Benchmark
from assets.data import checks, datasets
from assets.families.arc import ArcTasks
from assets.families.origin import Imported
from assets.families.sudoku import GeneratedSudoku, grids
from assets.graph import build_benchmark
from assets.outcomes import CheckOutcome
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource
from storage.examples import SPLITS, Examples, read_examples, write_examples
from storage.manifest import write_manifest
from storage.shards import write_shards
from storage.store import LocalStore
from tests.trm_model.training.recipes import TINY
from trm_model.launching import LocalProcess
from trm_model.puzzles import sudoku
from trm_model.puzzles.plans import open_examples
from trm_model.variants import VARIANTS

ORIGIN = GeneratedSudoku(digits=4, train=30, test=10, extra_clues=(1, 4))
SHAPE = ORIGIN.family.shape


def puzzles() -> pl.DataFrame:
    return ORIGIN.puzzles().frame


def outcomes(frame: pl.DataFrame) -> dict[str, CheckOutcome]:
    return ORIGIN.check_puzzles(frame)


def test_good_puzzles_pass() -> None:
    assert all(outcome.passed for outcome in outcomes(puzzles()).values())


def change(frame: pl.DataFrame, row: int, column: str, value: str) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) == row)
        .then(pl.lit(value))
        .otherwise(pl.col(column))
        .alias(column)
    )


@pytest.mark.parametrize(
    ("column", "value", "failing"),
    [
        ("question", "." * 16, {"unique_solution", "label_solves_input"}),
        ("answer", "1234" * 4, {"label_solves_input", "clues_kept"}),
    ],
)
def test_bad_puzzles_fail(column: str, value: str, failing: set[str]) -> None:
    found = outcomes(change(puzzles(), 3, column, value))
    assert failing <= {name for name, outcome in found.items() if not outcome.passed}
    assert all(found[name].figures["first_failed"] == "puzzle 3" for name in failing)


def test_unbalanced_clues_are_found() -> None:
    frame = puzzles()
    only_ones = frame.with_columns(question=pl.col("answer").str.replace_all("[234]", "."))
    assert not outcomes(only_ones)["class_balance"].passed


def test_leakage_up_to_symmetry_is_found() -> None:
    frame = puzzles()
    question, answer = (grids(frame, column, SHAPE)[7:8] for column in ("question", "answer"))
    image = sudoku.shuffle(question, answer, np.array([5], np.uint64), SHAPE)
    leaked = change(
        change(frame, 35, "question", sudoku.to_text(image[0][0])),
        35,
        "answer",
        sudoku.to_text(image[1][0]),
    )
    outcome = outcomes(leaked)["no_leakage"]
    assert not outcome.passed
    assert outcome.figures["first_failed"] == "training puzzle 7"


@pytest.mark.parametrize("online", [False, True])
def test_example_checks(tmp_path: Path, online: bool) -> None:
    store = LocalStore(tmp_path)
    key, _ = datasets.write_dataset(
        store, "x", puzzles(), ORIGIN, augmentations=3, seed=0, online=online
    )
    folder = store.open(key)
    assert all(outcome.passed for outcome in checks.example_checks(folder, ORIGIN.family).values())
    path = folder / "test.zarr"
    whole = read_examples(path)
    whole.labels[5, 0] = whole.labels[5, 1]
    shutil.rmtree(path)
    write_examples(path, whole)
    found = checks.example_checks(folder, ORIGIN.family)
    assert {name for name, outcome in found.items() if not outcome.passed} == {
        "hash_matches_content"
    }
    write_manifest(folder)
    found = checks.example_checks(folder, ORIGIN.family)
    assert {name for name, outcome in found.items() if not outcome.passed} >= {"label_solves_input"}
    assert found["label_solves_input"].figures["first_failed"] == "test example 5"


def test_online_examples_are_the_stored_ones(tmp_path: Path) -> None:
    sources = []
    for online in (False, True):
        store = LocalStore(tmp_path / str(online))
        key, _ = datasets.write_dataset(
            store,
            "x",
            puzzles(),
            ORIGIN,
            augmentations=3,
            seed=0,
            online=online,
        )
        sources.append(open_examples(store.open(key) / "train.zarr"))
    index = np.arange(sources[0].example_offsets[-1])[::-1]
    for stored, computed in zip(*(source.rows(index) for source in sources), strict=True):
        np.testing.assert_array_equal(stored, computed)
    assert sources[0].header == sources[1].header


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_failing_blocking_check_stops_what_is_downstream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Benchmark(title="leaky", origin=ORIGIN, recipe=TINY)
    graph = build_benchmark("leaky", entry, VARIANTS, variant_seed_partitions(VARIANTS))
    good_table = puzzles()
    bad_table = change(good_table, 3, "question", "." * 16)

    def run(frame: pl.DataFrame) -> dg.ExecuteInProcessResult:
        monkeypatch.setattr(GeneratedSudoku, "puzzles", lambda *_: Imported(frame))
        resources: dict[str, Any] = {
            "store": StoreResource(root=str(tmp_path)),
            "launcher": LocalProcess(),
        }
        keys = [dg.AssetKey(["leaky", stage]) for stage in ("puzzles", "examples")]
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                graph, selection=keys, resources=resources, instance=instance, raise_on_error=False
            )

    failed = run(bad_table)
    assert not failed.success
    assert [
        event.asset_key.path[-1]
        for event in failed.get_asset_materialization_events()
        if event.asset_key
    ] == ["puzzles"]
    assert not (tmp_path / "examples").exists()
    # Nor does a later run find the refused puzzles.
    assert [path.name for path in (tmp_path / "puzzles").iterdir()] == ["leaky.refused.parquet"]
    good = run(good_table)
    assert good.success
    assert {
        evaluation.check_name
        for evaluation in good.get_asset_check_evaluations()
        if evaluation.passed
    } >= {
        "unique_solution",
        "class_balance",
    }


def test_examples_are_described_one_by_one(tmp_path: Path) -> None:
    """Of ARC, where a puzzle has several examples: those of its pairs."""
    entry = ArcTasks(train=(), test="arc_agi_1/training", side=5, tasks=3)
    frame = entry.puzzles().frame
    store = LocalStore(tmp_path)
    key, _ = datasets.write_dataset(store, "x", frame, entry, augmentations=4, seed=0)
    folder = store.open(key)
    source = open_examples(folder / "train.zarr")
    described = datasets.describe_examples(folder, "train", None)
    assert described["example"].to_list() == list(range(int(source.example_offsets[-1])))
    sizes = np.diff(source.example_offsets)
    assert sizes.max() > 1
    assert described["puzzle_id"].to_list() == np.repeat(source.puzzle_ids, sizes).tolist()
    for groups in (1, 2, 3):
        count = int(source.example_offsets[source.group_offsets[groups]])
        assert datasets.describe_examples(folder, "train", groups).equals(described.head(count))
    assert all(outcome.passed for outcome in entry.check_puzzles(frame).values())
    assert all(outcome.passed for outcome in checks.example_checks(folder, entry.family).values())


def test_training_on_what_is_reported_is_refused() -> None:
    """ARC-AGI-2's training tasks hold most of ARC-AGI-1's evaluation tasks."""
    entry = ArcTasks(train=("arc_agi_2/training",), test="arc_agi_1/evaluation")
    frame = entry.puzzles().frame
    outcome = entry.check_puzzles(frame)["no_leakage"]
    assert not outcome.passed
    assert outcome.figures["leaks"] == 376
    fine = ArcTasks(train=("arc_agi_1/training",), test="arc_agi_1/evaluation")
    outcome = fine.check_puzzles(fine.puzzles().frame)["no_leakage"]
    assert outcome.passed
    assert outcome.figures["known_leaks"] == 2
    assert outcome.figures["shown_by_the_task_itself"] == 7


def test_shards_hold_the_examples_of_their_data_set(
    tmp_path: Path, tiny: tuple[LocalStore, Path, str]
) -> None:
    _, folder, _ = tiny
    stored = {split: datasets.open_split(folder, split) for split in SPLITS}
    for split, examples in stored.items():
        (tmp_path / split).mkdir()
        write_shards(tmp_path / split, examples, sample_bytes=2048)
    good = checks.same_examples(tmp_path, stored)
    assert good == CheckOutcome(True, {"train": 160, "test": 20})
    # Of other examples, of some of them only, or in another order.
    for other in (
        {"train": stored["test"], "test": stored["test"]},
        {"train": stored["train"], "test": stored["train"]},
        {"test": stored["train"]},
    ):
        assert not checks.same_examples(tmp_path, other).passed
    changed = open_examples(folder / "test.zarr")
    _, labels = changed.rows(np.arange(20))
    labels = labels.copy()
    labels[-1, -1] ^= 1
    inputs, _ = changed.rows(np.arange(20))
    index = changed.puzzle_ids, changed.example_offsets, changed.group_offsets
    edited = Examples(changed.header, inputs, labels, *index)
    found = checks.same_examples(tmp_path, {"test": edited})
    assert not found.passed
    assert str(found.figures["first_failed"]).startswith("test example ")
    shard = max((tmp_path / "train").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    broken = checks.same_examples(tmp_path, stored)
    assert str(shard) in str(broken.figures["error"])


def test_checks_are_made_alone_on_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = Benchmark(title="alone", origin=ORIGIN, recipe=TINY)
    graph = build_benchmark("alone", entry, VARIANTS, variant_seed_partitions(VARIANTS))
    key = dg.AssetKey(["alone", "puzzles"])
    puzzles_here = puzzles()
    monkeypatch.setattr(GeneratedSudoku, "puzzles", lambda *_: Imported(puzzles_here))

    def run(selection: Any) -> tuple[set[str], dict[str, bool]]:
        """What was materialized, and the checks' outcomes."""
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                graph,
                selection=selection,
                resources={"store": StoreResource(root=str(tmp_path)), "launcher": LocalProcess()},
                instance=instance,
                raise_on_error=False,
            )
        made = {event.asset_key for event in result.get_asset_materialization_events()}
        evaluated = result.get_asset_check_evaluations()
        return {key.path[-1] for key in made if key}, {
            one.check_name: one.passed for one in evaluated
        }

    alone = dg.AssetSelection.checks_for_assets(key)
    assert run(alone) == (set(), {})
    assert "make it again with what wrote it" in capfd.readouterr().err
    made, outcomes = run([key])
    assert made == {"puzzles"}
    path = tmp_path / "puzzles" / "alone.parquet"
    assert f"{len(puzzles_here)} puzzles in {path}" in capfd.readouterr().err
    assert run(alone) == (set(), outcomes)
    one = dg.AssetSelection.checks(dg.AssetCheckKey(key, "unique_solution"))
    assert run(one) == (set(), {"unique_solution": True})
    change(puzzles_here, 3, "question", "." * 16).write_parquet(path)
    assert run(one) == (set(), {"unique_solution": False})
