"""Choices: found by name, checked, as plain data and back, and told apart by what was changed."""

import hashlib
import importlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from tests.trm_model.training.recipes import TINY, tiny_spec
from trm_model.choices import Choice, changed, check_fields, choices, find, from_plain, to_plain
from trm_model.errors import ConfigurationError
from trm_model.model.backprop.backprop import Backprop
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.curricula.curriculum import Curriculum
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.experts import Experts
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.generations.generation import Generation
from trm_model.model.haltings.halting import Halting
from trm_model.model.mixers.attention import Attention
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.positions.grid_rotary import GridRotary
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.position import Position
from trm_model.model.selections.plurality import Plurality
from trm_model.model.selections.selection import Selection
from trm_model.model.solvers.solver import Solver
from trm_model.model.starts.random import RandomStart
from trm_model.model.starts.start import Start
from trm_model.model.variant import Variant
from trm_model.optimizers.optimizer import Optimizer
from trm_model.schedules.schedule import Schedule
from trm_model.trackers.tracker import Tracker
from trm_model.training.recipe import Recipe
from trm_model.training.run import RUN_FILE, RunSpec
from trm_model.variants import VARIANTS, load_variants

AXES: dict[type[Choice], set[str]] = {
    Backprop: {"last_calls", "last_cycles"},
    Curriculum: {"constant", "depth"},
    FeedForward: {"dense", "experts", "gated_norm", "short_convolution"},
    Generation: {"autoregressive", "parallel"},
    Halting: {"bce", "compared", "none", "q_learning", "solved"},
    Mixer: {"attention", "token_mlp"},
    Optimizer: {"adam_atan2", "adamw", "muon"},
    Position: {"grid_rotary", "learned", "none", "rope", "row_column"},
    Schedule: {"constant", "cosine", "linear", "trapezoid"},
    Selection: {
        "confidence",
        "first_to_halt",
        "first_valid",
        "halting_logit",
        "last_step",
        "lowest_residual",
        "most_frequent",
        "plurality",
    },
    Solver: {"anderson", "iteration"},
    Start: {"fixed", "noisy", "random"},
    Tracker: {"mlflow", "tensorboard", "wandb"},
}
"""Every axis and its built-in choices. Stored runs hold these names: none may change."""


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Modules in ``tmp_path`` can be imported; they and their choices are forgotten afterwards."""
    before, known = set(sys.modules), {axis: choices(axis) for axis in AXES}
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for axis, names in known.items():
        axis.known.clear()
        axis.known.update(names)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("axis", list(AXES), ids=lambda axis: axis.__name__)
def test_built_in_choices_are_found_by_their_names(axis: type[Choice]) -> None:
    found = choices(axis)
    assert {name for name in found if ":" not in name} == AXES[axis]
    assert list(found) == sorted(found)
    for name in AXES[axis]:
        cls = find(axis, name)
        assert cls.name == name
        assert from_plain(cls, {}) == cls()
        assert to_plain(cls()).keys() == {name}
        assert hash(cls()) == hash(cls())


def test_a_file_in_the_package_of_an_axis_is_a_choice(tmp_path: Path) -> None:
    """Nothing else has to be changed: neither a list nor an import."""
    package = tmp_path / "toy_shapes"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "shape.py").write_text(
        "from trm_model.choices import Choice\n"
        "class Shape(Choice, axis=True):\n"
        "    __slots__ = ()\n"
        "    def area(self) -> float: raise NotImplementedError\n"
    )
    (package / "square.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from toy_shapes.shape import Shape\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Square(Shape):\n"
        '    name: ClassVar[str] = "square"\n'
        "    side: float = 1.0\n"
        "    def area(self) -> float: return self.side**2\n"
    )
    shape = importlib.import_module("toy_shapes.shape").Shape
    assert list(choices(shape)) == ["square"]
    square = from_plain(find(shape, "square"), {"side": 3})
    assert square.area() == 9
    with pytest.raises(ConfigurationError, match="shape 'circle': expected one of square, or"):
        find(shape, "circle")


def test_a_stranger_cannot_make_us_import(tmp_path: Path) -> None:
    """Neither by a run's description nor by plain data; in one line that says what to do."""
    (tmp_path / "stranger.py").write_text("raise SystemExit('this code must never run')\n")
    plain = to_plain(VARIANTS["trm"])
    plain["mixer"] = {"stranger:Evil": {}}
    with pytest.raises(ConfigurationError) as error:
        from_plain(Variant, plain)
    assert "mixer 'stranger:Evil': a class that is neither built in nor registered" in str(
        error.value
    )
    tiny_spec(tmp_path, tmp_path / "data", "abc").write(tmp_path)
    run = json.loads((tmp_path / RUN_FILE).read_text())
    for field, name in (("variant", "stranger:Evil"), ("recipe", "stranger:Evil")):
        changes = {"mixer": name} if field == "variant" else {"optimizer": name}
        changed_run = {**run, field: {**run[field], **changes}}
        (tmp_path / RUN_FILE).write_text(json.dumps(changed_run))
        with pytest.raises(ConfigurationError, match="not imported") as error:
            RunSpec.read(tmp_path)
        assert str(tmp_path / RUN_FILE) in str(error.value)
        assert "\n" not in str(error.value)
    assert "stranger" not in sys.modules


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere.at_all:Mine", "No module named 'nowhere'"),
        ("broken_choices:Absent", "has no attribute 'Absent'"),
        ("broken_choices:NoMixer", "expected a frozen dataclass derived from Mixer"),
        ("broken_choices:Plain", "expected a frozen dataclass derived from Mixer"),
        ("broken_choices:Thawed", "expected a frozen dataclass derived from Mixer"),
        ("broken_choices:Inherited", "expected a frozen dataclass derived from Mixer"),
        ("mixers.mine", "expected one of attention, token_mlp, or your own as package.module:Cl"),
        (
            "trm_model.model.starts.fixed:FixedStart",
            "expected a frozen dataclass derived from Mixer",
        ),
    ],
)
def test_names_of_ones_own_that_cannot_be(tmp_path: Path, named: str, message: str) -> None:
    (tmp_path / "broken_choices.py").write_text(
        "from dataclasses import dataclass\n"
        "from trm_model.model.mixers.attention import Attention\n"
        "from trm_model.model.mixers.mixer import Mixer\n"
        "class NoMixer: ...\n"
        "class Plain(Mixer): ...\n"
        "class Inherited(Attention): ...\n"
        "class Thawed(Mixer): ...\n"
        "Thawed = dataclass(Thawed)\n"
    )
    folder = tmp_path / "variants"
    folder.mkdir()
    (folder / "mine.yaml").write_text(f'base: trm\nchanges: {{mixer: "{named}"}}\n')
    # The second time the class is registered already.
    for _ in range(2):
        found = load_variants(folder)
        assert not found.known
        assert message in found.broken["mine"]
        assert str(folder / "mine.yaml") in found.broken["mine"]
        assert "\n" not in found.broken["mine"]


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "taken.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from trm_model.model.mixers.mixer import Mixer\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Mine(Mixer):\n"
        '    name: ClassVar[str] = "attention"\n'
    )
    folder = tmp_path / "variants"
    folder.mkdir()
    (folder / "mine.yaml").write_text('base: trm\nchanges: {mixer: "taken:Mine"}\n')
    assert (
        "taken:Mine is named 'attention' as trm_model.model.mixers.attention:Attention is"
        in (load_variants(folder).broken["mine"])
    )
    assert find(Mixer, "attention") is Attention


