"""What an export did, as blocks: the method, the findings, the groups before and after."""

from collections.abc import Iterator, Mapping
from typing import Any

from debias.report.blocks import Block, Column, Points, Sentence, Text, said, table
from debias.report.words import full_group_name, is_number


def page(document: Mapping[str, Any]) -> Iterator[Block]:
    """The method, the findings, and the shares of the groups, those smallest before first."""
    yield Sentence(document["method"], "verdict")
    yield Points(tuple(document["sentences"]))
    if rows := document["groups"]["rows"]:
        columns: dict[str, Column] = {
            "group": lambda row: full_group_name(row["group"]),
            "before": lambda row: _share(row["before"]),
            "after": lambda row: _share(row["after"]),
        }
        title = "share of the images, before and after (95% interval)"
        yield table(sorted(rows, key=_smallest_first), columns, title=title)


def _smallest_first(row: Mapping[str, Any]) -> tuple[bool, float]:
    """Withheld shares come last."""
    share = row["before"]["share"]
    return share is None, share if is_number(share) else 0.0


def _share(side: Mapping[str, Any]) -> Text:
    known = "{share:percent} ({low..high:percent})"
    return said(known if is_number(side["share"]) else "withheld", side)
