"""Settings of stages are checked before anything runs."""

from dataclasses import fields, replace
from typing import Any

import dagster as dg
import pytest
import torch

from assets.benchmarks import BENCHMARKS
from assets.configs import CONFIGS, EvaluationConfig, StageConfig, require_settings
from assets.stages import STAGES
from pipelines import execute
from pipelines.definitions import defs
from trm_model.errors import ConfigurationError
from trm_model.model.evaluation import Evaluation
from trm_model.model.selections.lowest_residual import LowestResidual
from trm_model.model.selections.plurality import Plurality

RECIPE = BENCHMARKS["sudoku_4x4"].recipe


def check(benchmark: str, stage: str, field: str, value: object) -> None:
    origin = BENCHMARKS[benchmark].origin
    kind = origin.config if stage == "puzzles" else CONFIGS.get(stage, StageConfig)
    require_settings(stage, kind, {field: value}, RECIPE)


@pytest.mark.parametrize(
    ("benchmark", "stage", "field", "value", "message"),
    [
        ("sudoku_4x4", "puzzles", "foo", 5, "--set puzzles.foo: no setting 'foo': expected none"),
        ("maze_small", "puzzles", "path", "x", "--set puzzles.path: no setting"),
        ("sudoku_csv", "puzzles", "pth", "x", "did you mean path"),
        ("sudoku_csv", "puzzles", "path", 3, "--set puzzles.path=3: "),
        ("sudoku_csv", "puzzles", "train_puzzles", True, "--set puzzles.train_puzzles=True: "),
        ("sudoku_csv", "puzzles", "test_share", float("nan"), "test_share=nan: "),
        ("sudoku_4x4", "examples", "foo", 1, "--set examples.foo: no setting"),
        ("sudoku_4x4", "scores", "limit", 1, "--set scores.limit: no setting"),
        ("sudoku_4x4", "ablation", "x", 1, "--set ablation.x: no setting"),
        ("sudoku_4x4", "predictions", "limit", 0, "--set predictions.limit=0: "),
        ("sudoku_4x4", "predictions", "limit", 2.0, "--set predictions.limit=2.0: "),
        ("sudoku_4x4", "predictions", "batch_size", True, "--set predictions.batch_size=True: "),
        ("sudoku_4x4", "predictions", "device", "mps", "--set predictions: device='mps': "),
        ("sudoku_4x4", "predictions", "depth", 0, "--set predictions: depth=0: "),
        ("sudoku_4x4", "predictions", "depth", 1.5, "--set predictions.depth=1.5: "),
        ("sudoku_4x4", "predictions", "noise", -1.0, "--set predictions: noise=-1.0: "),
        ("sudoku_4x4", "predictions", "damping", 2.0, "--set predictions: damping=2.0: "),
        ("sudoku_4x4", "predictions", "noise_at", "x", "expected one of step, call"),
        ("sudoku_4x4", "predictions", "split", "all", "expected one of train, test"),
        ("sudoku_4x4", "predictions", "selection", "best", "expected one of confidence, first_to"),
        ("sudoku_4x4", "predictions", "selection", 3, "--set predictions: selection=3: "),
        ("sudoku_4x4", "checkpoint", "device", "cuda", "--set checkpoint: device='cuda': "),
        ("sudoku_4x4", "checkpoint", "device", "mps", "--set checkpoint: device='mps': "),
        ("sudoku_4x4", "checkpoint", "steps", 0, "--set checkpoint: steps=0: "),
        ("sudoku_4x4", "checkpoint", "steps", True, "--set checkpoint.steps=True: "),
        ("sudoku_4x4", "checkpoint", "steps", 2.5, "--set checkpoint.steps=2.5: "),
        ("sudoku_4x4", "checkpoint", "batch_size", -1, "--set checkpoint: batch_size=-1: "),
        ("sudoku_4x4", "checkpoint", "log_steps", 0, "--set checkpoint: log_steps=0: "),
        ("sudoku_4x4", "checkpoint", "checkpoint_seconds", float("inf"), "checkpoint_seconds=inf"),
        ("sudoku_4x4", "checkpoint", "checkpoint_seconds", -1.0, "checkpoint_seconds=-1.0: "),
        ("sudoku_4x4", "checkpoint", "fresh", "yes", "--set checkpoint.fresh=yes: "),
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


@pytest.mark.parametrize("setting", ["predictions.limit=0", "checkpoint.device=mps", "scores.x=1"])
def test_a_command_is_refused_before_anything_is_made(
    setting: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRM_DATA", str(tmp_path))
    monkeypatch.setattr(execute, "prepare_home", lambda: pytest.fail("a run was started"))
    with pytest.raises(ConfigurationError, match="--set "):
        execute.materialize("sudoku_4x4", partitions=["trm_mlp|0"], settings=[setting])


@pytest.mark.parametrize(
    ("benchmark", "partition", "settings", "message"),
    [
        ("sudoku_4x4", "autoregressive|0", ["rollouts=2"], "rollouts=2 with cells answered one"),
        ("sudoku_4x4", "autoregressive|0", ["damping=0.5"], "belong to whole answers"),
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
