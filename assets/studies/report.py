"""The report of a study: its points beside one another, and the metric against each axis."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from assets.latest import latest
from assets.reports.comparison import VERSIONS, interval_over_seeds
from assets.tables import StudyResults


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as JSON, equal for equal settings."""
    return json.dumps(dict(settings), sort_keys=True)


RUN = ("benchmark", "variant", "seed", "run")
"""The columns that tell runs apart: variants of equal configuration have runs of equal keys."""


def scored(points: pl.DataFrame, headlines: pl.DataFrame, efforts: pl.DataFrame) -> pl.DataFrame:
    """Rows of :class:`assets.tables.StudyResults`: the latest score of each point, of those on the
    data and test puzzles of the latest one of all, and by the code of the latest one of its
    setting: what a variant is made of is part of its code, so that settings differ in it.

    :param points: what the study asks for: the columns ``study``, ``point``, ``axes``, ``metric``,
        ``steps``, ``parameters``, ``training_flops``, ``code_here``, and those that tell scores
        apart, ``benchmark``, ``variant``, ``seed``, ``config_hash``, ``evaluation``,
        ``data_entry``.
    :param headlines: rows of :class:`assets.tables.Scores` of the metric that reports compare.
    :param efforts: ``train_seconds`` of each run (:data:`RUN`).
    """
    apart = ["benchmark", "variant", "seed", "config_hash", "evaluation", "data_entry"]
    found = headlines.drop("metric").join(points, on=apart, how="inner")
    puzzles, setting = ["data_version", "n"], ["variant", "axes"]
    newest = found.sort("created_at", "run", "evaluation").tail(1).select(puzzles)
    same = found.join(newest, on=puzzles, how="semi")
    code = latest(same, *setting).select(*setting, *VERSIONS)
    same = same.join(code, on=code.columns, how="semi")
    rows = latest(same, "point").join(efforts, on=RUN, how="left")
    rows = rows.with_columns(current=pl.col("code_version") == pl.col("code_here"))
    return rows.select(*StudyResults.to_schema().columns)


