"""The whole way on a small scale, as a user would type it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

import dagster as dg
import polars as pl
import pytest

from assets import keys
from assets.tables import Ablation, Predictions, Scores, Selections, Training, Votes
from pipelines.command import trm
from storage.manifest import verify_manifest
from storage.store import LocalStore, follow_pointers
from storage.tables import scan
from tests.launching import ThisProcess
from trm_model.launching import Launcher, LocalProcess
from trm_model.terminal import run
from trm_model.training.run import RunSpec, training_version
from trm_model.version import code_version

ROOT = Path(__file__).resolve().parents[2]
UNVALIDATED = ("--set", "checkpoint.validate_steps=0")
"""Validation of a few steps' weights takes longer than the steps."""


class Workplace:
    """A Dagster home and a data folder of their own, and commands there.

    Commands are run in this process, since starting one for each would take longer than most of
    them; :meth:`run` starts one.

    :param launcher: what starts trainings.
    """

    def __init__(self, folder: Path, launcher: type[Launcher] = ThisProcess) -> None:
        self.store = LocalStore(folder / "data")
        self.launcher = launcher
        self.environment: Mapping[str, str] = {
            **os.environ,
            "DAGSTER_HOME": str(folder / "home"),
            "TRM_DATA": str(self.store.root),
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def materialize(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._call("materialize", *arguments)

    def succeed(self, *arguments: str) -> str:
        return self._succeeded(self.materialize(*arguments))

    def trm(self, *arguments: str) -> str:
        return self._succeeded(self._call(*arguments))

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        with (
            mock.patch.dict(os.environ, self.environment),
            mock.patch("pipelines.resources.LocalProcess", self.launcher),
            redirect_stdout(StringIO()) as said,
            redirect_stderr(StringIO()) as complained,
        ):
            code = run(trm, words, program="trm")
        return subprocess.CompletedProcess(words, code, said.getvalue(), complained.getvalue())

    @staticmethod
    def _succeeded(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """sudoku_4x4, two partitions of one variant and one of another, a few steps each."""
    place = Workplace(tmp_path_factory.mktemp("workplace"), LocalProcess)
    place.trm(
        *("train", "sudoku_4x4", *UNVALIDATED),
        *("--partition", "trm_mlp|0...trm_mlp|1", "--partition", "trm|0"),
        "--set", "checkpoint.steps=12", "--set", "checkpoint.batch_size=8",
        "--set", "checkpoint.log_steps=4", "--set", "predictions.limit=50",
    )  # fmt: skip
    return place


def test_tables_lead_from_number_to_data_code_and_configuration(workplace: Workplace) -> None:
    scores = scan(workplace.store, Scores).collect()
    assert set(scores.select("variant", "seed").unique().rows()) == {
        ("trm_mlp", 0),
        ("trm_mlp", 1),
        ("trm", 0),
    }
    row = scores.filter(
        (pl.col("variant") == "trm_mlp")
        & (pl.col("seed") == 1)
        & (pl.col("metric") == "exact_accuracy")
    ).row(0, named=True)
    assert row["n"] == 50
    assert row["low"] <= row["value"] <= row["high"]
    assert row["evaluation_code"] == code_version("assets.evaluation.predictions")
    checkpoint = workplace.store.open(row["checkpoint"])
    verify_manifest(checkpoint)
    run = RunSpec.read(checkpoint.parents[1])
    assert run.seed == 1
    assert row["code_version"] == run.code_version == training_version(run.variant, run.recipe)
    data = run.data_folder(checkpoint.parents[1])
    assert data.is_relative_to(workplace.store.root)
    assert verify_manifest(data) == run.data_version == row["data_version"]
    assert json.loads((data / "train.zarr" / "zarr.json").read_text())["attributes"]["header"][
        "sources"
    ]["puzzles"]


@pytest.mark.parametrize(
    ("benchmark", "metric", "limit"),
    [("maze_small", "exact_accuracy", 24), ("arc_demo", "pass_at_k", 2)],
)
def test_the_whole_way_for_other_kinds_of_puzzles(
    tmp_path: Path, benchmark: str, metric: str, limit: int
) -> None:
    place = Workplace(tmp_path)
    place.succeed(
        benchmark, "--partition", "trm|0", *UNVALIDATED,
        "--set", "checkpoint.steps=3", "--set", "checkpoint.batch_size=8",
        "--set", f"predictions.limit={limit}",
    )  # fmt: skip
    scores = scan(place.store, Scores).collect()
    assert metric in scores["metric"].to_list()
    assert "steps=3 in place of " in place.store.open(keys.ablation_page(benchmark)).read_text()
    run, evaluation = scores.select("run", "evaluation").row(0)
    picture = place.store.open(keys.answers_picture(benchmark, "trm", 0, run, evaluation))
    assert picture.stat().st_size > 5_000
    if benchmark == "arc_demo":
        votes = scan(place.store, Votes).collect()
        predictions = scan(place.store, Predictions).collect()
        assert votes["votes"].sum() == len(predictions) >= 2 * 2
        assert predictions["puzzle"].n_unique() == limit
        assert set(votes["task"]) == set(predictions["puzzle"])


def test_a_moved_store_goes_on_working(tmp_path: Path) -> None:
    """Nothing in it holds an absolute path: evaluated, voted on by two versions of a task, scored
    and reported after the move, without the data being made again."""
    place = Workplace(tmp_path / "before")
    words = [
        "arc_demo", "--partition", "trm|0", *UNVALIDATED,
        "--set", "checkpoint.steps=2", "--set", "checkpoint.batch_size=4",
        "--set", "predictions.limit=2", "--set", "predictions.votes=2",
    ]  # fmt: skip
    place.succeed(*words)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = Workplace(tmp_path / "after")
    text = moved.succeed(*words)
    assert "using the data in" in text
    assert "finished already, at step 2: kept" in text
    votes = scan(moved.store, Votes).collect()
    assert set(votes.group_by("task", "test_input").agg(pl.col("votes").sum())["votes"]) == {2}
    pointer = moved.store.open(keys.current_run("arc_demo", "trm", 0))
    run = follow_pointers(pointer)
    assert run.parent == pointer.parent
    assert RunSpec.read(run).data_folder(run).is_relative_to(moved.store.root)
    small = [path for path in moved.store.root.rglob("*") if path.suffix in (".json", "")]
    assert not [
        path
        for path in small
        if path.is_file() and path.name != "lock" and str(tmp_path).encode() in path.read_bytes()
    ]


def test_tables_are_readable_as_readme_shows(workplace: Workplace) -> None:
    root = workplace.store.open("tables")
    best = (
        pl.scan_parquet(root / "scores")
        .filter(pl.col("metric") == "cell_accuracy")
        .group_by("benchmark", "variant")
        .agg(pl.col("value").mean(), pl.len().alias("seeds"))
        .sort("variant")
        .collect()
    )
    assert best["seeds"].to_list() == [1, 2]
    predictions = scan(workplace.store, Predictions).collect()
    assert len(predictions) == 3 * 50
    assert all(len(prediction) == 16 for prediction in predictions["prediction"])
    # Question, answer and label as people write them; an answer is the label where it is right.
    assert predictions["question"].str.contains(r"^[.1-4]{16}$").all()
    assert ((predictions["answer"] == predictions["label"]) == predictions["solved"]).all()
    training = scan(workplace.store, Training).collect()
    assert training.filter(pl.col("variant") == "trm")["step"].to_list() == [4, 8, 12]


def test_scores_agree_with_predictions(workplace: Workplace) -> None:
    predictions = (
        scan(workplace.store, Predictions)
        .group_by("variant", "seed")
        .agg(pl.col("solved", "cell_accuracy").mean())
        .collect()
    )
    scores = scan(workplace.store, Scores).collect()
    for metric, column in (("exact_accuracy", "solved"), ("cell_accuracy", "cell_accuracy")):
        joined = scores.filter(pl.col("metric") == metric).join(predictions, on=["variant", "seed"])
        assert len(joined) == 3
        assert (joined["value"] - joined[column]).abs().max() < 1e-12  # type: ignore[operator]


def test_report_keeps_changed_recipes_apart_and_needs_no_network(workplace: Workplace) -> None:
    page = (workplace.store.open(keys.ablation_page("sudoku_4x4"))).read_text()
    assert "87.4" in page
    assert "TRM (arXiv 2510.04871), Table 1" in page
    assert page.count("steps=12 in place of 1000, batch_size=8 in place of 32") == 3
    # Nothing is fetched, and links lead to files beside it.
    assert not re.findall(r'(?:src|href)="(?:\w+:)?//', page)
    assert all(link.startswith("runs.html#") for link in re.findall(r'href="([^"]*)', page))
    assert (workplace.store.open(keys.leaderboard_page())).exists()
    table = scan(workplace.store, Ablation).collect()
    ours = table.row(by_predicate=pl.col("variant") == "trm_mlp", named=True)
    assert (ours["seeds"], ours["ours"], ours["published"]) == (0, None, 0.874)
    pictures = list(workplace.store.open("reports/sudoku_4x4/answers/trm_mlp/0").iterdir())
    assert [picture.read_bytes()[:4] for picture in pictures] == [b"\x89PNG"]


def test_the_same_training_is_not_repeated_and_a_fresh_one_is(workplace: Workplace) -> None:
    settings = [
        "--set",
        "checkpoint.steps=12",
        "--set",
        "checkpoint.batch_size=8",
        "--set",
        "checkpoint.log_steps=4",
    ]
    command = ["sudoku_4x4", "--stage", "checkpoint", "--partition", "trm_mlp|0", *settings]
    pointer = workplace.store.open(keys.current_run("sudoku_4x4", "trm_mlp", 0))
    before = follow_pointers(pointer)
    inode = next((before / "checkpoints").glob("step-*")).stat().st_ino
    assert "finished already, at step 12: kept" in workplace.succeed(*command)
    assert follow_pointers(pointer) == before
    assert next((before / "checkpoints").glob("step-*")).stat().st_ino == inode
    workplace.succeed(*command, "--set", "checkpoint.fresh=true")
    assert follow_pointers(pointer) != before
    ours, again = (
        next((run / "checkpoints").glob("step-*")) / "weights.safetensors"
        for run in (before, follow_pointers(pointer))
    )
    assert ours.read_bytes() == again.read_bytes()


def test_dagsters_own_command_line(workplace: Workplace) -> None:
    done = workplace.run(
        "dagster",
        "asset",
        "materialize",
        "-m",
        "pipelines.definitions",
        "--select",
        "sudoku_4x4/scores",
        "--partition",
        "trm|0",
    )
    assert done.returncode == 0, done.stderr
    assert "RUN_SUCCESS" in done.stderr


def test_data_training_and_evaluation_one_by_one_say_what_was_made_and_where(
    tmp_path: Path,
) -> None:
    place = Workplace(tmp_path)
    store = place.store
    said = place.trm("data", "sudoku_4x4")
    assert (
        f"sudoku_4x4/puzzles: 1,500 puzzles in {store.open(keys.puzzles('sudoku_4x4'))}\n" in said
    )
    assert (
        f"sudoku_4x4/examples: 101,500 examples in {store.open(keys.examples('sudoku_4x4'))}"
        in said
    )
    pointer = keys.current_examples("sudoku_4x4")
    before = store.follow(pointer)
    said = place.trm("data", "sudoku_4x4", "--stage", "shards")
    assert "sudoku_4x4/shards: 13 train, 8 test shards in" in said
    train = ["train", "sudoku_4x4", "--stage", "checkpoint", "--partition", "trm|0"]
    few = "--set", "checkpoint.steps=2", "--set", "checkpoint.batch_size=8"
    said = place.trm(*train, *few, *UNVALIDATED)
    assert "sudoku_4x4/checkpoint, trm|0: 2 steps, loss " in said
    assert f"in {store.open('runs/sudoku_4x4/trm/0')}" in said
    assert not store.open("tables/scores").exists()
    said = place.trm(
        "evaluate", "sudoku_4x4", "--partition", "trm|0", "--set", "predictions.limit=10",
        "--set", "predictions.depth=3", "--set", "predictions.rollouts=2",
        "--set", "predictions.noise=0.3", "--set", "predictions.selection=first_to_halt",
    )  # fmt: skip
    assert "sudoku_4x4/scores, trm|0: exact_accuracy 0." in said
    assert f"published ones, in {store.open(keys.ablation_page('sudoku_4x4'))}\n" in said
    assert "leaderboard: " in said
    scores = scan(store, Scores).collect()
    assert scores["n"].max() == 10
    assert scores["of"].unique().to_list() == [500]
    assert scores.filter(metric="exact_accuracy_after_step")["k"].to_list() == [1, 2, 3]
    settings = json.loads(scores["settings"][0])
    assert settings["selection"] == {"first_to_halt": {}}
    assert (settings["depth"], settings["noise"], settings["limit"]) == (3, 0.3, 10)
    selections = scan(store, Selections).collect()
    # Eight selections after each step, and of one rollout after the last.
    assert len(selections) == 8 * (3 + 1)
    own = selections.filter(selection="first_to_halt", depth=3, rollouts=2)
    assert own["value"].to_list() == scores.filter(metric="exact_accuracy")["value"].to_list()
    tested = scores.select("run", "evaluation").row(0)
    page = store.open(keys.selections_page("sudoku_4x4", "trm", 0, *tested)).read_text()
    assert "After 3 steps a single rollout solves" in page
    assert not list(store.open("runs").rglob("evaluating/*"))
    assert store.follow(pointer) == before


def test_what_is_missing_is_said_in_one_line(workplace: Workplace) -> None:
    train = ["sudoku_4x4", "--stage", "checkpoint", "--partition", "trm|0", "--set"]
    for arguments, message in (
        (
            ["sudoku_4x4", "--stage", "scores", "--partition", "no_ema|0"],
            "nothing trained yet; first: trm train sudoku_4x4 --partition 'no_ema|0' (in the page",
        ),
        (
            ["sudoku_6x6", "--stage", "examples"],
            "no puzzles yet; first: trm data sudoku_6x6 (in the page: materialize ",
        ),
        ([*train, "checkpoint.steps=0"], "steps=0: expected a whole number"),
        ([*train, "checkpoint.log_steps=0"], "log_steps=0: expected"),
        ([*train, "checkpoint.device=gpu"], "device='gpu': expected auto, cpu, cuda"),
        ([*train, "checkpoint.stepz=3"], "no setting 'stepz': did you mean steps?"),
        (["sudoku_csv", "--stage", "puzzles"], "give puzzles.path (--set puzzles.path=FILE)"),
        ([*train, "shards.url=memory://x"], "that stage is not run"),
    ):
        done = workplace.materialize(*arguments)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]
        assert "== made" not in done.stdout


def test_a_damaged_data_set_stops_before_training(workplace: Workplace, tmp_path: Path) -> None:
    folder = follow_pointers(workplace.store.open(keys.current_examples("sudoku_4x4")))
    shard = next((folder / "train.zarr" / "inputs" / "c").rglob("0/0"))
    intact = shard.read_bytes()
    shard.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    try:
        done = workplace.materialize(
            "sudoku_4x4",
            "--stage",
            "checkpoint",
            "--partition",
            "no_ema|0",
            "--set",
            "checkpoint.steps=4",
        )
    finally:
        shard.write_bytes(intact)
    assert done.returncode == 2
    assert f"{shard}: its bytes changed" in done.stderr.splitlines()[-1]
    assert not list((workplace.store.root / "runs" / "sudoku_4x4" / "no_ema").rglob("step-*"))


def test_own_puzzles_from_a_file(workplace: Workplace, real_sudoku: Path) -> None:
    workplace.succeed(
        "sudoku_csv", "--partition", "trm_mlp|0", *UNVALIDATED,
        "--set", f"puzzles.path={real_sudoku / 'hard_test.csv.gz'}",
        "--set", "puzzles.train_puzzles=60", "--set", "puzzles.test_puzzles=20",
        "--set", "checkpoint.steps=2", "--set", "checkpoint.batch_size=4",
        "--set", "predictions.limit=4",
    )  # fmt: skip
    scores = scan(workplace.store, Scores).filter(pl.col("benchmark") == "sudoku_csv").collect()
    assert scores.filter(pl.col("metric") == "exact_accuracy")["n"].to_list() == [4]


def test_a_bad_file_writes_nothing(workplace: Workplace, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("source,question,answer,rating\nme,123,456,0\n")
    before = sorted(workplace.store.root.rglob("*"))
    done = workplace.materialize("sudoku_csv", "--stage", "puzzles", "--set", f"puzzles.path={bad}")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: sudoku_csv/puzzles: {bad}: row 1 (line 2): question has 3 characters, expected "
        "81; mend or remove the row"
    ]
    assert sorted(workplace.store.root.rglob("*")) == before


def test_the_page_shows_names_numbers_and_where_a_score_comes_from(workplace: Workplace) -> None:
    with dg.DagsterInstance.from_config(workplace.environment["DAGSTER_HOME"]) as instance:
        jobs = {run.job_name for run in instance.get_runs()}
        found = {
            stage: instance.get_latest_materialization_event(dg.AssetKey(["sudoku_4x4", stage]))
            for stage in ("checkpoint", "scores")
        }
    assert {
        "sudoku_4x4_puzzles_examples",
        "sudoku_4x4_checkpoint_predictions_scores",
        "sudoku_4x4_ablation_leaderboard",
    } <= jobs
    assert not [name for name in jobs if "ephemeral" in name]
    checkpoint, score = (
        record.asset_materialization.metadata
        for record in found.values()
        if record is not None and record.asset_materialization is not None
    )
    for name in ("steps", "examples", "loss", "train_exact_accuracy", "wall_seconds"):
        assert isinstance(checkpoint[name], dg.IntMetadataValue | dg.FloatMetadataValue)
    run = Path(str(score["configuration_file"].value)).parent
    assert Path(str(score["checkpoint"].value)).parent.parent == run
    assert score["configuration"].value == json.loads((run / "run.json").read_text())
    assert verify_manifest(Path(str(score["data"].value))) == score["data_hash"].value
    for page, stage in (("checkpoint_page", "checkpoint"), ("data_page", "examples")):
        assert score[page].value == dg.AssetKey(["sudoku_4x4", stage])


def test_checks_are_run_alone(workplace: Workplace) -> None:
    tables = sorted(workplace.store.open("tables").rglob("*.parquet"))
    before = [path.stat().st_mtime_ns for path in tables]
    said = workplace.trm(
        "check", "sudoku_4x4", "--partition", "trm_mlp|1", "--stage", "predictions"
    )
    assert "sudoku_4x4/predictions, trm_mlp|1: every_example_once passed (rows 50, " in said
    assert [path.stat().st_mtime_ns for path in tables] == before
