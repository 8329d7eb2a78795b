"""The comparison in a few lines of Markdown, for places that show no HTML page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        f"Report: [{folder / 'report.html'}]({(folder / 'report.html').as_uri()})",
        "",
        f"MLflow: {_linked(document['run']['mlflow'])}",
    ]
    return "\n".join(lines)


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


def _linked(address: str | None) -> str:
    if address is None:
        return "not recorded"
    return f"[comparison]({address})" if address.startswith("http") else f"`{address}`"
