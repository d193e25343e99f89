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

from trm_model.puzzles import sudoku

CLUE, RIGHT, WRONG = "black", "#1a7f37", "#cf222e"


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
    return "\n".join([*lines, *("| " + " | ".join(row[name] for name in names) + " |" for row in rows)])


def markdown_frame(frame: pl.DataFrame) -> dg.MetadataValue:
    """A table as metadata."""
    rows = [{name: str(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
    return dg.MetadataValue.md(markdown_table(rows))


def _draw_grid(axes: Any, puzzle: sudoku.Grids, grid: sudoku.Grids, answer: sudoku.Grids, shape: sudoku.Shape, title: str) -> None:
    n = shape.n
    for line in range(n + 1):
        axes.plot((0, n), (line, line), color="black", linewidth=2 if line % shape.box_rows == 0 else 0.5)
        axes.plot((line, line), (0, n), color="black", linewidth=2 if line % shape.box_columns == 0 else 0.5)
    for cell in range(n * n):
        if grid[cell]:
            color = WRONG if grid[cell] != answer[cell] else CLUE if puzzle[cell] else RIGHT
            x, y = cell % n + 0.5, n - 0.5 - cell // n
            axes.text(x, y, str(grid[cell]), ha="center", va="center", color=color, fontsize=64 / n**1.1)
    axes.set_title(title, fontsize=9)
    axes.set_aspect("equal")
    axes.axis("off")


def puzzle_sheet(puzzles: sudoku.Grids, answers: sudoku.Grids, shape: sudoku.Shape) -> bytes:
    """Puzzles [K, n * n] in the upper row, their answers in the lower."""
    figure = Figure(figsize=(2.1 * len(puzzles), 4.6))
    axes = figure.subplots(2, len(puzzles), squeeze=False)
    for column, (puzzle, answer) in enumerate(zip(puzzles, answers, strict=True)):
        _draw_grid(axes[0, column], puzzle, puzzle, answer, shape, "puzzle")
        _draw_grid(axes[1, column], puzzle, answer, answer, shape, "answer")
    return _png(figure)


def answer_sheet(
    puzzles: sudoku.Grids, answers: sudoku.Grids, predictions: sudoku.Grids, steps: Sequence[int], shape: sudoku.Shape
) -> bytes:
    """A row per puzzle [K, n * n]: the puzzle, then the predicted answer after each of the given supervision steps.

    :param predictions: [K, len(steps), n * n]; right cells are green, wrong ones red.
    """
    figure = Figure(figsize=(2.0 * (len(steps) + 1), 2.3 * len(puzzles)))
    axes = figure.subplots(len(puzzles), len(steps) + 1, squeeze=False)
    for row, (puzzle, answer) in enumerate(zip(puzzles, answers, strict=True)):
        _draw_grid(axes[row, 0], puzzle, puzzle, answer, shape, "puzzle")
        for column, step in enumerate(steps):
            _draw_grid(axes[row, column + 1], puzzle, predictions[row, column], answer, shape, f"after step {step}")
    return _png(figure)


def histogram(values: Mapping[str, npt.NDArray[np.int64]], label: str) -> bytes:
    """Distributions of whole numbers, one colour per name."""
    figure = Figure(figsize=(5, 2.6))
    axes = figure.subplots()
    least, most = (int(extreme(np.concatenate(list(values.values())))) for extreme in (np.min, np.max))
    edges = np.arange(least - 0.5, most + 1.5) if most - least <= 60 else np.linspace(least - 0.5, most + 0.5, 61)
    bins: list[float] = edges.tolist()
    axes.hist(list(values.values()), bins=bins, label=list(values), density=True)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("share of puzzles")
    axes.legend()
    return _png(figure)


def learning_curves(training: pl.DataFrame) -> bytes:
    """Loss and exact accuracy on training examples over optimizer steps, a line per variant and seed."""
    figure = Figure(figsize=(10, 3.2))
    axes = figure.subplots(1, 2)
    for (variant, seed), rows in sorted(training.partition_by("variant", "seed", as_dict=True).items()):
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
        axes.plot(part["k"], part["value"], marker=".", label=f"{variant}, seed {seed}", linewidth=1)
    axes.set_xlabel("supervision step")
    axes.set_ylabel("solved (test puzzles)")
    axes.legend(fontsize=7)
    return _png(figure)