def test_names_are_of_an_axis() -> None:
    """Two axes may use one name, and a choice is known on its own axis alone."""
    with pytest.raises(ConfigurationError, match="start 'attention': expected one of fixed, noisy"):
        find(Start, "attention")
    with pytest.raises(ConfigurationError, match="expected one of fixed, noisy, random"):
        Variant(start=cast(Any, Attention()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"depth": 3}, "unknown variant field 'depth': expected generation, mixer, feed_forward"),
        ({"mixer": "blender"}, "mixer 'blender': expected one of attention, token_mlp"),
        ({"mixer": 3}, "mixer=3: expected one of attention, token_mlp, or a mapping"),
        ({"mixer": {"attention": {}, "token_mlp": {}}}, "or a mapping of one of them"),
        ({"mixer": {"attention": 3}}, "a mapping of a name to its options"),
        ({"mixer": {"attention": {"heads": 3}}}, "unknown attention field 'heads': expected pos"),
        ({"halting": {"bce": {"x": 1}}}, "unknown bce field 'x': expected no field"),
        ({"start": {"random": {"count": True}}}, "count=True: expected a whole number"),
        ({"start": {"random": {"damping": "much"}}}, "damping='much': expected a finite number"),
        ({"start": {"random": {"update_noise": math.inf}}}, "update_noise=inf: expected a finite"),
        ({"layers": True}, "layers=True: expected a whole number"),
        ({"layers": 1.5}, "layers=1.5: expected a whole number"),
        ({"layers": "2"}, "layers='2': expected a whole number"),
        ({"layers": 0}, "layers=0: expected a whole number of at least 1"),
        ({"answer_layers": 0, "networks": "separate"}, "answer_layers=0: expected a whole number"),
        ({"ema": 1}, "ema=1: expected true or false"),
        ({"networks": "both"}, "networks='both': expected one of shared, separate"),
        ({"state_noise": math.nan}, "state_noise=nan: expected a finite number"),
        ({"state_noise": -0.1}, "state_noise=-0.1: expected a finite number of at least 0"),
        (
            {"evaluation": {"rollout": 2}},
            "unknown evaluation field 'rollout': did you mean rollouts?",
        ),
        ({"evaluation": {"split": "all"}}, "split='all': expected one of train, test"),
        ({"evaluation": {"depth": 2.0}}, "depth=2.0: expected a whole number or nothing"),
        ({"evaluation": {"noise": True}}, "noise=True: expected a finite number"),
        ({"evaluation": {"stop_at_halting": 1}}, "stop_at_halting=1: expected true or false"),
        ({"evaluation": {"selection": "oracle"}}, "'oracle': expected one of confidence, first_to"),
        ({"curriculum": {"depth": {"cycles": [1, 2.5]}}}, "expected a list, each a whole number"),
        ({"curriculum": {"depth": {"until": 0.5}}}, "until=0.5: expected a list, each a finite"),
        ({"optimizer": "sgd"}, "optimizer 'sgd': expected one of adam_atan2, adamw, muon"),
    ],
)
def test_wrong_fields_of_a_variant_are_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_plain(Variant, data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"steps": 1.5}, "steps=1.5: expected a whole number"),
        ({"steps": 12.0}, "steps=12.0: expected a whole number"),
        ({"steps": True}, "steps=True: expected a whole number"),
        ({"batch_size": None}, "batch_size=None: expected a whole number"),
        ({"learning_rate": math.inf}, "learning_rate=inf: expected a finite number"),
        ({"learning_rate": -math.inf}, "learning_rate=-inf: expected a finite number"),
        ({"learning_rate": "1e-4"}, "learning_rate='1e-4': expected a finite number"),
        ({"learning_rate": 0}, "learning_rate=0.0: expected a positive number"),
        ({"puzzle_learning_rate": math.nan}, "puzzle_learning_rate=nan: expected a finite number"),
        ({"weight_decay": -1}, "weight_decay=-1.0: expected a finite number of at least 0"),
        ({"betas": [0.9]}, "betas=(0.9,): expected a list"),
        ({"betas": [0.9, True]}, "betas=(0.9, True): expected a list"),
        ({"betas": [0.9, 1.0]}, "betas=(0.9, 1.0): expected two numbers in [0, 1)"),
        ({"precision": "float16"}, "precision='float16': expected one of float32, bfloat16"),
        ({"size": {"width": 64.0}}, "width=64.0: expected a whole number"),
        ({"size": {"expansion": math.inf}}, "expansion=inf: expected a finite number"),
        ({"size": 3}, "size=3: expected a mapping of some of its fields: width, "),
        ({"rate": 3}, "unknown recipe field 'rate': expected size, steps"),
    ],
)
def test_wrong_fields_of_a_recipe_are_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_plain(Recipe, data)
    assert message in str(error.value)