def over_seeds(results: pl.DataFrame) -> pl.DataFrame:
    """Variant, axes, mean ``value``, its interval ``low`` to ``high`` and the number of ``seeds``,
    for each variant and setting of the axes.

    :param results: rows of :class:`assets.tables.StudyResults`.
    """
    rows: list[dict[str, Any]] = []
    for (variant, axes), part in results.partition_by(
        "variant", "axes", as_dict=True, maintain_order=True
    ).items():
        values = part["value"].to_list()
        low, high = interval_over_seeds(values, part["low"][0], part["high"][0])
        same = part.row(0, named=True)
        seconds = part["train_seconds"].mean()
        rows.append(
            {
                "variant": variant,
                "axes": axes,
                "value": float(np.mean(values)),
                "low": low,
                "high": high,
                "seeds": len(values),
                **{name: same[name] for name in ("n", "steps", "parameters", "training_flops")},
                "train_seconds": seconds,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def readable(means: pl.DataFrame, axes: Sequence[str]) -> list[dict[str, str]]:
    """The rows of :func:`over_seeds` as text for people, best first."""
    return [
        {
            "variant": row["variant"],
            **{axis: str(json.loads(row["axes"]).get(axis, "")) for axis in axes},
            "solved %": f"{100 * row['value']:.1f}",
            "95 % interval": f"{100 * row['low']:.1f} – {100 * row['high']:.1f}",
            "seeds": str(row["seeds"]),
            "test puzzles": str(row["n"]),
            "steps": f"{row['steps']:,}",
            "parameters": f"{row['parameters']:,}",
            "training TFLOP": f"{row['training_flops'] / 1e12:,.2f}",
            "training s": "" if row["train_seconds"] is None else f"{row['train_seconds']:.0f}",
        }
        for row in means.sort("value", descending=True).iter_rows(named=True)
    ]


def telling_axes(means: pl.DataFrame, axes: Sequence[str]) -> list[str]:
    """The axes that a figure can be drawn against: those in which two settings of a variant differ
    while all others are the same.

    :param means: rows of :func:`over_seeds`.
    """
    settings = [(row["variant"], json.loads(row["axes"])) for row in means.iter_rows(named=True)]

    def without(axis: str) -> list[str]:
        return [
            canonical({"": variant, **{path: value for path, value in at.items() if path != axis}})
            for variant, at in settings
        ]

    found = [(axis, without(axis)) for axis in axes]
    return [axis for axis, others in found if len(set(others)) < len(others)]


def _line_names(lines: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What each line of a figure is called: its variant, and the settings in which lines differ.

    :param lines: variant and canonical settings (:func:`canonical`).
    """
    told = {line: json.loads(line[1]) for line in lines}
    paths = dict.fromkeys(path for settings in told.values() for path in settings)
    # Not given is another value than any that can be given.
    values = {
        path: {canonical({path: at[path]} if path in at else {}) for at in told.values()}
        for path in paths
    }
    return {
        (variant, key): ", ".join(
            [
                variant,
                *(
                    f"{path.removeprefix('recipe.').removeprefix('variant.')}={value}"
                    for path, value in settings.items()
                    if len(values[path]) > 1
                ),
            ]
        )
        for (variant, key), settings in told.items()
    }


def _styles(count: int) -> list[dict[str, Any]]:
    """How each of so many lines is drawn: no two have the same colour and dashes, until there are
    more than both tell apart."""
    dashes = ("-", "--", ":", "-.")
    return [
        {"color": f"C{line % 10}", "linestyle": dashes[line // 10 % len(dashes)]}
        for line in range(count)
    ]


def curves_figure(results: pl.DataFrame, training: pl.DataFrame) -> Figure | None:
    """Validation puzzles that were solved against minutes of training: a line for each run, the
    seeds of a setting in one colour; None where nothing was validated.

    :param results: rows of :class:`assets.tables.StudyResults`.
    :param training: rows of :class:`assets.tables.Training` of the benchmark.
    """
    validated = training.filter(pl.col("validation_exact_accuracy").is_not_null())
    rows = results.select(*RUN, "axes").join(validated, on=RUN, how="inner").sort("step")
    if rows.is_empty():
        return None
    figure = Figure(figsize=(6, 3.4))
    axes = figure.subplots()
    settings = rows.partition_by("variant", "axes", as_dict=True, maintain_order=True)
    lines = sorted((variant, at) for variant, at in settings)
    names = _line_names(lines)
    for line, style in zip(lines, _styles(len(lines)), strict=True):
        part = settings[line]
        for seed, run in enumerate(part.partition_by(RUN)):
            axes.plot(
                run["wall_seconds"] / 60,
                run["validation_exact_accuracy"],
                **style,
                linewidth=1,
                marker=".",  # A line of one validation would not be seen.
                markersize=3,
                # One entry of the legend for all seeds.
                label=None if seed else names[line],
            )
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("solved (validation puzzles)")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)
    return figure


def axis_figure(means: pl.DataFrame, axis: str) -> Figure:
    """The metric against one axis with its intervals: a line for each variant and setting of the
    other axes.

    :param means: rows of :func:`over_seeds`.
    """
    lines: dict[tuple[str, str], list[tuple[Any, dict[str, Any]]]] = {}
    for row in means.iter_rows(named=True):
        settings = json.loads(row["axes"])
        place = settings.pop(axis, None)
        lines.setdefault((row["variant"], canonical(settings)), []).append((place, row))
    places = list(dict.fromkeys(str(place) for line in lines.values() for place, _ in line))
    numbers = all(type(place) in (int, float) for line in lines.values() for place, _ in line)
    # What is no number stands at equal distances, in the order of the study.
    where = {place: float(place) if numbers else index for index, place in enumerate(places)}
    figure = Figure(figsize=(6, 3.4))
    axes = figure.subplots()
    names = _line_names(lines)
    for (of, line), style in zip(lines.items(), _styles(len(lines)), strict=True):
        points = sorted(line, key=lambda item: where[str(item[0])])
        rows = [row for _, row in points]
        axes.errorbar(
            [where[str(place)] for place, _ in points],
            [row["value"] for row in rows],
            yerr=[
                [max(0.0, row["value"] - row["low"]) for row in rows],
                [max(0.0, row["high"] - row["value"]) for row in rows],
            ],
            marker="o",
            capsize=3,
            linewidth=1,
            label=names[of],
            **style,
        )
    if not numbers:
        axes.set_xticks(list(where.values()), list(where))
    elif min(where.values()) > 0 and max(where.values()) >= 8 * min(where.values()):
        axes.set_xscale("log")
    axes.set_xlabel(axis)
    axes.set_ylabel("solved (test puzzles)")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)
    return figure
