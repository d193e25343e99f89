"""Charts: every point says what it is, where it ought to be, without anything from elsewhere."""

import re
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from assets.pages.charts import (
    CHART_POINTS,
    MOST_POINTS,
    Chart,
    Line,
    Point,
    depth_lines,
    learning_lines,
    run_points,
    thinned,
)
from assets.pages.page import Links, charts_page

SCORES = pl.DataFrame(
    {
        "variant": ["trm", "trm", "<hrm>"],
        "seed": [0, 1, 0],
        "run": ["a", "b", "c"],
        "evaluation": ["e", "e", "f"],
        "metric": ["exact_accuracy"] * 3,
        "k": [None] * 3,
        "value": [0.25, 0.75, 0.5],
        "low": [0.2, 0.7, 0.4],
        "high": [0.3, 0.8, 0.6],
        "n": [100] * 3,
        "created_at": ["2026-11-26T10:00:00.000000"] * 3,
    },
    schema_overrides={"k": pl.Int32},
)


def points(chart: Chart) -> dict[str, tuple[float, float, str]]:
    """What each drawn point says -> its place and fill."""
    svg, _, _ = chart.svg().partition("<p>")
    found: dict[str, tuple[float, float, str]] = {}
    for circle in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}circle"):
        [title] = circle
        at = circle.attrib
        found[str(title.text)] = (float(at["cx"]), float(at["cy"]), at["fill"])
    return found


def test_each_run_is_a_point_that_names_it() -> None:
    chart = run_points(SCORES, SCORES.head(2))
    assert list(chart.names) == ["<hrm>", "trm"]
    found = points(chart)
    assert len(found) == 3
    [first] = [text for text in found if text.startswith("trm, seed 0, run a: 0.2500 (0.2000 to")]
    assert "100 puzzles" in first
    assert first.endswith("evaluation e")
    (x, y, fill), (_, lower, _) = (found[text] for text in sorted(found)[1:])
    assert y > lower, "more is higher"
    rings = [text for text, (_, _, fill) in found.items() if fill == "none"]
    assert [text.split(",")[0] for text in rings] == ["<hrm>"]
    assert fill != "none"
    assert found[rings[0]][0] < x


def test_points_lie_where_their_numbers_are() -> None:
    line = Line("a", [Point(0, 1, "one"), Point(5, 10, "two"), Point(10, 100, "three")])
    for logarithmic, middle in ((True, 0.5), (False, 1 - 9 / 99)):
        found = points(Chart("x", "y", [line], logarithmic=logarithmic))
        (left, low, _), (x, y, _), (right, high, _) = (found[t] for t in ("one", "two", "three"))
        assert (x - left) / (right - left) == pytest.approx(0.5, abs=0.01)
        assert (y - high) / (low - high) == pytest.approx(middle, abs=0.01)
    zero = Chart("x", "y", [Line("a", [Point(0, 0.0, "none"), Point(1, 1.0, "one")])])
    assert len(points(zero)) == 2
    assert list(points(Chart("x", "y", zero.lines, logarithmic=True))) == ["one"]
    assert "nothing yet" in Chart("x", "y", []).svg()
    alone = points(Chart("x", "y", [Line("a", [Point(3, 0.5, "alone")])]))
    assert list(alone) == ["alone"]


def test_lines_go_through_their_rows_in_order() -> None:
    rows = SCORES.head(2).with_columns(
        metric=pl.lit("exact_accuracy_after_step"), run=pl.lit("a"), seed=pl.lit(0),
        k=pl.Series([2, 1], dtype=pl.Int32),
    )  # fmt: skip
    [line] = depth_lines(rows).lines
    assert [(point.x, point.y) for point in line.points] == [(1, 0.75), (2, 0.25)]
    assert line.points[0].text == "trm, seed 0, run a: 0.75 after step 1"
    training = rows.select("variant", "seed", "run", step="k", loss="value")
    [line] = learning_lines(training, "loss", "loss", log=True).lines
    assert line.points[1].text == "trm, seed 0, run a: 0.25 after optimizer step 2"


@pytest.mark.parametrize("count", [0, 1, MOST_POINTS, MOST_POINTS + 1, 10 * MOST_POINTS + 7])
def test_long_lines_are_thinned_and_keep_their_end(count: int) -> None:
    found = thinned(pl.DataFrame({"step": range(count)}, schema={"step": pl.Int64}))["step"]
    assert len(found) <= MOST_POINTS
    assert len(found) >= min(count, MOST_POINTS // 2)
    assert found.is_sorted()
    assert found.tail(1).to_list() == ([count - 1] if count else [])


def test_many_lines_have_few_points_each() -> None:
    runs, steps = CHART_POINTS // 4, 20
    training = pl.DataFrame(
        {"variant": "trm", "seed": run, "run": str(run), "step": step, "loss": 1.0}
        for run in range(runs)
        for step in range(steps)
    )
    lines = learning_lines(training, "loss", "loss").lines
    assert len(lines) == runs
    assert {len(line.points) for line in lines} == {4}
    assert {line.points[-1].x for line in lines} == {steps - 1}


def test_the_page_needs_nothing_else() -> None:
    page = charts_page("A & B", ["<one>"], {"Runs": run_points(SCORES, SCORES)}, {})
    assert "<table>" not in page
    assert "<title>A &amp; B</title>" in page
    assert "<p>&lt;one&gt;</p>" in page
    assert "&lt;hrm&gt;, seed 0, run c" in page
    assert "<hrm>" not in page
    assert not re.search(r"(?:src|href)=|@import|url\(", page)


def test_every_row_of_runs_has_the_name_that_others_lead_to() -> None:
    rows = {"trm/a": {"run": Links({"a": "../a"}), "steps": 3}, "<b>": {"run": "b", "steps": 4}}
    page = charts_page("Runs", [], {}, rows)
    assert page.count("<table>") == page.count("</table>") == 1
    assert "<tr><th>run</th><th>steps</th></tr>" in page
    assert '<tr id="trm/a"><td><a href="../a">a</a></td><td>3</td></tr>' in page
    assert '<tr id="&lt;b&gt;"><td>b</td><td>4</td></tr>' in page
