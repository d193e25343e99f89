"""Ways in which a compressed file can be wrong."""

import gzip

from tests.faults.bad_input.damage import Kinds, flipped, on_bytes, to_bytes

KINDS = Kinds()
kind = KINDS.add

for which, file in (
    ("sudoku csv gzip", "x.csv.gz"),
    ("maze csv gzip", "x.csv.gz"),
    ("arc json gzip", "x.json.gz"),
):
    kind(which, "not gzip", to_bytes(file, b"source"), f"{file}: named .gz but not gzip")
    kind(which, "empty file", to_bytes(file, b""), f"{file}: named .gz but not gzip")
    kind(which, "header only", on_bytes(file, lambda d: d[:10]), f"{file}: broken gzip")
    kind(which, "cut", on_bytes(file, lambda d: d[:-20]), f"{file}: broken gzip")
    kind(which, "without its checksum", on_bytes(file, lambda d: d[:-8]), f"{file}: broken gzip")
    kind(
        which,
        "other checksum",
        on_bytes(file, lambda d: flipped(d, -7)),
        f"{file}: broken gzip (CRC check failed",
    )
    kind(
        which,
        "other length",
        on_bytes(file, lambda d: flipped(d, -2)),
        f"{file}: broken gzip (Incorrect length",
    )
    kind(
        which,
        "damaged",
        on_bytes(file, lambda d: d[:60] + b"????" + d[64:]),
        f"{file}: broken gzip",
    )
    kind(
        which,
        "unknown method",
        on_bytes(file, lambda d: d[:2] + b"\x07" + d[3:]),
        f"{file}: broken gzip (Unknown compression",
    )
    kind(which, "rest behind", on_bytes(file, lambda d: d + b"rest"), f"{file}: broken gzip")
    kind(which, "packed twice", on_bytes(file, gzip.compress), file)
    kind(which, "nothing packed", to_bytes(file, gzip.compress(b"")), file)
