"""How examples are cut into samples and shards, and which tables of puzzles are refused."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage import shards as module
from storage.examples import Examples, Header
from storage.manifest import CorruptDataError, write_manifest
from storage.shards import (
    read_samples,
    read_shards,
    shard_hashes,
    upload_shards,
    write_shards,
)

HEADER = Header(vocabulary=("pad", "a", "b"), grid=(1, 5), num_puzzle_ids=9)
ROW = 2 * 5
"""Bytes of one example: inputs and labels."""


def examples(sizes: list[int], groups: list[int]) -> Examples:
    cells = np.arange(5 * sum(sizes), dtype=np.uint8).reshape(-1, 5) % 3
    return Examples(
        HEADER,
        cells,
        cells[::-1].copy(),
        np.arange(len(sizes), dtype=np.int32),
        np.r_[0, np.cumsum(sizes)],
        np.r_[0, np.cumsum(groups)],
    )


SIZES, GROUPS = [2, 1, 1, 5, 1, 2], [2, 3, 1]


@pytest.mark.parametrize(
    ("sample_bytes", "lengths"),
    [
        (1, [2, 1, 1, 5, 1, 2]),
        (2 * ROW, [2, 2, 5, 1, 2]),
        (3 * ROW - 1, [2, 2, 5, 1, 2]),
        (3 * ROW, [3, 1, 5, 3]),
        (6 * ROW, [4, 6, 2]),
        (100 * ROW, [12]),
    ],
)
def test_samples_hold_whole_puzzles_up_to_a_size(
    tmp_path: Path, sample_bytes: int, lengths: list[int]
) -> None:
    """A puzzle that is larger alone is a sample of its own."""
    source = examples(SIZES, GROUPS)
    write_shards(tmp_path, source, sample_bytes=sample_bytes, workers=1)
    found = list(read_samples(str(tmp_path)))
    assert [len(sample["inputs.npy"]) for sample in found] == lengths
    firsts = [sample["json"]["first_example"] for sample in found]
    assert firsts == [0, *np.cumsum(lengths)[:-1].tolist()]
    assert [sample["__key__"] for sample in found] == [f"example-{first:012d}" for first in firsts]
    table = np.concatenate([sample["puzzles.npy"] for sample in found])
    assert table.tolist() == [[0, 0, 2], [0, 1, 1], [1, 2, 1], [1, 3, 5], [1, 4, 1], [2, 5, 2]]
    again = read_shards(str(tmp_path))
    for name in ("inputs", "labels", "puzzle_ids", "example_offsets", "group_offsets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(source, name))


@pytest.mark.parametrize(
    ("shard_bytes", "per_shard"), [(1, [1] * 6), (2, [2, 2, 2]), (4, [4, 2]), (6, [6]), (9, [6])]
)
def test_shards_hold_as_many_samples_as_fit(
    tmp_path: Path, shard_bytes: int, per_shard: list[int]
) -> None:
    source = examples([1] * 6, [1] * 6)
    write_shards(tmp_path, source, shard_bytes=shard_bytes * ROW, sample_bytes=ROW)
    names = sorted(path.name for path in tmp_path.glob("*.tar"))
    assert names == [f"shard-{number:06d}.tar" for number in range(len(per_shard))]
    counts: list[int] = []
    for name in names:
        with tarfile.open(tmp_path / name) as tar:
            members = tar.getmembers()
        counts.append(len(members) // 4)
        # A fixed time and owner: same examples, same bytes.
        assert {(member.mtime, member.uname, member.gname) for member in members} == {
            (0, "trm", "trm")
        }
    assert counts == per_shard
    assert list(shard_hashes(str(tmp_path))) == [f"{tmp_path}/{name}" for name in names]


@pytest.mark.parametrize(
    ("sizes", "count"),
    [([1] * 6, 4), ([1] * 7, 3), ([2] * 9, 8), ([10, 1, 1, 1], 4), ([1, 1, 10], 2), ([1] * 3, 8)],
)
def test_small_sets_have_as_many_shards_as_asked(
    tmp_path: Path, sizes: list[int], count: int
) -> None:
    """Or one for each puzzle, since none is cut."""
    source = examples(sizes, [len(sizes)])
    write_shards(tmp_path, source, count=count)
    assert len(list(tmp_path.glob("*.tar"))) >= min(count, len(sizes))
    again = read_shards(str(tmp_path))
    assert (again.inputs == source.inputs).all()
    assert (again.example_offsets == source.example_offsets).all()


# webdataset leaves the last shard's file to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
def test_as_many_workers_as_shards_read_each_sample_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/data.md shows it. The variables stand for the processes of a loader."""
    import webdataset

    source = examples([2] * 9, [9])
    write_shards(tmp_path, source, count=8)
    shards = list(shard_hashes(str(tmp_path)))
    monkeypatch.setenv("NUM_WORKERS", "8")
    found: dict[int, Any] = {}
    for worker in range(8):
        monkeypatch.setenv("WORKER", str(worker))
        samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())  # type: ignore[attr-defined]
        assert samples
        found |= {sample["json"]["first_example"]: sample["inputs.npy"] for sample in samples}
    assert (np.concatenate([found[first] for first in sorted(found)]) == source.inputs).all()


