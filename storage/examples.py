"""Examples in zarr v3: sharded, compressed, checksummed (crc32c per chunk), written shard by shard.

One group per split holds ``inputs`` and ``labels`` uint8 [N, L], ``puzzle_ids`` int32 [M], ``example_offsets`` int64 [M + 1]
(examples of each puzzle) and ``group_offsets`` int64 [G + 1] (puzzles of each group). A group is a puzzle and its augmentations.

Examples come from a :class:`Source`, which computes any of them from its index. So each shard can be written alone, in any order, by
any worker, with the same bytes; and a training may read the source itself in place of stored copies: a split that holds a
:class:`Plan` in place of ``inputs`` and ``labels`` (online augmentation).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from storage.manifest import CorruptDataError, Listing, list_file

WRITER_VERSION = 2
CHUNK_BYTES = 1 << 20
SHARD_CHUNKS = 32
INDEX = ("puzzle_ids", "example_offsets", "group_offsets")
CELLS = ("inputs", "labels")

_T = TypeVar("_T")
Bytes2d = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Codec = Literal["bitshuffle", "plain"]
"""zstd level 1, chosen by trial (DESIGN.md). Sudoku tokens use four bits of eight: with Blosc's bit shuffle 2.2 times smaller and four
times faster. ARC grids are long runs: without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the numbers mean; stored as the group's attributes.

    :param vocabulary: names of the tokens 0..V - 1.
    :param grid: rows and columns of the flattened grids.
    :param ignore_id: label token of cells that are not counted (also the padding token).
    :param num_puzzle_ids: rows that a model's puzzle table needs.
    :param seed: of the augmentations, and of the order in which a training visits the examples.
    :param augmentations: stored versions per puzzle besides itself.
    :param sources: name -> hash of what the data were made from.
    """

    vocabulary: tuple[str, ...]
    grid: tuple[int, int]
    ignore_id: int = 0
    num_puzzle_ids: int = 1
    seed: int = 0
    augmentations: int = 0
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Cells per example, L."""
        return self.grid[0] * self.grid[1]


def header_from_dict(data: Mapping[str, Any]) -> Header:
    """The inverse of ``dataclasses.asdict`` after a passage through JSON.

    :raises TypeError: missing or unknown fields.
    """
    values: dict[str, Any] = {**data, "vocabulary": tuple(data["vocabulary"]), "grid": tuple(data["grid"])}
    return Header(**values)


class Source(Protocol):
    """Examples as a function of their index. ``puzzle_ids``, ``example_offsets``, ``group_offsets``: see the module's docstring."""

    @property
    def header(self) -> Header: ...
    @property
    def puzzle_ids(self) -> npt.NDArray[np.int32]: ...
    @property
    def example_offsets(self) -> Ints: ...
    @property
    def group_offsets(self) -> Ints: ...

    def rows(self, index: Ints) -> tuple[Bytes2d, Bytes2d]:
        """Inputs and labels, each uint8 [K, L], of the examples ``index`` [K], in any order; safe in several threads at once."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a source can be made from again: its kind, JSON values and arrays (base puzzles, tables of augmentations)."""

    kind: str
    parameters: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Examples:
    """A split decoded to memory: a source that looks its rows up."""

    header: Header
    inputs: Bytes2d
    labels: Bytes2d
    puzzle_ids: npt.NDArray[np.int32]
    example_offsets: Ints
    group_offsets: Ints

    def rows(self, index: Ints) -> tuple[Bytes2d, Bytes2d]:
        return self.inputs[index], self.labels[index]


def _create(path: Path, source: Source, plan: Plan | None) -> zarr.Group:
    index = {name: np.asarray(getattr(source, name)) for name in INDEX}
    examples, puzzles = int(index["example_offsets"][-1]), int(index["group_offsets"][-1])
    if not (len(index["puzzle_ids"]) == len(index["example_offsets"]) - 1 == puzzles and examples):
        raise ValueError(
            f"{path}: {examples} examples of {len(index['example_offsets']) - 1} puzzles with {len(index['puzzle_ids'])} puzzle ids in "
            f"groups of {puzzles} puzzles: expected at least one example, and equal numbers of puzzles"
        )
    attributes = {
        "writer_version": WRITER_VERSION,
        "header": asdict(source.header),
        "plan": None if plan is None else {"kind": plan.kind, "parameters": plan.parameters},
    }
    # Not overwritten: shards of an interrupted build are there.
    group = zarr.open_group(path, mode="a", zarr_format=3)
    group.attrs.put(cast(Any, attributes))
    for name, values in index.items():
        _write_small(group, name, values)
    return group


def write_plan(path: Path, source: Source, plan: Plan) -> None:
    """Write a split without copies: the index and what the source is made from."""
    group = _create(path, source, plan)
    for name, values in plan.arrays.items():
        _write_small(group, f"plan/{name}", values)


