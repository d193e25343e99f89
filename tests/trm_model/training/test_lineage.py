"""A training that is continued for more steps."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from storage.examples import ExampleSet, read_examples
from storage.manifest import CorruptDataError
from storage.store import LocalStore
from tests.trm_model.training.recipes import TINY, tiny_spec
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.variant import Variant
from trm_model.schedules.cosine import Cosine
from trm_model.training import checkpoint as checkpoints
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS, read_rows, write_rows
from trm_model.training.folders import saved
from trm_model.training.lineage import adopt, depends_on_steps, shorter_runs
from trm_model.training.loop import train
from trm_model.training.nonfinite import Found, record, rewinds
from trm_model.training.run import CodeSpan, Parent, RunSpec
from trm_model.training.validation import CELLS, EXACT, read_validated

Tiny = tuple[LocalStore, Path, str]


def trained(run: Path, spec: RunSpec, examples: ExampleSet) -> None:
    run.mkdir(exist_ok=True)
    spec.write(run)
    train(
        run, spec.variant, spec.recipe, examples, spec.seed, spec.execution, report=lambda _: None
    )


def tensors(run: Path) -> Mapping[str, torch.Tensor]:
    state = checkpoints.load(saved(run)[-1])
    parts = (state.weights, state.average, state.optimizer, state.carry)
    return {f"{number}/{name}": t for number, part in enumerate(parts) for name, t in part.items()}


@pytest.fixture
def spec(tmp_path: Path, tiny: Tiny) -> RunSpec:
    return tiny_spec(tmp_path, tiny[1], tiny[2])


def longer(spec: RunSpec, steps: int) -> RunSpec:
    return replace(spec, recipe=replace(spec.recipe, steps=steps))


def test_continued_is_as_trained_from_the_start(tmp_path: Path, tiny: Tiny, spec: RunSpec) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    short, whole, more = (tmp_path / name for name in ("short", "whole", "more"))
    trained(short, spec, examples)
    target = longer(spec, 17)
    trained(whole, target, examples)
    [(checkpoint, begun)] = shorter_runs(tmp_path, target, print)
    assert begun.parent is not None
    assert (begun.parent.name, begun.parent.step) == ("short", 12)
    assert str(begun.parent) == "short, step 12"
    assert begun.key == target.key != spec.key
    more.mkdir()
    adopt(checkpoint, more, 17, spec.execution)
    trained(more, begun, examples)
    assert RunSpec.read(more) == begun
    ours, expected = tensors(more), tensors(whole)
    assert set(ours) == set(expected)
    assert [name for name in expected if not torch.equal(ours[name], expected[name])] == []
    rows = (more / METRICS).read_text().splitlines()
    assert rows[:6] == (short / METRICS).read_text().splitlines()
    assert len(rows) == 9


def test_a_validation_of_the_last_step_alone_is_not_taken_along(
    tmp_path: Path, tiny: Tiny, spec: RunSpec
) -> None:
    """With patience it would decide when the longer training ends."""
    often = replace(spec, execution=Execution(log_steps=2, validate_steps=5))
    trained(tmp_path / "short", often, read_examples(tiny[1] / "train.zarr"))
    path = tmp_path / "short" / METRICS
    validated = [row | {EXACT: 0.5, CELLS: 0.75} for row in read_rows(path)]
    write_rows(path, validated)
    for steps, expected in ((17, [6, 10]), (12, [6, 10, 12])):
        run = tmp_path / f"{steps}"
        run.mkdir()
        adopt(saved(tmp_path / "short")[-1], run, steps, often.execution)
        assert [row["step"] for row in read_rows(run / METRICS)] == [2, 4, 6, 8, 10, 12]
        assert [found.step for found in read_validated(run / METRICS)] == expected


def test_which_runs_are_continued(tmp_path: Path, tiny: Tiny, spec: RunSpec) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    trained(tmp_path / "twelve", spec, examples)
    trained(tmp_path / "nine", longer(spec, 9), examples)
    for name, other in {
        "another seed": replace(spec, seed=1),
        "fine-tuned": replace(spec, initial="0123456789abcdef"),
        "other data": replace(spec, data_version="other"),
    }.items():
        (tmp_path / name).mkdir()
        other.write(tmp_path / name)
        adopt(saved(tmp_path / "twelve")[-1], tmp_path / name, 20, spec.execution)

    told: list[str] = []

    def found(target: RunSpec) -> list[str]:
        return [path.parents[1].name for path, _ in shorter_runs(tmp_path, target, told.append)]

    assert found(longer(spec, 20)) == ["twelve", "nine"]
    # Another attempt at the same training has the same result.
    assert found(replace(longer(spec, 20), attempt="again")) == ["twelve", "nine"]
    # Nothing is taken from beyond the last step, and a run is not its own beginning.
    assert found(longer(spec, 11)) == ["nine"]
    assert found(longer(spec, 9)) == []
    assert found(longer(replace(spec, seed=1), 20)) == ["another seed"]
    # What other code has trained is told apart by whoever asks.
    code = (CodeSpan(version="other"),)
    [(_, begun), _] = shorter_runs(tmp_path, replace(longer(spec, 20), code=code), told.append)
    assert begun.code == spec.code
    # A damaged checkpoint is passed over.
    (saved(tmp_path / "twelve")[-1] / "carry.safetensors").write_bytes(b"")
    assert told == []
    assert found(longer(spec, 20)) == ["nine"]
    [line] = told
    assert line.startswith(f"passing over a damaged checkpoint: {tmp_path}/twelve/")
    with pytest.raises(CorruptDataError):
        adopt(saved(tmp_path / "twelve")[-1], tmp_path / "more", 20, spec.execution)
    assert saved(tmp_path / "more") == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"variant": Variant(curriculum=DepthCurriculum())}, "the curriculum depth"),
        ({"recipe": replace(TINY, schedule=Cosine())}, "the schedule cosine"),
    ],
)
def test_what_goes_by_shares_begins_from_the_start(
    tmp_path: Path, spec: RunSpec, changes: dict[str, Any], why: str
) -> None:
    target = replace(spec, **changes)
    longer(target, 9).write(tmp_path)
    assert why in depends_on_steps(target, tmp_path)
    assert bool(depends_on_steps(target, tmp_path)) == bool(why)
    target.write(tmp_path)
    assert depends_on_steps(target, tmp_path) == ""


def test_one_that_stopped_goes_on_otherwise(spec: RunSpec) -> None:
    """Up to its last checkpoint all numbers were finite, and the setting has changed nothing."""

    def doing(what: Any, steps: int = 12) -> RunSpec:
        return replace(spec, recipe=replace(spec.recipe, on_nonfinite=what, steps=steps))

    assert doing("skip").longer_than(spec)
    assert doing("rewind", 20).longer_than(spec)
    assert doing("skip", 20).longer_than(doing("skip"))
    assert not spec.longer_than(spec)
    assert not spec.longer_than(doing("skip"))
    assert not doing("skip").longer_than(doing("rewind"))


def test_what_was_not_finite_is_taken_along(tmp_path: Path, tiny: Tiny, spec: RunSpec) -> None:
    trained(tmp_path / "old", spec, read_examples(tiny[1] / "train.zarr"))
    for step in (3, 12):
        record(tmp_path / "old", Found(step + 1), "rewind", step)
    (tmp_path / "new").mkdir()
    adopt(saved(tmp_path / "old")[-1], tmp_path / "new", 20, spec.execution)
    assert rewinds(tmp_path / "new") == [3, 12]


def test_a_description_keeps_the_parent(tmp_path: Path, spec: RunSpec) -> None:
    parent = Parent(name="step_5", step=None, checkpoint="abc")
    assert str(parent) == "step_5"
    tuned = replace(spec, initial="0123456789abcdef", parent=parent)
    assert replace(spec, parent=parent).key == spec.key
    assert len({tuned.key, spec.key, replace(tuned, initial="f").key}) == 3
    assert len({tuned.config_hash, spec.config_hash}) == 2
    tuned.write(tmp_path)
    assert RunSpec.read(tmp_path) == tuned
