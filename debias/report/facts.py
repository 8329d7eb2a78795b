"""What went into a run: the data, the representation and the weights, as rows of the page."""

from collections.abc import Mapping
from typing import Any

from debias.report.arms import arms_of
from debias.report.board import Document, View, arms
from debias.report.story import auc_reading, ratio_sentences, weight_sentences
from debias.report.tables import paged
from debias.report.words import (
    TIMES,
    arm_name,
    attribute_name,
    full_group_name,
    group_name,
    is_number,
    number,
    words,
)
from debias.types import BASELINE


def run_facts(document: Document) -> list[tuple[str, str]]:
    """What was run, in a dozen short lines."""
    run, data = document["run"], document["data"]
    size = data["image_size"]
    threads = f"{run['threads']} thread{'' if run['threads'] == 1 else 's'}"
    sizes = ", ".join(f"{number(count, 'count')} {split}" for split, count in data["n"].items())
    seconds = run["seconds"]
    spent = sum(value for value in seconds.values() if is_number(value))
    return [
        ("Data set", f"{data['name']}, {size} {TIMES} {size} pixels"),
        ("Images", sizes),
        ("Task", f"{words(data['label'])}: {' or '.join(map(str, data['classes']))}"),
        ("Attributes", ", ".join(map(words, data["attributes"])) or "none annotated"),
        ("Compared", ", ".join(arm_name(arm) for arm in arms_of(document))),
        ("Seeds", f"{run['seeds']} for each"),
        ("Machine", f"{run['device']}, {run['precision']}, {threads}"),
        ("Time", number(spent, "seconds") if seconds else "not recorded"),
        ("Folder", str(run["folder"])),
    ]


def group_counts(document: Document) -> list[View]:
    """Training and test images by group, by attribute, rarest first."""
    found: dict[str, list[View]] = {}
    for row in document["data"]["groups"]:
        short = group_name(row["attribute"], row["group"])
        found.setdefault(row["attribute"], []).append({**row, "short": short})
    return [
        {"title": attribute_name(name), "pages": list(paged(sorted(rows, key=_train_size)))}
        for name, rows in found.items()
    ]


def _train_size(row: View) -> float:
    return float(row["train"]) if is_number(row["train"]) else -1.0


def how_described(facts: Mapping[str, Any]) -> str:
    """Where the numbers come from by which faces are compared."""
    known = {
        "encoder": "An encoder made elsewhere described the faces; what it was trained on, and "
        "with which labels, is not known here.",
        "embeddings": "The faces are described by embeddings made elsewhere; what these were "
        "trained on, and with which labels, is not known here.",
    }
    learned = "A model first learned to describe the faces without being told anything about them."
    return known.get(str(facts.get("name")), learned)


def representation_facts(facts: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Label, value and kind of each figure of the representation."""
    listed = (
        ("epochs", "epochs of training", "count"),
        ("elbo", "evidence lower bound, nats an image", "plain"),
        ("reconstruction", "reconstruction part, nats", "plain"),
        ("kl", "divergence from the prior, nats", "plain"),
        ("bits_per_dimension", "bits per pixel value", "plain"),
        ("sigma", "noise the decoder assumes", "plain"),
        ("saturated_log_var", "log-variances at their limit", "plain"),
    )
    return [(label, facts.get(key), kind) for key, label, kind in listed if key in facts]


def weights(document: Document) -> list[View]:
    """What each arm's weights did, in words and by group."""
    train = document["data"]["n"].get("train")
    return [
        {
            **arm,
            "uses_groups": bool(facts.get("uses_groups")) and not facts.get("estimated"),
            "ratio": ratio_sentences(facts.get("ratio")),
            "rule": words(str(facts.get("rule"))),
            "said": weight_sentences(facts, train),
            "settings": _settings(facts),
            "shares": _share_rows(facts),
            "auc": _auc_rows(facts),
            "warnings": facts.get("warnings") or [],
        }
        for arm in arms(document)
        if arm["arm"] != BASELINE and (facts := document["weights"].get(arm["arm"]))
    ]


def _settings(facts: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    rows: list[tuple[str, Any, str]] = [
        ("tempering exponent tau", facts.get("tau"), "plain"),
        ("smoothing alpha", facts.get("alpha"), "plain"),
        ("images capped", facts.get("capped"), "count"),
    ]
    dropped = facts.get("dropped_dimensions")
    listed = ", ".join(map(str, dropped or ())) or "none"
    known = [row for row in rows if row[1] is not None]
    return known if dropped is None else [*known, ("latent dimensions left out", listed, "text")]


def _share_rows(facts: Mapping[str, Any]) -> list[View]:
    rows = [
        {"random_low": None, "random_high": None, **share, **_names(group)}
        for group, share in (facts.get("share_by_group") or {}).items()
    ]
    return sorted(rows, key=lambda row: row["before"] if is_number(row["before"]) else 2.0)


def _names(group: str) -> View:
    return {"group": full_group_name(group), "full": group}


def _auc_rows(facts: Mapping[str, Any]) -> list[View]:
    rows = [
        {
            **found,
            **_names(group),
            "reading": auc_reading(found["low"], found["high"]),
        }
        for group, found in (facts.get("auc_by_group") or {}).items()
    ]
    return sorted(rows, key=lambda row: -row["auc"] if is_number(row["auc"]) else 1.0)
