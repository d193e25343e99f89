"""What predictions must satisfy. Each check is a plain function of what is stored; assets/checks.py
declares it."""

import numpy as np
import polars as pl

from assets.outcomes import CheckOutcome, all_pass
from storage.examples import Bytes2d, Header

OF_EXAMPLE = ("split", "example", "puzzle", "name", "difficulty")
"""Columns of :class:`assets.tables.Predictions` that say which example a row is."""


def evaluated(predictions: pl.DataFrame) -> tuple[int, int]:
    """The number of puzzles that predictions are of, and of versions of each."""
    versions = predictions.group_by("puzzle").agg(pl.col("name").n_unique())["name"]
    return len(versions), int(versions.max())  # type: ignore[arg-type]


def every_example_once(predictions: pl.DataFrame, described: pl.DataFrame) -> CheckOutcome:
    """Whether the predictions are of the examples ``described``
    (:func:`assets.data.datasets.describe_examples`), each once."""
    left, missing = (
        one.join(other, on=OF_EXAMPLE, how="anti")
        for one, other in ((predictions, described), (described, predictions))
    )
    repeated = len(predictions) - predictions["example"].n_unique()
    figures: dict[str, int | float | str] = {
        "rows": len(predictions),
        "expected": len(described),
        "missing": len(missing),
        "of_no_example": len(left),
        "repeated": repeated,
    }
    return CheckOutcome(not (len(left) or len(missing) or repeated), figures)


def tokens_in_vocabulary(predictions: pl.DataFrame, header: Header) -> CheckOutcome:
    """Whether each answer has as many cells as an example, of tokens that there are."""
    good = [
        len(answer) == header.length and max(answer) < len(header.vocabulary)
        for answer in predictions["prediction"]
    ]
    return all_pass(np.array(good, np.bool_), "row")


def counted_right(predictions: pl.DataFrame, labels: Bytes2d, header: Header) -> CheckOutcome:
    """Whether ``solved`` and ``cell_accuracy`` are what the stored answers and ``labels`` uint8
    [N, L] give."""
    answers = np.frombuffer(b"".join(predictions["prediction"]), np.uint8).reshape(labels.shape)
    labelled = labels != header.ignore_id
    right = ((answers == labels) & labelled).sum(axis=1)
    cells = labelled.sum(axis=1)
    solved_last = np.array([steps[-1] for steps in predictions["solved_after"]], np.bool_)
    return all_pass(
        (predictions["solved"].to_numpy() == (right == cells))
        & (solved_last == (right == cells))
        & np.isclose(predictions["cell_accuracy"].to_numpy(), right / np.maximum(cells, 1)),
        "row",
    )
