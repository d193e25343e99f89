"""Charts whose points say what they are when the mouse rests on them, as SVG.

By hand, and not by Plotly or Altair: their programs are 1 to 5 MB in every page and two more
dependencies, while ``<title>`` is what every browser shows for a shape by itself, also without a
program and in thirty years.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
import polars as pl
from matplotlib.ticker import LogLocator, MaxNLocator

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 340, 70, 60, 12
"""The size of a chart and the room for its labels, in pixels."""
MOST_POINTS = 150
"""A line shows at most so many points. Of a longer one they are evenly spaced, and the last is one
of them."""
CHART_POINTS = 6_000
"""About so many points all lines of a chart have together, so that browsers stay quick."""
COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """Where a point is, and what it says."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one kind: equal kinds have equal colours.

    :param joined: by a line.
    :param hollow: points are rings.
    """

    kind: str
    points: Sequence[Point]
    joined: bool = True
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over two axes.

    :param across, up: what the axes show.
    :param names: of the places 0, 1, … of the axis across; none: it has numbers.
    :param logarithmic: the axis up; points at 0 or below are left out.
    """

    across: str
    up: str
    lines: Sequence[Line]
    names: Sequence[str] = ()
    logarithmic: bool = False

    def svg(self) -> str:
        """The chart, as SVG, with the names of its kinds below it, as HTML."""
        shown = [
            point
            for line in self.lines
            for point in line.points
            if point.y > 0 or not self.logarithmic
        ]
        if not shown:
            return "<p>nothing yet</p>"
        xs, ys = [point.x for point in shown], [self._height(point.y) for point in shown]
        across = _Scale(min(xs), max(xs), LEFT, WIDTH - 10, 0.5 if self.names else 0.0)
        up = _Scale(min(ys), max(ys), HEIGHT - BOTTOM, TOP, 0.03)
        kinds = list(dict.fromkeys(line.kind for line in self.lines))
        names = (
            f'<span style="color:{COLOURS[number % len(COLOURS)]}">{escape(kind)}</span>'
            for number, kind in enumerate(kinds)
        )
        parts = [*self._labels(across, up, (min(xs), max(xs)), (min(ys), max(ys)))]
        for line in self.lines:
            colour = COLOURS[kinds.index(line.kind) % len(COLOURS)]
            parts += self._line(line, colour, across, up)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
            f"<p>{' · '.join(names)}</p>"
        )

    def _height(self, value: float) -> float:
        return float(np.log10(value)) if self.logarithmic else value

    def _line(self, line: Line, colour: str, across: "_Scale", up: "_Scale") -> list[str]:
        places = [
            (across.at(point.x), up.at(self._height(point.y)), point.text)
            for point in line.points
            if point.y > 0 or not self.logarithmic
        ]
        fill = "none" if line.hollow else colour
        return [
            *(
                f'<path d="M{x:.1f} {y:.1f}L{right:.1f} {down:.1f}" stroke="{colour}"/>'
                for (x, y, _), (right, down, _) in (pairwise(places) if line.joined else ())
            ),
            *(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2.5 if line.joined else 5}" '
                f'fill="{fill}" stroke="{colour}" pointer-events="all">'
                f"<title>{escape(text)}</title></circle>"
                for x, y, text in places
            ),
        ]

    def _labels(
        self, across: "_Scale", up: "_Scale", xs: tuple[float, float], ys: tuple[float, float]
    ) -> list[str]:
        """The axes: their lines, numbers or names, and titles."""
        base = HEIGHT - BOTTOM
        parts = [
            f'<path d="M{LEFT} {TOP}V{base}H{WIDTH - 10}" fill="none" stroke="#888888"/>',
            f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
            f"{escape(self.across)}</text>",
            f'<text transform="translate(14,{base / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.up)}</text>",
        ]
        if self.names:
            parts += [
                f'<text transform="translate({across.at(place):.1f},{base + 12}) rotate(12)">'
                f"{escape(name)}</text>"
                for place, name in enumerate(self.names)
            ]
        else:
            parts += [
                f'<text x="{across.at(tick):.1f}" y="{base + 16}" text-anchor="middle">'
                f"{tick:,.0f}</text>"
                for tick in MaxNLocator(8, integer=True).tick_values(*xs)
                if xs[0] <= tick <= xs[1]
            ]
        for tick in self._ticks(ys):
            place = up.at(self._height(tick))
            parts.append(
                f'<path d="M{LEFT} {place:.1f}H{WIDTH - 10}" stroke="#eeeeee"/>'
                f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{tick:g}</text>'
            )
        return parts

    def _ticks(self, ys: tuple[float, float]) -> list[float]:
        """Numbers of the axis up, within the heights of the points."""
        if self.logarithmic:
            found = LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(10 ** ys[0], 10 ** ys[1])
        else:
            found = MaxNLocator(6).tick_values(*ys)
        return [tick for tick in map(float, found) if ys[0] <= self._height(tick) <= ys[1]]


