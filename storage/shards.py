"""The same stream of examples as webdataset tar shards: readable from a bucket at streaming speed.

One sample per group: ``KEY.inputs.npy``, ``KEY.labels.npy`` uint8 [n, L] and ``KEY.json`` (header, puzzle ids and sizes). The folder's
manifest is the index with checksums.
"""

import json
from dataclasses import asdict
from pathlib import Path

from storage.examples import Examples
from storage.manifest import write_manifest

SHARD_BYTES = 256 << 20


def write_shards(folder: Path, examples: Examples, shard_bytes: int = SHARD_BYTES) -> str:
    """Write ``examples`` as ``shard-000000.tar``, … into the empty ``folder``; returns the content hash.

    A shard ends after the sample with which it reaches ``shard_bytes``.
    """
    from webdataset.writer import TarWriter

    header = asdict(examples.header)
    shard, writer = 0, None
    puzzle_sizes = examples.example_offsets[1:] - examples.example_offsets[:-1]
    for group in range(len(examples.group_offsets) - 1):
        first, last = (int(examples.group_offsets[group + side]) for side in (0, 1))
        start, stop = (int(examples.example_offsets[puzzle]) for puzzle in (first, last))
        if writer is None or writer.tarstream.offset >= shard_bytes:
            if writer is not None:
                writer.close()
            # A fixed time and owner: same examples, same bytes.
            writer = TarWriter(str(folder / f"shard-{shard:06d}.tar"), mtime=0, user="trm", group="trm")
            shard += 1
        writer.write(
            {
                "__key__": f"group-{group:09d}",
                "inputs.npy": examples.inputs[start:stop],
                "labels.npy": examples.labels[start:stop],
                "json": json.dumps(
                    {
                        "header": header,
                        "puzzle_ids": examples.puzzle_ids[first:last].tolist(),
                        "puzzle_sizes": puzzle_sizes[first:last].tolist(),
                    },
                    sort_keys=True,
                ).encode(),
            }
        )
    if writer is not None:
        writer.close()
    return write_manifest(folder)