def test_sizes_by_default() -> None:
    assert (module.SHARD_BYTES, module.SAMPLE_BYTES) == (256 * 2**20, 2**20)


def test_a_stream_is_hashed_whatever_of_it_was_read() -> None:
    data = bytes(range(256)) * 10_000
    for amount in (0, 5, -1):
        stream = module._Hashed(io.BytesIO(data))  # pyright: ignore[reportPrivateUsage]
        stream.read(amount)
        assert stream.hexdigest() == hashlib.sha256(data).hexdigest()


def write_sample(folder: Path, table: Any, **changes: Any) -> None:
    """One sample of three examples with this table of puzzles."""

    def npy(values: Any) -> bytes:
        file = io.BytesIO()
        np.save(file, values)
        return file.getvalue()

    cells = np.ones((3, 5), np.uint8)
    header = {
        "vocabulary": ["pad", "a", "b"],
        "grid": [1, 5],
        "ignore_id": 0,
        "num_puzzle_ids": 9,
        "seed": 0,
        "augmentations": 0,
        "sources": {},
    }
    text = str({"header": header, "first_example": 0}).replace("'", '"').encode()
    files = {
        "inputs.npy": npy(cells),
        "labels.npy": npy(cells),
        "puzzles.npy": npy(table),
        "json": text,
        **changes,
    }
    with tarfile.open(folder / "shard-000000.tar", "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"example-0.{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    write_manifest(folder)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1, 2], [0, 2, 1]], None),
        ([[0, 1, 2], [1, 2, 1]], None),
        ([[0, 1, 2], [2, 2, 1]], "groups that do not follow one another"),
        ([[0, 1, 1], [1, 2, 1], [0, 3, 1]], "groups that do not follow one another"),
        ([[1, 1, 3]], "group_offsets goes from 0 to 0"),
        ([[2, 1, 3]], "groups that do not follow one another"),
        ([[-1, 1, 3]], "groups that do not follow one another"),
        ([[0, 1, 2], [0, 2, 2]], r"puzzles.npy is int64 \[2, 3\] of 4 examples"),
        ([[0, 1, 2]], r"puzzles.npy is int64 \[1, 3\] of 2 examples"),
        ([[0, 1, 3, 0]], r"puzzles.npy is int64 \[1, 4\]"),
        ([0, 1, 3], r"puzzles.npy is int64 \[3\] of 3 examples"),
        ([[0.0, 1.0, 3.0]], r"puzzles.npy is float64 \[1, 3\]"),
        ([[0, 9, 3]], r"puzzle_ids of 9\.\.9, not within 0\.\.8"),
    ],
)
def test_tables_of_puzzles_must_add_up(tmp_path: Path, table: Any, message: str | None) -> None:
    write_sample(tmp_path, np.array(table))
    if message is None:
        assert len(read_shards(str(tmp_path)).inputs) == 3
        return
    with pytest.raises(CorruptDataError, match=message):
        read_shards(str(tmp_path))


def test_what_is_no_sample_is_refused(tmp_path: Path) -> None:
    write_sample(tmp_path, np.array([[0, 0, 3]]), more=b"is passed over")
    read_shards(str(tmp_path))
    write_sample(tmp_path, np.array([[0, 0, 3]]), **{"labels.npy": b""})
    with pytest.raises(CorruptDataError, match=r"shard-000000\.tar"):
        read_shards(str(tmp_path))
    with tarfile.open(tmp_path / "shard-000000.tar", "w"):
        pass
    write_manifest(tmp_path)
    with pytest.raises(CorruptDataError, match="no samples; expected at least one"):
        read_shards(str(tmp_path))


@pytest.mark.parametrize("folder", ["x[1]", "run*", "a::b", "a{b,c}"])
def test_no_folder_of_shards_is_a_pattern(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder
    path.mkdir()
    source = examples(SIZES, GROUPS)
    write_shards(path, source, workers=1)
    assert (read_shards(str(path)).inputs == source.inputs).all()
    upload_shards(path, str(tmp_path / "copy[1]"))
    assert (read_shards(str(tmp_path / "copy[1]")).inputs == source.inputs).all()
