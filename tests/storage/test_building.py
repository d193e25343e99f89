"""Builds take turns, and leave nothing behind that nobody will continue."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.build import PREFIX, Build, building
from storage.manifest import list_file, verify_manifest
from storage.store import LocalStore


@dataclass(frozen=True)
class Watched(LocalStore):
    """A store that remembers which locks were asked for, and for how many seconds."""

    asked: list[tuple[str, str, float]] = field(default_factory=list[tuple[str, str, float]])

    def lock(
        self, key: str, *, label: str, wait_seconds: float, **others: Any
    ) -> AbstractContextManager[None]:
        self.asked.append((key, label, wait_seconds))
        return LocalStore.lock(self, key, label=label, wait_seconds=wait_seconds, **others)


def test_a_build_waits_a_day_for_its_turn(tmp_path: Path) -> None:
    store = Watched(tmp_path)
    with building(store, "examples/x", "abc") as build:
        assert build.folder == tmp_path / "examples" / "x" / f"{PREFIX}abc"
        assert build.folder.is_dir()
    assert store.asked == [("examples/x/.lock", f"building examples/x/{PREFIX}abc", 86_400.0)]
    assert sorted(path.name for path in (tmp_path / "examples" / "x").iterdir()) == [".lock"]


def test_remains_of_other_builds_are_removed_and_ones_own_are_continued(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    folder = tmp_path / "x"
    for key in ("old", "mine"):
        (folder / f"{PREFIX}{key}").mkdir(parents=True)
        for name in ("done", "half"):
            (folder / f"{PREFIX}{key}" / name).write_text(key)
        done = folder / f"{PREFIX}{key}" / "done"
        log = folder / f"{PREFIX}{key}.finished"
        log.write_text(f'{json.dumps(["done", list_file(done)])}\n["half", {{')
    (folder / "published").mkdir()
    with building(store, "x", "mine") as build:
        assert not (folder / f"{PREFIX}old").exists()
        assert not (folder / f"{PREFIX}old.finished").exists()
        assert (folder / "published").exists()
        assert sorted(path.name for path in build.folder.iterdir()) == ["done"]
        assert build.finished(build.folder / "done")
        assert not build.finished(build.folder / "half")
        (build.folder / "half").write_text("whole")
        build.on_file(build.folder / "half", list_file(build.folder / "half"))
        key, content_hash = build.publish()
    assert key == f"x/{content_hash[:16]}"
    assert verify_manifest(tmp_path / key) == content_hash
    assert (tmp_path / key / "half").read_text() == "whole"


def test_a_changed_file_is_not_finished(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "x").mkdir()
    build = Build(store, "x", "abc")
    file = build.folder / "a"
    file.write_text("one")
    build.on_file(file, list_file(file))
    assert Build(store, "x", "abc").finished(file)
    file.write_text("two")
    assert not Build(store, "x", "abc").finished(file)
    file.unlink()
    assert not Build(store, "x", "abc").finished(file)
