"""What a stage needs is named with the command that makes it, before anything is run."""

import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.made import READS, require_made, require_read
from assets.stages import OVERALL_STAGES, STAGES, TRAIN_STAGES, making
from assets.tables import Scores
from pipelines import command
from storage.store import LocalStore
from storage.tables import partition_key
from trm_model.errors import ConfigurationError

NAME, PARTITION = "arc_demo", "trm|3"
KNOWN = BENCHMARKS[NAME].stages


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore.create(tmp_path)


def said(ask: Callable[[], None]) -> str:
    with pytest.raises(ConfigurationError) as error:
        ask()
    return str(error.value)


@pytest.mark.parametrize("stage", [*STAGES, *OVERALL_STAGES])
def test_what_has_not_been_made_is_named_with_the_remedy(store: LocalStore, stage: str) -> None:
    message = said(lambda: require_made(store, NAME, stage, PARTITION))
    assert message.startswith(str(store.root))
    assert " yet; first: " in message
    assert message.count("\n") == 0


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage in READS])
def test_a_stage_needs_what_it_reads_unless_that_is_made_too(store: LocalStore, stage: str) -> None:
    assert " yet; first: " in said(lambda: require_read(store, NAME, [stage], KNOWN, PARTITION))
    require_read(store, NAME, STAGES[: STAGES.index(stage) + 1], KNOWN, PARTITION)


def test_what_is_there_is_found(store: LocalStore) -> None:
    path = partition_key(Scores, NAME, "trm", 3, "run", "evaluation")
    stored = (
        keys.run(NAME, "trm", 3, "run"),
        path.replace("scores", "predictions"),
        path,
    )
    for key in stored:
        store.open(key).mkdir(parents=True)
    store.point(keys.current_run(NAME, "trm", 3), stored[0])
    store.point(keys.current_predictions(NAME, "trm", 3), stored[1])
    for stage in ("checkpoint", "predictions", "scores"):
        require_made(store, NAME, stage, PARTITION)
        # Of no partition, nothing is asked; another one is another thing.
        require_made(store, NAME, stage)
        assert "trm|2" in said(lambda stage=stage: require_made(store, NAME, stage, "trm|2"))
    # Votes are asked for where the benchmark has any.
    assert "no votes yet" in said(lambda: require_read(store, NAME, ["scores"], KNOWN, PARTITION))
    without = [stage for stage in KNOWN if stage != "votes"]
    require_read(store, NAME, ["scores"], without, PARTITION)


@pytest.mark.parametrize("stage", [*STAGES, "leaderboard"])
def test_the_command_that_is_named_is_one_and_makes_the_stage(stage: str) -> None:
    typed, _, page = making(stage, NAME, PARTITION).partition(" (in the page: materialize ")
    program, name, *arguments = shlex.split(typed)
    assert program == "trm"
    with command.trm.commands[name].make_context(name, arguments) as context:
        given = context.params
    assert given["benchmark"] == NAME
    assert given["partitions"] == (PARTITION,) if stage in TRAIN_STAGES else True
    assert not given["stages"] or given["stages"] == (
        "ablation" if stage == "leaderboard" else stage,
    )
    assert page.rstrip(")").endswith(stage)
    assert isinstance(context, click.Context)
