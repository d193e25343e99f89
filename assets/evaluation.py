"""From predictions to scores. Plain functions; graph.py makes assets of them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trm_model.evaluation import Evaluation

Z_95 = 1.959964


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    share, z2 = successes / trials, Z_95**2
    center = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * (share * (1 - share) / trials + z2 / (4 * trials**2)) ** 0.5
    return max(0.0, center - half), min(1.0, center + half)


def mean_interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of a mean over many examples (normal approximation)."""
    half = Z_95 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(values.mean()) - half, float(values.mean()) + half


def prediction_table(evaluation: Evaluation, described: pl.DataFrame) -> pl.DataFrame:
    """Rows of :class:`storage.tables.Predictions`; ``described``: the examples' rows of the augmented puzzles."""
    return described.select("split", "example", pl.col("base").alias("puzzle"), "difficulty").with_columns(
        solved=pl.Series(evaluation.solved[:, -1]),
        cell_accuracy=pl.Series(evaluation.right_cells[:, -1] / np.maximum(evaluation.labelled_cells, 1)),
        halt_logit=pl.Series(evaluation.halt_logits[:, -1].astype(np.float64)),
        steps=pl.Series(evaluation.halted_at),
        solved_after=pl.Series(evaluation.solved.tolist(), dtype=pl.List(pl.Boolean)),
        prediction=pl.Series([row.tobytes() for row in evaluation.predictions[:, -1]], dtype=pl.Binary),
    )


def score_rows(predictions: pl.DataFrame) -> list[dict[str, Any]]:
    """Metric, k, value, interval and n for each metric of one split's predictions."""
    n = len(predictions)
    cells = predictions["cell_accuracy"].to_numpy()
    steps = predictions["steps"].to_numpy().astype(np.float64)
    rows: list[tuple[str, int | None, float, tuple[float, float]]] = [
        ("exact_accuracy", None, predictions["solved"].sum() / n, wilson(predictions["solved"].sum(), n)),
        ("cell_accuracy", None, float(cells.mean()), mean_interval(cells)),
        ("mean_steps", None, float(steps.mean()), mean_interval(steps)),
    ]
    solved_after = np.array(predictions["solved_after"].to_list()).sum(axis=0)
    rows += [("exact_accuracy_after_step", k + 1, right / n, wilson(right, n)) for k, right in enumerate(solved_after)]
    return [{"metric": m, "k": k, "value": value, "low": low, "high": high, "n": n} for m, k, value, (low, high) in rows]
