"""What a run is: its identity, its place in a store, and the code that trained it."""

import json
import shutil
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from storage.store import LocalStore
from tests.trm_model.training.recipes import tiny_spec
from trm_model.choices import to_plain
from trm_model.errors import ConfigurationError
from trm_model.launching import LocalProcess, Torchrun
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.gated_norm import GatedNorm
from trm_model.model.generations.autoregressive import Autoregressive
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.mixers.attention import Attention
from trm_model.model.positions.none import NoPosition
from trm_model.model.size import Size
from trm_model.model.solvers.anderson import Anderson
from trm_model.model.starts.random import RandomStart
from trm_model.model.variant import Variant
from trm_model.optimizers.adam_atan2 import AdamAtan2
from trm_model.optimizers.muon import Muon
from trm_model.schedules.linear import Linear
from trm_model.trackers.tensorboard import TensorBoard
from trm_model.training import checkpoint as checkpoints
from trm_model.training.checkpoint import Checkpoint, Progress, intact_step
from trm_model.training.execution import Execution
from trm_model.training.folders import saved, step_reached
from trm_model.training.job import started_by, training_job
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan, RunSpec, runs_of_other_code, training_version
from trm_model.variants import VARIANTS

# To be written again where the form of a configuration has changed on purpose:
# python -c "from tests.trm_model.training.test_run import *; print(golden())"
GOLDEN = {"trm_mlp": "be023d86fe07bfe0", "hrm": "050e8320bda0a78f", "drm": "419055504cda5f3a"}


def golden() -> dict[str, str]:
    """The hashes of three named configurations."""
    named = ("trm_mlp", "hrm", "drm")
    return {name: run_of(VARIANTS[name], Recipe()).config_hash for name in named}


def run_of(variant: Variant = Variant(), recipe: Recipe = Recipe(), **changes: Any) -> RunSpec:
    values: dict[str, Any] = {
        "benchmark": "tiny",
        "variant_name": "mine",
        "seed": 0,
        "data": "examples/tiny/0",
        "data_version": "d",
        "code": (CodeSpan(version="first"),),
    }
    return RunSpec(variant=variant, recipe=recipe, **{**values, **changes})


def test_hashes_stay_as_they_are() -> None:
    assert golden() == GOLDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class WiderVariant(Variant):
    """Variant as it may become: with a further field."""

    another: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WiderSize(Size):
    another: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WiderRecipe(Recipe):
    size: Size = WiderSize()
    another: tuple[int, ...] = (1, 2)


def test_a_new_field_with_a_default_changes_no_hash() -> None:
    before = run_of(Variant(layers=3), Recipe(steps=7, size=Size(width=64)))
    after = run_of(WiderVariant(layers=3), WiderRecipe(steps=7, size=WiderSize(width=64)))
    assert after.config_hash == before.config_hash
    assert after.key == before.key
    assert run_of(WiderVariant(layers=3, another=1.0)).config_hash != before.config_hash


VARIANT_CHANGES: dict[str, Any] = {
    "generation": Autoregressive(),
    "mixer": Attention(),
    "feed_forward": GatedNorm(),
    "layers": 3,
    "answer_layers": 3,
    "networks": "separate",
    "latents": 2,
    "latent_updates": 5,
    "cycles": 2,
    "solver": Anderson(),
    "backprop": LastCalls(),
    "start": RandomStart(),
    "state_noise": 0.1,
    "deep_supervision": False,
    "curriculum": DepthCurriculum(),
    "halting": QLearning(),
    "loss": "softmax",
    "tied": True,
    "optimizer": Muon(),
    "ema": False,
}
ALONG: dict[str, dict[str, Any]] = {
    "answer_layers": {"networks": "separate"},
    "generation": {"mixer": Attention()},
    "smooth_padding": {"label_smoothing": 0.5},
}
"""What a change needs beside it to be allowed."""
RECIPE_CHANGES: dict[str, Any] = {
    "size": Size(width=64),
    "steps": 1,
    "batch_size": 1,
    "max_steps": 1,
    "exploration": 0.2,
    "optimizer": AdamAtan2(),
    "betas": (0.9, 0.99),
    "learning_rate": 1.0,
    "weight_decay": 0.5,
    "puzzle_learning_rate": 1.0,
    "puzzle_weight_decay": 0.5,
    "warmup_steps": 1,
    "ema_decay": 0.5,
    "ema_start": 1,
    "precision": "bfloat16",
    "puzzles": 1,
    "patience": 1,
    "on_nonfinite": "skip",
    "embedding_optimizer": AdamAtan2(),
    "embedding_learning_rate": 1.0,
    "embedding_weight_decay": 0.5,
    "schedule": Linear(),
    "clip_norm": 1.0,
    "label_smoothing": 0.5,
    "smooth_padding": False,
    "halting_weight": 0.25,
}


