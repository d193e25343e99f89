"""What a header, an index and cells may be: the last value that is allowed and the first that is
not; and how large the pieces of a split are."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import zarr

from storage import examples as module
from storage.examples import (
    Examples,
    Header,
    LazyExamples,
    check_cells,
    check_index,
    header_from_dict,
    read_examples,
    write_examples,
)

HEADER = Header(vocabulary=("pad", "a", "b"), grid=(2, 3), num_puzzle_ids=3)


def plain(**changes: Any) -> dict[str, Any]:
    return {**asdict(HEADER), "vocabulary": ["pad", "a", "b"], "grid": [2, 3], **changes}


def test_a_header_needs_vocabulary_and_grid_only() -> None:
    assert asdict(Header(vocabulary=("a",), grid=(1, 2))) == {
        "vocabulary": ("a",),
        "grid": (1, 2),
        "ignore_id": 0,
        "num_puzzle_ids": 1,
        "seed": 0,
        "augmentations": 0,
        "sources": {},
    }
    assert Header(vocabulary=("a",), grid=(4, 5)).length == 20


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("vocabulary", ["a"], []),
        ("vocabulary", ["a"] * 256, ["a"] * 257),
        ("vocabulary", ["a"], ["a", 1]),
        ("vocabulary", ["a"], "a"),
        ("grid", [1, 1], [0, 1]),
        ("grid", [1, 1], [1, 0]),
        ("grid", [1, 1], [1]),
        ("grid", [1, 1], [1, 1, 1]),
        ("grid", [1, 1], [1, 1.0]),
        ("ignore_id", 0, -1),
        ("ignore_id", 1, True),
        ("num_puzzle_ids", 1, 0),
        ("num_puzzle_ids", 2, 2.0),
        ("seed", -1, "1"),
        ("augmentations", 0, -1),
        ("augmentations", 1, None),
        ("sources", {"a": "b"}, {"a": 1}),
        ("sources", {}, ["a"]),
    ],
)
def test_a_header_from_json_is_checked(name: str, allowed: Any, refused: Any) -> None:
    assert header_from_dict(plain()) == HEADER
    header_from_dict(plain(**{name: allowed}))
    with pytest.raises(ValueError, match=f"header's {name} is"):
        header_from_dict(plain(**{name: refused}))


def index(ids: Any = (0, 2), examples: Any = (0, 1, 3), groups: Any = (0, 1, 2)) -> tuple[Any, ...]:
    return np.array(ids, np.int32), np.array(examples, np.int64), np.array(groups, np.int64)


def test_an_index_that_adds_up_passes() -> None:
    check_index(HEADER, *index())
    check_index(HEADER, *index(ids=[0], examples=[0, 1], groups=[0, 1]))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (index(ids=[0, 3]), r"puzzle_ids of 0\.\.3, not within 0\.\.2"),
        (index(ids=[-1, 0]), r"puzzle_ids of -1\.\.0"),
        (index(examples=[1, 2, 3]), "example_offsets starts with"),
        (index(ids=[], examples=[0], groups=[0]), "example_offsets starts with"),
        (index(groups=[1, 2]), "group_offsets starts with"),
        (index(examples=[0, 1, 1]), "example_offsets goes from 1 to 1 at 2, not upwards"),
        (index(groups=[0, 2, 1]), "group_offsets goes from 2 to 1 at 2, not upwards"),
        (index(ids=[0, 1, 2]), "3 puzzle_ids, example_offsets of 2 puzzles and groups of 2"),
        (index(groups=[0, 1]), "2 puzzle_ids, example_offsets of 2 puzzles and groups of 1"),
        (index(ids=[[0, 1]]), r"puzzle_ids is int32 \[1, 2\]"),
        (
            (np.array([0, 2]), *index()[1:]),
            r"puzzle_ids is int64 \[2\], not int32 \[n\]",
        ),
    ],
)
def test_an_index_that_does_not_add_up_is_refused(parts: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_index(HEADER, *parts)


def test_cells_are_tokens_of_the_vocabulary() -> None:
    good, none = np.full((2, 6), 2, np.uint8), np.zeros((0, 6), np.uint8)
    check_cells(HEADER, good, good)
    check_cells(HEADER, none, none)
    for inputs, labels, message in (
        (good + 1, good, r"inputs has token 3, not within 0\.\.2"),
        (good, good + 1, r"labels has token 3, not within 0\.\.2"),
        (good, good[:1], r"labels is uint8 \[1, 6\], not uint8 \[n, 6\]"),
        (good[:, 1:], good[:, 1:], r"inputs is uint8 \[2, 5\]"),
        (good.astype(np.int64), good, r"inputs is int64"),
    ):
        with pytest.raises(ValueError, match=message):
            check_cells(HEADER, inputs, labels)


def split(examples: int) -> Examples:
    cells = np.arange(examples * 6, dtype=np.uint8).reshape(-1, 6) % 3
    return Examples(
        HEADER,
        cells,
        cells[::-1],
        np.zeros(1, np.int32),
        np.array([0, examples]),
        np.array([0, 1]),
    )


@pytest.mark.parametrize("codec", ["bitshuffle", "plain"])
def test_pieces_are_of_the_size_that_stored_data_sets_have(tmp_path: Path, codec: Any) -> None:
    """A mebibyte of cells per chunk, 32 chunks per shard, zstd level 1, crc32c: with other sizes
    the same puzzles would be other bytes."""
    told: list[tuple[int, int]] = []
    total = write_examples(
        tmp_path / "x.zarr", split(5), codec=codec, progress=lambda *seen: told.append(seen)
    )
    assert (total, told) == (5, [(5, 5)])
    rows = (1 << 20) // 6
    for name in ("inputs", "labels"):
        array = zarr.open_array(tmp_path / "x.zarr" / name, mode="r")
        assert (array.chunks, array.shards) == ((rows, 6), (32 * rows, 6))
        first, second = (cast(Any, each).to_dict() for each in array.compressors)
        assert second == {"name": "crc32c"}
        expected = (
            {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
            if codec == "plain"
            else {
                "name": "blosc",
                "configuration": {
                    "cname": "zstd",
                    "clevel": 1,
                    "shuffle": "bitshuffle",
                    "typesize": 1,
                    "blocksize": 0,
                },
            }
        )
        assert first == expected
    assert zarr.open_group(tmp_path / "x.zarr", mode="r").attrs["writer_version"] == 3


def test_lazy_examples_are_read_in_any_order(tmp_path: Path) -> None:
    examples = split(7)
    write_examples(tmp_path / "x.zarr", examples)
    lazy = LazyExamples(tmp_path / "x.zarr")
    for index in ([*range(7)], [2, 3, 4], [6], [1, 3], [0, 2, 1, 3], [5, 5, 0]):
        rows = np.array(index)
        for mine, theirs in zip(lazy.rows(rows), examples.rows(rows), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_examples_larger_than_a_chunk_have_chunks_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 5)
    assert write_examples(tmp_path / "x.zarr", split(3)) == 3
    assert zarr.open_array(tmp_path / "x.zarr" / "inputs", mode="r").chunks == (1, 6)
    np.testing.assert_array_equal(read_examples(tmp_path / "x.zarr").inputs, split(3).inputs)
