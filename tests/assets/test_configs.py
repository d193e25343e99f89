"""Settings of stages are checked before anything runs."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import dagster as dg
import pytest
import torch

from assets.benchmarks import BENCHMARKS
from assets.configs import (
    CONFIGS,
    EvaluationConfig,
    StageConfig,
    TrainingConfig,
    configured,
    require_settings,
)
from assets.stages import STAGES
from pipelines import execute
from pipelines.definitions import defs
from trm_model.errors import ConfigurationError
from trm_model.model.evaluation import Evaluation
from trm_model.model.selections.lowest_residual import LowestResidual
from trm_model.model.selections.plurality import Plurality
from trm_model.model.starts.noisy import NoisyStart
from trm_model.variants import VARIANTS

RECIPE = BENCHMARKS["sudoku_4x4"].recipe


def check(benchmark: str, stage: str, field: str, value: object) -> None:
    origin = BENCHMARKS[benchmark].origin
    kind = origin.config if stage == "puzzles" else CONFIGS.get(stage, StageConfig)
    require_settings(stage, kind, {field: value}, RECIPE)


def test_a_variant_that_cannot_have_the_size_is_refused_without_data() -> None:
    family = BENCHMARKS["sudoku_4x4"].origin.family

    def training(variant: str, **size: int) -> None:
        settings = {"recipe": {"size": size}}
        chosen = [VARIANTS[variant]]
        require_settings("checkpoint", TrainingConfig, settings, RECIPE, chosen, family)

    training("trm_grid", heads=16)
    with pytest.raises(ConfigurationError, match="recipe and variant: .* multiple of 4"):
        training("trm_grid", heads=32)
    with pytest.raises(ConfigurationError, match="width=64 with heads=5: each head"):
        training("trm", heads=5)
    with pytest.raises(ConfigurationError, match="puzzle_width=64 with prefix=0"):
        training("trm", prefix=0)


@pytest.mark.parametrize(
    ("benchmark", "stage", "field", "value", "message"),
    [
        ("sudoku_4x4", "puzzles", "foo", 5, "--set puzzles.foo: no setting 'foo': expected none"),
        ("maze_small", "puzzles", "path", "x", "--set puzzles.path: no setting"),
        ("sudoku_csv", "puzzles", "pth", "x", "did you mean path"),
        ("sudoku_csv", "puzzles", "path", 3, "--set puzzles.path=3: "),
        (
            "sudoku_csv",
            "puzzles",
            "train_puzzles",
            True,
            "--set puzzles.train_puzzles=true: expected a whole number",
        ),
        (
            "sudoku_csv",
            "puzzles",
            "test_share",
            float("nan"),
            "test_share=NaN: expected a finite number",
        ),
        ("sudoku_4x4", "examples", "foo", 1, "--set examples.foo: no setting"),
        ("sudoku_4x4", "scores", "limit", 1, "--set scores.limit: no setting"),
        ("sudoku_4x4", "ablation", "x", 1, "--set ablation.x: no setting"),
        (
            "sudoku_4x4",
            "predictions",
            "limit",
            0,
            "--set predictions.limit=0: expected a whole number or nothing, at least 1; give "
            "another value, or leave it out",
        ),
        ("sudoku_4x4", "predictions", "limit", 10**30, "or nothing, at most 1000000000000; give"),
        ("sudoku_4x4", "predictions", "batch_size", 10**12, "nothing, at most 1000000; give"),
        ("sudoku_4x4", "checkpoint", "steps", 10**30, "steps=1000000000000000000000000000000: "),
        ("sudoku_4x4", "examples", "augmentations", 10**9, "--set examples.augmentations=10000"),
        (
            "sudoku_4x4",
            "checkpoint",
            "steps",
            "20",
            '--set checkpoint.steps="20": expected a whole',
        ),
        ("sudoku_4x4", "checkpoint", "steps", {"a": 1}, '--set checkpoint.steps={"a": 1}: expe'),
        ("sudoku_4x4", "checkpoint", "device", None, "--set checkpoint.device=null: expected text"),
        ("sudoku_4x4", "predictions", "limit", 2.0, "--set predictions.limit=2.0: "),
        ("sudoku_4x4", "predictions", "batch_size", True, "--set predictions.batch_size=true: "),
        ("sudoku_4x4", "predictions", "device", "mps", "--set predictions.device='mps': "),
        ("sudoku_4x4", "checkpoint", "device", "cuda", "--set checkpoint.device='cuda': "),
        ("sudoku_4x4", "checkpoint", "device", "mps", "--set checkpoint.device='mps': "),
        ("sudoku_4x4", "checkpoint", "steps", 0, "--set checkpoint.steps=0: "),
        ("sudoku_4x4", "checkpoint", "steps", True, "--set checkpoint.steps=true: "),
        ("sudoku_4x4", "predictions", "depth", 0, "--set predictions.depth=0: "),
        ("sudoku_4x4", "predictions", "depth", 1.5, "--set predictions.depth=1.5: "),
        ("sudoku_4x4", "predictions", "noise", -1.0, "--set predictions.noise=-1.0: "),
        ("sudoku_4x4", "predictions", "damping", 2.0, "--set predictions.damping=2.0: "),
        ("sudoku_4x4", "predictions", "noise_at", "x", "expected one of step, call"),
        ("sudoku_4x4", "predictions", "split", "all", "expected one of train, test"),
        ("sudoku_4x4", "predictions", "selection", "best", "expected one of confidence, first_to"),
        ("sudoku_4x4", "predictions", "selection", 3, "--set predictions.selection=3: "),
        ("sudoku_4x4", "checkpoint", "steps", 2.5, "--set checkpoint.steps=2.5: "),
        ("sudoku_4x4", "checkpoint", "batch_size", -1, "--set checkpoint.batch_size=-1: "),
        ("sudoku_4x4", "checkpoint", "log_steps", 0, "--set checkpoint.log_steps=0: "),
        ("sudoku_4x4", "checkpoint", "processes", 0, "--set checkpoint.processes=0: expected a"),
        ("sudoku_4x4", "checkpoint", "processes", 7, "with processes=7: expected equal shares; g"),
        ("sudoku_4x4", "checkpoint", "micro_batch", 0, "--set checkpoint.micro_batch=0: expected"),
        (
            "sudoku_4x4",
            "checkpoint",
            "checkpoint_seconds",
            float("inf"),
            "nds=Infinity: expected a",
        ),
        ("sudoku_4x4", "checkpoint", "checkpoint_seconds", -1.0, "checkpoint_seconds=-1.0: "),
        ("sudoku_4x4", "checkpoint", "fresh", "yes", '--set checkpoint.fresh="yes": '),
        ("sudoku_4x4", "checkpoint", "self", 1, "--set checkpoint.self: no setting 'self'"),
        ("sudoku_4x4", "shards", "url", 5, "--set shards.url=5: "),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    benchmark: str,
    stage: str,
    field: str,
    value: object,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigurationError) as caught:
        check(benchmark, stage, field, value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_can_be_is_let_through() -> None:
    for stage, field, value in (
        ("checkpoint", "steps", 5),
        ("checkpoint", "checkpoint_seconds", 1),
        ("predictions", "limit", None),
        ("predictions", "device", "cpu"),
    ):
        check("sudoku_4x4", stage, field, value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["checkpoint.steps=5", "checkpoint.steps=6"], "checkpoint.steps is set twice, expected"),
        (["checkpoint.steps={a: 1, a: 2}"], "2}': the key 'a' stands twice"),
        (["checkpoint.steps=[1,"], "expected YAML; mend it"),
        (["checkpoint.steps=2020-13-45"], "month must be in 1..12; expected YAML"),
    ],
)
def test_settings_that_say_two_things_or_none_are_refused(
    settings: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        execute.parse_settings("sudoku_4x4", settings)
    assert str(caught.value).startswith("--set 'checkpoint.steps=")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["predictions.limit=0", "checkpoint.device=mps", "scores.x=1"])
def test_a_command_is_refused_before_anything_is_made(
    setting: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRM_DATA", str(tmp_path))
    monkeypatch.setattr(execute, "prepare_home", lambda: pytest.fail("a run was started"))
    with pytest.raises(ConfigurationError, match="--set "):
        execute.materialize("sudoku_4x4", partitions=["trm_mlp|0"], settings=[setting])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["recipe.learning_rat=3"], "recipe: unknown recipe field 'learning_rat': did you mean "),
        (["recipe.learning_rate=abc"], "recipe: learning_rate='abc': expected a finite number; "),
        (["recipe.size.width=100.5"], "recipe: width=100.5: expected a whole number; "),
        (["recipe.size=5"], "recipe: size=5: expected a mapping of some of its fields: width, "),
        (["recipe.betas=[0.9]"], "recipe: betas=(0.9,): expected a list of 2, each a finite "),
        (["recipe.optimizer=sgd"], "optimizer 'sgd': expected one of adam_atan2, adamw, muon"),
        (["recipe=5"], "--set checkpoint.recipe=5: expected a mapping; give another value"),
        (["trackers=wandb"], '--set checkpoint.trackers="wandb": expected a list, as [FIRST, SEC'),
        (["steps=5", "recipe.steps=6"], "steps=5 and recipe.steps=6: expected one of them; "),
        (["variant.cycle=2"], "variant: unknown variant field 'cycle': did you mean cycles? "),
        (["variant.mixer.attentio.positions=rope"], "mixer 'attentio': expected one of attention"),
        (["variant.mixer=my.module:Mine"], "expected a module that Python can import here"),
        (["recipe.schedule=my.module:Mine"], "schedule: my.module: No module named 'my'; "),
        (["trackers=[my.module:Mine]"], "trackers: my.module: No module named 'my'; "),
        (["variant.evaluation.depth=3"], "variant.evaluation: expected what a training depends on"),
        (["variant.start=noisy", "variant.start.noisy.order=x"], "start has the value 'noisy' by"),
        (["variant.layers=[1"], "expected YAML"),
        (
            ["recipe.schedule=cosine", "recipe.warmup_steps=99999"],
            "recipe: warmup_steps=99999 of steps=1000, and schedule=cosine: expected steps after",
        ),
    ],
)
def test_a_changed_recipe_or_variant_that_cannot_be_is_refused(
    settings: list[str], message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRM_DATA", str(tmp_path))
    monkeypatch.setattr(execute, "prepare_home", lambda: pytest.fail("a run was started"))
    with pytest.raises(ConfigurationError) as caught:
        execute.materialize(
            "sudoku_4x4",
            partitions=["trm_mlp|0"],
            stages=["checkpoint"],
            settings=[f"checkpoint.{setting}" for setting in settings],
        )
    assert message in str(caught.value)
    assert str(caught.value).startswith("--set ")
    assert "\n" not in str(caught.value)


def test_a_class_of_ones_own_that_fails_is_refused_in_one_line(own_schedule: str) -> None:
    config = TrainingConfig(recipe={"schedule": {own_schedule: {"final": "much"}}})
    with pytest.raises(ConfigurationError, match="^recipe: can only concatenate str"):
        config.recipe_of(RECIPE)


def told(*settings: str) -> TrainingConfig:
    """Settings of a checkpoint as the command line takes them and the graph hands them on."""
    ops = execute.parse_settings("sudoku_4x4", [f"checkpoint.{each}" for each in settings])
    job = defs.resolve_job_def("train")
    checked = dg.validate_run_config(job, {"ops": dict(ops)})
    return configured(TrainingConfig, checked["ops"]["sudoku_4x4__checkpoint"]["config"])


def test_any_field_of_recipe_and_variant_can_be_changed() -> None:
    config = told(
        "recipe.learning_rate=3e-4", "recipe.size.width=128", "recipe.weight_decay=1",
        "variant.cycles=2", "variant.start.noisy.schedule=linear", "variant.mixer=attention",
    )  # fmt: skip
    expected = replace(
        RECIPE, learning_rate=3e-4, weight_decay=1.0, size=replace(RECIPE.size, width=128)
    )
    assert config.recipe_of(RECIPE) == expected
    base = VARIANTS["drm_annealed"]
    changed = replace(base, cycles=2, start=NoisyStart(order="annealed", schedule="linear"))
    assert config.variant_of(base) == changed, "the order of the start is the variant's"
    as_one = told("variant.cycles=2", "variant.start={noisy: {schedule: linear}}")
    assert as_one.variant_of(base) == changed
    assert told("variant.start=noisy").variant_of(base).start == NoisyStart()
    assert told().recipe_of(RECIPE) == RECIPE
    assert told("steps=3", "recipe.batch_size=4").recipe_of(RECIPE) == replace(
        RECIPE, steps=3, batch_size=4
    )


def fields_of(kind: Any, path: str) -> Iterator[tuple[str, dg.Field]]:
    """All fields of a configuration's type, nested ones included."""
    for name, field in getattr(kind, "fields", {}).items():
        yield f"{path}.{name}", field
        for inner in (
            field.config_type,
            getattr(field.config_type, "inner_type", None),
            getattr(field.config_type, "non_scalar_type", None),
        ):
            yield from fields_of(inner, f"{path}.{name}")