def test_what_is_left_out_keeps_its_value() -> None:
    base = replace(VARIANTS["trm"], start=RandomStart(count=3), evaluation=Evaluation(depth=5))
    assert from_plain(Variant, {"layers": 3}, base) == replace(base, layers=3)
    # What is nested is changed; a choice named alone is chosen anew.
    found = from_plain(
        Variant, {"evaluation": {"rollouts": 2}, "start": {"random": {"damping": 0.5}}}, base
    )
    assert found.evaluation == Evaluation(depth=5, rollouts=2)
    assert found.start == RandomStart(count=3, damping=0.5)
    assert from_plain(Variant, {"start": "random"}, base).start == RandomStart()
    assert from_plain(Variant, {"optimizer": None}, VARIANTS["muon"]).optimizer is None


def test_spellings_of_a_choice() -> None:
    for given in (
        "random",
        {"random": {}},
        {"random": None},
        {"kind": "random"},
        {"random": {"count": 1}},
        {"kind": "random", "count": 1},
    ):
        assert from_plain(Variant, {"start": given}).start == RandomStart()


def test_plain_data_are_json_and_come_back() -> None:
    recipe = replace(TINY, betas=(0.8, 0.9))
    for value in (
        recipe,
        Variant(curriculum=DepthCurriculum(until=(0.1, 0.7))),
        Evaluation(depth=3, selection=Plurality()),
    ):
        plain = json.loads(json.dumps(to_plain(value)))
        assert from_plain(cast("type[Any]", type(value)), plain) == value


