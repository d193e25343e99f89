"""The same examples as webdataset tar shards: readable from a bucket at streaming speed.

A sample is a run of consecutive puzzles, about a mebibyte: ``KEY.inputs.npy``, ``KEY.labels.npy``
uint8 [n, L], ``KEY.puzzles.npy`` int64 [m, 3] (group, puzzle id, number of examples) and
``KEY.json`` (header and number of the first example). The folder's manifest is the index with
checksums. Example for example this is what the zarr split holds.
"""

import hashlib
import io
import itertools
import json
import math
import tarfile
import tokenize
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from storage.examples import (
    Examples,
    ExampleSet,
    Header,
    check_cells,
    check_index,
    header_from_dict,
    in_threads,
)
from storage.manifest import MANIFEST, CorruptDataError, parse_manifest, write_manifest
from storage.reading import json_object, open_bytes, reading
from storage.refusals import UserError

SHARD_BYTES = 256 << 20
SAMPLE_BYTES = 1 << 20
SHARDS = 8
"""Shards of a small set: every worker that reads needs at least one of its own."""
SHARDS_AGAIN = "write the shards again (trm data BENCHMARK --stage shards)"
"""For shards whose bytes are not those that were written."""


class _Sample(NamedTuple):
    """The puzzles from ``first`` to before ``last``."""

    first: int
    last: int


def _samples(examples: ExampleSet, sample_bytes: int) -> list[_Sample]:
    """Cut the puzzles into runs of about ``sample_bytes`` of cells; a puzzle is never cut."""
    ends = examples.example_offsets[1:] * (2 * examples.header.length)
    cuts = [0]
    while cuts[-1] < len(ends):
        begin = int(examples.example_offsets[cuts[-1]]) * 2 * examples.header.length
        cuts.append(
            max(cuts[-1] + 1, int(np.searchsorted(ends, begin + sample_bytes, side="right")))
        )
    return [_Sample(first, last) for first, last in itertools.pairwise(cuts)]


def _at_least(count: int, examples: ExampleSet, sample_bytes: int) -> list[_Sample]:
    """:func:`_samples`, cut smaller until there are ``count`` (or one for each puzzle)."""
    samples = _samples(examples, sample_bytes)
    while len(samples) < min(count, len(examples.puzzle_ids)):
        sample_bytes //= 2
        samples = _samples(examples, sample_bytes)
    return samples


