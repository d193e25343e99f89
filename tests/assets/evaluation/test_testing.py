"""Any checkpoint on the data of any benchmark of its family."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets import keys
from assets.evaluation.testing import score_model
from assets.tables import ScoresElsewhere
from pipelines.command import trm
from storage.examples import Examples, read_examples
from storage.store import LocalStore
from storage.tables import scan
from tests.trm_model.solving.test_fine_tuning import arc
from tests.trm_model.solving.test_solve import random_model
from trm_model import pretrained
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import evaluate
from trm_model.model.batch import DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.selections.most_frequent import MostFrequent
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.solving.loading import load
from trm_model.solving.trained import TrainedModel
from trm_model.terminal import run

BENCHMARK, ARC = "sudoku_4x4", "arc_agi_1"


@pytest.fixture
def store(tiny: tuple[LocalStore, Path, str]) -> LocalStore:
    """With data of the benchmark other than those that the pretrained model was trained on."""
    LocalStore.create(tiny[0].root)
    tiny[0].point(keys.current_examples(BENCHMARK), tiny[0].key(tiny[1]))
    return tiny[0]


@pytest.fixture
def examples(tiny: tuple[LocalStore, Path, str]) -> Examples:
    return read_examples(tiny[1] / "test.zarr")


def scored(
    store: LocalStore,
    model: TrainedModel,
    evaluation: Evaluation,
    limit: int | None = None,
    benchmark: str = BENCHMARK,
) -> pl.DataFrame:
    told: list[str] = []
    rows, key = score_model(
        store,
        benchmark,
        model,
        evaluation,
        limit=limit,
        batch_size=64,
        say=told.append,
        progress=told.append,
    )
    assert store.open(key).is_file()
    assert "evaluated 0 of" in told[0]
    return rows


def value(rows: pl.DataFrame, metric: str, **others: Any) -> float:
    return rows.filter(metric=metric, **others)["value"].item()


def test_scores_are_of_the_data_asked_and_name_those_trained_on(
    store: LocalStore, examples: Examples, tiny: tuple[LocalStore, Path, str]
) -> None:
    model = load(BENCHMARK, device="cpu")
    asked = Evaluation(depth=1, rollouts=3, noise=3.0, noise_at="call", selection=MostFrequent())
    rows = scored(store, model, asked)
    expected = evaluate(
        model.reasoner,
        DeviceExamples(examples, model.reasoner.puzzle_rows.device),
        asked,
        max_steps=model.max_steps,
        batch_size=64,
        compared=[asked.selection],
    )
    exact = float(expected.solved[:, -1].mean())
    assert 0 < exact < 1
    assert value(rows, "exact_accuracy") == exact
    assert value(rows, "any_rollout_solves", k=3) == expected.any_after_step[:, -1].mean()
    by_selection = rows.filter(metric="exact_accuracy_by_selection", k=3)
    assert value(by_selection, "exact_accuracy_by_selection", group="most_frequent") == exact
    assert len(by_selection) > 1
    assert value(rows, "valid") >= exact
    spec = model.run
    assert spec is not None
    told = rows.select(
        "benchmark", "data_version", "run", "trained_on", "trained_data_version", "variant", "of"
    )
    assert told.unique().rows() == [
        (BENCHMARK, tiny[2], spec.key, BENCHMARK, spec.data_version, spec.variant_name, 20)
    ]
    assert spec.data_version != tiny[2]


def test_no_test_replaces_another(store: LocalStore, tmp_path: Path) -> None:
    """They are told apart by the model, the evaluation and the data."""
    model = load(BENCHMARK, device="cpu")
    plain = Evaluation(depth=1)
    first = scored(store, model, plain)
    other = load(BENCHMARK, device="cpu")
    other.reasoner.halt_bias.data += 1
    # A file of the authors' has no run.
    other = replace(other, run=None, step=None)
    for model_, evaluation, limit in (
        (model, replace(plain, depth=2), None),
        (model, plain, 5),
        (other, plain, None),
    ):
        rows = scored(store, model_, evaluation, limit)
        same = rows.select("model", "evaluation").row(0) == first.select("model", "evaluation").row(
            0
        )
        assert not same
    assert rows["run"].null_count() == rows["trained_data_version"].null_count() == len(rows)
    # The same test again is the same file.
    again = scored(store, model, plain)
    kept = scan(store, ScoresElsewhere).filter(
        model=again["model"][0], evaluation=again["evaluation"][0]
    ).collect()  # fmt: skip
    assert kept["created_at"].unique().to_list() == [again["created_at"][0]]
    found = (
        scan(store, ScoresElsewhere)
        .select("model", "evaluation", "n")
        .unique(["model", "evaluation"])
    )
    assert {5, 20} <= set(found.collect()["n"])


def test_the_command_prints_and_keeps_the_scores(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRM_DATA", str(store.root))
    asked = [BENCHMARK, "--device", "cpu", "--depth", "2", "--set", "noise=0.5", "--limit", "4"]
    given = ["test", str(pretrained.find(BENCHMARK)), *asked]
    assert run(trm, given, program="trm") == 0
    printed = capsys.readouterr()
    assert "evaluated 0 of 4 test examples" in printed.err
    assert "exact_accuracy" in printed.out
    made = printed.out.splitlines()[-1]
    path = Path(made.partition(" in ")[2])
    assert made.startswith("made ")
    rows = pl.read_parquet(path, hive_partitioning=False)
    assert rows.filter(metric="exact_accuracy").select("n", "of").rows() == [(4, 20)]
    for wrong, said in (
        (["maze_small"], "maze_small"),
        ([BENCHMARK, "--depth", "0"], "depth=0: expected a whole number of at least 1"),
        ([BENCHMARK, "--set", "nonsense=1"], "nonsense"),
    ):
        assert run(trm, ["test", BENCHMARK, *wrong, "--device", "cpu"], program="trm") == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_another_family_and_other_puzzle_ids_are_refused(examples: Examples) -> None:
    model = load(BENCHMARK, device="cpu")
    wide = replace(examples.header, grid=(2, 8))
    with pytest.raises(ConfigurationError, match=r"examples of 2 x 8 cells.*sudoku of 4 x 4"):
        model.require_data(wide)
    several = replace(examples.header, num_puzzle_ids=3)
    with pytest.raises(ConfigurationError, match="3 puzzle ids: the model has rows for 1"):
        model.require_data(several)
    model.require_data(several, Evaluation(blank_ids=True))


def test_puzzle_ids_must_mean_what_they_meant_in_training() -> None:
    first, second = Augmentation("task"), Augmentation("task", 1)
    rows = {"task": [(4, first), (5, second)]}
    model = replace(load(BENCHMARK, device="cpu"), versions=lambda task: rows.get(task, []))
    model.require_names({"task": {first.name: 4, second.name: 5}})
    for names, said in (
        ({"task": {first.name: 5}}, "puzzle id 5 of the data set, in the model's 4"),
        ({"task": {first.name: 4}, "new": {"new": 1}}, "new: puzzle id 1.*unknown.*blank_ids"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            model.require_names(names)


def test_arc_with_its_own_puzzle_ids_with_blank_ones_and_never_with_others(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    data, spec = arc(store, "one", "two")
    other, _ = arc(store, "three", "four")
    assert spec.header is not None
    model = replace(random_model("trm", spec.header), run=spec)
    told = {}
    for blank in (False, True):
        store.point(keys.current_examples(ARC), store.key(data))
        told[blank] = scored(store, model, Evaluation(depth=1, blank_ids=blank), None, ARC)
        assert {2, 1} <= set(told[blank].filter(metric="pass_at_k")["k"])
    assert value(told[False], "cell_accuracy") != value(told[True], "cell_accuracy")
    store.point(keys.current_examples(ARC), store.key(other))
    with pytest.raises(ConfigurationError, match="puzzle id .* of the data set, in the model's"):
        scored(store, model, Evaluation(depth=1), None, ARC)
    scored(store, model, Evaluation(depth=1, blank_ids=True), None, ARC)
