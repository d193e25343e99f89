"""Pictures for the UI and the reports. Each function makes a figure; :func:`png` encodes it."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from storage.examples import Bytes2d
from trm_model.puzzles.family import Family
from trm_model.puzzles.picture import paint

LEGEND_ROWS = 15
"""Lines that a column of a legend names."""
LEGEND_LINES = 6 * LEGEND_ROWS
"""Lines that a legend names: more would be read by nobody, and drawing them takes most of the time
of a picture."""
MOST_BARS = 60
"""Whole numbers that a histogram gives a bar each; with more, bars stand for ranges."""


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return buffer.getvalue()


def data_uri(picture: bytes) -> str:
    """PNG bytes as a data URI."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _panel(
    axes: Any, family: Family, question: Bytes2d, shown: Bytes2d, label: Bytes2d, title: str
) -> None:
    paint(axes, family.picture(question, shown, label))
    axes.set_title(title, fontsize=9)


def question_sheet(family: Family, inputs: Bytes2d, labels: Bytes2d) -> Figure:
    """Examples uint8 [K, L]: questions in the upper row, their answers in the lower."""
    figure = Figure(figsize=(2.1 * len(inputs), 4.6))
    axes = figure.subplots(2, len(inputs), squeeze=False)
    for column, (question, label) in enumerate(zip(inputs, labels, strict=True)):
        _panel(axes[0, column], family, question, question, label, "question")
        _panel(axes[1, column], family, question, label, label, "answer")
    return figure


def answer_sheet(
    family: Family, inputs: Bytes2d, labels: Bytes2d, predictions: Bytes2d, steps: Sequence[int]
) -> Figure:
    """A row per example uint8 [K, L]: the question, then the predicted answer after each of the
    given supervision steps.

    :param predictions: uint8 [K, len(steps), L].
    """
    figure = Figure(figsize=(2.0 * (len(steps) + 1), 2.3 * len(inputs)))
    axes = figure.subplots(len(inputs), len(steps) + 1, squeeze=False)
    for row, (question, label) in enumerate(zip(inputs, labels, strict=True)):
        _panel(axes[row, 0], family, question, question, label, "question")
        for column, step in enumerate(steps):
            shown = predictions[row, column]
            title = f"after step {step}"
            _panel(axes[row, column + 1], family, question, shown, label, title)
    return figure


def histogram(values: Mapping[str, npt.NDArray[np.int64]], label: str) -> Figure:
    """Distributions of whole numbers [N], one colour per name."""
    figure = Figure(figsize=(5, 2.6))
    axes = figure.subplots()
    together = np.concatenate(list(values.values()))
    least, most = int(together.min()), int(together.max())
    edges = (
        np.arange(least - 0.5, most + 1.5)
        if most - least <= MOST_BARS
        else np.linspace(least - 0.5, most + 0.5, MOST_BARS + 1)
    )
    bins: list[float] = edges.tolist()
    axes.hist(list(values.values()), bins=bins, label=list(values), density=True)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("share of puzzles")
    axes.legend()
    return figure


def _name_lines(axes: Any) -> None:
    """A legend to the right of the axes, where it hides nothing; of very many lines of some."""
    lines, names = axes.get_legend_handles_labels()
    axes.legend(
        lines[:LEGEND_LINES],
        names[:LEGEND_LINES],
        title=f"the first {LEGEND_LINES} of {len(names)}" if len(names) > LEGEND_LINES else None,
        title_fontsize=7,
        fontsize=7,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        ncols=-(-min(len(names), LEGEND_LINES) // LEGEND_ROWS),
    )


def learning_curves(training: pl.DataFrame) -> Figure:
    """Loss and exact accuracy on training examples over optimizer steps, a line per variant and
    seed, and dotted beside it the accuracy on validation puzzles, where there is any; ``training``:
    rows of :class:`assets.tables.Training`, with variant and seed."""
    figure = Figure(figsize=(10, 3.2))
    axes = figure.subplots(1, 2, gridspec_kw={"wspace": 0.3})
    for (variant, seed), rows in sorted(
        training.partition_by("variant", "seed", as_dict=True).items()
    ):
        for axis, column in zip(axes, ("loss", "exact_accuracy"), strict=True):
            axis.plot(rows["step"], rows[column], label=f"{variant}, seed {seed}", linewidth=1)
        checked = rows.drop_nulls("validation_exact_accuracy")
        if len(checked):
            axes[1].plot(
                checked["step"],
                checked["validation_exact_accuracy"],
                color=axes[1].lines[-1].get_color(),
                linestyle=":",
                marker=".",
                markersize=3,
                linewidth=1,
                label=f"_{variant}, seed {seed}, validation",  # no line of the legend
            )
    axes[0].set_ylabel("loss")
    axes[0].set_yscale("log")
    axes[1].set_ylabel("solved (dotted: validation puzzles)")
    for axis in axes:
        axis.set_xlabel("optimizer step")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    _name_lines(axes[1])
    return figure


def depth_curves(scores: pl.DataFrame) -> Figure:
    """Test accuracy after each supervision step, a line per variant and seed; ``scores``: rows of
    :class:`assets.tables.Scores`, with variant and seed."""
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    rows = scores.filter(pl.col("metric") == "exact_accuracy_after_step").sort("k")
    for (variant, seed), part in sorted(rows.partition_by("variant", "seed", as_dict=True).items()):
        axes.plot(
            part["k"], part["value"], marker=".", label=f"{variant}, seed {seed}", linewidth=1
        )
    axes.set_xlabel("supervision step")
    axes.set_ylabel("solved (test puzzles)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _name_lines(axes)
    return figure


def vote_curves(votes: pl.DataFrame) -> Figure:
    """pass@2 of ARC against the number of versions of a task that vote, a line per variant and
    seed; ``votes``: variant, seed, ``votes`` (their number) and value."""
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    rows = votes.sort("votes").partition_by("variant", "seed", as_dict=True)
    for (variant, seed), part in sorted(rows.items()):
        axes.plot(
            part["votes"], part["value"], marker=".", label=f"{variant}, seed {seed}", linewidth=1
        )
    axes.set_xscale("log")
    axes.set_xlabel("versions of a task that vote")
    axes.set_ylabel("pass@2 (test tasks)")
    _name_lines(axes)
    return figure


def selection_curves(rows: pl.DataFrame, against: str, label: str) -> Figure:
    """Test accuracy of each selection, and pass@K, against one of the columns ``depth`` and
    ``rollouts``; ``rows``: of :class:`assets.tables.Selections`."""
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    parts = sorted(rows.sort(against).partition_by("selection", as_dict=True).items())
    for (selection,), part in parts:
        axes.plot(part[against], part["value"], marker=".", label=selection, linewidth=1)
    _, any_right = parts[0]
    axes.plot(any_right[against], any_right["pass_value"], "k--", label="pass@K", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel(label)
    axes.set_ylabel("solved (test puzzles)")
    _name_lines(axes)
    return figure
