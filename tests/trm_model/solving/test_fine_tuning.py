"""What a fine-tuned training begins with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assets.data.datasets import write_dataset
from assets.families.arc import ArcFiles, rows
from assets.families.sudoku import GeneratedSudoku
from storage.examples import open_header
from storage.manifest import CorruptDataError
from storage.store import LocalStore
from tests.trm_model.puzzles.test_arc import random_task
from tests.trm_model.training.recipes import tiny_spec
from trm_model import authors
from trm_model.errors import ConfigurationError
from trm_model.model.reasoner import build
from trm_model.puzzles.plans import open_examples
from trm_model.solving.fine_tuning import begin_from
from trm_model.solving.loading import named_rows
from trm_model.training import checkpoint as checkpoints
from trm_model.training.folders import saved
from trm_model.training.initial import INITIAL, load_initial, weights_hash, write_initial
from trm_model.training.loop import train
from trm_model.training.run import RunSpec
from trm_model.variants import VARIANTS

Tiny = tuple[LocalStore, Path, str]


def trained(run: Path, spec: RunSpec, data: Path, **options: Any) -> Path:
    run.mkdir()
    spec.write(run)
    examples = open_examples(data / "train.zarr")
    train(
        run, spec.variant, spec.recipe, examples, spec.seed, spec.execution,
        report=lambda _: None, **options,
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def sudoku(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> tuple[Path, RunSpec]:
    """A trained run on the tiny data set, and its description."""
    run = tmp_path_factory.mktemp("runs") / "key"
    header = open_header(tiny[1] / "train.zarr")
    spec = replace(tiny_spec(run, tiny[1], tiny[2], steps=3), header=header)
    return trained(run, spec, tiny[1]), spec


def test_the_averaged_weights_of_a_run_are_taken_over(
    tmp_path: Path, tiny: Tiny, sudoku: tuple[Path, RunSpec]
) -> None:
    run, spec = sudoku
    state = checkpoints.load(saved(run)[-1])
    for place in (run, saved(run)[-1]):
        begun = begin_from(place, replace(spec, seed=5), tiny[1])
        assert set(begun.weights) == set(state.evaluated)
        assert all(torch.equal(begun.weights[name], t) for name, t in state.evaluated.items())
        assert str(begun) == "key, step 3; 1 of 1 puzzle rows are taken over"
    assert any(not torch.equal(t, state.weights[name]) for name, t in begun.weights.items())

    # They are what the training begins with: nothing is learned at a rate of next to nothing.
    tuned = tmp_path / "tuned"
    still = replace(spec.recipe, steps=1, learning_rate=1e-30, weight_decay=0.0,
                    puzzle_learning_rate=0.0)  # fmt: skip
    trained(tuned, replace(spec, recipe=still), tiny[1], initial=begun.weights)
    after = checkpoints.load(saved(tuned)[-1])
    for found in (after.weights, after.evaluated):
        for name, tensor in begun.weights.items():
            torch.testing.assert_close(found[name], tensor)


def test_initial_weights_are_kept_and_checked(tmp_path: Path) -> None:
    weights = {"a": torch.randn(3, 2), "b": torch.zeros(0), "c": torch.tensor(2.0)}
    given = weights_hash(weights)
    write_initial(tmp_path, weights)
    found = load_initial(tmp_path, given)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert given != weights_hash({**weights, "c": torch.tensor(3.0)})
    with pytest.raises(CorruptDataError, match="content hash .*, expected other; materialize"):
        load_initial(tmp_path, "other")
    (tmp_path / INITIAL).write_bytes(b"torn")
    with pytest.raises(CorruptDataError, match=r"initial\.safetensors"):
        load_initial(tmp_path, given)


def test_what_does_not_fit_is_refused(
    tmp_path: Path, tiny: Tiny, sudoku: tuple[Path, RunSpec]
) -> None:
    run, spec = sudoku
    size = spec.recipe.size
    header = spec.header
    assert header is not None
    of_width_8 = replace(spec.recipe, size=replace(size, puzzle_width=8))
    wider = replace(spec.recipe, size=replace(size, width=32))
    for other, says in (
        (replace(spec, header=replace(header, grid=(2, 8))), "grid is (4, 4), expected (2, 8)"),
        (replace(spec, header=replace(header, vocabulary=header.vocabulary[:-1])), "vocabulary is"),
        (replace(spec, recipe=of_width_8), "puzzle rows of width 16, expected 8"),
        (replace(spec, recipe=wider), "has the shape"),
        (replace(spec, variant=VARIANTS["trm"]), "missing"),
    ):
        with pytest.raises(ConfigurationError) as error:
            begin_from(run, other, tiny[1])
        assert str(error.value).startswith(f"start_from={run}: ")
        assert says in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigurationError, match=r"start_from=.*nothing: no such checkpoint"):
        begin_from(tmp_path / "nothing", spec, tiny[1])


def arc(store: LocalStore, *names: str) -> tuple[Path, RunSpec]:
    """A data set of tasks, and the description of a training on it."""
    tasks = [random_task(name, number) for number, name in enumerate(names)]
    frame = rows(tasks, "place", evaluated=True).with_row_index("puzzle")
    key, content = write_dataset(
        store, "arc", frame.cast({"puzzle": int}), ArcFiles(), augmentations=2, seed=0
    )
    data = store.open(key)
    spec = tiny_spec(store.open("run"), data, content, "trm", steps=2)
    return data, replace(spec, header=open_header(data / "train.zarr"))


def test_puzzle_rows_are_taken_over_by_name(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path / "store")
    (old_data, old), (new_data, new) = arc(store, "one", "two"), arc(store, "three", "one", "four")
    run = trained(store.open("key"), old, old_data)
    table = checkpoints.load(saved(run)[-1]).weights["puzzle_rows"]
    begun = begin_from(run, new, new_data)
    theirs, ours = named_rows(old_data), named_rows(new_data)
    both = set(theirs) & set(ours)
    assert "one" in both
    assert all(torch.equal(begun.weights["puzzle_rows"][ours[n]], table[theirs[n]]) for n in both)
    fresh = [row for name, row in ours.items() if name not in both]
    assert not begun.weights["puzzle_rows"][[0, *fresh]].any()
    assert (begun.taken, begun.rows) == (len(both), len(ours))


def test_from_a_file_of_the_authors(tmp_path: Path, tiny: Tiny) -> None:
    spec = tiny_spec(tmp_path, tiny[1], tiny[2])
    header = open_header(tiny[1] / "train.zarr")
    model = build(spec.variant, spec.recipe.size, header, 9, spec.recipe.precision)
    authors.save(model, tmp_path / "step_5")
    begun = begin_from(tmp_path / "step_5", spec, tiny[1])
    assert all(torch.equal(begun.weights[name], t) for name, t in model.state_dict().items())
    assert str(begun.parent) == "step_5"
    shorter = replace(header, vocabulary=header.vocabulary[:-1])
    with pytest.raises(ConfigurationError, match="6 tokens, expected the 5"):
        begin_from(tmp_path / "step_5", replace(spec, header=shorter), tiny[1])


def test_sudoku_of_other_puzzles_share_the_row(
    tmp_path: Path, sudoku: tuple[Path, RunSpec]
) -> None:
    run, spec = sudoku
    store = LocalStore.create(tmp_path / "store")
    source = GeneratedSudoku(digits=4, train=5, test=5, extra_clues=(1, 4), seed=3)
    key, content = write_dataset(
        store, "others", source.puzzles().frame, source, augmentations=0, seed=0
    )
    target = replace(spec, data=key, data_version=content, header=None)
    begun = begin_from(run, target, store.open(key))
    assert begun.taken == 1
    assert begun.weights["puzzle_rows"].any()
