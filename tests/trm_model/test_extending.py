"""Extending from outside the package: one choice of each axis in modules of the user's own."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from storage.examples import read_examples
from tests.trm_model.test_choices import AXES
from tests.trm_model.training.recipes import TINY, tiny_spec
from trm_model.choices import choices, find, from_plain, to_plain
from trm_model.command import main
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import evaluate
from trm_model.launching import Ending, LocalProcess
from trm_model.model.batch import DeviceExamples
from trm_model.model.cost import cost
from trm_model.model.reasoner import build
from trm_model.model.variant import Variant
from trm_model.trackers.tensorboard import TensorBoard
from trm_model.training import checkpoint as checkpoints
from trm_model.training.execution import Execution
from trm_model.training.job import training_job
from trm_model.training.loop import train
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan, RunSpec, training_version
from trm_model.variants import VARIANTS, load_variants

Tiny = tuple[object, Path, str]

MODULE = '''"""One choice of each axis, each one class."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from trm_model.model.backprop.backprop import Backprop
from trm_model.model.curricula.curriculum import Curriculum
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.generations.parallel import Parallel
from trm_model.model.haltings.halting import Halting
from trm_model.model.layers import Sublayer, linear, rms_norm, truncated_normal
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.positions.position import Position
from trm_model.model.selections.selection import Judged, Selection
from trm_model.model.solvers.solver import Solver
from trm_model.model.starts.start import Start, fixed_state
from trm_model.model.state import State
from trm_model.optimizers.optimizer import Optimizer

CALLED = []


@dataclass(frozen=True, slots=True)
class Diagonal(Position):
    """A vector for each of ``every`` diagonals."""

    every: int = 3

    def lookups(self, layout):
        CALLED.append("position")
        row, column = layout.places("diagonals")
        return ((row + column) % self.every)[None]


@dataclass(frozen=True, slots=True)
class Shift(Mixer):
    """Each position reads the one ``by`` positions before it."""

    by: int = 1
    positions: tuple[Position, ...] = ()

    @property
    def told_by(self):
        return self.positions

    def build(self, size, layout, feed_forward, generator, *, causal):
        CALLED.append("mixer")
        layer = nn.Linear(size.width, size.width, bias=False)
        layer.weight = nn.Parameter(
            truncated_normal((size.width, size.width), size.width**-0.5, generator)
        )
        return layer

    def mix(self, module, x, cache):
        return rms_norm(x + module(x.roll(self.by, 1)))


class SquaredRelu(Sublayer):
    def __init__(self, width, generator):
        super().__init__()
        self.up = nn.Parameter(truncated_normal((2 * width, width), width**-0.5, generator))
        self.down = nn.Parameter(truncated_normal((width, 2 * width), width**-0.5, generator))

    def forward(self, x):
        return linear(F.relu(linear(x, self.up)).square(), self.down)


@dataclass(frozen=True, slots=True)
class Squared(FeedForward):
    def build(self, width, expansion, generator):
        CALLED.append("feed_forward")
        return SquaredRelu(width, generator)


@dataclass(frozen=True, slots=True)
class Scaled(Start):
    factor: float = 0.5

    def initial(self, model, noise):
        CALLED.append("start")
        state = fixed_state(model, noise)
        return State(state.answer, tuple(self.factor * latent for latent in state.latents))

    def update(self, old, new, noise, call):
        return old.lerp(new, 0.9)


@dataclass(frozen=True, slots=True)
class Sure(Halting):
    """Halts at its first step where its logit exceeds a bound."""

    bound: float = 0.0

    def loss(self, halt_logits, right):
        CALLED.append("halting")
        return Halting.loss(self, halt_logits, right)

    def wants(self, halt_logits, continue_logits, solved):
        return halt_logits > self.bound


@dataclass(frozen=True, slots=True)
class JudgedByAll(Parallel):
    """The halting head reads the mean of all positions."""

    def judged(self, answer, prefix):
        CALLED.append("generation")
        return answer.mean(1)


@dataclass(frozen=True, slots=True)
class ShallowFirst(Curriculum):
    until: float = 0.5

    def stages(self):
        CALLED.append("curriculum")
        return ((self.until, 1, 2),)


@dataclass(frozen=True, slots=True)
class Halfway(Solver):
    def begin(self):
        CALLED.append("solver")
        return self

    def next(self, point, value):
        return point.lerp(value, 0.5)


@dataclass(frozen=True, slots=True)
class Through(Backprop):
    def graded_calls(self, cycles, latent_updates):
        CALLED.append("backprop")
        return cycles * (latent_updates + 1) - 1