def test_every_changed_field_changes_the_hash() -> None:
    """But for how the variant is evaluated, of which its training does not depend."""
    assert {item.name for item in fields(Variant)} == {*VARIANT_CHANGES, "evaluation"}
    assert {item.name for item in fields(Recipe)} == set(RECIPE_CHANGES)
    runs = [run_of()]
    runs += [
        run_of(Variant(**{**ALONG.get(name, {}), name: value}))
        for name, value in VARIANT_CHANGES.items()
    ]
    runs += [
        run_of(recipe=Recipe(**{**ALONG.get(name, {}), name: value}))
        for name, value in RECIPE_CHANGES.items()
    ]
    runs += [
        run_of(Variant(mixer=Attention(positions=(NoPosition(),)))),
        run_of(Variant(backprop=LastCalls(count=3))),
        run_of(Variant(mixer=Attention(query_norm=True))),
        run_of(Variant(mixer=Attention(output_norm=True))),
        run_of(Variant(feed_forward=GatedNorm(product=True))),
        run_of(recipe=Recipe(size=Size(width=128))),
        run_of(recipe=Recipe(size=Size(registers=1))),
    ]
    assert len({run.config_hash for run in runs}) == len({run.key for run in runs}) == len(runs)
    assert run_of(Variant(evaluation=Evaluation(depth=3))).config_hash == run_of().config_hash


def test_what_else_the_key_depends_on() -> None:
    spec = run_of()
    for changes in (
        {"seed": 1},
        {"data_version": "e"},
        {"attempt": "again"},
        {"code": (CodeSpan(version="second"),)},
    ):
        other = replace(spec, **changes)
        assert other.config_hash == spec.config_hash
        assert other.key != spec.key
    for changes in (
        {"variant_name": "yours"},
        {"data": "examples/elsewhere"},
        {"device_locks": ("locks/cpu.lock",)},
        {"execution": Execution(log_steps=9)},
        {"trackers": (TensorBoard(),)},
        {"code": (*spec.code, CodeSpan(version="second", from_step=3))},
    ):
        assert replace(spec, **changes).key == spec.key


def test_with_patience_the_key_says_when_it_is_judged() -> None:
    patient = run_of(recipe=replace(run_of().recipe, patience=10))
    for execution in (Execution(validate_steps=20), Execution(log_steps=9)):
        otherwise = replace(patient, execution=execution)
        assert otherwise.key != patient.key
        # Reports take it for another configuration, too.
        assert otherwise.config_hash != patient.config_hash
        assert replace(run_of(), execution=execution).key == run_of().key
    assert replace(patient, execution=Execution(processes=2)).key == patient.key


# Its place


def test_it_moves_with_its_store(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path / "store")
    run = store.open("runs/tiny/mine/0/key")
    run.mkdir(parents=True)
    spec = run_of(device_locks=("locks/cpu.lock",))
    spec.write(run)
    assert str(tmp_path) not in (run / "run.json").read_text()
    assert spec.data_folder(run) == store.root / "examples/tiny/0"
    shutil.move(store.root, tmp_path / "moved")
    moved = tmp_path / "moved" / "runs/tiny/mine/0/key"
    assert RunSpec.read(moved) == spec
    assert spec.data_folder(moved) == tmp_path.resolve() / "moved/examples/tiny/0"


@pytest.mark.parametrize("key", ["/data/examples/tiny/0", "../elsewhere", "", "examples/../.."])
def test_data_are_named_by_a_key(key: str) -> None:
    expected = r"='.*': expected a key of the store"
    with pytest.raises(ConfigurationError, match=f"data{expected}") as error:
        run_of(data=key)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigurationError, match=f"device_locks{expected}"):
        run_of(device_locks=(key,))


def older(run: Path, **changes: object) -> None:
    """Write ``run.json`` as it was before runs had keys and spans of code."""
    data = {**run_of().to_dict(), "code_version": "old", **changes}
    del data["code"]
    (run / "run.json").write_text(json.dumps(data))


def test_an_older_description_is_read_where_its_paths_are_in_the_store(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path / "store")
    run = store.root / "runs" / "key"
    run.mkdir(parents=True)
    older(run, data=str(store.root / "examples/a"), device_lock=str(store.root / "locks/cpu.lock"))
    spec = RunSpec.read(run)
    assert (spec.data, spec.device_locks) == ("examples/a", ("locks/cpu.lock",))
    assert spec.code == (CodeSpan(version="old"),)
    # The store has been moved since.
    (store.root / "examples" / "a").mkdir(parents=True)
    older(run, data="/before/data/examples/a", device_lock=None)
    assert RunSpec.read(run).data == "examples/a"
    execution = {**to_plain(Execution()), "trackers": ["tensorboard"]}
    older(run, data="examples/a", execution=execution)
    assert RunSpec.read(run).trackers == (TensorBoard(),)
    older(run, data="/somewhere/else")
    with pytest.raises(ConfigurationError, match=r"run\.json: /somewhere/else: outside the store"):
        RunSpec.read(run)


def test_a_run_outside_any_store_has_no_data() -> None:
    with pytest.raises(ConfigurationError, match=r"not in a store \(there is no store\.json"):
        run_of().data_folder(Path("/proc/self"))


