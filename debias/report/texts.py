"""Standing texts of the pages: of runs, evaluations and comparisons those in ``pages.toml``."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from debias.report import blocks as b

Notes = Mapping[str, str]
TEXTS = tomllib.loads(files("debias.report").joinpath("pages.toml").read_text(encoding="utf-8"))
NOTES: Notes = TEXTS["notes"]


def text(name: str, row: Mapping[str, object] | None = None, **more: object) -> b.Text:
    """A note with what a document says in it."""
    return b.said(NOTES[name], {**(row or {}), **more})


def note(
    name: str,
    row: Mapping[str, object] | None = None,
    tone: str = "",
    notes: Notes = NOTES,
    **more: object,
) -> b.Sentence:
    """A note as a paragraph; one that says what to do is set off."""
    said = notes[name]
    tone = "do" if said.startswith("What to do:") else tone
    return b.Sentence(b.said(said, {**(row or {}), **more}), tone)


def sections_of(
    named: Mapping[str, Sequence[str]], made: Mapping[str, Iterable[b.Block]]
) -> tuple[b.Section, ...]:
    """The sections of a page that have something to say, each behind its first sentence.

    Args:
        named: Place of each, in their order, to its name in the navigation, its title, and what is
            said of the rest, which is one click below; without that all of it is open.
        made: What stands in each.
    """
    found = {place: tuple(made.get(place, ())) for place in named}
    return tuple(
        b.Section(place, named[place][1], _behind(named[place][2], blocks), named[place][0])
        for place, blocks in found.items() if blocks
    )  # fmt: skip


def _behind(title: str, blocks: tuple[b.Block, ...]) -> tuple[b.Block, ...]:
    """The first sentence of a section, all else one click below; all of it without a title."""
    sentences = (one for one in blocks if isinstance(one, b.Sentence))
    first = next((one for one in sentences if one.tone not in ("caution", "note", "do")), None)
    rest = tuple(one for one in blocks if one is not first)
    if not title or not rest:
        return blocks
    return *(() if first is None else (first,)), b.Fold(title, rest)


def chart(svg: bytes, name: str, **more: object) -> b.Chart:
    """A chart with what it shows, and what stands below it."""
    alt, caption = (b.said(template, more) for template in TEXTS["charts"][name])
    return b.Chart(svg, "".join(map(str, b.pieces(alt))), caption)
