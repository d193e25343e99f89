"""Validation on the way."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import trm_model.training.loop as loop
from storage.examples import ExampleSet, read_examples
from storage.store import LocalStore
from tests.trm_model.training.recipes import TINY
from trm_model.errors import ConfigurationError
from trm_model.finite import NotFiniteError
from trm_model.solving.loading import load as load_model
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress, best, keep_best
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS
from trm_model.training.folders import saved, step_of
from trm_model.training.lineage import adopt
from trm_model.training.loop import PROGRESS, train
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan, RunSpec
from trm_model.training.stopping import is_over
from trm_model.training.validation import CELLS, EXACT, Validated, Validation, best_of, is_due
from trm_model.training.validator import validator
from trm_model.variants import VARIANTS

Tiny = tuple[LocalStore, Path, str]
EXECUTION = Execution(log_steps=2, validate_steps=5)


def trained(
    run: Path,
    tiny: Tiny,
    *,
    recipe: Recipe = TINY,
    validated: bool = True,
    make: Callable[[ExampleSet, Recipe], Validation] = validator,
    **options: Any,
) -> list[str]:
    """Train; returns what was reported."""
    run.mkdir(exist_ok=True)
    said: list[str] = []
    train(
        run,
        VARIANTS["trm_mlp"],
        recipe,
        read_examples(tiny[1] / "train.zarr"),
        3,
        EXECUTION,
        validation=make(read_examples(tiny[1] / "test.zarr"), TINY) if validated else None,
        report=said.append,
        **options,
    )
    return said


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def test_validation_changes_no_bit_of_the_training(tmp_path: Path, tiny: Tiny) -> None:
    with_, without = tmp_path / "with", tmp_path / "without"
    said = trained(with_, tiny)
    trained(without, tiny, validated=False)
    ours, expected = (checkpoints.load(saved(run)[-1]) for run in (with_, without))
    for part in ("weights", "average", "optimizer", "carry"):
        found, wanted = getattr(ours, part), getattr(expected, part)
        assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []
    assert [row["step"] for row in rows(with_) if row[EXACT] is not None] == [6, 10, 12]
    assert all(row[EXACT] is row[CELLS] is None for row in rows(without))
    assert all(0.0 < row[CELLS] < 1.0 for row in rows(with_) if row[EXACT] is not None)
    found = max(
        (row for row in rows(with_) if row[EXACT] is not None),
        key=lambda row: (row[EXACT], row[CELLS], -row["step"]),
    )
    kept = best(with_)
    assert kept is not None
    assert step_of(kept) == found["step"]
    assert f"of the validation puzzles (step {found['step']})" in said[-1]
    assert PROGRESS.match(said[-1])
    assert best(without) is None


def test_the_best_checkpoint_can_be_named(tmp_path: Path, tiny: Tiny) -> None:
    trained(tmp_path, tiny)
    spec = RunSpec(
        benchmark="tiny", variant_name="trm_mlp", variant=VARIANTS["trm_mlp"], recipe=TINY, seed=3,
        data="d", data_version="", code=(CodeSpan(version="x"),),
        header=read_examples(tiny[1] / "train.zarr").header,
    )  # fmt: skip
    spec.write(tmp_path)
    kept = best(tmp_path)
    assert kept is not None
    model = load_model(tmp_path / "checkpoints" / "best", device="cpu")
    assert f"step {step_of(kept)} of 12" in str(model)


def test_the_best_is_kept_beside_the_newest_and_with_a_longer_training(tmp_path: Path) -> None:
    def save(step: int) -> None:
        checkpoints.save(tmp_path, Checkpoint({}, {}, {}, {}, Progress(step=step)))

    def steps(run: Path) -> list[int]:
        return [step_of(folder) for folder in saved(run)]

    save(1)
    keep_best(tmp_path, 1)
    keep_best(tmp_path, 7)  # There is none.
    for step in (2, 3, 4):
        save(step)
    assert steps(tmp_path) == [1, 3, 4]
    adopt(saved(tmp_path)[-1], tmp_path / "longer", 9, Execution())
    assert steps(tmp_path / "longer") == [1, 4]
    assert best(tmp_path / "longer") == saved(tmp_path / "longer")[0]
    keep_best(tmp_path, 4)
    save(5)
    save(6)
    assert steps(tmp_path) == [4, 5, 6]


def test_a_validation_that_fails_does_not_end_the_training(tmp_path: Path, tiny: Tiny) -> None:
    def fails(*_: object) -> Validated:
        raise NotFiniteError("3 numbers\nare NaN")

    said = trained(tmp_path, tiny, make=lambda *_: fails)
    assert "step 6: validation failed, the training goes on: 3 numbers are NaN" in said
    assert not any(PROGRESS.match(line) for line in said if "failed" in line)
    assert step_of(saved(tmp_path)[-1]) == 12
    assert all(row[EXACT] is None for row in rows(tmp_path))


def test_interrupted_it_knows_the_best(tmp_path: Path, tiny: Tiny) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    trained(whole, tiny)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 7

    trained(parts, tiny, stop=stop)
    (parts / "checkpoints" / "best").unlink()  # As if it had been killed before it was written.
    trained(parts, tiny)
    ours, expected = best(parts), best(whole)
    assert ours is not None
    assert expected is not None
    assert ours.name == expected.name
    for row, other in zip(rows(parts), rows(whole), strict=True):
        assert (row[EXACT], row[CELLS]) == (other[EXACT], other[CELLS])


def falling(*_: object) -> Validation:
    """The first validation is the best."""
    return lambda _, step: Validated(1.0 / step, 0.5, step)


def test_patience_ends_a_training_early(tmp_path: Path, tiny: Tiny) -> None:
    patient = replace(TINY, steps=1_000, patience=4)
    said = trained(tmp_path, tiny, recipe=patient, make=falling)
    # Validated at 6, which is the best, and at 10, four steps later.
    assert said[-1] == "ended early: no better validation in the last 4 steps (patience)"
    last, kept = saved(tmp_path)[-1], best(tmp_path)
    assert kept is not None
    assert (step_of(last), step_of(kept)) == (10, 6)
    assert is_over(tmp_path, patient, 10)
    # Asked again, nothing is trained; with more patience it goes on.
    trained(tmp_path, tiny, recipe=patient, make=falling)
    assert step_of(saved(tmp_path)[-1]) == 10
    assert not is_over(tmp_path, replace(patient, patience=5), 10)
    trained(tmp_path, tiny, recipe=replace(patient, patience=5), make=falling)
    assert step_of(saved(tmp_path)[-1]) == 16


def test_patience_interrupted_ends_where_it_would_have(tmp_path: Path, tiny: Tiny) -> None:
    patient = replace(TINY, steps=1_000, patience=4)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 8

    trained(tmp_path, tiny, recipe=patient, make=falling, stop=stop)
    assert not is_over(tmp_path, patient, 8)
    trained(tmp_path, tiny, recipe=patient, make=falling)
    assert step_of(saved(tmp_path)[-1]) == 10


def test_a_training_that_improves_is_not_ended(tmp_path: Path, tiny: Tiny) -> None:
    def rising(*_: object) -> Validation:
        return lambda _, step: Validated(step / 100, 0.5, step)

    trained(tmp_path, tiny, recipe=replace(TINY, patience=1), make=rising)
    assert step_of(saved(tmp_path)[-1]) == TINY.steps


def test_patience_needs_validations(tmp_path: Path, tiny: Tiny) -> None:
    with pytest.raises(ConfigurationError, match="patience=4: expected validations to judge by"):
        trained(tmp_path, tiny, recipe=replace(TINY, patience=4), validated=False)


def test_which_rows_are_validated() -> None:
    def due(execution: Execution) -> list[int]:
        return [step for step in range(50, 501, 50) if is_due(step, 500, execution)]

    assert due(Execution(validate_steps=250)) == [250, 500]
    assert due(Execution(validate_steps=120)) == [150, 250, 400, 500]
    assert due(Execution(validate_steps=1)) == list(range(50, 501, 50))
    assert due(Execution(validate_steps=10_000)) == [500]
    assert due(Execution(validate_steps=0)) == []


def test_the_best_is_the_first_of_equals() -> None:
    found = [Validated(0.5, 0.9, 1), Validated(0.6, 0.7, 2), Validated(0.6, 0.7, 3)]
    assert best_of(found) == found[1]
    assert best_of([*found, Validated(0.6, 0.8, 4)]) == Validated(0.6, 0.8, 4)
    assert best_of([]) is None


def test_how_long_it_takes_is_told() -> None:
    def left(step: int, speed: float) -> str:
        recipe = replace(TINY, steps=1_000, batch_size=10)
        return loop.time_left({"step": step, "examples_per_second": speed}, recipe)

    assert left(1_000, 5.0) == ""
    assert left(999, 1_000.0) == ", about 1 s left"
    assert left(100, 100.0) == ", about 90 s left"
    assert left(100, 50.0) == ", about 3 min left"
    assert left(0, 1.0) == ", about 3 h left"
    assert left(0, 0.01) == ", about 12 d left"