@dataclass(frozen=True, slots=True)
class Momentum(Optimizer):
    share: float = 0.9

    def build(self, weights, *, betas, weight_decay, base):
        CALLED.append("optimizer")
        return [torch.optim.SGD(weights.all, lr=0.0, momentum=self.share)]


@dataclass(frozen=True, slots=True)
class LastTry(Selection):
    def select(self, tries):
        CALLED.append("selection")
        return Judged(*(each[-1] for each in tries.now))
'''

YAML = """
base: trm_mlp
changes:
  mixer: {own_choices:Shift: {by: 2, positions: {own_choices:Diagonal: {every: 2}}}}
  feed_forward: own_choices:Squared
  start: {own_choices:Scaled: {factor: 0.25}}
  halting: {own_choices:Sure: {bound: 0.1}}
  generation: own_choices:JudgedByAll
  curriculum: own_choices:ShallowFirst
  solver: own_choices:Halfway
  backprop: own_choices:Through
  optimizer: {own_choices:Momentum: {share: 0.8}}
  evaluation: {rollouts: 2, selection: own_choices:LastTry}
"""
OWN_MODULES = {
    "own_schedules": """
from dataclasses import dataclass

from trm_model.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Squares(Schedule):
    final: float = 0.25

    def factor(self, share):
        return 1.0 - (1.0 - self.final) * share**2
""",
    "own_trackers": """
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from trm_model.trackers.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Lines(Tracker):
    package: ClassVar[str] = "json"
    file: str = "lines"

    @contextmanager
    def follow(self, tracked):
        with (tracked.folder / self.file).open("a") as file:
            yield lambda step, figures: print(step, figures["learning_rate"], file=file)
""",
    "own_selections": """
from dataclasses import dataclass

from trm_model.model.selections.selection import Judged, Selection


@dataclass(frozen=True, slots=True)
class FirstTry(Selection):
    def select(self, tries):
        return Judged(*(each[0] for each in tries.now))
""",
}
"""Modules of one choice each that is no variant's or that no training depends on."""
FIELDS = (
    "mixer",
    "feed_forward",
    "start",
    "halting",
    "generation",
    "curriculum",
    "solver",
    "backprop",
    "optimizer",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the user's own modules, which are forgotten afterwards."""
    known = {axis: choices(axis) for axis in AXES}
    modules = {"own_choices": MODULE, **OWN_MODULES}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in modules:
        sys.modules.pop(name, None)
    for axis, names in known.items():
        axis.known.clear()
        axis.known.update(names)


@pytest.fixture
def own(folder: Path) -> Variant:
    """A variant that is made of the user's own choices wherever there is a choice."""
    variants = folder / "variants"
    variants.mkdir()
    (variants / "own.yaml").write_text(YAML)
    return load_variants(variants).named("own")


def test_every_axis_can_be_extended_from_outside(own: Variant, tmp_path: Path, tiny: Tiny) -> None:
    """Loaded, trained, resumed and evaluated by the same code as the built-in choices."""
    examples, tests = (read_examples(tiny[1] / f"{split}.zarr") for split in ("train", "test"))
    called: list[str] = sys.modules["own_choices"].CALLED
    for field in FIELDS:
        assert type(getattr(own, field)).__module__ == "own_choices"
    assert (own.calls, own.graded_calls, own.stage(0.5).calls, own.stage(0.6).calls) == (
        21,
        20,
        3,
        21,
    )
    recipe, run = replace(TINY, steps=6), tmp_path / "run"
    run.mkdir()
    called.clear()
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == 3

    for _ in range(2):
        train(run, own, recipe, examples, 0, Execution(), report=lambda _: None, stop=stop)
    assert set(called) == {*FIELDS, "position"}
    checkpoint = checkpoints.load(checkpoints.saved(run)[-1])
    assert checkpoint.progress.step == 6
    model = build(own, recipe.size, examples.header, 0)
    assert model.positions is not None
    assert len(model.positions) == 2
    untrained = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.load_state_dict(checkpoint.evaluated)
    for name in ("networks.0.0.mixer.weight", "networks.0.1.channels.down", "head", "positions"):
        assert not torch.equal(model.state_dict()[name], untrained[name])
    called.clear()
    data = DeviceExamples(tests, torch.device("cpu"))
    outcome = evaluate(model, data, max_steps=3, batch_size=8)
    assert "selection" in called
    assert outcome.predictions.shape == (20, 3, 16)
    np.testing.assert_array_equal(outcome.halts, outcome.halt_logits > 0.1)
    assert cost(own, recipe.size, vocabulary=6, length=16).training_flops > 0


def test_ones_own_choices_are_stored_by_name(own: Variant, tmp_path: Path) -> None:
    plain = json.loads(json.dumps(to_plain(own)))
    assert plain["mixer"] == {
        "own_choices:Shift": {"by": 2, "positions": [{"own_choices:Diagonal": {"every": 2}}]}
    }
    assert from_plain(Variant, plain) == own
    assert own.identity()["start"] == {"own_choices:Scaled": {"factor": 0.25}}
    recipe = from_plain(Recipe, {"optimizer": "own_choices:Momentum"})
    spec = replace(tiny_spec(tmp_path, tmp_path / "data", "abc"), variant=own, recipe=recipe)
    spec.write(tmp_path)
    assert RunSpec.read(tmp_path) == spec
    base = VARIANTS["trm_mlp"]
    differing = [replace(base, **{field: getattr(own, field)}) for field in FIELDS]
    assert len({replace(spec, variant=variant).config_hash for variant in differing}) == len(FIELDS)


def forget() -> None:
    """As in a process where nobody has named the user's module."""
    del sys.modules["own_choices"]
    for axis in AXES:
        for name in [name for name in axis.known if name.startswith("own_choices:")]:
            del axis.known[name]


@pytest.mark.parametrize("given", [("--own", "../variants"), ("--import", "own_choices")])
def test_solving_registers_them_first(
    own: Variant,
    tmp_path: Path,
    tiny: Tiny,
    given: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    examples = read_examples(tiny[1] / "train.zarr")
    run = tmp_path / "run"
    run.mkdir()
    spec = tiny_spec(run, tiny[1], tiny[2], steps=2)
    spec = replace(spec, variant=own, header=examples.header)
    spec.write(run)
    train(run, own, spec.recipe, examples, 0, Execution(), report=lambda _: None)
    puzzle = ".1..42132....3.2"
    forget()
    monkeypatch.chdir(run)
    assert main(["solve", str(run), puzzle]) == 2
    assert "neither built in nor registered" in capsys.readouterr().err
    assert main(["solve", str(run), puzzle, *given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_where_they_are_not_imported_they_are_refused(own: Variant, tmp_path: Path) -> None:
    """A stored run of a colleague, opened where nobody named the class: nothing is imported."""
    replace(tiny_spec(tmp_path, tmp_path / "data", "abc"), variant=own).write(tmp_path)
    forget()
    with pytest.raises(ConfigurationError) as error:
        RunSpec.read(tmp_path)
    assert "'own_choices:JudgedByAll': a class that is neither built in nor registered" in str(
        error.value
    )
    assert "\n" not in str(error.value)
    assert "own_choices" not in sys.modules
    for axis in AXES:
        with pytest.raises(ConfigurationError, match="not imported"):
            find(axis, "own_choices:Shift")


def test_ones_own_schedule_and_tracker_work_in_the_training_process(
    folder: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That process knows nothing of the user's modules but what its job tells it."""
    spec = tiny_spec(folder / "run", tiny[1], tiny[2], steps=2)
    recipe = {"schedule": {"own_schedules:Squares": {"final": 0.5}}, "learning_rate": 1.0}
    changes = {
        "variant": {"evaluation": {"selection": "own_selections:FirstTry"}},
        "recipe": {**recipe, "warmup_steps": 0},
        "trackers": [{"own_trackers:Lines": {"file": "figures"}}],
        "execution": {"log_steps": 1},
    }
    spec = from_plain(RunSpec, changes, spec, importing=True)
    version = training_version(spec.variant, spec.recipe)
    spec = replace(spec, code=(CodeSpan(version=version),))
    run = folder / "run"
    run.mkdir()
    spec.write(run)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    outcome = LocalProcess().start(training_job(run, spec)).wait(lambda _: None)
    assert outcome.ending is Ending.FINISHED, outcome.message
    assert (run / "figures").read_text() == "1 0.875\n2 0.5\n"


def test_a_run_is_read_without_a_tracker_whose_class_is_not_imported(
    folder: Path, tiny: Tiny
) -> None:
    """No result depends on it; a training must have it."""
    spec = tiny_spec(folder / "run", tiny[1], tiny[2])
    data = {**spec.to_dict(), "trackers": ["own_trackers:Lines", "tensorboard"]}
    (folder / "run.json").write_text(json.dumps(data))
    assert RunSpec.read(folder).trackers == (TensorBoard(),)
    with pytest.raises(ConfigurationError, match="own_trackers:Lines': a class that is neither"):
        RunSpec.read(folder, every_tracker=True)
    assert "own_trackers" not in sys.modules
