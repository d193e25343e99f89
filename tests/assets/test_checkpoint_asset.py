"""Training as an asset: what it starts, and what it makes of how that ended; and the evaluation of
what it trained."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import torch

import assets.training.checkpoint as checkpoint_asset
from assets import keys
from assets.benchmarks import BENCHMARKS, Benchmark
from assets.data.datasets import write_dataset
from assets.declared import FINE_TUNED, differences
from assets.families.sudoku import GeneratedSudoku
from assets.graph import build_benchmark
from assets.partitions import variant_seed_partitions
from assets.stages import STAGE_MODULES
from assets.store import StoreResource
from assets.tables import Residuals, Runs, Training
from assets.training.checkpoint import under_way
from assets.training.runs import recorded
from storage.lock import LockedError, lock
from storage.store import MARKER, LocalStore
from storage.tables import scan
from tests.launching import NothingToEnd
from tests.trm_model.training.recipes import TINY
from trm_model.choices import from_plain
from trm_model.finite import NotFiniteError
from trm_model.launching import Ending, Job, Outcome
from trm_model.model.batch import DeviceExamples
from trm_model.model.reasoner import Reasoner
from trm_model.puzzles.plans import open_examples
from trm_model.training.checkpoint import load
from trm_model.training.figures import METRICS, read_rows
from trm_model.training.folders import saved
from trm_model.training.initial import load_initial
from trm_model.training.loop import train
from trm_model.training.plan import plan
from trm_model.training.run import RunSpec, training_version
from trm_model.training.validation import CELLS, EXACT
from trm_model.variants import VARIANTS
from trm_model.version import code_version

SOURCE = GeneratedSudoku(digits=4, train=30, test=10, extra_clues=(1, 4))
BENCHMARK = Benchmark(title="tiny", origin=SOURCE, recipe=replace(TINY, steps=8))
FINISHED = Outcome(Ending.FINISHED)
INTERRUPTED = Outcome(Ending.INTERRUPTED, "it was interrupted")


@dataclass
class Here:
    """A launcher that trains in this process and ends in the way that is asked for.

    :param steps: after which a training is interrupted, where it is.
    """

    outcome: Outcome = FINISHED
    steps: int = 1
    jobs: list[Job] = field(default_factory=list[Job])

    def start(self, job: Job) -> "Running":
        self.jobs.append(job)
        return Running(self, Path(job.arguments[0]))


@dataclass
class Running(NothingToEnd):
    launcher: Here
    run: Path

    def lines(self) -> Iterator[str]:
        yield from ()

    def stop(self, report: Callable[[str], None] = print) -> Outcome:
        return self.launcher.outcome

    def wait(self, report: Callable[[str], None] = print) -> Outcome:
        spec, asked = RunSpec.read(self.run), 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            return self.launcher.outcome is INTERRUPTED and asked >= self.launcher.steps

        if self.launcher.outcome in (FINISHED, INTERRUPTED):
            examples = open_examples(spec.data_folder(self.run) / "train.zarr")
            train(
                self.run,
                spec.variant,
                spec.recipe,
                examples,
                spec.seed,
                replace(spec.execution, log_steps=2),
                initial=load_initial(self.run, spec.initial) if spec.initial else None,
                report=report,
                stop=stop,
            )
        report("the last line")
        return self.launcher.outcome


@dataclass
class Workplace:
    """A store with data, and the graph of one benchmark."""

    store: LocalStore
    graph: list[dg.AssetsDefinition]

    def materialize(
        self, launcher: Here, stage: str = "checkpoint", **config: Any
    ) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                self.graph,
                selection=[dg.AssetKey(["tiny", stage])],
                partition_key="trm_mlp|0",
                resources={"store": StoreResource(root=str(self.store.root)), "launcher": launcher},
                instance=instance,
                raise_on_error=False,
                run_config={
                    "ops": {f"tiny__{stage}": {"config": {"device": "cpu", **config}}},
                    "loggers": {"console": {"config": {"log_level": "INFO"}}},
                },
            )


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    store = LocalStore.create(tmp_path / "store")
    key, _ = write_dataset(store, "tiny", SOURCE.puzzles().frame, SOURCE, augmentations=1, seed=0)
    store.point(keys.current_examples("tiny"), key)
    partitions = variant_seed_partitions(VARIANTS)
    return Workplace(store, build_benchmark("tiny", BENCHMARK, VARIANTS, partitions))


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_training_under_way_is_observed(place: Workplace) -> None:
    done = place.materialize(Here(), log_steps=2)
    event, *_ = done.get_asset_observation_events()
    observed = event.asset_observation_data.asset_observation
    assert observed.asset_key == dg.AssetKey(["tiny", "checkpoint"])
    assert observed.partition == "trm_mlp|0"
    values = {name: value.value for name, value in observed.metadata.items()}
    # On a slow machine the first one is of an earlier row.
    assert values["step"] in range(2, BENCHMARK.recipe.steps + 1, 2)
    assert {"loss", "exact_accuracy", "learning_rate", "left"} < {*values}


def test_a_validation_may_be_due_after_many_rows(place: Workplace) -> None:
    class Late(Running):
        """As if there had been a row for every step, and a validation at the end alone."""

        def wait(self, report: Callable[[str], None] = print) -> Outcome:
            outcome = super().wait(report)
            last = {**read_rows(self.run / METRICS)[-1], EXACT: 0.5, CELLS: 0.75}
            before = [{**last, EXACT: None, CELLS: None, "step": step} for step in range(1, 200)]
            lines = map(json.dumps, [*before, {**last, "step": 200}])
            (self.run / METRICS).write_text("\n".join(lines))
            return outcome

    class Launcher(Here):
        def start(self, job: Job) -> Running:
            return Late(self, Path(job.arguments[0]))

    assert place.materialize(Launcher()).success
    found = scan(place.store, Training).collect()
    assert len(found) == 200
    assert found[EXACT].drop_nulls().to_list() == [0.5]


def test_before_the_first_row_nothing_is_known(tmp_path: Path) -> None:
    assert under_way(tmp_path, BENCHMARK.recipe) == {}
    (tmp_path / "waiting").write_text("until it is free")
    assert under_way(tmp_path, BENCHMARK.recipe) == {"waits": "until it is free"}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_training_is_started_described_and_read(
    place: Workplace, capfd: pytest.CaptureFixture[str]
) -> None:
    launcher = Here()
    assert place.materialize(launcher).success
    [job] = launcher.jobs
    assert job.module == "trm_model.training.process"
    [run] = (Path(word) for word in job.arguments)
    spec = RunSpec.read(run)
    assert spec.key == run.name
    assert spec.data.startswith("examples/tiny/")
    assert spec.device_locks == ("locks/cpu.lock",)
    assert LocalStore.containing(run).root == place.store.root.resolve()
    assert (place.store.root / MARKER).is_file()
    assert "the last line" in capfd.readouterr().err
    # Finished: the next time starts nothing and says the same of it.
    written = (run / "run.json").read_bytes()
    assert place.materialize(launcher, log_steps=7).success
    assert launcher.jobs == [job]
    assert (run / "run.json").read_bytes() == written


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_run_that_another_process_trains_is_not_described_again(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Here(INTERRUPTED)
    place.materialize(first)
    run = Path(first.jobs[0].arguments[0])
    written = (run / "run.json").read_bytes()
    monkeypatch.setattr(checkpoint_asset, "ORPHAN_SECONDS", 0.0)
    second = Here()
    with lock(run / "lock", label="the other", wait_seconds=0, waiting=print):
        result = place.materialize(second, log_steps=7)
    assert second.jobs == []
    assert (run / "run.json").read_bytes() == written
    [failure] = [event for event in result.all_events if event.is_step_failure]
    described = failure.step_failure_data.user_failure_data
    assert described is not None
    assert f"{run / 'lock'} is locked by process" in str(described.description)


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize(
    ("outcome", "tries"),
    [
        (Outcome(Ending.REFUSED, "no such device; give another"), 1),
        (Outcome(Ending.DIVERGED, "the loss is not finite"), 1),
        (Outcome(Ending.CRASHED, "exit code 1"), 2),
        (Outcome(Ending.CRASHED, "killed by SIGKILL", killed=True), 2),
        (INTERRUPTED, 2),
    ],
)
def test_what_is_refused_is_not_tried_again(place: Workplace, outcome: Outcome, tries: int) -> None:
    launcher = Here(outcome)
    result = place.materialize(launcher)
    assert not result.success
    assert len(launcher.jobs) == tries
    assert len({job.arguments for job in launcher.jobs}) == 1
    [failure] = [event for event in result.all_events if event.is_step_failure]
    described = failure.step_failure_data.user_failure_data
    assert described is not None
    assert described.description is not None
    assert outcome.message in described.description
    advice = "; if memory ran out, lower what this training takes, about "
    assert (advice in described.description) == outcome.killed
    assert "\n" not in described.description


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_run_has_a_row_however_it_ends(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def row() -> dict[str, Any]:
        return scan(place.store, Runs).collect().row(0, named=True)  # There is one run.

    seen: list[str] = []
    statuses = {
        "refused": Here(Outcome(Ending.REFUSED, "no such device; give another")),
        "diverged": Here(Outcome(Ending.DIVERGED, "the loss is not finite")),
        "failed": Here(Outcome(Ending.CRASHED, "killed by SIGKILL")),
        "interrupted": Here(INTERRUPTED, steps=3),
        "finished": Here(),
    }
    for status, launcher in statuses.items():
        with monkeypatch.context() as patched:
            waiting = Running.wait

            def wait(*arguments: Any, waiting: Any = waiting) -> Outcome:
                seen.append(row()["status"])
                return waiting(*arguments)

            patched.setattr(Running, "wait", wait)
            place.materialize(launcher)
        assert row()["status"] == status
    assert set(seen) == {"started"}
    found = row()
    run = Path(statuses["finished"].jobs[0].arguments[0])
    recipe, variant = BENCHMARK.recipe, VARIANTS["trm_mlp"]
    assert (found["run"], found["step"], found["steps"]) == (run.name, 8, 8)
    assert (found["learning_rate"], found["width"]) == (recipe.learning_rate, recipe.size.width)
    assert (found["latent_updates"], found["cycles"]) == (6, 3)
    assert found["parameters"] > found["puzzle_parameters"] > 0
    assert found["parent"] is None
    assert found["seconds"] > 0
    assert found["started"] <= found["finished"]
    config = json.loads(found["config"])
    assert from_plain(type(recipe), config["recipe"]) == recipe
    assert from_plain(type(variant), config["variant"]) == variant

    # It stays finished whatever comes later, and when it started and ended does not change.
    place.materialize(Here(Outcome(Ending.REFUSED, "the data are damaged")))
    changes = found.keys() - {"created_at"}
    assert {name: row()[name] for name in changes} == {name: found[name] for name in changes}

    # Those that change something say what, and which run they go on from.
    assert place.materialize(Here(), steps=9).success
    more = scan(place.store, Runs).filter(steps=9).collect().row(0, named=True)
    assert more["changes"].startswith("steps=9 in place of 8")
    assert more["parent"] == f"{run.name}, step 8"


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize(
    ("error", "status"), [(OSError(8, "no memory"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_what_is_raised_meanwhile_is_recorded_and_goes_on(
    place: Workplace, error: BaseException, status: str
) -> None:
    place.materialize(Here(INTERRUPTED))
    [run] = place.store.root.glob("runs/tiny/trm_mlp/0/*/")
    spec = RunSpec.read(run)
    assert spec.header is not None
    takes = plan(spec.variant, spec.recipe, spec.header, spec.execution)

    def training() -> Outcome:
        raise error

    with pytest.raises(type(error)):
        recorded(place.store, run, takes, "", training)
    [row] = scan(place.store, Runs).collect().rows(named=True)
    assert row["status"] == status
    assert row["finished"] is not None


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_run_that_was_done_before_there_was_a_table_has_a_row_without_times(
    place: Workplace,
) -> None:
    assert place.materialize(Here()).success
    shutil.rmtree(place.store.open("tables/runs"))
    assert place.materialize(Here()).success
    [row] = scan(place.store, Runs).collect().rows(named=True)
    assert (row["status"], row["started"], row["finished"]) == ("finished", None, None)
    assert row["seconds"] > 0


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_run_whose_last_checkpoint_is_damaged_is_not_finished(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status() -> str:
        return scan(place.store, Runs).collect().row(0, named=True)["status"]

    assert place.materialize(Here()).success
    [run] = place.store.root.glob("runs/tiny/trm_mlp/0/*/checkpoints")
    (run / "step-00000008" / "weights.safetensors").write_bytes(b"")
    seen: list[str] = []
    waiting = Running.wait

    def wait(*arguments: Any) -> Outcome:
        seen.append(status())
        return waiting(*arguments)

    monkeypatch.setattr(Running, "wait", wait)
    place.materialize(Here(Outcome(Ending.REFUSED, "none is intact")))
    assert (seen, status()) == (["started"], "refused")


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_training_goes_on_from_the_run_that_it_can_go_on_from(place: Workplace) -> None:
    """Not from one that is farther, and whose rates were others."""
    cosine: dict[str, Any] = {"schedule": "cosine", "warmup_steps": 1}
    assert place.materialize(Here(), recipe=cosine).success
    stopped = Here(INTERRUPTED, steps=4)
    place.materialize(stopped, recipe=cosine, steps=20)
    goes_on = Here()
    place.materialize(goes_on, recipe={**cosine, "on_nonfinite": "rewind"}, steps=20)
    before, now = (Path(each.jobs[-1].arguments[0]) for each in (stopped, goes_on))
    assert RunSpec.read(now).parent is not None
    assert str(RunSpec.read(now).parent).startswith(f"{before.name}, step ")


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_training_interrupted_under_other_code(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_asset, "training_version", lambda *_: "other")
        first = Here(INTERRUPTED)
        assert not place.materialize(first).success
    old = Path(first.jobs[0].arguments[0])
    assert [span.version for span in RunSpec.read(old).code] == ["other"]
    capfd.readouterr()

    asked = Here(INTERRUPTED)
    place.materialize(asked, continue_other_code=True)
    assert {job.arguments for job in asked.jobs} == {(str(old), "--continue-other-code")}
    assert [span.version for span in RunSpec.read(old).code] == ["other"]

    fresh = Here()
    assert place.materialize(fresh).success
    [job] = fresh.jobs
    new = Path(job.arguments[0])
    assert job.arguments == (str(new),)
    assert new != old
    spec = RunSpec.read(new)
    assert spec.code_version == training_version(spec.variant, spec.recipe)
    said = capfd.readouterr().err
    assert f"{old}: the same training, interrupted at step " in said
    assert "checkpoint.continue_other_code=true" in said


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_finished_training_is_continued_for_more_steps(
    place: Workplace, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = Here()
    more_steps: dict[str, Any] = {"steps": 11}
    afresh: dict[str, Any] = {**more_steps, "fresh": True}
    for config in ({}, more_steps, afresh, more_steps):
        assert place.materialize(launcher, **config).success
    short, more, fresh = (Path(job.arguments[0]) for job in launcher.jobs)
    assert len({short, more, fresh}) == 3
    parents = [RunSpec.read(run).parent for run in (short, more, fresh)]
    assert [str(parent) for parent in parents] == ["None", f"{short.name}, step 8", "None"]
    said = capfd.readouterr().err
    assert f"{more}: finished already, at step 11: kept" in said
    assert said.count(f"starts from {short.name}, step 8: the same training but for its") == 1
    ours, expected = (load(saved(run)[-1]) for run in (more, fresh))
    assert ours.progress.step == expected.progress.step == 11
    for part in ("weights", "average", "optimizer", "carry"):
        found, wanted = getattr(ours, part), getattr(expected, part)
        assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []

    # Under another version of the code it starts afresh, unless it is asked to go on.
    monkeypatch.setattr(checkpoint_asset, "training_version", lambda *_: "other")
    other = Here()
    assert place.materialize(other, steps=13).success
    assert place.materialize(other, steps=14, continue_other_code=True).success
    ignored, asked = (RunSpec.read(Path(job.arguments[0])) for job in other.jobs)
    said = capfd.readouterr().err
    assert "of a shorter training under another version of the code" in said
    assert (ignored.parent, ignored.code_version) == (None, "other")
    assert str(asked.parent) == f"{Path(other.jobs[0].arguments[0]).name}, step 13"


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_training_is_fine_tuned_from_another(
    place: Workplace, capfd: pytest.CaptureFixture[str]
) -> None:
    launcher = Here()
    assert place.materialize(launcher).success
    source = Path(launcher.jobs[0].arguments[0])
    assert place.materialize(launcher, start_from=str(source.parent / "current")).success
    assert f"starts from {source.name}, step 8; 1 of 1 puzzle rows are taken over" in (
        capfd.readouterr().err
    )
    # Continued: the weights are given, and the parent is the shorter run.
    assert place.materialize(launcher, start_from=str(saved(source)[-1]), steps=9).success
    tuned, more = (Path(job.arguments[0]) for job in launcher.jobs[1:])
    first, second = RunSpec.read(tuned), RunSpec.read(more)
    assert first.key == tuned.name != source.name
    assert first.initial == second.initial != ""
    assert (str(first.parent), str(second.parent)) == (
        f"{source.name}, step 8",
        f"{tuned.name}, step 8",
    )
    assert FINE_TUNED in differences(first, BENCHMARK, first.variant)
    assert len({RunSpec.read(run).config_hash for run in (source, tuned, more)}) == 3


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_evaluation_does_not_wait_for_trainings(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.materialize(Here()).success
    monkeypatch.setattr("assets.evaluation.predictions.DEVICE_SECONDS", 0.0)
    device = keys.device_lock("cpu")
    with place.store.lock(device, label="a training", wait_seconds=0.0, waiting=print):
        assert place.materialize(Here(), "predictions").success


def test_every_stage_names_the_module_that_does_its_work() -> None:
    stages = {stage for entry in BENCHMARKS.values() for stage in entry.stages}
    assert stages <= set(STAGE_MODULES)
    versions = {module: code_version(module) for module in set(STAGE_MODULES.values())}
    assert len(set(versions.values())) == len(versions)


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_test_data_go_to_the_device_while_its_lock_is_held(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def opened(examples: Any, device: Any) -> DeviceExamples:
        asked.append(device)
        held = place.store.lock(
            keys.evaluation_lock("cpu"), label="another", wait_seconds=0.0, waiting=asked.append
        )
        with pytest.raises(LockedError), held:
            pass
        return DeviceExamples(examples, device)

    monkeypatch.setattr("assets.evaluation.predictions.DeviceExamples", opened)
    assert place.materialize(Here()).success
    assert place.materialize(Here(), "predictions").success
    assert asked


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_evaluation_is_compiled_where_it_is_asked_for(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(Reasoner, "compile_networks", lambda _, **how: asked.append(how))
    assert place.materialize(Here()).success
    assert place.materialize(Here(), "predictions").success
    assert asked == []
    assert place.materialize(Here(), "predictions", compile=True, again=True).success
    assert asked == [{"any_size": True}]


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_model_that_computes_numbers_that_are_not_finite_has_no_predictions(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(*_: Any, **__: Any) -> None:
        raise NotFiniteError("logits of answers: 3 of 10 numbers are NaN or infinite")

    assert place.materialize(Here()).success
    monkeypatch.setattr("assets.evaluation.predictions.evaluate", diverged)
    result = place.materialize(Here(), "predictions")
    assert not result.success
    [failed] = result.get_step_failure_events()
    data = failed.step_failure_data
    assert data.user_failure_data is not None
    description = data.user_failure_data.description
    assert description is not None
    assert "step-00000008: logits of answers: 3 of 10 numbers" in description
    assert description.endswith("train again with a lower learning_rate")
    assert not (place.store.root / "tables" / "predictions").exists()


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_inspection_shows_what_it_is_asked_for(place: Workplace) -> None:
    assert place.materialize(Here()).success
    assert place.materialize(Here(), "predictions").success
    result = place.materialize(Here(), "inspection", examples=[4, 1], depth=2, failures=3)
    assert result.success
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]
    [made] = result.asset_materializations_for_node("tiny__inspection")
    assert {"example_4", "example_1", "readings", "failures", "picture"} <= set(made.metadata)
    table = scan(place.store, Residuals).collect()
    calls = VARIANTS["trm_mlp"].calls
    assert len(table) == made.metadata["dagster/row_count"].value == 2 * 2 * calls
    assert sorted(table["example"].unique()) == [1, 4]
    run = place.store.follow(keys.current_run("tiny", "trm_mlp", 0))
    assert set(table["checkpoint"]) == {f"{run}/checkpoints/step-00000008"}
    for number in (4, 1):
        picture = keys.inspection_picture("tiny", "trm_mlp", 0, table["run"][0], number)
        assert place.store.open(picture).read_bytes().startswith(b"\x89PNG")
