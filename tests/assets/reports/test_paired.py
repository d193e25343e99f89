"""Two runs or variants on the same test puzzles."""

import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.declared import declared
from assets.evaluation.paired import bootstrap, compare, mcnemar
from assets.reports.paired import compare_stored
from assets.tables import Predictions, Scores, Votes
from storage.store import LocalStore
from storage.tables import TableError, partition_key, publish_partition
from tests.assets.test_tables import frame
from trm_model.errors import ConfigurationError
from trm_model.variants import VARIANTS


def pair(both: int, alone: int, other: int, neither: int) -> list[np.ndarray]:
    counts = [both, alone, other, neither]
    return [np.repeat(values, counts)[None] for values in ([1.0, 1, 0, 0], [1.0, 0, 1, 0])]


def test_two_runs_are_told_apart_by_the_puzzles_that_one_alone_solves() -> None:
    found = compare(*pair(40, 12, 3, 45))
    assert (found.first, found.second, found.puzzles, found.seeds) == (0.52, 0.43, 100, (1, 1))
    assert found.difference == pytest.approx(0.09)
    # By hand: 13 / 102 - 4 / 102 = 0.0882; its variance (17 / 102 - 0.0882 ** 2) / 102.
    assert (found.low, found.high) == pytest.approx((0.01088, 0.16559), abs=1e-5)
    # Twice the probability of at most 3 heads in 15 throws: 2 * 576 / 2 ** 15.
    assert found.method == (
        "12 solved by the first alone, 3 by the second alone: McNemar's exact test p = 0.035"
    )
    assert str(found).startswith(
        "difference +0.0900, 95 % interval +0.0109 to +0.1656, on 100 puzzles answered by both; 12 "
    )
    turned = compare(*reversed(pair(40, 12, 3, 45)))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_equal_runs_do_not_differ() -> None:
    found = compare(*pair(5, 0, 0, 5))
    assert found.difference == 0
    assert found.low < 0 < found.high
    assert found.method.endswith("p = 1")


def test_the_interval_of_two_runs_holds_the_difference_in_95_of_100_trials() -> None:
    draw = np.random.default_rng(0)
    shares = np.array([0.5, 0.15, 0.05, 0.3])
    held = 0
    for _ in range(2_000):
        low, high, _ = mcnemar(*pair(*draw.multinomial(200, shares).tolist()))
        held += low <= 0.1 <= high
    assert 0.93 < held / 2_000 < 0.97


def test_the_bootstrap_pairs_puzzles() -> None:
    """Against the normal interval of the mean of differences, and much narrower than unpaired."""
    draw = np.random.default_rng(1)
    hard = draw.random(400)
    first, second = (np.clip(hard + draw.normal(at, 0.02, 400), 0, 1)[None] for at in (0.03, 0))
    found = compare(first, second)
    differences = (first - second)[0]
    half = 1.96 * differences.std(ddof=1) / 20
    middle = differences.mean()
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=0.1 * half)
    assert found.method == "bootstrap of puzzles, 4,000 draws"
    assert bootstrap(first, second) == bootstrap(first, second)


def test_seeds_are_clusters() -> None:
    """Seeds that differ widen the interval, however many puzzles there are."""
    first = np.repeat([[1.0], [0.8], [0.6]], 1_000, axis=1)
    second = np.repeat([[0.5], [0.5]], 1_000, axis=1)
    low, high, method = bootstrap(first, second)
    # Three of (1, 0.8, 0.6) drawn anew have a mean from 0.6 to 1, at either end in one of 27.
    assert (low, high) == pytest.approx((0.1, 0.5))
    assert method == "bootstrap of puzzles and of 3 and 2 seeds, 4,000 draws"
    assert compare(first, second).seeds == (3, 2)


# From the store

SUDOKU = BENCHMARKS["sudoku_4x4"]


