"""Reads a page back, the way a browser would."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from debias import report
from debias.report import comparison_page, fairness_charts, fairness_page, html, run_page
from debias.report.charts import style

VOID = {"meta", "img", "br", "link", "input"}
FORBIDDEN = re.compile(
    r"\b(fair|unfair|fairly|unfairly|unbiased|solved|compliant|bias-free)\b", re.IGNORECASE
)


@dataclass
class Page(HTMLParser):
    """Tags with their attributes, visible text, and the tables with their cells."""

    source: str
    tags: list = field(default_factory=list)
    text: list = field(default_factory=list)
    numbers: list = field(default_factory=list)  # (exact, printed)
    tables: list = field(default_factory=list)  # (class, rows of cells)
    rows: list = field(default_factory=list)  # (class, cells) of every table
    open: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append((attributes.get("class"), []))
        elif tag == "tr":
            self.tables[-1][1].append([])
            self.rows.append((attributes.get("class"), self.tables[-1][1][-1]))
        elif tag in ("td", "th"):
            cell = {"title": attributes.get("title"), "text": "", "numbers": []}
            self.tables[-1][1][-1].append(cell)
        elif tag == "data":
            self.numbers.append([float(attributes["value"]), ""])
            if "table" in self.open:
                self.tables[-1][1][-1][-1]["numbers"].append(float(attributes["value"]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.text.append(data)
        if self.open and self.open[-1] == "data":
            self.numbers[-1][1] += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][1][-1][-1]["text"] += data

    @property
    def visible(self):
        return " ".join(" ".join(self.text).split())


def render(document, pictures):
    """The page of a run."""
    return html.render(run_page.page(document, pictures, report.figures(document, pictures)))


def render_fairness(document):
    return html.render(
        fairness_page.page(document, style.drawn(fairness_charts.fairness_drawings(document)))
    )


def render_comparison(document):
    return html.render(
        comparison_page.page(document, style.drawn(fairness_charts.comparison_drawings(document)))
    )


def without_pictures(source):
    return re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]*", "PICTURE", source)


def replaced(value, old, new):
    """Copy a nesting with a piece of text exchanged in every key and value."""
    if isinstance(value, dict):
        return {replaced(k, old, new): replaced(v, old, new) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


def without_numbers(value, undefined):
    """Copy a nesting with every fraction exchanged for something undefined."""
    if isinstance(value, dict):
        return {key: without_numbers(item, undefined) for key, item in value.items()}
    if isinstance(value, list):
        return [without_numbers(item, undefined) for item in value]
    return undefined if isinstance(value, float) else value
