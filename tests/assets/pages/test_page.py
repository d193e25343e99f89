"""A report is one HTML file that holds everything it shows."""

import re
from html.parser import HTMLParser

from matplotlib.figure import Figure

from assets.pages.markdown import table
from assets.pages.page import Links, html_page
from assets.pages.pictures import png

PNG = png(Figure(figsize=(1, 1)))


class Outline(HTMLParser):
    """The text of every element by its tag, in order, and the pictures' addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self.pictures: list[dict[str, str | None]] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if data.strip() and self._tag != "style":
            self.texts.append((self._tag, data.strip()))


def test_a_page_holds_its_texts_tables_and_pictures() -> None:
    rows = [{"variant": "<trm>", "ours %": "87.4"}, {"variant": "hrm", "ours %": ""}]
    page = html_page("A & B", ["one", "two"], {"Results": rows}, {'"c"': PNG})
    outline = Outline()
    outline.feed(page)
    assert outline.texts == [
        ("title", "A & B"), ("h1", "A & B"), ("p", "one"), ("p", "two"), ("h2", "Results"),
        ("th", "variant"), ("th", "ours %"), ("td", "<trm>"), ("td", "87.4"), ("td", "hrm"),
        ("h2", '"c"'),
    ]  # fmt: skip
    [picture] = outline.pictures
    assert picture["alt"] == '"c"'
    assert str(picture["src"]).startswith("data:image/png;base64,iVBORw0KGgo")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_a_page_may_have_no_rows_and_no_pictures() -> None:
    page = html_page("Nothing", [], {"Results": []}, {})
    assert "<td>" not in page
    assert "<img" not in page


def test_cells_lead_to_what_they_name_and_tables_open_by_a_click() -> None:
    rows = [{"variant": "trm", "runs": Links({"<a>": 'x.html#"1"', "b": "y"})}]
    page = html_page("Page", [], {"Results": rows, "More": rows}, {}, collapsed=("More", "Others"))
    links = '<a href="x.html#&#34;1&#34;">&lt;a&gt;</a>, <a href="y">b</a>'
    assert page.count(f"<td>{links}</td>") == 2
    shown, _, folded = page.partition("<details>")
    assert "<h2>Results</h2>" in shown
    assert "More" not in shown
    assert folded.count("</details>") == folded.count("<summary>More</summary>") == 1
    assert folded.index("</table>") < folded.index("</details>")
    assert table(rows).splitlines()[-1] == "| trm | <a>, b |"
