"""Scores of a study's points, beside what their trainings took."""

import itertools

import numpy as np
import polars as pl

from assets.latest import CONFIGURATION
from assets.studies.report import (
    RUN,
    axis_figure,
    canonical,
    curves_figure,
    scored,
    telling_axes,
)
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


def test_figures_are_drawn_against_axes_that_change_alone() -> None:
    def means(*settings: str) -> pl.DataFrame:
        return pl.DataFrame({"variant": "trm", "axes": settings})

    both = ["a", "b"]
    assert telling_axes(means('{"a": 1}', '{"a": 2}'), both) == ["a"]
    assert telling_axes(means('{"a": 1, "b": 1}', '{"a": 2, "b": 2}'), both) == []
    together = means('{"a": 1, "b": 1}', '{"a": 2, "b": 2}', '{"a": 1, "b": 2}')
    assert telling_axes(together, both) == both
    assert telling_axes(means("{}", '{"a": 1}'), both) == ["a"]
    of_two = pl.DataFrame({"variant": ["trm", "hrm"], "axes": ['{"a": 1}', '{"a": 2}']})
    assert telling_axes(of_two, both) == []


def test_curves_are_those_of_validated_runs_one_colour_for_each_setting() -> None:
    results = pl.DataFrame(
        {
            "benchmark": "b", "variant": "trm", "seed": [0, 1, 0], "run": ["r", "s", "t"],
            "axes": ["{}", "{}", '{"recipe.x": 1, "recipe.y": 2, "recipe.z": 3}'],
        }
    )  # fmt: skip
    training = pl.DataFrame(
        {
            "benchmark": "b", "variant": "trm", "seed": [0, 0, 1, 0, 0], "run": list("rrstt"),
            "step": [2, 1, 1, 1, 2], "wall_seconds": [120.0, 60.0, 90.0, 60.0, 120.0],
            "validation_exact_accuracy": [0.5, 0.25, 0.75, 0.0, None],
        }
    )  # fmt: skip
    figure = curves_figure(results, training)
    assert figure is not None
    lines = figure.axes[0].get_lines()
    drawn = {
        (line.get_color(), *map(tuple, np.asarray(line.get_xydata()).tolist())) for line in lines
    }
    assert drawn == {
        ("C0", (1.0, 0.0)), ("C1", (1.0, 0.25), (2.0, 0.5)), ("C1", (1.5, 0.75)),
    }  # fmt: skip
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["trm, x=1, y=2, z=3", "trm"]
    nothing = training.with_columns(validation_exact_accuracy=pl.lit(None, pl.Float64))
    assert curves_figure(results, nothing) is None


def test_settings_of_four_axes_have_a_line_each_named_by_what_differs() -> None:
    axes = "recipe.size.width", "recipe.steps", "variant.cycles", "variant.layers"
    choices = (32, 64), (100,), (1, 2, 3), (2, 4)
    settings: list[dict[str, int]] = [
        dict(zip(axes, each, strict=True)) for each in itertools.product(*choices)
    ]
    means = pl.DataFrame(
        {
            "variant": "trm", "axes": [canonical(each) for each in settings],
            "value": [number / 100 for number in range(len(settings))], "low": 0.0, "high": 1.0,
        }
    )  # fmt: skip
    figure = axis_figure(means, "recipe.size.width")
    handles, names = figure.axes[0].get_legend_handles_labels()
    assert names == [
        f"trm, cycles={cycles}, layers={layers}" for cycles in (1, 2, 3) for layers in (2, 4)
    ]
    drawn = [handle.lines[0].get_xydata().tolist() for handle in handles]  # pyright: ignore
    assert drawn == [[[32, low / 100], [64, (low + 6) / 100]] for low in range(6)]


def test_lines_beyond_the_tenth_look_different() -> None:
    settings = [canonical({"a": a, "b": b}) for a in (1, 2) for b in range(12)]
    means = pl.DataFrame(
        {"variant": "trm", "axes": settings, "value": 0.5, "low": 0.0, "high": 1.0}
    )
    lines = axis_figure(means, "a").axes[0].get_lines()
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len({(color, dashes) for color, dashes in looks if dashes != "None"}) == 12
