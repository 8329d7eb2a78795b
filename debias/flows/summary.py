"""The comparison in a few lines of Markdown, for places that show no HTML page."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import audit_findings
from debias.report.markdown import markdown, text

GROUPS = 24  # rows of the table of groups


def as_markdown(document: Mapping[str, Any]) -> str:
    """Opening, arms, findings and what to do next, from the document of ``report.json``."""
    folder = Path(document["run"]["folder"]).absolute()
    lines = [
        f"# {document['name']}: {document['opening']['headline']}",
        "",
        " ".join(document["opening"]["sentences"]),
        "",
        "| arm | accuracy | worst group | gap | weakest group |",
        "|---|---|---|---|---|",
        *(_row(arm, found["mean"]) for arm, found in document["arms"].items()),
        "",
        *(
            f"- Arm {arm!r} was left out: {why}."
            for arm, why in document.get("refused", {}).items()
        ),
        *(f"- {sentence}" for sentence in document["concluded"]),
        "",
        *_groups(document),
        *(
            f"- {step['why']} `{step['command'] or step['setting']}`"
            for step in document["opening"]["next"]
        ),
        "",
        *where(folder / "report.html", document["run"]["mlflow"]),
    ]
    return "\n".join(lines)


def audit_as_markdown(document: Mapping[str, Any]) -> str:
    """Verdicts, what is missing, the annotated groups, and where to look further."""
    page = Path(document["run"]["folder"]).absolute() / "audit.html"
    title = f"# {text(document['name'])}: who is missing?"
    said = markdown(audit_findings.summary(document))
    return "\n\n".join([title, said, *where(page, document["run"]["mlflow"])])


def _groups(document: Mapping[str, Any]) -> list[str]:
    """Accuracy of every group under every arm with its interval, worst first."""
    fairness = document["fairness"]
    rows = {arm: _accuracy(one) for arm, one in fairness.items()}
    first = next(iter(rows.values()), {})
    if not first:
        return []
    ordered = sorted(first, key=lambda group: _rank(first[group]))[:GROUPS]
    return [
        f"| group | images | {' | '.join(rows)} |",
        f"|---|---|{'---|' * len(rows)}",
        *(
            f"| {group} | {_images(first[group])} | "
            f"{' | '.join(_interval(table[group]) for table in rows.values())} |"
            for group in ordered
        ),
        "",
        f"Accuracy with {next(iter(fairness.values()))['level']:.0%} intervals"
        + (f"; {GROUPS} of {len(first)} groups." if len(first) > GROUPS else "."),
        "",
    ]


def _accuracy(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {row["group"]: row for row in report["by_group"] if row["metric"] == "accuracy"}


def _rank(row: Mapping[str, Any]) -> float:
    return 2.0 if row["value"] is None else float(row["value"])


def _images(row: Mapping[str, Any]) -> str:
    if row["denominator"] is None:
        return "withheld"
    return f"{row['denominator']:,.0f}"


def _interval(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return str(row["state"]).replace("_", " ")
    small = " (too small)" if row["state"] == "too_small" else ""
    return f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]{small}"


def _row(arm: str, mean: Mapping[str, Any]) -> str:
    accuracy = mean["accuracy"]
    cells = [_percent(accuracy[name]) for name in ("overall", "worst_group", "gap")]
    weakest = mean["extremes"].get("worst_group", "undefined")
    return f"| {arm} | {' | '.join(cells)} | {weakest} |"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"


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


def code(text: object) -> str:
    """Foreign text on one line, as it is, whatever marks it holds."""
    line = " ".join("".join(one if one.isprintable() else " " for one in str(text)).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
