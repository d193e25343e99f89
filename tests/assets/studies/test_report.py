"""Scores of a study's points, beside what their trainings took."""

import polars as pl

from assets.latest import CONFIGURATION
from assets.studies.report import RUN, scored
from assets.tables import StudyResults


def test_runs_of_equal_keys_have_their_own_efforts() -> None:
    """Variants of equal configuration have runs of equal keys; what a training took is that of its
    variant, and one that no table tells of has none."""
    variants = ("mine", "trm", "untold")
    scores = pl.DataFrame(
        {
            "benchmark": "b", "variant": variants, "seed": 0, "run": "r", "config_hash": "c",
            "evaluation": "e", "data_entry": "d", "metric": "exact_accuracy", "value": 0.5,
            "low": 0.25, "high": 0.75, "n": 10, "data_version": "v", "code_version": "v",
            "evaluation_code": "v", "created_at": "2026",
        }
    )  # fmt: skip
    points = scores.select(*CONFIGURATION, "evaluation", "data_entry", "metric").with_columns(
        study=pl.lit("s"), point="variant", axes=pl.lit("{}"), steps=4, parameters=7,
        training_flops=1.0, code_here=pl.lit("v"),
    )  # fmt: skip
    efforts = pl.DataFrame({"variant": ["trm", "mine"], "train_seconds": [3.0, 5.0]}).with_columns(
        benchmark=pl.lit("b"), seed=0, run=pl.lit("r")
    )
    found = scored(points, scores, efforts.select(*RUN, "train_seconds"))
    assert found.columns == list(StudyResults.to_schema().columns)
    assert found.sort("variant").select("variant", "train_seconds").rows() == [
        ("mine", 5.0), ("trm", 3.0), ("untold", None),
    ]  # fmt: skip
