"""Settings of stages are checked before anything runs."""

from typing import Any

import dagster as dg
import pytest
import torch

from assets.benchmarks import BENCHMARKS
from assets.configs import CONFIGS, StageConfig, require_settings
from assets.stages import STAGES
from pipelines import execute
from pipelines.definitions import defs
from trm_model.errors import ConfigurationError

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
        ("sudoku_4x4", "predictions", "batch_size", 10**12, "number, at most 1000000; give"),
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
        ("sudoku_4x4", "predictions", "device", "mps", "--set predictions: device='mps': "),
        ("sudoku_4x4", "checkpoint", "device", "cuda", "--set checkpoint: device='cuda': "),
        ("sudoku_4x4", "checkpoint", "device", "mps", "--set checkpoint: device='mps': "),
        ("sudoku_4x4", "checkpoint", "steps", 0, "--set checkpoint: steps=0: "),
        ("sudoku_4x4", "checkpoint", "steps", True, "--set checkpoint.steps=true: "),
        ("sudoku_4x4", "checkpoint", "steps", 2.5, "--set checkpoint.steps=2.5: "),
        ("sudoku_4x4", "checkpoint", "batch_size", -1, "--set checkpoint: batch_size=-1: "),
        ("sudoku_4x4", "checkpoint", "log_steps", 0, "--set checkpoint: log_steps=0: "),
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


@pytest.mark.parametrize("stage", STAGES)
def test_the_graph_ignores_no_setting(stage: str) -> None:
    job = defs.resolve_implicit_global_asset_job_def()
    config = {"ops": {f"sudoku_4x4__{stage}": {"config": {"no_such_setting": 5}}}}
    if f"sudoku_4x4__{stage}" not in job.graph.node_dict:
        return
    with pytest.raises(dg.DagsterInvalidConfigError, match="no_such_setting"):
        dg.validate_run_config(job, config)