def test_the_page_tells_of_every_field_what_it_is() -> None:
    job = defs.resolve_implicit_global_asset_job_def()
    found: dict[str, dg.Field] = {}
    for name, node in job.graph.node_dict.items():
        declared = node.definition.config_schema
        assert declared is not None
        schema = declared.as_field()
        found |= fields_of(schema.config_type, name.replace("__", "."))
    ours = {name: field for name, field in found.items() if not name.endswith(".env")}
    assert [name for name, field in ours.items() if not field.description] == []
    given = found["sudoku_4x4.checkpoint.recipe.steps"]
    assert given.default_value == RECIPE.steps
    assert found["sudoku_9x9.checkpoint.recipe.size.width"].default_value == 128
    assert "optimizer steps" in str(given.description)
    assert "as the partition's" in str(found["sudoku_4x4.checkpoint.variant.cycles"].description)
    corruption = found["sudoku_4x4.checkpoint.variant.start.noisy.corruption"]
    assert "Default: mask." in str(corruption.description)
    assert "sudoku_4x4.checkpoint.variant.evaluation" not in found


@pytest.mark.parametrize(
    ("benchmark", "partition", "settings", "message"),
    [
        ("sudoku_4x4", "autoregressive|0", ["rollouts=2"], "rollouts=2 with cells answered one"),
        ("sudoku_4x4", "autoregressive|0", ["damping=0.5"], "belong to whole answers"),
        ("sudoku_4x4", "trm|0", ["halting_per_cell=true"], "settings of variants that answer one"),
        ("arc_demo", "trm|0", ["selection=first_valid"], "answers to arc cannot be verified"),
    ],
)
def test_a_command_refuses_an_evaluation_that_the_variant_cannot_have(
    benchmark: str,
    partition: str,
    settings: list[str],
    message: str,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRM_DATA", str(tmp_path))
    monkeypatch.setattr(execute, "prepare_home", lambda: pytest.fail("a run was started"))
    with pytest.raises(ConfigurationError, match=message):
        execute.materialize(
            benchmark,
            partitions=[partition],
            stages=["predictions"],
            settings=[f"predictions.{setting}" for setting in settings],
        )


def test_an_evaluation_is_the_variants_own_but_for_what_is_set() -> None:
    own = Evaluation(depth=16, rollouts=8, selection=Plurality())
    assert EvaluationConfig().evaluation(own) == own
    changed = EvaluationConfig(rollouts=2, noise=1, selection={"lowest_residual": {"window": 4}})
    assert changed.evaluation(own) == replace(
        own, rollouts=2, noise=1, selection=LowestResidual(window=4)
    )
    # All settings of an evaluation can be given, and are described.
    fields_of = EvaluationConfig.model_fields
    assert {field.name for field in fields(Evaluation)} <= set(fields_of)
    for field in fields(Evaluation):
        said = fields_of[field.name].description or ""
        assert len(said.split()) > 7, field.name
        assert said.endswith("Not given: as the variant is evaluated.")


@pytest.mark.parametrize("stage", STAGES)
def test_the_graph_ignores_no_setting(stage: str) -> None:
    job = defs.resolve_implicit_global_asset_job_def()
    config = {"ops": {f"sudoku_4x4__{stage}": {"config": {"no_such_setting": 5}}}}
    if f"sudoku_4x4__{stage}" not in job.graph.node_dict:
        return
    with pytest.raises(dg.DagsterInvalidConfigError, match="no_such_setting"):
        dg.validate_run_config(job, config)


def test_each_visible_gpu_gets_a_process_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many as can have equal shares of a batch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    recipe = replace(RECIPE, batch_size=64)

    def taken(**settings: Any) -> list[str]:
        return TrainingConfig(**settings).execution(recipe).devices

    assert taken() == taken(device="cuda") == ["cuda:0", "cuda:1"]
    assert taken(device="cuda:2") == ["cuda:2"]
    assert taken(processes=1) == ["cuda:0"]
    assert TrainingConfig(device="cpu").execution(recipe).processes == 1
    assert TrainingConfig(device="cpu", processes=4).execution(recipe).processes == 4
    with pytest.raises(ConfigurationError, match=r"device='cuda:3': torch finds 3 cuda devices"):
        taken(device="cuda:2", processes=2)
