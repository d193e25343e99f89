"""The file of a training's figures: a row of JSON for each interval of steps."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from storage.atomic import write_text

METRICS = "metrics.jsonl"
WAITING = "waiting"
"""The file of a run that is there while its training waits for the device: it says for whom."""


def read_rows(metrics: Path) -> list[dict[str, Any]]:
    """The rows of a file of figures up to the first that is not whole, which a killed process was
    writing; none where there is no file."""
    rows: list[dict[str, Any]] = []
    if not metrics.is_file():
        return rows
    for line in metrics.read_text("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            int(row["step"])
        except (ValueError, KeyError, TypeError):
            break
        rows.append(row)
    return rows


def seconds_left(row: Mapping[str, Any], steps: int, batch_size: int) -> float:
    """How long the steps after a row will take at its speed."""
    return (steps - row["step"]) * batch_size / row["examples_per_second"]


def keep_rows(metrics: Path, step: int) -> None:
    """Drop rows after ``step`` (and a half-written last one): the steps will be trained again."""
    if metrics.exists():
        write_rows(metrics, [row for row in read_rows(metrics) if row["step"] <= step])


def write_rows(metrics: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace the rows of a file of figures."""
    write_text(metrics, "".join(json.dumps(row) + "\n" for row in rows))
