"""Figures of the representation for a template."""

from collections.abc import Mapping
from typing import Any

from debias.report.run_page import how_described as how_described


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
