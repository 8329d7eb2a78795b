"""Blocks as one self-contained HTML file, put in its place in one step."""

import base64
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from debias.report.blocks import Page, Row, Table, cells, pieces
from debias.report.words import clean, is_number
from debias.storage.files import replace_file

ROWS = 60  # of a table; the others fold away


def render(page: Page) -> str:
    """The page as text."""
    return _environment().get_template("page.html").render(page=page)


def put(path: Path, page: str) -> None:
    """Give a page its name when all of it is on disk; only its owner can read it."""
    # Faces, or what is known about people, may be on it: nobody else's to read unless the
    # owner says so.
    replace_file(path, lambda file: file.write_text(page, encoding="utf-8"), mode=0o600)


def _embedded(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


@cache
def _environment() -> Environment:
    """The template, read and compiled once."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_source),
    )
    environment.filters.update(
        kind=_kind, pieces=pieces, cells=cells, parts=_parts,
        embedded=_embedded,
    )  # fmt: skip
    environment.tests["number"] = is_number
    return environment


def _source(name: str) -> str:
    return files("debias.report").joinpath(name).read_text(encoding="utf-8")


def _kind(block: object) -> str:
    return type(block).__name__


def _parts(table: Table) -> list[Sequence[Row]]:
    """A long table in parts that a browser can fold away."""
    return [table.rows[start : start + ROWS] for start in range(0, len(table.rows), ROWS)]


def _printable(value: object) -> object:
    """Clean all text on its way out, and never print None."""
    if value is None or (isinstance(value, float) and not is_number(value)):
        return "undefined"
    return value if isinstance(value, Markup) else clean(str(value))