class _Scale:
    """Where a number of an axis lies, in pixels.

    :param room: beyond the ends, as a share of the range (at least of 1 where there is none).
    """

    def __init__(self, low: float, high: float, start: float, stop: float, room: float) -> None:
        span = (high - low) or 1.0
        self.low, self.span = low - room * span, span * (1 + 2 * room)
        self.start, self.stop = start, stop

    def at(self, value: float) -> float:
        """The pixel."""
        return self.start + (value - self.low) / self.span * (self.stop - self.start)


def thinned(rows: pl.DataFrame, most: int = MOST_POINTS) -> pl.DataFrame:
    """At most so many rows, evenly spaced, the last among them."""
    every = -(-len(rows) // most)
    return rows.reverse().gather_every(every).reverse() if every > 1 else rows


def _who(row: Mapping[str, object]) -> str:
    return f"{row['variant']}, seed {row['seed']}, run {row['run']}"


def run_points(headlines: pl.DataFrame, compared: pl.DataFrame) -> Chart:
    """A point for each run and evaluation; those that the report compares are filled, others are
    rings. Both: rows of :class:`assets.tables.Scores` of one metric.
    """
    keys = set(compared.select("run", "evaluation").iter_rows())
    variants = sorted(headlines["variant"].unique())
    lines = [
        Line(
            row["variant"],
            [
                Point(
                    variants.index(row["variant"]),
                    row["value"],
                    f"{_who(row)}: {row['value']:.4f} ({row['low']:.4f} to {row['high']:.4f}, "
                    f"{row['n']} puzzles), {row['created_at'][:16]}, evaluation "
                    f"{row['evaluation']}",
                )
            ],
            joined=False,
            hollow=(row["run"], row["evaluation"]) not in keys,
        )
        for row in headlines.sort("variant", "seed", "created_at").iter_rows(named=True)
    ]
    return Chart("variant", "share of test puzzles solved", lines, names=variants)


def depth_lines(scores: pl.DataFrame) -> Chart:
    """Accuracy after each supervision step, a line for each run and evaluation; ``scores``: rows of
    :class:`assets.tables.Scores`.
    """
    rows = scores.filter(pl.col("metric") == "exact_accuracy_after_step")
    return Chart(
        "supervision step",
        "share of test puzzles solved",
        _lines(rows, ("variant", "seed", "run", "evaluation"), "k", "value", "step"),
    )


def learning_lines(training: pl.DataFrame, column: str, up: str, *, log: bool = False) -> Chart:
    """A column of :class:`assets.tables.Training` over optimizer steps, a line for each run."""
    lines = _lines(training, ("variant", "seed", "run"), "step", column, "optimizer step")
    return Chart("optimizer step", up, lines, logarithmic=log)


def _lines(rows: pl.DataFrame, by: tuple[str, ...], x: str, y: str, what: str) -> list[Line]:
    parts = rows.sort(*by, x).partition_by(*by, maintain_order=True)
    most = min(MOST_POINTS, max(2, CHART_POINTS // max(1, len(parts))))
    return [
        Line(
            row_of["variant"],
            [
                Point(row[x], row[y], f"{_who(row)}: {row[y]:.4g} after {what} {row[x]:,}")
                for row in thinned(part, most).iter_rows(named=True)
            ],
        )
        for part in parts
        for row_of in [part.row(0, named=True)]
    ]