@pytest.fixture
def store(tmp_path: Path, written: LocalStore) -> LocalStore:
    """A copy of what is written once: writing safely takes its time."""
    return LocalStore(shutil.copytree(written.root, tmp_path / "store"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Two seeds of trm_mlp and one of trm as declared, with three, four and four puzzles; and a
    short run of trm_mlp."""
    store = LocalStore.create(tmp_path_factory.mktemp("written"))
    put(store, "trm_mlp", 0, "aa11", "1111")
    put(store, "trm_mlp", 1, "aa22", "011")
    put(store, "trm", 0, "bb11", "1000")
    put(store, "trm_mlp", 0, "cc11", "0000", config_hash="short", created_at="2")
    return store


def put(
    store: LocalStore, variant: str, seed: int, run: str, right: str, **changes: object
) -> None:
    expected = declared(SUDOKU, VARIANTS).row(by_predicate=pl.col("variant") == variant, named=True)
    common = {
        **expected, "benchmark": "sudoku_4x4", "seed": seed, "run": run, "split": "test",
        "created_at": "1", **changes,
    }  # fmt: skip
    entry = common.pop("data_entry")
    value = right.count("1") / len(right)
    score = {
        "metric": "exact_accuracy",
        "value": value,
        "low": 0.0,
        "high": 1.0,
        "data_entry": entry,
    }
    publish_partition(store, Scores, frame(Scores, **(score | common)))
    rows = [
        frame(Predictions, **common, puzzle=str(number), example=number, solved=one == "1")
        for number, one in enumerate(right)
    ]
    common.pop("data_version", None)
    publish_partition(store, Predictions, pl.concat(rows))


def stored(
    store: LocalStore, first: str, second: str, *, newest: bool = False
) -> tuple[float, float, int, tuple[int, int]]:
    texts = first, second
    found, sides = compare_stored(store, "sudoku_4x4", SUDOKU, VARIANTS, texts, newest=newest)
    assert tuple(map(len, sides)) == found.seeds
    assert all(
        re.match(r"run \w+, tested on \d+ puzzles: ", line) for side in sides for line in side
    )
    return found.first, found.second, found.puzzles, found.seeds


def test_runs_partitions_and_variants_are_found(store: LocalStore) -> None:
    assert stored(store, "aa11", "bb") == (1.0, 0.25, 4, (1, 1))
    # Of a partition the latest run, whatever it was; of a variant the seeds that reports average,
    # on the puzzles that all of them have answered.
    assert stored(store, "trm_mlp|0", "trm|0") == (0.0, 0.25, 4, (1, 1))
    assert stored(store, "trm_mlp|1", "trm") == (
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
        3,
        (1, 1),
    )


def test_a_partition_is_not_what_a_study_has_tested_since(store: LocalStore) -> None:
    evaluation = declared(SUDOKU, VARIANTS).filter(variant="trm_mlp")["evaluation"][0]
    key = partition_key(Predictions, "sudoku_4x4", "trm_mlp", 0, "aa11", evaluation)
    store.point(keys.current_predictions("sudoku_4x4", "trm_mlp", 0), key)
    # The later run, cc11, is one whose test did not become the partition's.
    assert stored(store, "trm_mlp|0", "trm|0") == (1.0, 0.25, 4, (1, 1))


def test_a_test_as_declared_counts_before_a_later_one_of_another_kind(store: LocalStore) -> None:
    other = {"evaluation": "deeper", "created_at": "3"}
    put(store, "trm_mlp", 1, "aa22", "00", **other)
    put(store, "trm_mlp", 2, "dd11", "10", **other)
    two_of_three = (pytest.approx(2 / 3), pytest.approx(1 / 3), 3, (1, 1))
    assert stored(store, "trm_mlp|1", "trm") == stored(store, "aa22", "trm") == two_of_three
    assert stored(store, "aa22", "bb", newest=True) == (0.0, 0.5, 2, (1, 1))
    assert stored(store, "trm_mlp|1", "trm|0", newest=True) == (0.0, 0.5, 2, (1, 1))
    with pytest.raises(ConfigurationError, match="'trm': with --newest expected VARIANT"):
        stored(store, "trm_mlp|1", "trm", newest=True)
    # A run that has no other test is compared by that.
    assert stored(store, "trm_mlp|2", "dd") == (0.5, 0.5, 2, (1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("aa", "'aa': runs aa11, aa22 begin so; give more of the key"),
        ("hrm", "'hrm': expected .* there are trm_mlp|0, trm_mlp|1, trm|0"),
        ("trm|1", "'trm|1': expected VARIANT|SEED"),
        ("trm|x", "'trm|x': expected VARIANT|SEED"),
        ("dd", "'dd': expected VARIANT|SEED"),
    ],
)
def test_what_is_not_there_is_named(store: LocalStore, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace("|", r"\|")) as error:
        stored(store, "trm", text)
    assert "\n" not in str(error.value)


def test_seeds_of_a_variant_on_the_puzzles_of_all(store: LocalStore) -> None:
    put(store, "trm_mlp", 1, "aa22", "0110")
    assert stored(store, "trm_mlp", "trm") == (0.75, 0.25, 4, (2, 1))


def test_predictions_that_are_gone_are_named(store: LocalStore) -> None:
    [gone] = store.root.rglob("tables/predictions/**/bb11-*.parquet")
    gone.unlink()
    with pytest.raises(TableError, match="bb11"):
        stored(store, "trm_mlp|0", "trm")


def test_tasks_are_compared_by_the_two_attempts(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    arc = BENCHMARKS["arc_demo"]
    for run, ranks in (("a", [1, 2, 3, 2]), ("b", [1, 3, 3, 1])):
        common = {"benchmark": "arc_demo", "variant": "trm", "run": run, "split": "test"}
        publish_partition(store, Scores, frame(Scores, **common, metric="pass_at_k", k=2))
        tasks = [("x", 2, 0), ("x", 2, 1), ("y", 1, 0), ("z", 1, 0)]
        votes = [
            frame(Votes, **common, task=task, test_inputs=of, test_input=number, rank=rank,
                  correct=True)
            for (task, of, number), rank in zip(tasks, ranks, strict=True)
        ]  # fmt: skip
        publish_partition(store, Votes, pl.concat(votes))
    found, _ = compare_stored(store, "arc_demo", arc, VARIANTS, ("a", "b"))
    assert (found.first, found.second) == pytest.approx((2 / 3, 0.5))
    assert found.puzzles == 3
    assert found.method.startswith("bootstrap of puzzles,")
