"""Examples in zarr v3: sharded, compressed, checksummed (crc32c per chunk), written shard by shard.

One group per split holds ``inputs`` and ``labels`` uint8 [N, L], ``puzzle_ids`` int32 [M],
``example_offsets`` int64 [M + 1] (examples of each puzzle) and ``group_offsets`` int64 [G + 1]
(puzzles of each group). A group is a puzzle and its augmentations.

Examples come from an :class:`ExampleSet`, which computes any of them from its index. So each shard
can be written alone, in any order, by any worker, with the same bytes; and a training may read the
set itself in place of stored copies: such a split holds a :class:`Plan` in place of ``inputs`` and
``labels`` (online augmentation).
"""

import atexit
import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import zarr
import zarr.core.sync
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from storage.manifest import CorruptDataError, Listing, list_file
from storage.reading import json_object, reading

WRITER_VERSION = 3
CHUNK_BYTES = 1 << 20
SHARD_CHUNKS = 32
SPLITS = ("train", "test")
"""The splits of a data set."""
VALIDATION = "validation.zarr"
"""The one split in a folder of validation puzzles."""
INDEX = ("puzzle_ids", "example_offsets", "group_offsets")
CELLS = ("inputs", "labels")

_CONFIG: Any = {"write_empty_chunks": True}
"""zarr would not write chunks of zeros, and read zeros in place of a chunk that was lost."""
DATA_AGAIN = "make the data again (trm data BENCHMARK)"
"""For a data set whose bytes are not those that were written."""
LOOP_SECONDS = 30.0
"""The end of a process waits for zarr's thread at most so long."""

_T = TypeVar("_T")
Bytes2d = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Codec = Literal["bitshuffle", "plain"]
"""zstd level 1, chosen by trial (docs/data.md). Sudoku tokens use four bits of eight: with Blosc's
bit shuffle they are 2.2 times smaller and four times faster. ARC grids are long runs: without
it."""


@atexit.register  # It comes before zarr's own, which was registered before.
def _end_loop() -> None:
    """End the thread in which zarr reads and writes. At a process's end zarr waits a fifth of a
    second for it, and on a busy machine prints a traceback."""
    (loop,), (thread,) = zarr.core.sync.loop, zarr.core.sync.iothread
    if loop is not None and thread is not None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LOOP_SECONDS)


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


def header_from_dict(data: object) -> Header:
    """The inverse of ``dataclasses.asdict`` after a passage through JSON.

    :raises KeyError: a missing field.
    :raises ValueError: no object, an unknown field, or a field that cannot be.
    """
    known = [item.name for item in fields(Header)]
    data = json_object(data, "header", ("vocabulary", "grid"), known)
    values: dict[str, Any] = {**data}
    for name in ("vocabulary", "grid"):
        values[name] = tuple(data[name]) if isinstance(data[name], list) else ()
    header = Header(**values)
    sources = cast("dict[object, object]", header.sources)
    good = {
        "vocabulary": 1 <= len(header.vocabulary) <= 256 and _all(str, header.vocabulary),
        "grid": len(header.grid) == 2 and _all(int, header.grid) and min(header.grid) >= 1,
        "ignore_id": _all(int, [header.ignore_id]) and header.ignore_id >= 0,
        "num_puzzle_ids": _all(int, [header.num_puzzle_ids]) and header.num_puzzle_ids >= 1,
        "seed": _all(int, [header.seed]),
        "augmentations": _all(int, [header.augmentations]) and header.augmentations >= 0,
        "sources": isinstance(sources, dict) and _all(str, [*sources, *sources.values()]),
    }
    for name, is_good in good.items():
        if not is_good:
            raise ValueError(f"header's {name} is {str(data.get(name))[:100]!r}")
    return header


def _all(kind: type, values: Iterable[object]) -> bool:
    return all(type(value) is kind for value in values)