def write_examples(
    path: Path,
    source: Source,
    *,
    codec: Codec = "bitshuffle",
    workers: int | None = None,
    finished: Callable[[Path], bool] = lambda _: False,
    on_file: Callable[[Path, Listing], None] = lambda _path, _listing: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Write all examples of ``source`` as one zarr group at ``path``; returns their number.

    Shards are computed, compressed and written by ``workers`` threads (default: one per core; what takes time releases the
    interpreter's lock); the bytes do not depend on their number. Memory: about five shards (32 MiB of cells each) per worker.
    The caller writes into a folder that no reader knows (:mod:`storage.build`).

    :param finished: whether a shard's file from an earlier, interrupted call is there and whole.
    :param on_file: told the size and SHA-256 of each shard's file when it is written.
    """
    header = source.header
    total = int(source.example_offsets[-1])
    group = _create(path, source, None)
    rows = max(1, CHUNK_BYTES // header.length)
    shard_rows = rows * SHARD_CHUNKS
    compressor = ZstdCodec(level=1) if codec == "plain" else BloscCodec(cname="zstd", clevel=1, shuffle=codec, typesize=1)
    arrays = {
        name: group.require_array(
            name,
            shape=(total, header.length),
            dtype="uint8",
            chunks=(rows, header.length),
            shards=(shard_rows, header.length),
            compressors=[compressor, Crc32cCodec()],
        )
        for name in CELLS
    }
    done = 0

    def write(shard: int) -> int:
        start, stop = shard * shard_rows, min((shard + 1) * shard_rows, total)
        files = {name: path / name / "c" / str(shard) / "0" for name in CELLS}
        if not all(finished(file) for file in files.values()):
            for (name, file), values in zip(files.items(), source.rows(np.arange(start, stop)), strict=True):
                arrays[name][start:stop] = values
                on_file(file, list_file(file))
        return stop - start

    for count in in_threads(write, -(-total // shard_rows), workers):
        done += count
        progress(done, total)
    return total


def in_threads(work: Callable[[int], _T], count: int, workers: int | None) -> Iterator[_T]:
    """Results of ``work(0..count - 1)`` in the order they are ready; the first error ends the rest."""
    pool = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))
    try:
        for future in as_completed([pool.submit(work, number) for number in range(count)]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _write_small(group: zarr.Group, name: str, values: npt.NDArray[Any]) -> None:
    rows = max(1, min(len(values), CHUNK_BYTES // max(1, values[:1].nbytes)))
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(rows, *values.shape[1:]),
        compressors=[BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=values.dtype.itemsize), Crc32cCodec()],
        overwrite=True,
    )
    array[:] = values


def _attributes(path: Path) -> dict[str, Any]:
    try:
        values = cast(dict[str, Any], dict(zarr.open_group(path, mode="r").attrs))
        version = values["writer_version"]
        if version != WRITER_VERSION:
            raise ValueError(f"writer version {version}, expected {WRITER_VERSION}")
        return {"header": header_from_dict(values["header"]), "plan": values["plan"]}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(f"{path}: not a readable example store ({error}); write the data set again") from error


def open_header(path: Path) -> Header:
    """The header of the split at ``path``.

    :raises CorruptDataError: not a zarr group of ours.
    """
    return _attributes(path)["header"]


def _read(path: Path, name: str, rows: slice = slice(None)) -> npt.NDArray[Any]:
    try:
        return np.asarray(zarr.open_array(path / name, mode="r")[rows])
    except (OSError, ValueError, RuntimeError) as error:
        raise CorruptDataError(f"{path / name}: {error}; write the data set again") from error


def read_plan(path: Path) -> tuple[Header, Plan] | None:
    """The header and plan of a split that holds no copies, None for one that does.

    :raises CorruptDataError: bytes that do not decode.
    """
    attributes = _attributes(path)
    if attributes["plan"] is None:
        return None
    arrays = {folder.name: _read(path, f"plan/{folder.name}") for folder in sorted((path / "plan").iterdir()) if folder.is_dir()}
    return attributes["header"], Plan(**attributes["plan"], arrays=arrays)


def read_examples(path: Path) -> Examples:
    """Decode the split at ``path`` to memory.

    :raises CorruptDataError: bytes that do not decode (each chunk carries a checksum).
    """
    header = open_header(path)
    return Examples(header, *(_read(path, name) for name in (*CELLS, *INDEX)))


class LazyExamples:
    """The split at ``path``, read as it is asked for: a source for those who go through it in order.

    :raises CorruptDataError: not a readable split; also from :meth:`rows`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = open_header(path)
        self.puzzle_ids, self.example_offsets, self.group_offsets = (_read(path, name) for name in INDEX)

    def rows(self, index: Ints) -> tuple[Bytes2d, Bytes2d]:
        """The examples ``index`` [K], which must be consecutive."""
        start, stop = int(index[0]), int(index[-1]) + 1
        if stop - start != len(index):
            raise ValueError(f"{len(index)} indices from {start} to {stop - 1}: expected consecutive ones")
        inputs, labels = (_read(self.path, name, slice(start, stop)) for name in CELLS)
        return inputs, labels


def map_shards(path: Path, work: Callable[[int, Bytes2d, Bytes2d], _T], workers: int | None = None) -> Iterator[_T]:
    """``work(first row, inputs [k, L], labels [k, L])`` of every shard of the split at ``path``, in threads, in no fixed order.

    :raises CorruptDataError: bytes that do not decode.
    """
    try:
        array = zarr.open_array(path / CELLS[0], mode="r")
        total, shard_rows = array.shape[0], cast(tuple[int, ...], array.shards)[0]
    except (OSError, ValueError, TypeError) as error:
        raise CorruptDataError(f"{path / CELLS[0]}: {error}; write the data set again") from error

    def one(shard: int) -> _T:
        rows = slice(shard * shard_rows, min((shard + 1) * shard_rows, total))
        inputs, labels = (_read(path, name, rows) for name in CELLS)
        return work(rows.start, inputs, labels)

    return in_threads(one, -(-total // shard_rows), workers)