def write_shards(
    folder: Path,
    examples: ExampleSet,
    *,
    count: int = 1,
    shard_bytes: int = SHARD_BYTES,
    sample_bytes: int = SAMPLE_BYTES,
    workers: int | None = None,
) -> str:
    """Write ``examples`` as ``shard-000000.tar``, … into the empty ``folder``; returns the content
    hash.

    A shard holds as many samples as fit into ``shard_bytes`` of cells, at least one. Of a small set
    samples and shards are smaller, so that there are at least ``count`` shards, or one for each
    puzzle where there are fewer. The bytes do not depend on ``workers`` (threads).
    """
    from webdataset.writer import TarWriter

    samples = _at_least(count, examples, sample_bytes)
    per_shard = max(1, min(shard_bytes // sample_bytes, len(samples) // count))
    header = asdict(examples.header)
    group_of_puzzle = np.repeat(
        np.arange(len(examples.group_offsets) - 1), np.diff(examples.group_offsets)
    )

    def write(shard: int) -> None:
        # A fixed time and owner: same examples, same bytes.
        with TarWriter(
            str(folder / f"shard-{shard:06d}.tar"), mtime=0, user="trm", group="trm"
        ) as writer:
            for first, last in samples[shard * per_shard : (shard + 1) * per_shard]:
                offsets = examples.example_offsets[first : last + 1]
                inputs, labels = examples.rows(np.arange(offsets[0], offsets[-1]))
                puzzles = np.stack(
                    (
                        group_of_puzzle[first:last],
                        examples.puzzle_ids[first:last],
                        np.diff(offsets),
                    ),
                    axis=1,
                )
                writer.write(
                    {
                        "__key__": f"example-{offsets[0]:012d}",
                        "inputs.npy": inputs,
                        "labels.npy": labels,
                        "puzzles.npy": puzzles.astype(np.int64),
                        "json": json.dumps(
                            {"header": header, "first_example": int(offsets[0])}, sort_keys=True
                        ).encode(),
                    }
                )

    for _ in in_threads(write, -(-len(samples) // per_shard), workers):
        pass
    return write_manifest(folder)


class UploadError(UserError):
    """Shards could not be copied to a URL; the message names it, what happened and the remedy."""


def upload_shards(folder: Path, url: str) -> None:
    """Copy a written folder to ``url``, anything fsspec opens (``s3://…``, ``gs://…``, a path); the
    manifest last: with it all is there.

    :raises UploadError: the URL's protocol or place cannot be used.
    """
    import fsspec

    remedy = (
        "a URL that fsspec can write to; install what its protocol needs (s3fs for s3://) or mend "
        "the URL"
    )
    with reading(UploadError, url, remedy, ImportError):
        system, root = cast(Any, fsspec).url_to_fs(url)
        system.makedirs(root, exist_ok=True)
        for path in [*sorted(folder.glob("*.tar")), folder / MANIFEST]:
            system.put_file(str(path), f"{root}/{path.name}")


class _Hashed:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        """Of the whole stream, whatever of it was read."""
        while self.read(1 << 20):
            pass
        return self._digest.hexdigest()


def shard_hashes(url: str) -> dict[str, str]:
    """The shards below ``url`` (a path or anything fsspec opens) in order, each with its SHA-256,
    as the manifest there lists them.

    :raises CorruptDataError: no readable manifest there.
    """
    where = f"{url}/{MANIFEST}"
    with (
        reading(CorruptDataError, where, f"a manifest; {SHARDS_AGAIN}"),
        open_bytes(where) as file,
    ):
        data = file.read()
    listing, _ = parse_manifest(where, data, SHARDS_AGAIN)
    return {f"{url}/{name}": str(listing[name]["sha256"]) for name in sorted(listing)}


def _array(data: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy suspects Python 2 behind a damaged header
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"an array of format {version}, not (1, 0)")
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        # numpy would allocate what the header asks for before it looks for the bytes.
        if math.prod(shape) * kind.itemsize != len(data) - stream.tell():
            raise ValueError(f"{len(data) - stream.tell()} bytes for {kind} {list(shape)}")
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


_MALFORMED = (SyntaxError, TypeError, tarfile.TarError, tokenize.TokenError)
"""What numpy and tarfile raise on bad shards, beside the usual."""
_MEMBERS: dict[str, Callable[[bytes], Any]] = {
    "inputs.npy": _array,
    "labels.npy": _array,
    "puzzles.npy": _array,
    "json": json.loads,
}


def _samples_of(shard: str, stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The decoded samples of one shard. Only the members that we write are decoded: webdataset's
    own decoder would run a pickle that somebody put there."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        files = (
            (member.name, cast(IO[bytes], tar.extractfile(member)).read())
            for member in tar
            if member.isreg()
        )
        for key, group in itertools.groupby(files, lambda file: file[0].partition(".")[0]):
            found = {name.partition(".")[2]: data for name, data in group}
            missing = [name for name in _MEMBERS if name not in found]
            if missing:
                raise ValueError(f"no {key}.{missing[0]}")
            yield {
                "__key__": key,
                "__url__": shard,
                **{name: decode(found[name]) for name, decode in _MEMBERS.items()},
            }


def read_samples(url: str) -> Iterator[dict[str, Any]]:
    """The decoded samples below ``url``, in order, streamed: ``inputs.npy``, ``labels.npy``,
    ``puzzles.npy`` as arrays, ``json`` as a dict.

    The shards are plain webdataset: ``webdataset.WebDataset(list(shard_hashes(url)))`` reads them
    too, without the checksums (docs/data.md).

    :raises CorruptDataError: a shard that cannot be read or is not as written (known at its end),
        by name.
    """
    for shard, expected in shard_hashes(url).items():
        remedy = f"a tar shard as written here; {SHARDS_AGAIN}"
        with (
            reading(CorruptDataError, shard, remedy, *_MALFORMED),
            open_bytes(shard) as file,
        ):
            stream = _Hashed(file)
            yield from _samples_of(shard, cast(IO[bytes], stream))
            if stream.hexdigest() != expected:
                raise ValueError("its bytes changed since they were written (SHA-256 differs)")


def read_shards(url: str) -> Examples:
    """All examples of the shards below ``url``, decoded to memory.

    :raises CorruptDataError: a shard that cannot be read, is missing or is not as written, by name.
    """
    inputs: list[npt.NDArray[np.uint8]] = []
    labels: list[npt.NDArray[np.uint8]] = []
    puzzles: list[npt.NDArray[np.int64]] = []
    header: Header | None = None
    for sample in read_samples(url):
        where = f"{sample['__url__']}: {sample['__key__']}"
        with reading(CorruptDataError, where, f"a sample as written here; {SHARDS_AGAIN}"):
            header = header_from_dict(json_object(sample["json"], "json", ("header",))["header"])
            check_cells(header, sample["inputs.npy"], sample["labels.npy"])
            table = sample["puzzles.npy"]
            if (
                table.dtype != np.int64
                or table.ndim != 2
                or table.shape[1] != 3
                or table[:, 2].sum() != len(sample["inputs.npy"])
            ):
                raise ValueError(
                    f"puzzles.npy is {table.dtype} {list(table.shape)} of {table[..., -1].sum()} "
                    "examples"
                )
            for parts, name in (
                (inputs, "inputs.npy"),
                (labels, "labels.npy"),
                (puzzles, "puzzles.npy"),
            ):
                parts.append(sample[name])
    if header is None:
        raise CorruptDataError(f"{url}: no samples; expected at least one; {SHARDS_AGAIN}")
    with reading(CorruptDataError, url, f"puzzles in the order written; {SHARDS_AGAIN}"):
        table = np.concatenate(puzzles)
        if (np.diff(table[:, 0], prepend=0) > 1).any() or (
            np.diff(table[:, 0], prepend=0) < 0
        ).any():
            raise ValueError("groups that do not follow one another")
        zero = np.zeros(1, np.int64)
        index = (
            table[:, 1].astype(np.int32),
            np.concatenate((zero, table[:, 2].cumsum())),
            np.concatenate((zero, np.bincount(table[:, 0]).cumsum())),
        )
        check_index(header, *index)
        return Examples(header, np.concatenate(inputs), np.concatenate(labels), *index)
