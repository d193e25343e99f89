"""Markdown as the Dagster UI shows it."""

import polars as pl
from matplotlib.figure import Figure

from assets.pages import markdown
from assets.pages.pictures import png


def test_a_table_has_a_head_and_a_line_per_row() -> None:
    rows = [{"name": "a", "value": 1}, {"value": 2.5, "name": "b|c\nd"}]
    assert markdown.table(rows).splitlines() == [
        "| name | value |",
        "| --- | --- |",
        "| a | 1 |",
        "| b\\|c d | 2.5 |",
    ]
    assert markdown.table([]) == "(no rows)"


def test_frames_and_pictures_are_metadata() -> None:
    assert markdown.frame(pl.DataFrame({"x": [None]})).value == "| x |\n| --- |\n| None |"
    picture = markdown.picture(png(Figure(figsize=(1, 1))), "a title").value
    assert str(picture).startswith("![a title](data:image/png;base64,iVBORw0KGgo")
