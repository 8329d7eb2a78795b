"""The comparison in a few lines of Markdown, for places that show no HTML page."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from debias.report import audit_findings
from debias.report import blocks as b
from debias.report.arms import fairness_of
from debias.report.markdown import code, markdown, text
from debias.report.panels import Row, by_rate, of
from debias.report.readings import remark, why_no_number
from debias.report.run_page import summary


def as_markdown(document: Mapping[str, Any]) -> str:
    """Opening, arms, findings and what to do next, from the document of ``report.json``."""
    page = Path(document["run"]["folder"]).absolute() / "report.html"
    blocks = list(summary(document))[1:]  # the headline is the title
    steps = [block for block in blocks if isinstance(block, b.Step)]
    said = [block for block in blocks if not isinstance(block, b.Step)]
    title = f"# {text(document['name'])}: {text(document['opening']['headline'])}"
    lines = where(page, document["run"]["mlflow"])
    return "\n\n".join([title, markdown([*said, *_groups(document), *steps]), "\n".join(lines)])


def audit_as_markdown(document: Mapping[str, Any]) -> str:
    """Verdicts, what is missing, the annotated groups, and where to look further."""
    page = Path(document["run"]["folder"]).absolute() / "audit.html"
    title = f"# {text(document['name'])}: who is missing?"
    said = markdown(audit_findings.summary(document))
    return "\n\n".join([title, said, *where(page, document["run"]["mlflow"])])


def _groups(document: Mapping[str, Any]) -> Iterator[b.Block]:
    """Accuracy of every group under every arm with its interval, worst first."""
    fairness = fairness_of(document)
    rates = {arm: {row["group"]: row for row in of(one, "by_group", "accuracy")}
             for arm, one in fairness.items()}  # fmt: skip
    first = next(iter(fairness.values()))
    rows = sorted(of(first, "by_group", "accuracy"), key=by_rate)
    if not rows:
        return
    below = first["suppress_below"]
    yield b.Table(
        ("group", "images", *rates),
        tuple(
            b.Row((
                row["group"], b.Value(row["denominator"], "count", "withheld"),
                *(_rate(table[row["group"]], below) for table in rates.values()),
            ))
            for row in rows
        ),
        f"Accuracy of every group with {first['level']:.0%} intervals",
    )  # fmt: skip


def _rate(row: Row, below: object) -> b.Text:
    why = why_no_number("accuracy", row, below)
    interval = (" [", b.Value(row["low"], "percent"), ", ", b.Value(row["high"], "percent"), "]")
    known = () if row["value"] is None else (*interval, remark(row))
    return b.Value(row["value"], "percent", why), *known


def where(page: Path, address: str | None) -> list[str]:
    """Lines that say where a page lies and where the tracker shows it.

    A browser follows no link from a server's page to a file, so a path is there to be copied.

    Args:
        page: The file, on the machine that wrote it.
        address: Page of the tracked run, or path of the tracking store; None: not recorded.
    """
    if address is None or not address.startswith("http"):
        there = "not recorded" if address is None else code(address)
        return [f"{page.stem.capitalize()}: {code(page)}", "", f"MLflow: {there}"]
    of_one_run = re.fullmatch(r"\w+", address.rpartition("/runs/")[2])
    opens = f"[{page.name}]({address}/artifacts/{page.name}), " if of_one_run else ""
    return [
        f"{page.stem.capitalize()}: {opens}{code(page)}", "", f"MLflow: [recorded run]({address})"
    ]  # fmt: skip
