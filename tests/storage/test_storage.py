"""Bytes on disk: atomic, checksummed, the same for the same content."""

import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from assets.data.datasets import write_dataset
from assets.families.sudoku import GeneratedSudoku
from assets.tables import AugmentedPuzzles, Training
from storage import examples as store
from storage.atomic import new_file, publish, remove, staging, sweep, write_text
from storage.build import building
from storage.examples import (
    INDEX,
    Examples,
    ExampleSet,
    Header,
    LazyExamples,
    Plan,
    map_shards,
    open_header,
    read_examples,
    read_plan,
    write_examples,
    write_plan,
)
from storage.manifest import CorruptDataError, verify_manifest, write_manifest
from storage.shards import read_shards, upload_shards, write_shards
from storage.store import LocalStore
from storage.tables import (
    TableError,
    name_of,
    partition_key,
    publish_partition,
    scan,
    write_file,
)

HEADER = Header(
    vocabulary=("pad", "a", "b"),
    grid=(2, 3),
    num_puzzle_ids=9,
    seed=4,
    augmentations=1,
    sources={"x": "y"},
)


def source(puzzles: int, seed: int = 0) -> Examples:
    """Puzzles with 1 to 4 examples each, in groups of 3 and 1."""
    generator = np.random.Generator(np.random.Philox(seed))
    sizes = generator.integers(1, 5, puzzles)
    cells = generator.integers(0, 3, (2, sizes.sum(), 6), dtype=np.uint8)
    ids = generator.integers(0, 9, puzzles, dtype=np.int32)
    groups = np.tile([3, 1], puzzles // 4)
    return Examples(
        HEADER, cells[0], cells[1], ids, np.r_[0, sizes.cumsum()], np.r_[0, groups.cumsum()]
    )


def assert_equal(one: ExampleSet, other: ExampleSet) -> None:
    assert one.header == other.header
    for name in INDEX:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    index = np.arange(one.example_offsets[-1])
    for mine, theirs in zip(one.rows(index), other.rows(index), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows per chunk, six per shard."""
    monkeypatch.setattr(store, "CHUNK_BYTES", 12)
    monkeypatch.setattr(store, "SHARD_CHUNKS", 3)


@pytest.mark.usefixtures("small_shards")
def test_round_trip_across_many_shards_whatever_the_workers(tmp_path: Path) -> None:
    examples = source(120)
    hashes = set()
    for workers in (1, 2, 5):
        folder = tmp_path / str(workers)
        count = write_examples(folder / "x.zarr", examples, workers=workers)
        hashes.add(write_manifest(folder))
        assert_equal(read_examples(folder / "x.zarr"), examples)
        assert_equal(LazyExamples(folder / "x.zarr"), examples)
    assert len(hashes) == 1
    assert len(list((tmp_path / "1" / "x.zarr" / "inputs" / "c").iterdir())) == -(-count // 6)
    shards = sorted(
        map_shards(
            tmp_path / "1" / "x.zarr",
            lambda start, inputs, labels: (start, inputs.tolist(), labels.tolist()),
        )
    )
    assert [row for _, inputs, _ in shards for row in inputs] == examples.inputs.tolist()
    assert [row for _, _, labels in shards for row in labels] == examples.labels.tolist()


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_build_continues_from_its_finished_shards(tmp_path: Path) -> None:
    examples = source(120)
    calls: list[int] = []

    class Failing:
        header, puzzle_ids, example_offsets, group_offsets = (
            HEADER,
            examples.puzzle_ids,
            examples.example_offsets,
            examples.group_offsets,
        )
        left = 10

        def rows(
            self, index: npt.NDArray[np.int64]
        ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
            calls.append(int(index[0]))
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("power cut")
            return examples.rows(index)

    def build(source: ExampleSet, key: str = "key") -> tuple[str, str]:
        with building(LocalStore(tmp_path), "", key) as under_way:
            write_examples(
                under_way.folder / "x.zarr",
                source,
                workers=1,
                finished=under_way.finished,
                on_file=under_way.on_file,
            )
            return under_way.publish()

    failing = Failing()
    with pytest.raises(RuntimeError, match="power cut"):
        build(failing)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".building-key",
        ".building-key.finished",
        ".lock",
    ]
    # One finished shard is damaged meanwhile, and the line of another was not written whole.
    flip(tmp_path / ".building-key" / "x.zarr" / "labels" / "c" / "2" / "0")
    log = tmp_path / ".building-key.finished"
    log.write_text(log.read_text()[:-20])
    # A writer's temporary file, and metadata that were not written whole.
    cells = tmp_path / ".building-key" / "x.zarr" / "inputs"
    (cells / "c" / "11" / "0.ab12.partial").parent.mkdir(parents=True, exist_ok=True)
    (cells / "c" / "11" / "0.ab12.partial").write_bytes(b"half")
    (cells / "zarr.json").write_text("{")
    orphan = tmp_path / ".building-other.finished"
    orphan.touch()
    failing.left = 1000
    calls.clear()
    built, content_hash = build(failing)
    folder = tmp_path / built
    assert calls[:2] == [2 * 6, 9 * 6]
    assert len(calls) == len(range(0, len(examples.inputs), 6)) - 8  # ten were finished
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", folder.name]
    undisturbed = tmp_path / "undisturbed"
    write_examples(undisturbed / "x.zarr", examples)
    assert write_manifest(undisturbed) == content_hash == verify_manifest(folder)
    with pytest.raises(RuntimeError, match="power cut"):
        failing.left = 3
        build(failing, "other")
    build(examples, "third")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == [
        ".lock"
    ]


def test_threads_where_the_system_does_not_say_which_cores_are_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert sorted(store.in_threads(lambda number: number, 5, None)) == [0, 1, 2, 3, 4]


def test_plans_are_kept(tmp_path: Path) -> None:
    arrays = {
        "base": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "colours": np.arange(5, dtype=np.int64),
    }
    write_plan(tmp_path / "x.zarr", source(4), Plan("kind", {"copies": 3}, arrays))
    found = read_plan(tmp_path / "x.zarr")
    assert found is not None
    header, plan = found
    assert header == HEADER
    assert (plan.kind, plan.parameters) == ("kind", {"copies": 3})
    for name, array in arrays.items():
        np.testing.assert_array_equal(plan.arrays[name], array)
        assert plan.arrays[name].dtype == array.dtype
    write_examples(tmp_path / "y.zarr", source(4))
    assert read_plan(tmp_path / "y.zarr") is None


def test_an_index_must_add_up(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="equal numbers of puzzles"):
        write_examples(tmp_path / "x.zarr", replace(source(8), group_offsets=np.array([0, 9])))


def test_same_seed_same_bytes_another_seed_others(tmp_path: Path) -> None:
    hashes = []
    for folder, made, seed in (("a", 0, 0), ("b", 0, 0), ("c", 0, 1), ("d", 1, 0)):
        entry = GeneratedSudoku(digits=4, train=30, test=10, extra_clues=(1, 4), seed=made)
        _, content_hash = write_dataset(
            LocalStore(tmp_path / folder),
            "x",
            entry.puzzles().frame,
            entry,
            augmentations=5,
            seed=seed,
        )
        hashes.append(content_hash)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_writing_the_same_data_again_leaves_it_alone_and_mends_damage(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    entry = GeneratedSudoku(digits=4, train=30, test=10, extra_clues=(1, 4))
    puzzles = entry.puzzles().frame

    def write() -> Path:
        key, _ = write_dataset(store, "x", puzzles, entry, augmentations=5, seed=0)
        return store.open(key)

    folder = write()
    inode = folder.stat().st_ino
    assert write().stat().st_ino == inode
    flip(next((folder / "train.zarr" / "labels" / "c").rglob("0/0")))
    assert write() == folder
    assert folder.stat().st_ino != inode
    verify_manifest(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == [".lock", folder.name]


def flip(path: Path, position: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 1
    path.write_bytes(data)


def test_every_flipped_byte_is_found_and_named(tmp_path: Path) -> None:
    write_examples(tmp_path / "x.zarr", source(20))
    write_manifest(tmp_path)
    verify_manifest(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        before = path.read_bytes()
        for position in (0.0, 0.3, 0.99):
            flip(path, position)
            with pytest.raises(CorruptDataError) as error:
                verify_manifest(tmp_path)
            if path.name != "manifest.json":
                assert str(path) in str(error.value)
            path.write_bytes(before)
    verify_manifest(tmp_path)


def test_missing_extra_and_short_files_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("hello")
    write_manifest(tmp_path)
    (tmp_path / "c").write_text("more")
    with pytest.raises(CorruptDataError, match=r"c: not listed"):
        verify_manifest(tmp_path)
    (tmp_path / "c").unlink()
    (tmp_path / "a").write_text("hell")
    with pytest.raises(CorruptDataError, match=r"a: 4 bytes, expected 5"):
        verify_manifest(tmp_path)
    (tmp_path / "a").unlink()
    with pytest.raises(CorruptDataError, match=r"a: missing"):
        verify_manifest(tmp_path)
    with pytest.raises(CorruptDataError, match="readable manifest"):
        verify_manifest(tmp_path / "nowhere")


def test_chunks_carry_checksums_of_their_own(tmp_path: Path) -> None:
    write_examples(tmp_path / "x.zarr", source(400))
    flip(tmp_path / "x.zarr" / "inputs" / "c" / "0" / "0", 0.2)
    with pytest.raises(CorruptDataError, match="inputs"):
        read_examples(tmp_path / "x.zarr")
    with pytest.raises(CorruptDataError, match="expected an example store"):
        open_header(tmp_path / "nowhere.zarr")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="midway"), new_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("midway")
    with pytest.raises(RuntimeError, match="midway"), staging(tmp_path) as folder:
        (folder / "half").write_text("half")
        raise RuntimeError("midway")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_removing_takes_files_folders_and_links_and_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name in ("link", "file", "folder", "nothing"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_publish_and_sweep(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with staging(tmp_path) as folder:
            (folder / "file").write_text(text)
            publish(folder, tmp_path / "target")
        assert (tmp_path / "target" / "file").read_text() == text
    host = os.uname().nodename
    # The name of the last machine begins with that of this one, and then with a dead process's id.
    dead, alive, foreign, alike = (
        tmp_path / f".tmp-{name}-0123abcd-x"
        for name in (
            f"{host}-999999999",
            f"{host}-{os.getpid()}",
            "elsewhere-1",
            f"{host}-999999999-1",
        )
    )
    for path in (dead, alive, foreign, alike):
        path.mkdir()
    sweep(tmp_path)
    assert not dead.exists()
    assert alive.exists()
    assert foreign.exists()
    assert alike.exists()


def test_what_was_moved_aside_by_a_killed_process_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two renames: the older folder is there again after the next sweep."""
    target, rename = tmp_path / "target", Path.rename

    def replacing(text: str) -> None:
        with staging(tmp_path) as folder:
            (folder / "file").write_text(text)
            publish(folder, target)

    def killed(self: Path, to: Path) -> Path:
        if to == target:
            raise KeyboardInterrupt
        return rename(self, to)

    replacing("one")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            replacing("two")
    assert not target.exists()
    sweep(tmp_path)
    assert not target.exists(), "its process is alive"
    monkeypatch.setattr("storage.atomic._alive", lambda _pid: False)
    sweep(tmp_path)
    assert (target / "file").read_text() == "one"
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_moved_aside_and_replaced_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.atomic._alive", lambda _pid: False)
    for name in ("target", f".old-{os.uname().nodename}-1-01234567-target"):
        (tmp_path / name).mkdir()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


# webdataset leaves the last shard's file to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
def test_webdataset_reads_back_the_same_examples(tmp_path: Path) -> None:
    import webdataset as wds

    examples = source(400)
    folders = []
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        folders.append(
            write_shards(folder, examples, shard_bytes=2_000, sample_bytes=300, workers=workers)
        )
    assert folders[0] == folders[1] == verify_manifest(tmp_path / "1")
    shards = sorted(str(path) for path in (tmp_path / "1").glob("*.tar"))
    assert len(shards) > 2
    samples = list(wds.WebDataset(shards, shardshuffle=False, empty_check=False).decode())  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        np.concatenate([sample["inputs.npy"] for sample in samples]), examples.inputs
    )
    np.testing.assert_array_equal(
        np.concatenate([sample["labels.npy"] for sample in samples]), examples.labels
    )
    assert samples[0]["json"]["header"]["vocabulary"] == list(examples.header.vocabulary)
    with tarfile.open(shards[0]) as tar:
        assert {member.mtime for member in tar.getmembers()} == {0}
    assert_equal(read_shards(str(tmp_path / "1")), examples)
    upload_shards(tmp_path / "1", "memory://bucket/folder")
    assert_equal(read_shards("memory://bucket/folder"), examples)


def test_a_damaged_tar_shard_is_named(tmp_path: Path) -> None:
    examples = source(100)
    write_shards(tmp_path, examples, shard_bytes=2_000, sample_bytes=300)
    shard = tmp_path / "shard-000001.tar"
    whole = shard.read_bytes()
    cuts = [whole[:cut] for cut in (0, 10, 512, 1024, 2000, 3072, len(whole) // 2, len(whole) - 10)]
    flips = [
        whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        for place in range(0, len(whole), 1111)
    ]
    for damaged in cuts + flips:
        shard.write_bytes(damaged)
        with pytest.raises(CorruptDataError) as error:
            read_shards(str(tmp_path))
        assert str(error.value).startswith(str(shard))
        assert "\n" not in str(error.value)
    shard.unlink()
    with pytest.raises(CorruptDataError, match=r"shard-000001\.tar"):
        read_shards(str(tmp_path))
    with pytest.raises(CorruptDataError, match="expected a manifest"):
        read_shards(str(tmp_path / "nowhere"))


def training_row(**changes: object) -> pl.DataFrame:
    row = dict.fromkeys(Training.to_schema().columns, 1.0) | {
        "benchmark": "b",
        "variant": "trm",
        "seed": 0,
        "run": "r",
        "config_hash": "c",
        "created_at": "2026",
        "step": 1,
        "examples": 8,
        "cell_accuracy": 0.5,
        "exact_accuracy": 0.5,
    }
    return pl.DataFrame([row | changes])


def test_tables_are_validated_and_partitioned(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for variant, seed in (("trm", 0), ("trm_mlp", 1)):
        row = training_row(variant=variant, seed=seed, step=seed + 1)
        publish_partition(store, Training, row)
    frame = scan(store, Training).sort("step").collect()
    assert frame.select("benchmark", "variant", "seed", "step").rows() == [
        ("b", "trm", 0, 1),
        ("b", "trm_mlp", 1, 2),
    ]
    root = tmp_path / "tables" / "training"
    for hive in (False, True):
        plain = pl.scan_parquet(root, hive_partitioning=hive).sort("step").collect()
        assert plain["variant"].to_list() == ["trm", "trm_mlp"]
    # What a killed writer leaves must not be scanned as part of the table.
    with (
        pytest.raises(RuntimeError, match="midway"),
        store.publish_file(partition_key(Training, "b", "trm", 0, "r")) as temporary,
    ):
        assert temporary.parent == tmp_path / "tables"
        raise RuntimeError("midway")
    assert name_of(AugmentedPuzzles) == "augmented_puzzles"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (training_row(exact_accuracy=1.5), "exact_accuracy"),
        (training_row(step=0), "step"),
        (training_row().drop("loss"), "loss"),
        (training_row(surprise=1), "surprise"),
        (training_row(loss="high"), "loss"),
    ],
)
def test_wrong_rows_are_refused_in_one_line(
    tmp_path: Path, frame: pl.DataFrame, message: str
) -> None:
    path = tmp_path / partition_key(Training, "b", "v", 0, "r")
    with pytest.raises(TableError) as error:
        write_file(path, Training, frame)
    assert message in str(error.value)
    assert "table training" in str(error.value)
    assert "\n" not in str(error.value)
    assert not path.exists()


def test_header_is_readable_json(tmp_path: Path) -> None:
    write_examples(tmp_path / "x.zarr", source(4))
    attributes = json.loads((tmp_path / "x.zarr" / "zarr.json").read_text())["attributes"]
    assert attributes["header"]["vocabulary"] == ["pad", "a", "b"]
    assert attributes["writer_version"] == 3
