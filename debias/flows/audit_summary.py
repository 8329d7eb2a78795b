"""An audit in a few lines of Markdown, for places that show no HTML page."""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from debias.flows.summary import where

ROWS = 24  # of a table
LONGEST = 600  # characters of one sentence or name
READINGS = {"below": "below", "above": "above", "cannot_tell": "cannot tell"}
STATES = {
    "estimated": "", "too_small": "too small to judge", "suppressed": "withheld",
    "not_estimable": "no images", "unknown": "no group label",
}  # fmt: skip
# Characters that Markdown reads as more than themselves.
MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~>$])")
Document = Mapping[str, Any]


def as_markdown(document: Document) -> str:
    """Verdicts, what is missing, the annotated groups, and where to look further.

    Args:
        document: An audit document; what it withholds (None) stays withheld.
    """
    folder = Path(document["run"]["folder"]).absolute()
    lines = [
        f"# {_plain(document['name'])}: who is missing?",
        "",
        f"{document['data']['images']:,} images.",
        "",
        *(_verdict(found) for found in document["verdicts"]),
        "",
        *_shortfall(document["reference"]),
        *_groups(document["groups"]),
        *where(folder / "audit.html", document["run"]["mlflow"]),
    ]
    return "\n".join(lines)


def _verdict(found: Mapping[str, Any]) -> str:
    action = f" *What to do:* {_plain(found['action'])}" if found["action"] else ""
    return f"- **{_plain(found['sentence'])}**{action}"


def _shortfall(reference: Mapping[str, Any] | None) -> list[str]:
    """Regions that fall short of the reference, most missing first."""
    rows = [row for row in reference["regions"] if row["found"]] if reference else []
    if reference is None or not rows:
        return []
    headings = (
        "region", "images missing, each alone", "interval", "all together", "share here",
        "share in the reference",
    )  # fmt: skip
    cells = [
        (
            str(row["number"]), _count(row["missing"]),
            _span(row["missing_low"], row["missing_high"], _count),
            _count(row.get("missing_together"), "-"), _percent(row["share"]),
            _percent(row["reference_share"]),
        )
        for row in rows
    ]  # fmt: skip
    title = f"Missing beside {_plain(reference['name'])}:"
    return [title, "", *_table(headings, cells), ""]


def _groups(groups: Mapping[str, Any] | None) -> list[str]:
    """Annotated groups and crossings, those below their declared share first."""
    rows = list(_rows(groups)) if groups else []
    if not rows:
        return []
    headings = ("group", "images", "share", "interval", "declared", "reading", "missing")
    cells = [
        (
            _plain(row["group"]), _count(row["count"], "withheld"),
            _percent(row["share"], "withheld"),
            _span(row["low"], row["high"], _percent), _percent(row["declared"], "not declared"),
            READINGS.get(row["verdict"]) or STATES.get(row["state"], ""),
            _count(row["missing"], ""),
        )
        for row in sorted(rows, key=lambda row: row["verdict"] != "below")
    ]  # fmt: skip
    return ["Annotated groups:", "", *_table(headings, cells), ""]


def _rows(groups: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for attribute in groups["attributes"]:
        yield from attribute["rows"]
    yield from groups["crossings"]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows[:ROWS]]
    more = ["", f"{ROWS} of {len(rows)} rows; the page has all."] if len(rows) > ROWS else []
    return [*(f"| {' | '.join(line)} |" for line in lines), *more]


def _count(value: int | float | None, missing: str = "undefined") -> str:
    return missing if value is None else f"{value:,.0f}"


def _percent(value: int | float | None, missing: str = "undefined") -> str:
    return missing if value is None else f"{value:.1%}"


def _span(
    low: int | float | None, high: int | float | None, printed: Callable[[int | float], str]
) -> str:
    return "" if low is None or high is None else f"{printed(low)} to {printed(high)}"


def _plain(text: str) -> str:
    """Foreign text on one line that neither Markdown nor a browser reads as anything else."""
    kept = "".join(one for one in str(text) if unicodedata.category(one)[0] != "C" or one in "\n\t")
    line = " ".join(kept.split())
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return html.escape(MARKS.sub(r"\\\1", line), quote=False)
