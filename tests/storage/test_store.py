"""A store: what is published is there whole, pointers name it, and the whole can be moved."""

import shutil
from pathlib import Path

import pytest

from storage.store import MARKER, POINTER, LocalStore, StoreError, follow_pointers


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore.create(tmp_path / "store")


def write(store: LocalStore, key: str, text: str = "x") -> None:
    with store.publish(key) as folder:
        (folder / "file").write_text(text)


def test_folders_and_files_appear_whole_or_not_at_all(store: LocalStore) -> None:
    write(store, "a/b/one")
    with store.publish_file("a/b/two.txt") as path:
        path.write_text("two")
    assert store.list("a/b") == ["a/b/one", "a/b/two.txt"]
    assert (store.open("a/b/one") / "file").read_text() == "x"
    with pytest.raises(RuntimeError, match="midway"), store.publish("a/b/one") as folder:
        (folder / "file").write_text("half")
        raise RuntimeError("midway")
    with pytest.raises(RuntimeError, match="midway"), store.publish_file("a/b/two.txt") as path:
        path.write_text("half")
        raise RuntimeError("midway")
    assert (store.open("a/b/one") / "file").read_text() == "x"
    assert store.open("a/b/two.txt").read_text() == "two"
    # Nothing temporary is left.
    assert sorted(path.name for path in store.root.rglob("*")) == [
        "a", "b", "file", "one", MARKER, "two.txt",
    ]  # fmt: skip


def test_lists_are_sorted_and_leave_out_what_is_hidden(store: LocalStore) -> None:
    for key in ("b", "a", ".tmp-x", ".lock"):
        (store.root / key).mkdir()
    assert store.list("") == ["a", "b", MARKER]
    assert store.list("a") == store.list("nowhere") == store.list(MARKER) == []


def test_a_folder_written_elsewhere_in_the_store_is_published_by_moving_it(
    store: LocalStore,
) -> None:
    work = store.open("a/.work")
    work.mkdir(parents=True)
    (work / "file").write_text("x")
    store.publish_folder(work, "a/done")
    assert (store.open("a/done") / "file").read_text() == "x"
    assert not work.exists()


def test_pointers(store: LocalStore) -> None:
    for key in ("runs/a/one", "runs/a/two", "elsewhere"):
        write(store, key, key)
    assert store.follow("runs/a/current") is None
    for target in ("runs/a/one", "runs/a/two", "elsewhere"):
        store.point("runs/a/current", target)
        assert store.follow("runs/a/current") == target
        assert (follow_pointers(store.open("runs/a/current")) / "file").read_text() == target
    assert store.open("runs/a/current").read_text() == f"{POINTER}../../elsewhere\n"
    store.point("top", "elsewhere")
    assert store.follow("top") == "elsewhere"
    # What a pointer names may be removed by hand.
    shutil.rmtree(store.open("elsewhere"))
    assert store.follow("top") is None
    with pytest.raises(StoreError, match="no elsewhere in .*; write it first"):
        store.point("top", "elsewhere")


def test_links_that_stores_had_before_are_followed(store: LocalStore) -> None:
    write(store, "runs/a/one")
    store.open("runs/a/current").symlink_to("one")
    assert store.follow("runs/a/current") == "runs/a/one"
    write(store, "runs/a/two")
    store.point("runs/a/current", "runs/a/two")
    assert store.follow("runs/a/current") == "runs/a/two"
    assert not store.open("runs/a/current").is_symlink()
    assert store.open("runs/a/one").is_dir()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("something else", "not a pointer"),
        (f"{POINTER}../../etc", r"points to \.\./\.\./etc, outside the store"),
        (f"{POINTER}/etc", "points to /etc, outside the store"),
        (POINTER + "x" * 5000, "not a pointer"),
    ],
)
def test_bad_pointers_are_refused_in_one_line(store: LocalStore, text: str, message: str) -> None:
    path = store.open("a/current")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(StoreError, match=message) as error:
        store.follow("a/current")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_pointers_are_followed_anywhere_in_a_path(store: LocalStore) -> None:
    write(store, "runs/a/one")
    store.point("runs/a/current", "runs/a/one")
    pointer = store.open("runs/a/current")
    assert follow_pointers(pointer / "file") == store.open("runs/a/one/file")
    for path in (Path(), Path("nowhere/at/all"), store.root, store.open("runs/a/one/file")):
        assert follow_pointers(path) == path


