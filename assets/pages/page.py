"""Reports as one HTML file each that needs nothing else, from the template ``page.html.jinja``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from assets.pages.charts import Chart
from assets.pages.pictures import data_uri
from storage.store import Store

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


Rows = Sequence[Mapping[str, object]]
"""The rows of a table, as text for people or :class:`Links`. The first row's names are the head."""


@dataclass(frozen=True, slots=True)
class Links:
    """A cell of words that each lead somewhere; as text the words alone.

    :param addresses: by word; relative to the page.
    """

    addresses: Mapping[str, str]

    def __str__(self) -> str:
        return ", ".join(self.addresses)

    def __html__(self) -> Markup:
        link = Markup('<a href="{}">{}</a>')
        return Markup(", ").join(link.format(to, word) for word, to in self.addresses.items())


def html_page(
    title: str,
    paragraphs: Sequence[str],
    tables: Mapping[str, Rows],
    pictures: Mapping[str, bytes],
    collapsed: Collection[str] = (),
) -> str:
    """One self-contained page.

    :param tables: by caption.
    :param pictures: PNG bytes by caption, which stand in the page.
    :param collapsed: captions of tables that show their rows when they are clicked.
    """
    return _TEMPLATES.get_template("page.html.jinja").render(
        title=title,
        paragraphs=paragraphs,
        tables=tables,
        collapsed=collapsed,
        pictures={caption: data_uri(png) for caption, png in pictures.items()},
    )


def charts_page(
    title: str,
    paragraphs: Sequence[str],
    charts: Mapping[str, Chart],
    runs: Mapping[str, Mapping[str, object]],
) -> str:
    """One self-contained page of charts, by caption; resting on a point names it.

    :param runs: rows of a table below the charts, by the name that ``PAGE#NAME`` leads to.
    """
    return _TEMPLATES.get_template("charts.html.jinja").render(
        title=title,
        paragraphs=paragraphs,
        charts={caption: Markup(chart.svg()) for caption, chart in charts.items()},  # noqa: S704
        runs=runs,
    )


def publish_page(store: Store, key: str, page: str) -> Path:
    """Write a page to the store; returns where it can be opened."""
    with store.publish_file(key) as temporary:
        temporary.write_text(page, "utf-8")
    return store.open(key)