@dataclass(frozen=True, slots=True)
class _Inner:
    size: int = 1
    shift: int = 2


@dataclass(frozen=True, slots=True)
class _WiderInner:
    size: int = 1
    shift: int = 2
    new: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, slots=True)
class _Before:
    needed: int
    inner: _Inner = _Inner()
    backprop: Backprop = LastCalls(2)


@dataclass(frozen=True, slots=True)
class _After:
    needed: int
    inner: _WiderInner = _WiderInner()
    backprop: Backprop = LastCalls(2)
    new: float = 0.5
    selection: Selection = Plurality()


def test_a_new_field_with_a_default_changes_nothing_of_what_is_hashed() -> None:
    assert changed(_Before(1)) == changed(_After(1)) == {"needed": 1}
    before, after = _Before(1, _Inner(shift=5)), _After(1, _WiderInner(shift=5))
    assert changed(before) == changed(after) == {"needed": 1, "inner": {"shift": 5}}
    assert changed(_After(1, new=1.0)) == {"needed": 1, "new": 1.0}
    # A choice is named although all its fields are at their defaults.
    assert changed(_Before(1, backprop=LastCalls(3)))["backprop"] == {"last_calls": {"count": 3}}
    assert changed(Variant(mixer=Attention())) == {"mixer": {"attention": {}}}
    # So it is with several choices.
    assert changed(Attention(positions=(GridRotary(base=10.0), Learned()))) == {
        "positions": [{"grid_rotary": {"base": 10.0}}, {"learned": {}}]
    }
    assert changed(Attention(positions=(GridRotary(), Learned()))) == {
        "positions": [{"grid_rotary": {}}, {"learned": {}}]
    }
    assert changed(Variant(feed_forward=Experts(5, 2))) == {
        "feed_forward": {"experts": {"count": 5}}
    }
    assert changed(Evaluation(depth=3, selection=Plurality())) == {
        "depth": 3,
        "selection": {"plurality": {}},
    }


def test_what_identifies_a_run(tmp_path: Path) -> None:
    assert VARIANTS["trm_mlp"].identity() == {}
    assert VARIANTS["trm"].identity() == {"mixer": {"attention": {}}}
    # How a model is tested is no part of its training.
    tested = replace(VARIANTS["trm"], evaluation=Evaluation(depth=3, rollouts=4))
    assert tested.identity() == VARIANTS["trm"].identity()
    spec = replace(tiny_spec(tmp_path, tmp_path / "data", "abc"), recipe=Recipe())
    empty = json.dumps({"recipe": {}, "variant": {}})
    assert spec.config_hash == hashlib.sha256(empty.encode()).hexdigest()[:16]
    identities = [json.dumps(variant.identity(), sort_keys=True) for variant in VARIANTS.values()]
    trained = {replace(variant, evaluation=Evaluation()) for variant in VARIANTS.values()}
    assert len(set(identities)) == len(trained)


def test_fields_are_checked_in_order() -> None:
    @dataclass(frozen=True)
    class Toy:
        number: int = 1
        share: float = 0.5
        word: str = "a"
        either: int | str | None = None
        pairs: tuple[tuple[int, float], ...] = ()
        anything: Any = None
        kept: ClassVar[int] = 3

    check_fields(Toy(either="x", share=1, pairs=((1, 2),), anything=object()), number=1, share=0.5)
    check_fields(Toy(), either=3)
    for wrong, message in (
        (Toy(number=0), "number=0: expected a whole number of at least 1; change number"),
        (Toy(word=cast(Any, 3)), "word=3: expected text"),
        (Toy(either=cast(Any, 0.5)), "either=0.5: expected a whole number or text or nothing"),
        (Toy(pairs=cast(Any, ((1, "x"),))), "pairs=((1, 'x'),): expected a list, each"),
    ):
        with pytest.raises(ConfigurationError) as error:
            check_fields(wrong, number=1)
        assert message in str(error.value)
