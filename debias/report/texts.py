"""Standing texts of the pages about runs, evaluations and comparisons, from ``pages.toml``."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files

from debias.report import blocks as b

TEXTS = tomllib.loads(files("debias.report").joinpath("pages.toml").read_text(encoding="utf-8"))


def text(name: str, row: Mapping[str, object] | None = None, **more: object) -> b.Text:
    """A note with what a document says in it."""
    return b.said(TEXTS["notes"][name], {**(row or {}), **more})


def note(
    name: str, row: Mapping[str, object] | None = None, tone: str = "", **more: object
) -> b.Sentence:
    """A note as a paragraph; one that says what to do is set off."""
    is_advice = TEXTS["notes"][name].startswith("What to do:")
    return b.Sentence(text(name, row, **more), "do" if is_advice else tone)


def chart(svg: bytes, name: str, **more: object) -> b.Chart:
    """A chart with what it shows, and what stands below it."""
    alt, caption = (b.said(template, more) for template in TEXTS["charts"][name])
    return b.Chart(svg, "".join(map(str, b.pieces(alt))), caption)
