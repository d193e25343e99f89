"""Every bound of every table: a row at the bound is taken, one beyond it is refused."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from assets import tables
from assets.latest import CONFIGURATION, latest
from assets.tables import (
    Ablation,
    AugmentedPuzzles,
    Leakage,
    Predictions,
    Puzzles,
    Residuals,
    Runs,
    Scores,
    ScoresElsewhere,
    Selections,
    StudyResults,
    Training,
    Votes,
    of_evaluation,
    stamped,
)
from storage.tables import Table, TableError, validate

RUN = {
    "benchmark": "b", "variant": "v", "seed": -1, "run": "r", "config_hash": "", "created_at": "",
}  # fmt: skip
EVALUATION = {
    **RUN, "evaluation": "e", "split": "test", "checkpoint": "", "step": 1, "evaluation_code": "",
    "settings": "{}", "of": 1,
}  # fmt: skip
ROWS: dict[type[Table], dict[str, object]] = {
    Puzzles: {
        "split": "train", "puzzle": 0, "name": "a", "question": "", "answer": "",
        "difficulty": 0, "form": "", "source": "",
    },
    AugmentedPuzzles: {
        "split": "test", "example": 0, "examples": 1, "group": 0, "puzzle_id": 0, "name": "a",
        "base": "a", "augmentation": 0, "difficulty": 0, "source": "",
    },
    Leakage: {
        "benchmark": "b", "trained_on": "a", "test_puzzles": 0, "leaks": 0, "first": None,
        "shared": 0,
    },
    Runs: {
        **RUN, "steps": 1, "batch_size": 1, "learning_rate": 1e-9, "weight_decay": 0.0,
        "puzzle_learning_rate": 0.0, "width": 1, "layers": 1, "latent_updates": 0, "cycles": 1,
        "parameters": 1, "puzzle_parameters": 0, "data_version": "", "data_entry": "",
        "code_version": "", "device": "cpu", "processes": 1, "started": None, "finished": None,
        "seconds": None, "step": 0, "status": "started", "parent": None, "changes": "",
        "config": "{}",
    },
    Training: {
        **RUN, "step": 1, "examples": 1, "loss": -1.0, "answer_loss": -1.0, "halt_loss": -1.0,
        "cell_accuracy": 0.0, "exact_accuracy": 0.0, "mean_steps": 1.0, "learning_rate": 0.0,
        "examples_per_second": 1e-9, "wall_seconds": 1e-9, "validation_exact_accuracy": None,
        "validation_cell_accuracy": None,
    },
    Predictions: {
        **EVALUATION, "n": 1, "example": 0, "puzzle": "a", "name": "a", "solved": False,
        "cell_accuracy": 0.0, "halt_logit": -9.0, "steps": 1, "solved_at_halting": False,
        "computed_steps": 1.0, "solved_after": [False],
        "prediction": b"", "difficulty": 0, "question": None, "answer": None, "label": None,
    },
    Residuals: {
        **RUN, "checkpoint": "", "step": 1, "example": 0, "supervision_step": 1, "call": 1,
        "feature": "y", "residual": 0.0,
    },
    Votes: {
        **EVALUATION, "task": "a", "test_inputs": 1, "test_input": 0, "rank": 1, "votes": 1,
        "mean_halt": 0.0, "correct": False, "grid": "",
    },
    Selections: {
        **EVALUATION, "selection": "a", "uses_verifier": False, "depth": 1, "rollouts": 1,
        "value": 0.0, "low": -1.0, "high": 0.0, "pass_value": 0.0, "pass_low": 0.0,
        "pass_high": 0.0, "missed": None, "gain": None, "gain_low": None, "gain_high": None,
        "n": 1,
    },
    Scores: {
        **EVALUATION, "metric": "pass_at_k", "k": None, "group": None, "value": 0.0,
        "low": -1.0, "high": 0.0, "n": 1, "data_version": "", "data_entry": "",
        "code_version": "", "run_id": "",
    },
    ScoresElsewhere: {
        "benchmark": "b", "model": "m", "source": "a", "run": None, "variant": None, "seed": None,
        "step": None, "trained_on": None, "trained_data_version": None, "evaluation": "e",
        "data_version": "", "split": "test", "settings": "{}", "of": 1, "evaluation_code": "",
        "metric": "pass_at_k", "k": None, "group": None, "value": 0.0, "low": -1.0, "high": 0.0,
        "n": 1, "created_at": "",
    },
    Ablation: {
        "benchmark": "b", "variant": "a", "published": None, "published_source": None,
        "ours": 0.0, "low": None, "high": None, "seeds": 0, "difference": None,
        "parameters": None, "depth": None, "forward_passes": None,
        "train_seconds": None, "examples_seen": None, "puzzle_parameters": None, "mixer": None,
        "test_steps": None, "rollouts": None, "test_flops": None, "trained_on": None, "n": None,
        "of": None, "runs": None,
    },
    StudyResults: {
        "study": "s", "point": "p", "benchmark": "b", "variant": "v", "seed": -1, "run": "r",
        "evaluation": "e", "axes": "{}", "metric": "pass_at_k", "value": 0.0, "low": -1.0,
        "high": 0.0, "n": 1, "steps": 1, "parameters": 0, "training_flops": 0.0,
        "train_seconds": None, "current": True,
    },
}  # fmt: skip
"""A row of each table with every number at its lower bound."""

COUNTS = {
    Puzzles: ("puzzle", "difficulty"),
    AugmentedPuzzles: ("example", "examples", "group", "puzzle_id", "augmentation", "difficulty"),
    Leakage: ("test_puzzles", "leaks", "shared"),
    Runs: (
        "steps", "batch_size", "width", "layers", "latent_updates", "cycles", "parameters",
        "puzzle_parameters", "processes", "step",
    ),
    Training: ("step", "examples"),
    Predictions: ("n", "example", "steps", "difficulty", "step", "of"),
    Residuals: ("step", "example", "supervision_step", "call"),
    Votes: ("test_inputs", "test_input", "rank", "votes", "step"),
    Scores: ("n", "step"),
    Selections: ("depth", "rollouts", "n", "step", "of"),
    ScoresElsewhere: ("of", "n"),
    Ablation: ("seeds",),
    StudyResults: ("n", "steps"),
}  # fmt: skip
BELOW: list[tuple[type[Table], str, object]] = [
    *(
        (table, column, ROWS[table][column] - 1)  # type: ignore[operator]
        for table, columns in COUNTS.items()
        for column in columns
    ),
    *((Training, column, -0.01) for column in ("cell_accuracy", "exact_accuracy", "learning_rate")),
    (Training, "validation_exact_accuracy", -0.01),
    (Training, "validation_cell_accuracy", -0.01),
    *((Runs, column, -0.01) for column in ("weight_decay", "puzzle_learning_rate")),
    (Runs, "learning_rate", 0.0),
    (Runs, "seconds", 0.0),
    (Training, "mean_steps", 0.99),
    (Training, "examples_per_second", 0.0),
    (Training, "wall_seconds", 0.0),
    (Predictions, "cell_accuracy", -0.01),
    (Predictions, "computed_steps", 0.99),
    (Selections, "value", -0.01),
    (Selections, "pass_value", -0.01),
    (Selections, "missed", -0.01),
    *((Selections, column, -1.01) for column in ("gain", "gain_low", "gain_high")),
    (Residuals, "residual", -0.01),
    (Votes, "mean_halt", -0.01),
    (Ablation, "ours", -0.01),
]
SHARES = [
    (Training, "cell_accuracy"),
    (Training, "exact_accuracy"),
    (Training, "validation_exact_accuracy"),
    (Training, "validation_cell_accuracy"),
    (Predictions, "cell_accuracy"),
    (Selections, "value"),
    (Selections, "pass_value"),
    (Selections, "missed"),
    (Votes, "mean_halt"),
    (Ablation, "ours"),
]


def frame(table: type[Table], **changes: object) -> pl.DataFrame:
    return pl.DataFrame([ROWS[table] | changes])


def test_no_table_is_left_out() -> None:
    classes = {each for each in vars(tables).values() if isinstance(each, type)}
    known = {each for each in classes if issubclass(each, Table)}
    bases = {Table, tables.OfBenchmark, tables.OfRun, tables.OfEvaluation}
    assert known - bases == ROWS.keys()


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
        (Runs, "status", "crashed"),
    ],
)
def test_words_are_among_those_known(table: type[Table], column: str, value: str) -> None:
    with pytest.raises(TableError, match=f"column {column}: isin"):
        validate(table, frame(table, **{column: value}))


def test_names_of_metrics_are_in_small_letters() -> None:
    assert len(validate(Scores, frame(Scores, metric="optimal_path_accuracy")))
    for name in ("", "Accuracy", "pass@2", "exact accuracy"):
        with pytest.raises(TableError, match="column metric: str_matches"):
            validate(Scores, frame(Scores, metric=name))


@pytest.mark.parametrize(("table", "column"), [(Puzzles, "name"), (Ablation, "variant")])
def test_names_are_unique(table: type[Table], column: str) -> None:
    with pytest.raises(TableError, match=f"column {column}: "):
        validate(table, pl.concat([frame(table), frame(table)]))


# Which run is the latest


def scored(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    """Two metrics each of (configuration, run, evaluation, time)."""
    columns = ("config_hash", "run", "evaluation", "created_at")
    return pl.concat(
        frame(Scores, metric=metric, **dict(zip(columns, row, strict=True)))
        for row in rows
        for metric in ("exact_accuracy", "mean_steps")
    )


def test_the_latest_run_of_each_configuration_keeps_all_its_rows() -> None:
    rows = scored(("a", "old", "e", "1"), ("a", "new", "e", "2"), ("b", "only", "e", "0"))
    found = latest(rows)
    assert found.select("config_hash", "run").unique(maintain_order=True).rows() == [
        ("a", "new"),
        ("b", "only"),
    ]
    assert len(found) == 4
    assert latest(rows.lazy()).collect().equals(found)
    assert set(latest(rows, "variant")["run"]) == {"new"}
    # As docs/reports.md says it in one line.
    newest = pl.col("created_at") == pl.col("created_at").max().over(CONFIGURATION)
    assert rows.filter(newest).equals(found)


def test_of_two_written_at_once_the_order_of_rows_does_not_decide() -> None:
    rows = scored(("a", "x", "e", "1"), ("a", "y", "e", "1"), ("a", "y", "f", "1"))
    for shuffled in (rows, rows.reverse()):
        found = latest(shuffled)
        assert set(found.select("run", "evaluation").rows()) == {("y", "f")}
        each = latest(shuffled, *CONFIGURATION, "evaluation")
        assert set(each.select("run", "evaluation").rows()) == {("y", "e"), ("y", "f")}


def test_rows_are_stamped_with_the_time_to_the_microsecond() -> None:
    before = stamped(pl.DataFrame({"x": [1, 2]}), run="r", seed=3)
    after = stamped(before.select("x"), run="r", seed=3)
    assert before.select("run", "seed").rows() == [("r", 3)] * 2
    first, second = (datetime.fromisoformat(rows["created_at"][0]) for rows in (before, after))
    assert timedelta() < second - first < timedelta(hours=1)
    assert before["created_at"][0] < after["created_at"][0]
    assert first.utcoffset() == timedelta()
    assert len({len(rows["created_at"][0]) for rows in (before, after)}) == 1


def test_scores_are_joined_with_what_their_runs_were_trained_with() -> None:
    """As README does it, and also of two variants whose runs have one name."""
    rates = {("a", "x"): 1e-3, ("a", "y"): 1e-2, ("b", "x"): 1e-1}
    runs, scores = (
        pl.concat(
            frame(table, variant=variant, run=run, **changes)
            for (variant, run), rate in rates.items()
            for changes in [{"learning_rate": rate} if table is Runs else {"value": 10 * rate}]
        )
        for table in (Runs, Scores)
    )
    found = scores.join(runs, on=["benchmark", "variant", "seed", "run"])
    assert found.select("variant", "run", "learning_rate", "value").rows() == [
        (variant, run, rate, 10 * rate) for (variant, run), rate in rates.items()
    ]


def test_what_rows_of_one_evaluation_have_in_common() -> None:
    rows = pl.concat([frame(Predictions), frame(Predictions, example=1, created_at="later")])
    assert of_evaluation(rows) == {
        name: value for name, value in EVALUATION.items() if name != "created_at"
    }