class ExampleSet(Protocol):
    """Examples as a function of their index. ``puzzle_ids``, ``example_offsets``,
    ``group_offsets``: see the module's docstring."""

    @property
    def header(self) -> Header: ...
    @property
    def puzzle_ids(self) -> npt.NDArray[np.int32]: ...
    @property
    def example_offsets(self) -> Ints: ...
    @property
    def group_offsets(self) -> Ints: ...

    def rows(self, index: Ints) -> tuple[Bytes2d, Bytes2d]:
        """Inputs and labels, each uint8 [K, L], of the examples ``index`` [K], in any order; safe
        in several threads at once."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a set of examples can be made from again: ``kind`` names what makes it; JSON values and
    arrays (base puzzles, tables of augmentations)."""

    kind: str
    parameters: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Examples:
    """A split decoded to memory: an example set that looks its rows up."""

    header: Header
    inputs: Bytes2d
    labels: Bytes2d
    puzzle_ids: npt.NDArray[np.int32]
    example_offsets: Ints
    group_offsets: Ints

    def rows(self, index: Ints) -> tuple[Bytes2d, Bytes2d]:
        return self.inputs[index], self.labels[index]


def check_index(
    header: Header, puzzle_ids: npt.NDArray[np.int32], example_offsets: Ints, group_offsets: Ints
) -> None:
    """Whether the index of a split adds up.

    :raises ValueError: what does not.
    """
    for name, values, dtype in zip(
        INDEX,
        (puzzle_ids, example_offsets, group_offsets),
        (np.int32, np.int64, np.int64),
        strict=True,
    ):
        if values.dtype != dtype or values.ndim != 1:
            raise ValueError(
                f"{name} is {values.dtype} {list(values.shape)}, not {np.dtype(dtype)} [n]"
            )
    for name, values in (("example_offsets", example_offsets), ("group_offsets", group_offsets)):
        if len(values) < 2 or values[0] != 0:
            raise ValueError(
                f"{name} starts with {values[:2].tolist()}, not with 0 and the end of the first "
                "part"
            )
        falls = np.flatnonzero(values[1:] <= values[:-1])
        if len(falls):
            raise ValueError(
                f"{name} goes from {values[falls[0]]} to {values[falls[0] + 1]} at "
                f"{falls[0] + 1}, not upwards"
            )
    if not len(puzzle_ids) == len(example_offsets) - 1 == group_offsets[-1]:
        raise ValueError(
            f"{len(puzzle_ids)} puzzle_ids, example_offsets of {len(example_offsets) - 1} puzzles "
            f"and groups of {group_offsets[-1]}, "
            "not equal numbers of puzzles"
        )
    if puzzle_ids.min() < 0 or puzzle_ids.max() >= header.num_puzzle_ids:
        raise ValueError(
            f"puzzle_ids of {puzzle_ids.min()}..{puzzle_ids.max()}, not within "
            f"0..{header.num_puzzle_ids - 1}"
        )


