"""Ways in which stored examples can be wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tests.faults.bad_input.damage import (
    Damage,
    Kinds,
    flipped,
    into_folder,
    on_bytes,
    on_json,
    put,
    remove,
    to_bytes,
    without,
)

KINDS = Kinds()
kind = KINDS.add

META = "x.zarr/zarr.json"
STORED, PLANS = "zarr", ("zarr sudoku plan", "zarr maze plan", "zarr arc plan")


def overwrite(name: str, change: Callable[[Any], Any]) -> Damage:
    """Replace an array by another, well written one."""

    def damage(folder: Path) -> None:
        group = zarr.open_group(folder / "x.zarr", mode="a")
        values = np.asarray(change(np.asarray(group[name][...])))  # type: ignore[index]
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=values.shape,
            overwrite=True,
            config={"write_empty_chunks": True},
        )
        array[...] = values

    return damage


def changed(values: Any, place: Any, value: Any) -> Any:
    values = values.copy()
    values[place] = value
    return values


def attribute(*path: Any) -> Damage:
    return on_json(META, put("attributes", *path))


for which in (STORED, PLANS[0]):
    kind(which, "not there", remove("x.zarr"), "x.zarr: ")
    kind(
        which, "a file", lambda f: (remove("x.zarr")(f), (f / "x.zarr").write_text("x")), "x.zarr: "
    )
    kind(which, "no metadata", remove(META), "x.zarr: ")
    kind(which, "metadata empty", to_bytes(META, b""), "x.zarr: ")
    kind(which, "metadata cut", on_bytes(META, lambda d: d[:100]), "x.zarr: ")
    kind(which, "metadata binary", to_bytes(META, b"\xff\xfe\x00"), "x.zarr: ")
    kind(which, "metadata a list", to_bytes(META, b"[]"), "x.zarr: ")
    kind(which, "metadata an empty object", to_bytes(META, b"{}"), "x.zarr: ")
    kind(which, "metadata too deep", to_bytes(META, b"[" * 100_000), "x.zarr: ")
    kind(which, "metadata a folder", into_folder(META), "x.zarr: ")
    kind(
        which,
        "an array's metadata",
        lambda f: shutil.copy(f / "x.zarr/puzzle_ids/zarr.json", f / META),
        "x.zarr: ",
    )
    kind(which, "no attributes", on_json(META, without("attributes")), "no 'writer_version'")
    kind(which, "attributes a list", on_json(META, put("attributes", [])), "x.zarr: ")
    kind(which, "zarr version unknown", on_json(META, put("zarr_format", "x")), "x.zarr: ")
    kind(which, "another writer", attribute("writer_version", 99), "writer version 99, not 3")
    kind(which, "no header", on_json(META, without("attributes", "header")), "no 'header'")
    kind(which, "no plan entry", on_json(META, without("attributes", "plan")), "no 'plan'")
    kind(which, "header a list", attribute("header", []), "x.zarr: ")
    kind(which, "header null", attribute("header", None), "x.zarr: ")
    kind(
        which,
        "header without grid",
        on_json(META, without("attributes", "header", "grid")),
        "no 'grid'",
    )
    kind(which, "header with more", attribute("header", "colour", 1), "'colour'")
    for field, value in (
        ("vocabulary", "abc"),
        ("vocabulary", []),
        ("vocabulary", [1, 2]),
        ("vocabulary", ["x"] * 300),
        ("grid", [4]),
        ("grid", [4, 4, 4]),
        ("grid", ["4", "4"]),
        ("grid", [0, 4]),
        ("grid", [4.0, 4]),
        ("ignore_id", "0"),
        ("ignore_id", -1),
        ("num_puzzle_ids", 0),
        ("num_puzzle_ids", True),
        ("seed", "0"),
        ("seed", None),
        ("augmentations", -1),
        ("augmentations", 1.5),
        ("sources", []),
        ("sources", {"a": 1}),
    ):
        kind(
            which,
            f"{field} {str(value)[:20]}",
            attribute("header", field, value),
            f"header's {field} is",
        )
    kind(which, "vocabulary a number", attribute("header", "vocabulary", 5), "x.zarr: ")
    kind(which, "another grid", attribute("header", "grid", [3, 3]), "x.zarr")
    for name, text in (
        ("a number", 5),
        ("a list", []),
        ("without kind", {"parameters": {}}),
        ("parameters a list", {"kind": "x", "parameters": []}),
    ):
        kind(which, f"plan {name}", attribute("plan", text), "x.zarr: ")
    for name in ("puzzle_ids", "example_offsets", "group_offsets"):
        where = f"x.zarr/{name}"
        kind(which, f"no {name}", remove(where), f"{where}: ")
        kind(which, f"{name} without metadata", remove(f"{where}/zarr.json"), f"{where}: ")
        kind(which, f"{name} with bad metadata", to_bytes(f"{where}/zarr.json", b"{"), f"{where}: ")
        kind(
            which,
            f"{name} without its chunk",
            remove(f"{where}/c/0"),
            f"{where}: only 0 of 1 chunks are there",
        )
        kind(
            which,
            f"{name} with a cut chunk",
            on_bytes(f"{where}/c/0", lambda d: d[:-3]),
            f"{where}: ",
        )
        kind(which, f"{name} with an empty chunk", to_bytes(f"{where}/c/0", b""), f"{where}: ")
        kind(
            which,
            f"{name} with a flipped byte",
            on_bytes(f"{where}/c/0", lambda d: flipped(d, 20)),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} of floats",
            overwrite(name, lambda v: v.astype(float)),
            f"{name} is float64",
        )
        kind(
            which,
            f"{name} with two axes",
            overwrite(name, lambda v: v[:, None]),
            f"{name} is int",
            ", 1], not",
        )
        kind(
            which,
            f"{name} too long",
            overwrite(name, lambda v: np.r_[v, v[-1] + 1].astype(v.dtype)),
            "x.zarr",
        )
        kind(
            which,
            f"{name} of huge shape",
            on_json(f"{where}/zarr.json", put("shape", [10**15])),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} of negative shape",
            on_json(f"{where}/zarr.json", put("shape", [-1])),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} of unknown type",
            on_json(f"{where}/zarr.json", put("data_type", "int7")),
            f"{where}: ",
        )
        kind(
            which,
            f"{name} with unknown codec",
            on_json(f"{where}/zarr.json", put("codecs", [{"name": "zip"}])),
            f"{where}: ",
        )
    for name in ("example_offsets", "group_offsets"):
        kind(which, f"{name} from 1", overwrite(name, lambda v: v + 1), f"{name} starts with [1")
        kind(
            which,
            f"{name} falling",
            overwrite(name, lambda v: changed(v, 2, 0)),
            f"{name} goes from",
        )
        kind(which, f"{name} negative", overwrite(name, lambda v: -v), f"{name} goes from")
        kind(which, f"{name} empty", overwrite(name, lambda v: v[:0]), f"{name} starts with []")
        kind(
            which,
            f"{name} with an empty part",
            overwrite(name, lambda v: changed(v, 2, v[1])),
            f"{name} goes from",
        )
    kind(
        which,
        "puzzle id too large",
        overwrite("puzzle_ids", lambda v: changed(v, 0, 7)),
        "puzzle_ids of 0..7, not within 0..0",
    )
    kind(
        which,
        "puzzle id negative",
        overwrite("puzzle_ids", lambda v: changed(v, 0, -1)),
        "puzzle_ids of -1..0",
    )
    kind(
        which,
        "puzzle ids of 64 bits",
        overwrite("puzzle_ids", lambda v: v.astype(np.int64)),
        "puzzle_ids is int64",
    )
    kind(
        which,
        "groups of more puzzles",
        overwrite("group_offsets", lambda v: changed(v, -1, v[-1] + 5)),
        "not equal numbers of puzzles",
    )

for name in ("inputs", "labels"):
    where = f"x.zarr/{name}"
    kind(STORED, f"no {name}", remove(where), f"{where}: ")
    kind(STORED, f"{name} without metadata", remove(f"{where}/zarr.json"), f"{where}: ")
    kind(
        STORED,
        f"{name} with cut metadata",
        on_bytes(f"{where}/zarr.json", lambda d: d[:99]),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} without a shard",
        remove(f"{where}/c/0/0"),
        f"{where}: only 0 of 1 chunks are there",
    )
    kind(STORED, f"{name} with an empty shard", to_bytes(f"{where}/c/0/0", b""), f"{where}: ")
    kind(
        STORED,
        f"{name} with a cut shard",
        on_bytes(f"{where}/c/0/0", lambda d: d[:-10]),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with half a shard",
        on_bytes(f"{where}/c/0/0", lambda d: d[: len(d) // 2]),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with a flipped byte",
        on_bytes(f"{where}/c/0/0", lambda d: flipped(d, 30)),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with a damaged index",
        on_bytes(f"{where}/c/0/0", lambda d: flipped(d, -6)),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} with zeros",
        on_bytes(f"{where}/c/0/0", lambda d: bytes(len(d))),
        f"{where}: ",
    )
    kind(
        STORED,
        f"{name} not sharded",
        overwrite(name, lambda v: v),
        f"{where}: uint8",
        "not sharded",
    )
    kind(
        STORED,
        f"{name} of 32 bits",
        overwrite(name, lambda v: v.astype(np.int32)),
        f"{where}: int32",
    )
    kind(
        STORED,
        f"{name} of fewer examples",
        on_json(f"{where}/zarr.json", put("shape", [5, 16])),
        "x.zarr/",
    )
    kind(
        STORED,
        f"{name} of longer examples",
        on_json(f"{where}/zarr.json", put("shape", [24, 17])),
        f"{where}: ",
    )
    kind(
        STORED, f"{name} as text", on_json(f"{where}/zarr.json", put("shape", "many")), f"{where}: "
    )
kind(
    STORED,
    "a token past the vocabulary",
    attribute("header", "vocabulary", ["pad", "a"]),
    "x.zarr: inputs has token",
)
kind(
    STORED,
    "fewer examples than offsets",
    overwrite("example_offsets", lambda v: changed(v, -1, v[-1] + 9)),
    "x.zarr/inputs: uint8",
)