def test_a_damaged_pointer_in_a_path_is_named(store: LocalStore) -> None:
    (store.root / "current").write_text("qoints to one")
    assert follow_pointers(store.root / "current") == store.root / "current"
    with pytest.raises(StoreError, match="current: a file, expected a folder or a pointer"):
        follow_pointers(store.root / "current" / "checkpoints")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 2}', "store.json: format 2; expected a store of format 1"),
        ("", "store.json: Expecting value.*remove the file if it is damaged"),
        ("null", "store.json: store.json is 'None', not an object; expected"),
        ("[]", "not an object"),
        ("{}", "no 'format'"),
    ],
)
def test_another_store_is_refused_in_one_line(
    store: LocalStore, content: str, message: str
) -> None:
    (store.root / MARKER).write_text(content)
    for opening in (
        lambda: LocalStore.create(store.root),
        lambda: LocalStore.containing(store.root / "runs" / "a"),
    ):
        with pytest.raises(StoreError, match=message) as error:
            opening()
        assert "\n" not in str(error.value)


def test_a_store_whose_marker_was_removed_is_one_again(store: LocalStore) -> None:
    write(store, "runs/a/one")
    (store.root / MARKER).unlink()
    assert LocalStore.containing(LocalStore.create(store.root).open("runs/a/one")) == store


def test_relative_paths_are_followed_too(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, "runs/a/one")
    store.point("runs/a/current", "runs/a/one")
    monkeypatch.chdir(store.root)
    assert follow_pointers(Path("runs/a/current")) == Path("runs/a/one")


def test_a_part_of_a_store_that_is_copied_keeps_its_pointers(
    store: LocalStore, tmp_path: Path
) -> None:
    write(store, "runs/a/one")
    store.point("runs/a/current", "runs/a/one")
    shutil.copytree(store.open("runs/a"), tmp_path / "copy")
    assert follow_pointers(tmp_path / "copy" / "current") == tmp_path / "copy" / "one"


def test_a_moved_store_goes_on_working(store: LocalStore, tmp_path: Path) -> None:
    write(store, "runs/a/one")
    store.point("runs/a/current", "runs/a/one")
    store.root.rename(tmp_path / "moved")
    moved = LocalStore.containing(tmp_path / "moved" / "runs" / "a")
    assert moved == LocalStore(tmp_path / "moved")
    assert moved.follow("runs/a/current") == "runs/a/one"
    write(moved, "runs/a/two")
    moved.point("runs/a/current", "runs/a/two")
    assert moved.follow("runs/a/current") == "runs/a/two"
    assert str(tmp_path) not in "".join(
        path.read_text() for path in moved.root.rglob("*") if path.is_file()
    )


def test_keys_and_paths(store: LocalStore, tmp_path: Path) -> None:
    assert LocalStore.create(store.root) == store
    assert store.key(store.open("a/b")) == "a/b"
    assert store.key(store.root / "a" / ".." / "b") == "b"
    assert LocalStore.containing(store.open("not/there/yet")) == store
    with pytest.raises(StoreError, match="outside the store"):
        store.key(tmp_path / "other")
    outside = Path("/nowhere/at/all")
    with pytest.raises(StoreError, match=f"{MARKER} in it or above it"):
        LocalStore.containing(outside)


def test_folders_of_a_store_may_be_links_to_other_disks(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    store.open("runs").symlink_to(tmp_path / "big")
    write(store, "runs/a/one")
    store.point("runs/a/current", "runs/a/one")
    assert (tmp_path / "big" / "a" / "one").is_dir()
    assert LocalStore.containing(store.open("runs/a/one")) == store
    assert store.key(store.open("runs/a/one")) == "runs/a/one"
    # A store may itself be reached by a link.
    (tmp_path / "alias").symlink_to(store.root)
    assert store.key(tmp_path / "alias" / "puzzles") == "puzzles"
