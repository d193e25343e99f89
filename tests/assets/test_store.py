"""What is missing in a store, or refused by its disk, is said in one line with the remedy."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from assets.benchmarks import BENCHMARKS
from assets.graph import build_benchmark
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource, data_of, hold_device
from storage.store import LocalStore
from tests.trm_model.training.recipes import tiny_spec
from trm_model.variants import VARIANTS


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_removed_data_version_is_named_with_the_remedy(
    tmp_path: Path, tiny: tuple[LocalStore, Path, str]
) -> None:
    store = LocalStore.create(tmp_path)
    shutil.copytree(tiny[1], tmp_path / "examples")
    spec = tiny_spec(tmp_path / "run", tmp_path / "examples", tiny[2])
    assert data_of(store, spec) == tmp_path / "examples"
    shutil.rmtree(tmp_path / "examples")
    with pytest.raises(dg.Failure) as error:
        data_of(store, spec)
    assert str(error.value.description).startswith(f"{tmp_path / 'examples'}: removed, expected")
    assert "make it again: trm data tiny (in" in str(error.value.description)


def test_a_device_is_held_alone_where_that_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, said = LocalStore.create(tmp_path), list[str]()
    with hold_device(store, "cpu", label="a test", wait_seconds=0, say=said.append):
        assert "(a test)" in store.open("locks/cpu-evaluation.lock").read_text()
    assert said == []
    monkeypatch.setattr("fcntl.flock", refusing(errno.ENOSYS))
    with hold_device(store, "cpu", label="a test", wait_seconds=0, say=said.append):
        pass
    [line] = said
    assert line.startswith(f"{store.open('locks/cpu-evaluation.lock')}: ")
    assert line.endswith("going on without the lock: nothing else may use cpu")


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")
def test_a_read_only_store_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalStore.create(tmp_path)
    name = "addition"
    graph = build_benchmark(name, BENCHMARKS[name], VARIANTS, variant_seed_partitions(VARIANTS))
    monkeypatch.setattr(type(BENCHMARKS[name].origin), "puzzles", lambda *_: pytest.fail("made"))
    monkeypatch.setattr("storage.refusals.TemporaryFile", refusing(errno.EROFS))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            graph,
            selection=[dg.AssetKey([name, "puzzles"])],
            resources={"store": StoreResource(root=str(tmp_path)), "launcher": object()},
            instance=instance,
            raise_on_error=False,
        )
    [failure] = [event for event in result.all_events if event.is_step_failure]
    described = failure.step_failure_data.user_failure_data
    assert described is not None
    assert described.description == (
        f"{tmp_path}: Read-only file system; expected a path that this user may read and write; "
        "change its mount or permissions, or copy the store and name the copy by TRM_DATA"
    )
