"""The comparison in a few lines of Markdown, for places that show no HTML page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_markdown(document: Mapping[str, Any]) -> str:
    """Arms, findings and where to look further, from the document of ``report.json``."""
    folder = Path(document["run"]["folder"]).absolute()
    lines = [
        f"# {document['name']}: {document['data']['label']}",
        "",
        "| arm | accuracy | worst group | gap | weakest group |",
        "|---|---|---|---|---|",
        *(_row(arm, found["mean"]) for arm, found in document["arms"].items()),
        "",
        *(f"- {sentence}" for sentence in document["concluded"]),
        "",
        f"Report: [{folder / 'report.html'}]({(folder / 'report.html').as_uri()})",
        "",
        f"MLflow: {_linked(document['run']['mlflow'])}",
    ]
    return "\n".join(lines)


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
