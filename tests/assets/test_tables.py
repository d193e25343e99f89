"""Every bound of every table: a row at the bound is taken, one beyond it is refused."""

import polars as pl
import pytest

from assets.tables import (
    Ablation,
    AugmentedPuzzles,
    Leakage,
    Predictions,
    Puzzles,
    Scores,
    Training,
    Votes,
)
from storage.tables import Table, TableError, validate

ROWS: dict[type[Table], dict[str, object]] = {
    Puzzles: {
        "split": "train", "puzzle": 0, "name": "a", "question": "", "answer": "",
        "difficulty": 0, "form": "", "source": "",
    },
    AugmentedPuzzles: {
        "split": "test", "example": 0, "examples": 1, "group": 0, "puzzle_id": 0, "name": "a",
        "base": "a", "augmentation": 0, "difficulty": 0, "source": "",
    },
    Leakage: {"trained_on": "a", "test_puzzles": 0, "leaks": 0, "first": None, "shared": 0},
    Training: {
        "step": 1, "examples": 1, "loss": -1.0, "answer_loss": -1.0, "halt_loss": -1.0,
        "cell_accuracy": 0.0, "exact_accuracy": 0.0, "mean_steps": 1.0, "learning_rate": 0.0,
        "examples_per_second": 1e-9, "wall_seconds": 1e-9,
    },
    Predictions: {
        "split": "train", "example": 0, "puzzle": "a", "name": "a", "solved": False,
        "cell_accuracy": 0.0, "halt_logit": -9.0, "steps": 1, "solved_after": [False],
        "prediction": b"", "difficulty": 0, "checkpoint": "", "evaluation_code": "",
    },
    Votes: {
        "task": "a", "test_input": 0, "rank": 1, "votes": 1, "mean_halt": 0.0, "correct": False,
        "grid": "", "checkpoint": "",
    },
    Scores: {
        "split": "test", "metric": "pass_at_k", "k": None, "value": 0.0, "low": -1.0, "high": 0.0,
        "n": 1, "step": 1, "checkpoint": "", "data_version": "", "code_version": "",
        "evaluation_code": "", "config_hash": "", "run_id": "", "created_at": "",
    },
    Ablation: {
        "name": "a", "published": None, "published_source": None, "ours": 0.0, "low": None,
        "high": None, "seeds": 0, "difference": None, "parameters": None, "depth": None,
        "forward_passes": None, "train_seconds": None, "examples_seen": None,
    },
}  # fmt: skip
"""A row of each table with every number at its lower bound."""

COUNTS = {
    Puzzles: ("puzzle", "difficulty"),
    AugmentedPuzzles: ("example", "examples", "group", "puzzle_id", "augmentation", "difficulty"),
    Leakage: ("test_puzzles", "leaks", "shared"),
    Training: ("step", "examples"),
    Predictions: ("example", "steps", "difficulty"),
    Votes: ("test_input", "rank", "votes"),
    Scores: ("n", "step"),
    Ablation: ("seeds",),
}
BELOW: list[tuple[type[Table], str, object]] = [
    *(
        (table, column, ROWS[table][column] - 1)  # type: ignore[operator]
        for table, columns in COUNTS.items()
        for column in columns
    ),
    *((Training, column, -0.01) for column in ("cell_accuracy", "exact_accuracy", "learning_rate")),
    (Training, "mean_steps", 0.99),
    (Training, "examples_per_second", 0.0),
    (Training, "wall_seconds", 0.0),
    (Predictions, "cell_accuracy", -0.01),
    (Votes, "mean_halt", -0.01),
    (Ablation, "ours", -0.01),
]
SHARES = [
    (Training, "cell_accuracy"),
    (Training, "exact_accuracy"),
    (Predictions, "cell_accuracy"),
    (Votes, "mean_halt"),
    (Ablation, "ours"),
]


def frame(table: type[Table], **changes: object) -> pl.DataFrame:
    return pl.DataFrame([ROWS[table] | changes])


@pytest.mark.parametrize("table", ROWS)
def test_a_row_at_the_lower_bounds_is_taken(table: type[Table]) -> None:
    valid = validate(table, frame(table))
    assert valid.columns == list(ROWS[table])


@pytest.mark.parametrize(("table", "column", "value"), BELOW)
def test_a_number_below_its_bound_is_refused(
    table: type[Table], column: str, value: object
) -> None:
    with pytest.raises(TableError, match=f"column {column}: "):
        validate(table, frame(table, **{column: value}))


@pytest.mark.parametrize(("table", "column"), SHARES)
def test_shares_are_at_most_one(table: type[Table], column: str) -> None:
    validate(table, frame(table, **{column: 1.0}))
    with pytest.raises(TableError, match=f"column {column}: "):
        validate(table, frame(table, **{column: 1.01}))


@pytest.mark.parametrize("table", ROWS)
def test_only_the_columns_that_may_be_empty_are(table: type[Table]) -> None:
    empty = {column for column, value in ROWS[table].items() if value is None}
    empty |= {"ours"} if table is Ablation else set()
    for column in ROWS[table]:
        changed = frame(table).with_columns(pl.lit(None).alias(column))
        if column in empty:
            validate(table, changed)
        else:
            with pytest.raises(TableError, match=f"column {column}: "):
                validate(table, changed)


@pytest.mark.parametrize("table", ROWS)
def test_a_column_more_is_refused(table: type[Table]) -> None:
    with pytest.raises(TableError, match="'surprise'"):
        validate(table, frame(table, surprise=1))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (Puzzles, "split", "validation"),
        (AugmentedPuzzles, "split", ""),
        (Predictions, "split", "all"),
        (Scores, "split", "all"),
        (Scores, "metric", "accuracy"),
    ],
)
def test_words_are_among_those_known(table: type[Table], column: str, value: str) -> None:
    with pytest.raises(TableError, match=f"column {column}: isin"):
        validate(table, frame(table, **{column: value}))


@pytest.mark.parametrize("table", [Puzzles, Ablation])
def test_names_are_unique(table: type[Table]) -> None:
    with pytest.raises(TableError, match="column name: "):
        validate(table, pl.concat([frame(table), frame(table)]))