def test_a_description_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "hostile_module.py").write_text("raise SystemExit('imported')\n")
    data = run_of().to_dict()
    data["variant"]["mixer"] = {"hostile_module:Mixer": {}}
    (tmp_path / "run.json").write_text(json.dumps(data))
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ConfigurationError, match=r"run\.json: .*hostile_module") as error:
            RunSpec.read(tmp_path)
    finally:
        sys.path.remove(str(tmp_path))
    assert "\n" not in str(error.value)
    assert "hostile_module" not in sys.modules


# Its code


def spans(spec: RunSpec) -> list[tuple[str, int]]:
    return [(span.version, span.from_step) for span in spec.code]


def test_other_code_goes_on_only_if_asked_and_is_recorded(tmp_path: Path) -> None:
    spec = run_of()
    assert spec.taken_up(5, "first", other_code=False) == spec
    with pytest.raises(ConfigurationError, match=r"^code version first trained .* step 5.* second"):
        spec.taken_up(5, "second", other_code=False)
    both = spec.taken_up(5, "second", other_code=True)
    assert spans(both) == [("first", 0), ("second", 5)]
    assert both.key == spec.key
    assert both.code_version == "first+second"
    both.write(tmp_path)
    assert RunSpec.read(tmp_path) == both
    assert both.taken_up(8, "second", other_code=False) == both
    assert spans(both.taken_up(8, "first", other_code=True)) == [*spans(both), ("first", 8)]
    # Nothing that the second one trained was kept: the first one goes on as if it had not been.
    assert both.taken_up(5, "first", other_code=False) == spec
    assert spans(both.taken_up(3, "third", other_code=True)) == [("first", 0), ("third", 3)]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ([], "code=()"),
        ([{"version": 3}], "version=3"),
        ([{"version": "a", "from_step": -1}], "from_step=-1"),
        ([{"version": "a", "from_step": 1.0}], "from_step=1.0"),
    ],
)
def test_code_that_cannot_be(tmp_path: Path, code: list[object], says: str) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**run_of().to_dict(), "code": code}))
    with pytest.raises(ConfigurationError) as error:
        RunSpec.read(tmp_path)
    assert says in str(error.value)


def keep(run: Path, spec: RunSpec, step: int) -> None:
    """A run that has come to ``step``."""
    run.mkdir()
    spec.write(run)
    if step:
        checkpoints.save(run, Checkpoint({}, {}, {}, {}, Progress(step=step)))


def test_runs_of_other_code(tmp_path: Path) -> None:
    recipe = Recipe(steps=10)
    spec = run_of(recipe=recipe, code=(CodeSpan(version="now"),))
    old = replace(spec, code=(CodeSpan(version="old"),))
    keep(tmp_path / "early", old, 2)
    keep(tmp_path / "late", replace(old, code=(CodeSpan(version="older"),)), 7)
    keep(tmp_path / "finished by this code", old.taken_up(5, "now", other_code=True), 10)
    keep(tmp_path / "finished", old, 10)
    keep(tmp_path / "not begun", old, 0)
    keep(tmp_path / "of this code", spec, 4)
    keep(tmp_path / "another seed", replace(old, seed=1), 4)
    keep(tmp_path / "another variant", replace(old, variant=Variant(layers=3)), 4)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    (tmp_path / "current").symlink_to("late")
    found = runs_of_other_code(tmp_path, spec)
    assert [run.name for run in found] == ["finished by this code", "late", "early"]


def test_steps_of_checkpoints(tmp_path: Path) -> None:
    assert step_reached(tmp_path) == intact_step(tmp_path) == 0
    for step in (3, 12):
        checkpoints.save(tmp_path, Checkpoint({}, {}, {}, {}, Progress(step=step)))
    (tmp_path / "checkpoints" / "step-old").mkdir()
    assert step_reached(tmp_path) == intact_step(tmp_path) == 12
    (saved(tmp_path)[-1] / "progress.json").write_text("{}")
    assert (step_reached(tmp_path), intact_step(tmp_path)) == (12, 3)


def test_its_job_imports_the_users_choices(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, tmp_path / "data", "d")
    assert training_job(tmp_path, spec).arguments == (str(tmp_path),)
    assert training_job(tmp_path, spec).progress == tmp_path / "checkpoints"
    mine = replace(spec, variant=WiderVariant())
    assert training_job(tmp_path, mine, other_code=True).arguments == (
        str(tmp_path),
        "--import",
        WiderVariant.__module__,
        "--continue-other-code",
    )
    assert spec.code[0].version == training_version(spec.variant, spec.recipe)


def test_several_processes_are_started_by_torchrun() -> None:
    launcher = LocalProcess()
    assert started_by(launcher, Execution()) is launcher
    assert started_by(launcher, Execution(processes=2)) == Torchrun(2, launcher)
    with pytest.raises(ConfigurationError, match=r"batch_size=768 with processes=5: "):
        run_of(execution=Execution(processes=5))
