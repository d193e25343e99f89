"""Ways in which what a run writes can be wrong: manifests, tables, its description, checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from storage.manifest import write_manifest
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

# Manifest

for name, damage, says in (
    ("not there", remove("files/manifest.json"), "files/manifest.json: "),
    ("empty", to_bytes("files/manifest.json", b""), "files/manifest.json: "),
    ("cut", on_bytes("files/manifest.json", lambda d: d[:70]), "files/manifest.json: "),
    ("binary", to_bytes("files/manifest.json", b"\xff\x00"), "files/manifest.json: "),
    ("too deep", to_bytes("files/manifest.json", b"[" * 100_000), "files/manifest.json: "),
    ("a list", to_bytes("files/manifest.json", b"[]"), "files/manifest.json: "),
    ("null", to_bytes("files/manifest.json", b"null"), "files/manifest.json: "),
    ("a folder", into_folder("files/manifest.json"), "files/manifest.json: "),
    ("no files", on_json("files/manifest.json", without("files")), "no 'files'"),
    ("no hash", on_json("files/manifest.json", without("content_hash")), "no 'content_hash'"),
    (
        "another hash",
        on_json("files/manifest.json", put("content_hash", "0" * 64)),
        "list of files was changed",
    ),
    (
        "another size listed",
        on_json("files/manifest.json", put("files", "a", "bytes", 3)),
        "list of files was changed",
    ),
    (
        "a file unlisted",
        on_json("files/manifest.json", without("files", "b")),
        "list of files was changed",
    ),
    ("a file missing", remove("files/a"), "files/a: missing"),
    ("a file below missing", remove("files/sub/c"), "files/sub/c: missing"),
    ("a folder missing", remove("files/sub"), "files/sub/c: missing"),
    ("a file more", lambda f: (f / "files" / "d").write_text("x"), "files/d: not listed"),
    ("a file shorter", on_bytes("files/a", lambda d: d[:-1]), "files/a: 11 bytes, expected 12"),
    ("a file longer", on_bytes("files/a", lambda d: d + b"x"), "files/a: 13 bytes"),
    ("a file changed", on_bytes("files/a", lambda d: flipped(d, 2)), "files/a: its bytes changed"),
    ("a file empty", to_bytes("files/sub/c", b""), "files/sub/c: 0 bytes"),
    ("no folder", remove("files"), "files/manifest.json: "),
):
    kind("manifest", name, damage, says)


def relisted(change: Callable[[Any], Any]) -> Damage:
    """A listing whose hash is right but that is not one."""

    def damage(folder: Path) -> None:
        from storage.manifest import _content_hash  # pyright: ignore[reportPrivateUsage]

        path = folder / "files" / "manifest.json"
        listing = change(json.loads(path.read_bytes())["files"])
        path.write_text(json.dumps({"files": listing, "content_hash": _content_hash(listing)}))

    return damage


kind("manifest", "files a list", relisted(list), "files/manifest.json: ")
kind("manifest", "entry a text", relisted(lambda v: {**v, "a": "x"}), "files/manifest.json: ")
kind("manifest", "entry without hash", relisted(lambda v: {**v, "a": {"bytes": 12}}), "no 'sha256'")
kind(
    "manifest",
    "size a text",
    relisted(lambda v: {**v, "a": {**v["a"], "bytes": "12"}}),
    "'a' is listed as",
)

# Tables


def reframed(
    change: Callable[[pl.DataFrame], pl.DataFrame], metadata: dict[str, str] | None = None
) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "x.parquet"
        change(pl.read_parquet(path)).write_parquet(
            path, metadata=metadata if metadata is not None else {"sources": "{}"}
        )

    return damage


for name, damage, says in (
    ("not there", remove("x.parquet"), ""),
    ("empty", to_bytes("x.parquet", b""), ""),
    ("text", to_bytes("x.parquet", b"question,answer\n" * 20), ""),
    ("cut", on_bytes("x.parquet", lambda d: d[:-1]), ""),
    ("half", on_bytes("x.parquet", lambda d: d[: len(d) // 2]), ""),
    ("footer damaged", on_bytes("x.parquet", lambda d: flipped(d, -6)), ""),
    ("marks only", to_bytes("x.parquet", b"PAR1" + bytes(40) + b"PAR1"), ""),
    ("a folder", into_folder("x.parquet"), ""),
    ("without metadata", reframed(lambda v: v, {}), "no 'sources'"),
    ("another table", reframed(lambda _: pl.DataFrame({"loss": [1.0]})), "no column split"),
    ("a column less", reframed(lambda v: v.drop("clues")), "no column clues"),
    ("a column more", reframed(lambda v: v.with_columns(x=1)), "x"),
    ("an unknown split", reframed(lambda v: v.with_columns(split=pl.lit("dev"))), "column split"),
    ("names twice", reframed(lambda v: v.with_columns(name=pl.lit("a"))), "column name"),
    ("forms twice", reframed(lambda v: v.with_columns(form=pl.lit("a"))), "column form"),
    (
        "no answers",
        reframed(lambda v: v.with_columns(answer=pl.lit(None, pl.String))),
        "column answer",
    ),
    (
        "negative numbers",
        reframed(lambda v: v.with_columns(puzzle=-1 - pl.col("puzzle"))),
        "column puzzle",
    ),
    ("no clues", reframed(lambda v: v.with_columns(clues=0)), "column clues"),
    (
        "text for numbers",
        reframed(lambda v: v.with_columns(difficulty=pl.lit("hard"))),
        "column difficulty",
    ),
):
    kind("parquet", name, damage, "x.parquet: ", says)

# Runs

for name, damage, says in (
    ("not there", remove("run.json"), ""),
    ("empty", to_bytes("run.json", b""), ""),
    ("cut", on_bytes("run.json", lambda d: d[:200]), ""),
    ("binary", to_bytes("run.json", b"\xff\x00"), ""),
    ("too deep", to_bytes("run.json", b"[" * 100_000), ""),
    ("a list", to_bytes("run.json", b"[]"), ""),
    ("a number", to_bytes("run.json", b"5"), ""),
    ("a folder", into_folder("run.json"), ""),
    *(
        (f"no {field}", on_json("run.json", without(field)), field)
        for field in ("variant", "recipe", "execution", "seed", "data")
    ),
    ("an unknown field", on_json("run.json", put("colour", 1)), "'colour'"),
    ("seed text", on_json("run.json", put("seed", "x")), "seed='x'"),
    ("seed a fraction", on_json("run.json", put("seed", 1.5)), "seed=1.5"),
    ("data null", on_json("run.json", put("data", None)), "data=None"),
    ("data version a number", on_json("run.json", put("data_version", 5)), "data_version=5"),
    ("lock a number", on_json("run.json", put("device_locks", [5])), "device_locks="),
    ("variant a list", on_json("run.json", put("variant", [1])), ""),
    ("variant a text", on_json("run.json", put("variant", "trm")), ""),
    (
        "unknown variant field",
        on_json("run.json", put("variant", "colour", 1)),
        "unknown variant field 'colour'",
    ),
    (
        "unknown mixer",
        on_json("run.json", put("variant", "mixer", {"kind": "magic"})),
        "mixer 'magic'",
    ),
    (
        "unknown mixer option",
        on_json("run.json", put("variant", "mixer", {"kind": "attention", "x": 1})),
        "unknown attention field 'x'",
    ),
    ("layers 0", on_json("run.json", put("variant", "layers", 0)), "layers=0"),
    ("layers text", on_json("run.json", put("variant", "layers", "2")), "layers="),
    ("noise text", on_json("run.json", put("variant", "state_noise", "much")), ""),
    ("ema a number", on_json("run.json", put("variant", "ema", 1)), "ema=1"),
    ("recipe a list", on_json("run.json", put("recipe", [1])), ""),
    (
        "unknown recipe field",
        on_json("run.json", put("recipe", "colour", 1)),
        "unknown recipe field 'colour'",
    ),
    ("steps 0", on_json("run.json", put("recipe", "steps", 0)), "steps=0"),
    ("steps text", on_json("run.json", put("recipe", "steps", "9")), "steps='9'"),
    (
        "rate negative",
        on_json("run.json", put("recipe", "learning_rate", -1.0)),
        "learning_rate=-1.0",
    ),
    ("rate null", on_json("run.json", put("recipe", "learning_rate", None)), ""),
    (
        "optimizer unknown",
        on_json("run.json", put("recipe", "optimizer", "sgd")),
        "optimizer 'sgd'",
    ),
    ("betas a number", on_json("run.json", put("recipe", "betas", 1)), ""),
    ("size a number", on_json("run.json", put("recipe", "size", 5)), ""),
    ("no heads", on_json("run.json", put("recipe", "size", "heads", 0)), "heads=0"),
    (
        "unknown size field",
        on_json("run.json", put("recipe", "size", "depth", 3)),
        "unknown size field 'depth'",
    ),
    ("device unknown", on_json("run.json", put("execution", "device", "tpu")), "device='tpu'"),
    ("device a number", on_json("run.json", put("execution", "device", 5)), ""),
    ("unknown execution field", on_json("run.json", put("execution", "x", 5)), "'x'"),
    ("execution a list", on_json("run.json", put("execution", [])), ""),
):
    kind("run", name, damage, "run.json: ", says)

# Checkpoints

STEP = "checkpoints/step-00000003"


def rewritten(damage: Damage) -> Damage:
    """Damage that the manifest lists as written."""

    def both(folder: Path) -> None:
        damage(folder)
        write_manifest(folder / STEP)

    return both


for part in ("weights", "optimizer"):
    file = f"{STEP}/{part}.safetensors"
    kind("checkpoint", f"no {part}", remove(file), f"{file}: missing")
    kind("checkpoint", f"{part} cut", on_bytes(file, lambda d: d[:-4]), f"{file}: ")
    kind(
        "checkpoint",
        f"{part} flipped",
        on_bytes(file, lambda d: flipped(d, -4)),
        f"{file}: its bytes changed",
    )
    kind("checkpoint", f"{part} written empty", rewritten(to_bytes(file, b"")), f"{file}: ")
    kind(
        "checkpoint",
        f"{part} written short",
        rewritten(on_bytes(file, lambda d: d[:-4])),
        f"{file}: ",
    )
    kind(
        "checkpoint",
        f"{part} written as text",
        rewritten(to_bytes(file, b"not tensors" * 9)),
        f"{file}: ",
    )
    kind("checkpoint", f"{part} never written", rewritten(remove(file)), f"{file}: ")
PROGRESS = f"{STEP}/progress.json"
kind("checkpoint", "progress changed", on_json(PROGRESS, put("step", 9)), f"{PROGRESS}: ")
kind("checkpoint", "no progress", remove(PROGRESS), f"{PROGRESS}: missing")
kind("checkpoint", "no manifest", remove(f"{STEP}/manifest.json"), f"{STEP}/manifest.json: ")
kind("checkpoint", "no folder", remove(STEP), f"{STEP}/manifest.json: ")
for name, damage, says in (
    ("never written", remove(PROGRESS), ""),
    ("written cut", on_bytes(PROGRESS, lambda d: d[:20]), ""),
    ("written a list", to_bytes(PROGRESS, b"[]"), ""),
    ("without step", on_json(PROGRESS, without("step")), "step"),
    ("without offset", on_json(PROGRESS, without("position", "offset")), "no 'offset'"),
    ("without position", on_json(PROGRESS, without("position")), "no 'position'"),
    ("step text", on_json(PROGRESS, put("step", "3")), "step='3'"),
    ("step negative", on_json(PROGRESS, put("step", -3)), "step=-3"),
    (
        "offset a fraction",
        on_json(PROGRESS, put("position", "offset", 0.5)),
        "offset=0.5",
    ),
    ("totals text", on_json(PROGRESS, put("totals", ["many"])), "many"),
    ("totals a number", on_json(PROGRESS, put("totals", 5)), ""),
    ("seconds text", on_json(PROGRESS, put("wall_seconds", "long")), "'long'"),
    ("an unknown field", on_json(PROGRESS, put("x", 1)), "'x'"),
):
    kind("checkpoint", f"progress {name}", rewritten(damage), f"{PROGRESS}: ", says)
