"""Pictures (PNG bytes) and markdown for the UI and the reports."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from storage.examples import Bytes2d
from trm_model.puzzles.family import Family


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return buffer.getvalue()


def inline(png: bytes, title: str) -> str:
    """A picture as markdown with the bytes inside, which the Dagster UI shows."""
    return f"![{title}]({data_uri(png)})"


def data_uri(png: bytes) -> str:
    """A picture as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Text rows as a markdown table."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(
        [*lines, *("| " + " | ".join(row[name] for name in names) + " |" for row in rows)]
    )


def markdown_frame(frame: pl.DataFrame) -> dg.MetadataValue:
    """A table as metadata."""
    rows = [
        {name: str(value) for name, value in row.items()} for row in frame.iter_rows(named=True)
    ]
    return dg.MetadataValue.md(markdown_table(rows))


def _panel(
    axes: Any, family: Family, question: Bytes2d, shown: Bytes2d, label: Bytes2d, title: str
) -> None:
    family.paint(axes, question, shown, label)
    axes.set_title(title, fontsize=9)
    axes.set_aspect("equal")
    axes.axis("off")


def question_sheet(family: Family, inputs: Bytes2d, labels: Bytes2d) -> bytes:
    """Examples [K, L]: questions in the upper row, their answers in the lower."""
    figure = Figure(figsize=(2.1 * len(inputs), 4.6))
    axes = figure.subplots(2, len(inputs), squeeze=False)
    for column, (question, label) in enumerate(zip(inputs, labels, strict=True)):
        _panel(axes[0, column], family, question, question, label, "question")
        _panel(axes[1, column], family, question, label, label, "answer")
    return _png(figure)


def answer_sheet(
    family: Family, inputs: Bytes2d, labels: Bytes2d, predictions: Bytes2d, steps: Sequence[int]
) -> bytes:
    """A row per example [K, L]: the question, then the predicted answer after each of the given
    supervision steps.

    :param predictions: [K, len(steps), L].
    """
    figure = Figure(figsize=(2.0 * (len(steps) + 1), 2.3 * len(inputs)))
    axes = figure.subplots(len(inputs), len(steps) + 1, squeeze=False)
    for row, (question, label) in enumerate(zip(inputs, labels, strict=True)):
        _panel(axes[row, 0], family, question, question, label, "question")
        for column, step in enumerate(steps):
            _panel(
                axes[row, column + 1],
                family,
                question,
                predictions[row, column],
                label,
                f"after step {step}",
            )
    return _png(figure)


def histogram(values: Mapping[str, npt.NDArray[np.int64]], label: str) -> bytes:
    """Distributions of whole numbers, one colour per name."""
    figure = Figure(figsize=(5, 2.6))
    axes = figure.subplots()
    least, most = (
        int(extreme(np.concatenate(list(values.values())))) for extreme in (np.min, np.max)
    )
    edges = (
        np.arange(least - 0.5, most + 1.5)
        if most - least <= 60
        else np.linspace(least - 0.5, most + 0.5, 61)
    )
    bins: list[float] = edges.tolist()
    axes.hist(list(values.values()), bins=bins, label=list(values), density=True)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("share of puzzles")
    axes.legend()
    return _png(figure)


def learning_curves(training: pl.DataFrame) -> bytes:
    """Loss and exact accuracy on training examples over optimizer steps, a line per variant and
    seed."""
    figure = Figure(figsize=(10, 3.2))
    axes = figure.subplots(1, 2)
    for (variant, seed), rows in sorted(
        training.partition_by("variant", "seed", as_dict=True).items()
    ):
        for axis, column in zip(axes, ("loss", "exact_accuracy"), strict=True):
            axis.plot(rows["step"], rows[column], label=f"{variant}, seed {seed}", linewidth=1)
    axes[0].set_ylabel("loss")
    axes[0].set_yscale("log")
    axes[1].set_ylabel("solved (training examples)")
    for axis in axes:
        axis.set_xlabel("optimizer step")
    axes[1].legend(fontsize=7)
    return _png(figure)


def depth_curves(scores: pl.DataFrame) -> bytes:
    """Test accuracy after each supervision step, a line per variant and seed."""
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    rows = scores.filter(pl.col("metric") == "exact_accuracy_after_step").sort("k")
    for (variant, seed), part in sorted(rows.partition_by("variant", "seed", as_dict=True).items()):
        axes.plot(
            part["k"], part["value"], marker=".", label=f"{variant}, seed {seed}", linewidth=1
        )
    axes.set_xlabel("supervision step")
    axes.set_ylabel("solved (test puzzles)")
    axes.legend(fontsize=7)
    return _png(figure)
