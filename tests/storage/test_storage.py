"""Bytes on disk: atomic, checksummed, the same for the same content."""

import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.benchmarks import GeneratedSudoku
from assets.datasets import generated_puzzles, write_dataset
from storage import examples as store
from storage.atomic import new_file, point, publish, staging, sweep, write_text
from storage.examples import Block, Header, open_header, read_examples, write_examples
from storage.layout import Layout
from storage.manifest import CorruptDataError, verify_manifest, write_manifest
from storage.shards import write_shards
from storage.tables import AugmentedPuzzles, Scores, TableError, Training, name_of, partition_path, scan, write_file

HEADER = Header(vocabulary=("pad", "a", "b"), grid=(2, 3), seed=4, augmentations=1, sources={"x": "y"})


def blocks(count: int, seed: int = 0) -> list[Block]:
    generator = np.random.Generator(np.random.Philox(seed))
    result: list[Block] = []
    for _ in range(count):
        sizes = generator.integers(1, 5, 4)
        cells = generator.integers(0, 3, (2, sizes.sum(), 6), dtype=np.uint8)
        result.append(Block(cells[0], cells[1], generator.integers(0, 9, 4, dtype=np.int32), sizes, np.array([3, 1])))
    return result


def test_stream_round_trip_across_many_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK_BYTES", 24)
    monkeypatch.setattr(store, "SHARD_CHUNKS", 3)
    stream = blocks(30)
    count = write_examples(tmp_path / "x.zarr", HEADER, iter(stream))
    back = read_examples(tmp_path / "x.zarr")
    assert count == len(back.inputs) == sum(len(block.inputs) for block in stream)
    assert len(list((tmp_path / "x.zarr" / "inputs" / "c").iterdir())) == -(-count // 12)
    assert back.header == HEADER
    np.testing.assert_array_equal(back.inputs, np.concatenate([block.inputs for block in stream]))
    np.testing.assert_array_equal(back.labels, np.concatenate([block.labels for block in stream]))
    np.testing.assert_array_equal(back.puzzle_ids, np.concatenate([block.puzzle_ids for block in stream]))
    np.testing.assert_array_equal(np.diff(back.example_offsets), np.concatenate([block.puzzle_sizes for block in stream]))
    np.testing.assert_array_equal(np.diff(back.group_offsets), np.concatenate([block.group_sizes for block in stream]))


def test_blocks_must_add_up() -> None:
    block = blocks(1)[0]
    with pytest.raises(ValueError, match="these must agree"):
        replace(block, group_sizes=np.array([9]))


def test_same_seed_same_bytes_another_seed_others(tmp_path: Path) -> None:
    hashes = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        source = GeneratedSudoku(digits=4, train=30, test=10, extra_clues=(1, 4), seed=seed)
        _, content_hash = write_dataset(
            Layout(tmp_path / folder), "x", generated_puzzles(source), digits=4, augmentations=5, seed=seed, sources={}
        )
        hashes.append(content_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_writing_the_same_data_again_leaves_it_alone_and_mends_damage(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    puzzles = generated_puzzles(GeneratedSudoku(digits=4, train=30, test=10, extra_clues=(1, 4)))

    def write() -> Path:
        return write_dataset(layout, "x", puzzles, digits=4, augmentations=5, seed=0, sources={})[0]

    folder = write()
    inode = folder.stat().st_ino
    assert write().stat().st_ino == inode
    flip(next((folder / "train.zarr" / "labels" / "c").rglob("0/0")))
    assert write() == folder
    assert folder.stat().st_ino != inode
    verify_manifest(folder)
    assert [path.name for path in layout.examples("x").iterdir()] == [folder.name]


def flip(path: Path, position: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 1
    path.write_bytes(data)


def test_every_flipped_byte_is_found_and_named(tmp_path: Path) -> None:
    write_examples(tmp_path / "x.zarr", HEADER, iter(blocks(5)))
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
    write_examples(tmp_path / "x.zarr", HEADER, iter(blocks(50)))
    flip(tmp_path / "x.zarr" / "inputs" / "c" / "0" / "0", 0.2)
    with pytest.raises(CorruptDataError, match="inputs"):
        read_examples(tmp_path / "x.zarr")
    with pytest.raises(CorruptDataError, match="not a readable example store"):
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


def test_publish_point_and_sweep(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with staging(tmp_path) as folder:
            (folder / "file").write_text(text)
            publish(folder, tmp_path / "target")
        assert (tmp_path / "target" / "file").read_text() == text
    point(tmp_path / "link", tmp_path / "target")
    point(tmp_path / "link", tmp_path / "target")
    assert (tmp_path / "link" / "file").read_text() == "two"
    host = os.uname().nodename
    dead, alive, foreign = (tmp_path / f".tmp-{name}-0-x" for name in (f"{host}-999999999", f"{host}-{os.getpid()}", "elsewhere-1"))
    for path in (dead, alive, foreign):
        path.mkdir()
    sweep(tmp_path)
    assert not dead.exists()
    assert alive.exists()
    assert foreign.exists()


# webdataset leaves the last shard's file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_webdataset_reads_back_the_same_examples(tmp_path: Path, tiny: tuple[object, Path, str]) -> None:
    import webdataset as wds

    examples = read_examples(tiny[1] / "train.zarr")
    folders = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        folders.append(write_shards(tmp_path / name, examples, shard_bytes=12_000))
    assert folders[0] == folders[1] == verify_manifest(tmp_path / "a")
    sizes = [path.stat().st_size for path in (tmp_path / "a").glob("*.tar")]
    assert max(sizes) < 25_000
    shards = sorted(str(path) for path in (tmp_path / "a").glob("*.tar"))
    assert len(shards) > 2
    samples = list(wds.WebDataset(shards, shardshuffle=False, empty_check=False).decode())  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.concatenate([sample["inputs.npy"] for sample in samples]), examples.inputs)
    np.testing.assert_array_equal(np.concatenate([sample["labels.npy"] for sample in samples]), examples.labels)
    assert [len(sample["json"]["puzzle_ids"]) for sample in samples] == np.diff(examples.group_offsets).tolist()
    assert samples[0]["json"]["header"]["vocabulary"] == list(examples.header.vocabulary)
    with tarfile.open(shards[0]) as tar:
        assert {member.mtime for member in tar.getmembers()} == {0}


def training_row(**changes: object) -> pl.DataFrame:
    row = dict.fromkeys(Training.to_schema().columns, 1.0) | {"step": 1, "examples": 8, "cell_accuracy": 0.5, "exact_accuracy": 0.5}
    return pl.DataFrame([row | changes])


def test_tables_are_validated_and_partitioned(tmp_path: Path) -> None:
    for variant, seed in (("trm", 0), ("trm_mlp", 1)):
        write_file(partition_path(tmp_path, Training, "b", variant, seed), Training, training_row(step=seed + 1))
    frame = scan(tmp_path, Training).sort("step").collect()
    assert frame.select("benchmark", "variant", "seed", "step").rows() == [("b", "trm", 0, 1), ("b", "trm_mlp", 1, 2)]
    plain = pl.scan_parquet(tmp_path / "training", hive_partitioning=True).sort("step").collect()
    assert plain["variant"].to_list() == ["trm", "trm_mlp"]
    with pytest.raises(FileNotFoundError, match="no partitions yet"):
        scan(tmp_path, Scores)
    # What a killed writer leaves must not be scanned as part of the table.
    with pytest.raises(RuntimeError, match="midway"), new_file(tmp_path / "training" / "x.parquet", tmp_path / "stage") as temporary:
        assert temporary.parent == tmp_path / "stage"
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
def test_wrong_rows_are_refused_in_one_line(tmp_path: Path, frame: pl.DataFrame, message: str) -> None:
    path = partition_path(tmp_path, Training, "b", "v", 0)
    with pytest.raises(TableError) as error:
        write_file(path, Training, frame)
    assert message in str(error.value)
    assert "table training" in str(error.value)
    assert "\n" not in str(error.value)
    assert not path.exists()


def test_header_is_readable_json(tmp_path: Path) -> None:
    write_examples(tmp_path / "x.zarr", HEADER, iter(blocks(1)))
    attributes = json.loads((tmp_path / "x.zarr" / "zarr.json").read_text())["attributes"]
    assert attributes["vocabulary"] == ["pad", "a", "b"]
    assert attributes["writer_version"] == 1