def check_cells(header: Header, inputs: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    """Whether inputs and labels are tokens uint8 [n, L] of the vocabulary, both of one shape.

    :raises ValueError: what is not.
    """
    for name, values in zip(CELLS, (inputs, labels), strict=True):
        if values.dtype != np.uint8 or values.shape != (*inputs.shape[:1], header.length):
            raise ValueError(
                f"{name} is {values.dtype} {list(values.shape)}, not uint8 [n, {header.length}] "
                "as the other"
            )
        if values.max(initial=0) >= len(header.vocabulary):
            raise ValueError(
                f"{name} has token {values.max()}, not within 0..{len(header.vocabulary) - 1}"
            )


def _create(path: Path, examples: ExampleSet, plan: Plan | None) -> zarr.Group:
    index = {name: np.asarray(getattr(examples, name)) for name in INDEX}
    check_index(examples.header, **index)
    attributes = {
        "writer_version": WRITER_VERSION,
        "header": asdict(examples.header),
        "plan": None if plan is None else {"kind": plan.kind, "parameters": plan.parameters},
    }
    # Not overwritten: shards of an interrupted build are there.
    group = zarr.open_group(path, mode="a", zarr_format=3)
    group.attrs.put(cast(Any, attributes))
    for name, values in index.items():
        _write_small(group, name, values)
    return group


def write_plan(path: Path, examples: ExampleSet, plan: Plan) -> None:
    """Write a split without copies: the index and what the examples are made from."""
    group = _create(path, examples, plan)
    for name, values in plan.arrays.items():
        _write_small(group, f"plan/{name}", values)


def write_examples(
    path: Path,
    examples: ExampleSet,
    *,
    codec: Codec = "bitshuffle",
    workers: int | None = None,
    finished: Callable[[Path], bool] = lambda _: False,
    on_file: Callable[[Path, Listing], None] = lambda _path, _listing: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Write all ``examples`` as one zarr group at ``path``; returns their number.

    Shards are computed, compressed and written by ``workers`` threads (default: one per core; what
    takes time releases the interpreter's lock); the bytes do not depend on their number. Memory:
    about five shards (32 MiB of cells each) per worker. The caller writes into a folder that no
    reader knows (:mod:`storage.build`).

    :param finished: whether a shard's file from an earlier, interrupted call is there and whole.
    :param on_file: told the size and SHA-256 of each shard's file when it is written.
    """
    header = examples.header
    total = int(examples.example_offsets[-1])
    group = _create(path, examples, None)
    rows = max(1, CHUNK_BYTES // header.length)
    shard_rows = rows * SHARD_CHUNKS
    compressor = (
        ZstdCodec(level=1)
        if codec == "plain"
        else BloscCodec(cname="zstd", clevel=1, shuffle=codec, typesize=1)
    )
    arrays = {
        name: group.require_array(
            name,
            shape=(total, header.length),
            dtype="uint8",
            chunks=(rows, header.length),
            shards=(shard_rows, header.length),
            compressors=[compressor, Crc32cCodec()],
            config=_CONFIG,
        )
        for name in CELLS
    }
    done = 0

    def write(shard: int) -> int:
        start, stop = shard * shard_rows, min((shard + 1) * shard_rows, total)
        files = {name: path / name / "c" / str(shard) / "0" for name in CELLS}
        if not all(finished(file) for file in files.values()):
            for (name, file), values in zip(
                files.items(), examples.rows(np.arange(start, stop)), strict=True
            ):
                arrays[name][start:stop] = values
                on_file(file, list_file(file))
        return stop - start

    for count in in_threads(write, -(-total // shard_rows), workers):
        done += count
        progress(done, total)
    return total


def in_threads(work: Callable[[int], _T], count: int, workers: int | None) -> Iterator[_T]:
    """Results of ``work(0..count - 1)`` in the order they are ready; the first error ends the
    rest."""
    pool = ThreadPoolExecutor(workers or _cores())
    try:
        for future in as_completed([pool.submit(work, number) for number in range(count)]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """Cores that this process may use; where the system does not say, those of the machine."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _write_small(group: zarr.Group, name: str, values: npt.NDArray[Any]) -> None:
    rows = max(1, min(len(values), CHUNK_BYTES // max(1, values[:1].nbytes)))
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(rows, *values.shape[1:]),
        compressors=[
            BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=values.dtype.itemsize),
            Crc32cCodec(),
        ],
        overwrite=True,
        config=_CONFIG,
    )
    array[:] = values


_OF_ZARR = (AttributeError, RuntimeError, TypeError)
"""What zarr and its codecs raise on bad metadata and chunks, beside the usual."""


def _reading(path: Path, *further: type[Exception]) -> contextlib.AbstractContextManager[None]:
    expected = f"an example store as written here; {DATA_AGAIN}"
    return reading(CorruptDataError, path, expected, *further)


def _attributes(path: Path) -> tuple[Header, Mapping[str, Any] | None]:
    with _reading(path, *_OF_ZARR):
        values = cast(dict[str, Any], dict(zarr.open_group(path, mode="r").attrs))
        if values["writer_version"] != WRITER_VERSION:
            raise ValueError(f"writer version {values['writer_version']}, not {WRITER_VERSION}")
        plan = values["plan"]
        if plan is not None and not (
            set(plan) == {"kind", "parameters"} and isinstance(plan["parameters"], dict)
        ):
            raise ValueError(f"plan is {str(plan)[:100]!r}, not a kind and its parameters")
        return header_from_dict(values["header"]), plan


def open_header(path: Path) -> Header:
    """The header of the split at ``path``.

    :raises CorruptDataError: not a zarr group of ours.
    """
    return _attributes(path)[0]


def _open(path: Path, name: str) -> zarr.Array[Any]:
    """An array all of whose chunks are there; whether they are whole is known when they are read.
    In :func:`_reading`."""
    array = zarr.open_array(path / name, mode="r")
    # Counted first: of a shape that nobody wrote, zarr would list all chunks in memory.
    per_file = array.shards or array.chunks
    files = math.prod(
        -(-size // max(1, part)) for size, part in zip(array.shape, per_file, strict=True)
    )
    found = sum(file.is_file() for file in (path / name / "c").rglob("*"))
    if found < files:
        raise ValueError(f"only {found} of {files} chunks are there")
    # zarr counts all chunks of every shard, of the last one too, which may need fewer.
    if array.nchunks_initialized < array.nchunks:
        raise ValueError(f"only {array.nchunks_initialized} of {array.nchunks} chunks are there")
    return array


def _read(path: Path, name: str) -> npt.NDArray[Any]:
    with _reading(path / name, *_OF_ZARR):
        return np.asarray(_open(path, name)[...])


def read_index(path: Path) -> tuple[npt.NDArray[np.int32], Ints, Ints]:
    """``puzzle_ids``, ``example_offsets`` and ``group_offsets`` of the split at ``path``.

    :raises CorruptDataError: bytes that do not decode, or do not add up.
    """
    header = open_header(path)
    puzzle_ids, example_offsets, group_offsets = (_read(path, name) for name in INDEX)
    with _reading(path):
        check_index(header, puzzle_ids, example_offsets, group_offsets)
    return puzzle_ids, example_offsets, group_offsets


class _Cells:
    """``inputs`` and ``labels`` of the split at ``path``, ``total`` (None: as many as there are)
    examples."""

    def __init__(self, path: Path, total: int | None) -> None:
        self.path, self.header = path, open_header(path)
        self._arrays: list[zarr.Array[Any]] = []
        for name in CELLS:
            with _reading(path / name, *_OF_ZARR):
                array = _open(path, name)
                self.total = total = array.shape[0] if total is None else total
                if (
                    array.dtype != np.uint8
                    or array.shape != (total, self.header.length)
                    or array.shards is None
                ):
                    raise ValueError(
                        f"{array.dtype} {list(array.shape)}, not sharded uint8 [{total}, "
                        f"{self.header.length}]"
                    )
                self.shard_rows = array.shards[0]
            self._arrays.append(array)

    def read(self, rows: slice | Ints) -> tuple[Bytes2d, Bytes2d]:
        """Both, of some examples; each chunk is decoded once."""
        found: list[Bytes2d] = []
        for name, array in zip(CELLS, self._arrays, strict=True):
            with _reading(self.path / name):
                found.append(np.asarray(array.oindex[rows]))
        inputs, labels = found
        with _reading(self.path):
            check_cells(self.header, inputs, labels)
        return inputs, labels


def read_plan(path: Path) -> tuple[Header, Plan] | None:
    """The header and plan of a split that holds no copies, None for one that does.

    :raises CorruptDataError: bytes that do not decode.
    """
    header, plan = _attributes(path)
    if plan is None:
        return None
    with _reading(path / "plan"):
        names = sorted(folder.name for folder in (path / "plan").iterdir() if folder.is_dir())
    return header, Plan(
        plan["kind"], plan["parameters"], {name: _read(path, f"plan/{name}") for name in names}
    )


def read_examples(path: Path) -> Examples:
    """Decode the split at ``path`` to memory.

    :raises CorruptDataError: bytes that do not decode (each chunk carries a checksum), or arrays
        that do not fit one another.
    """
    index = read_index(path)
    cells = _Cells(path, int(index[1][-1]))
    return Examples(cells.header, *cells.read(slice(None)), *index)


class LazyExamples:
    """The split at ``path``, read as it is asked for: an example set for those who need few of its
    examples at a time.

    :raises CorruptDataError: not a readable split; also from :meth:`rows`.
    """

    def __init__(self, path: Path) -> None:
        self.puzzle_ids, self.example_offsets, self.group_offsets = read_index(path)
        self._cells = _Cells(path, int(self.example_offsets[-1]))
        self.header = self._cells.header

    def rows(self, index: Ints) -> tuple[Bytes2d, Bytes2d]:
        """The examples ``index`` [K]; fastest where they are consecutive."""
        first, count = int(index[0]), len(index)
        consecutive = np.array_equal(index, np.arange(first, first + count))
        return self._cells.read(slice(first, first + count) if consecutive else index)


def map_shards(
    path: Path, work: Callable[[int, Bytes2d, Bytes2d], _T], workers: int | None = None
) -> Iterator[_T]:
    """``work(first row, inputs [k, L], labels [k, L])`` of every shard of the split at ``path``, in
    threads, in no fixed order.

    :raises CorruptDataError: bytes that do not decode.
    """
    cells = _Cells(path, None)

    def one(shard: int) -> _T:
        rows = slice(shard * cells.shard_rows, min((shard + 1) * cells.shard_rows, cells.total))
        return work(rows.start, *cells.read(rows))

    return in_threads(one, -(-cells.total // cells.shard_rows), workers)
