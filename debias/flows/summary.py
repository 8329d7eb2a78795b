"""The comparison in a few lines of Markdown, for places that show no HTML page."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import audit_findings, study_page
from debias.report import blocks as b
from debias.report.audit_document import Document
from debias.report.documents import RunDocument
from debias.report.for_whom import rate_table
from debias.report.markdown import code, markdown, text
from debias.report.run_page import summary
from debias.report.study_document import Study


def as_markdown(document: RunDocument) -> str:
    """Opening, arms, findings, groups and what to do next, from the document of ``report.json``."""
    _, *blocks = summary(document)  # the headline is the title
    steps = [block for block in blocks if isinstance(block, b.Step)]
    said = [block for block in blocks if not isinstance(block, b.Step)]
    groups = rate_table(document, "accuracy")
    return _whole(
        document["run"], f"{text(document['name'])}: {text(document['opening']['headline'])}",
        markdown([*said, *([groups] if groups.rows else []), *steps]), "report.html",
    )  # fmt: skip


def audit_as_markdown(document: Document) -> str:
    """Verdicts, what is missing, the annotated groups, and where to look further."""
    said = markdown(audit_findings.summary(document))
    return _whole(document["run"], f"{text(document['name'])}: who is missing?", said, "audit.html")


def study_as_markdown(document: Study) -> str:
    """Which representation finds the rare groups, and the first figures of each."""
    _, *said = study_page.summary(document)  # the headline is the title
    heading = f"{text(document['name'])}: {text(study_page.headline(document))}"
    return _whole(document["run"], heading, markdown(said), "study.html")


def _whole(run: Mapping[str, Any], title: str, said: str, page: str) -> str:
    lines = where(Path(run["folder"]).absolute() / page, run["mlflow"])
    return "\n\n".join([f"# {title}", said, "\n".join(lines)])


def where(page: Path, address: str | None) -> list[str]:
    """Lines that say where a page lies and where the tracker shows it.

    A browser follows no link from a server's page to a file, so a path is there to be copied.

    Args:
        page: The file, on the machine that wrote it.
        address: Page of the tracked run, or path of the tracking store; None: not recorded.
    """
    title = page.stem.capitalize()
    if address is None or not address.startswith("http"):
        there = "not recorded" if address is None else code(address)
        return [f"{title}: {code(page)}", "", f"MLflow: {there}"]
    of_one_run = re.fullmatch(r"\w+", address.rpartition("/runs/")[2])
    opens = f"[{page.name}]({address}/artifacts/{page.name}), " if of_one_run else ""
    return [f"{title}: {opens}{code(page)}", "", f"MLflow: [recorded run]({address})"]
