"""Reports as one HTML file each that needs nothing else, from the template ``page.html.jinja``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from assets.pages.charts import Chart
from assets.pages.pictures import data_uri, png
from storage.store import Store

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


def html_page(
    title: str,
    paragraphs: Sequence[str],
    tables: Mapping[str, Sequence[Mapping[str, str]]],
    pictures: Mapping[str, Figure],
) -> str:
    """One self-contained page.

    :param tables: rows of text, by caption; the first row's names are the head.
    :param pictures: by caption; their bytes stand in the page.
    """
    return _TEMPLATES.get_template("page.html.jinja").render(
        title=title,
        paragraphs=paragraphs,
        tables=tables,
        pictures={caption: data_uri(png(figure)) for caption, figure in pictures.items()},
    )


def charts_page(title: str, paragraphs: Sequence[str], charts: Mapping[str, Chart]) -> str:
    """One self-contained page of charts, by caption; resting on a point names it."""
    return _TEMPLATES.get_template("charts.html.jinja").render(
        title=title,
        paragraphs=paragraphs,
        charts={caption: Markup(chart.svg()) for caption, chart in charts.items()},  # noqa: S704
    )


def publish_page(store: Store, key: str, page: str) -> Path:
    """Write a page to the store; returns where it can be opened."""
    with store.publish_file(key) as temporary:
        temporary.write_text(page, "utf-8")
    return store.open(key)
