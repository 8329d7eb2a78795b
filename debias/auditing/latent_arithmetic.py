"""The latent page on which what goes with an annotation is added to other faces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Shaped, UInt8

from debias.auditing.latent_source import COLUMNS, LatentPage, LatentSource
from debias.models import galleries as generation
from debias.report.words import attribute_name, words
from debias.statistics.groupings import UNKNOWN, group_names

ENOUGH = 30  # images on each side of a difference
VALUES = 6  # of one attribute
STRENGTHS = (0.0, 0.5, 1.0, 1.5)


def arithmetic(source: LatentSource) -> Iterator[LatentPage]:
    """A page for each annotated attribute that two values or more share well enough."""
    groups = source.faces.groups(source.rows)
    for number, attribute in enumerate(source.faces.attributes, start=1):
        names = group_names(groups[attribute])
        usable, too_few = _usable(names)
        if usable:
            generator = source.generator(f"arithmetic/{attribute}")
            changes = [_change(names, value, generator) for value in usable[:VALUES]]
            unshown = _left_out(too_few, usable[VALUES:])
            yield _page(source, f"arithmetic_{number}", attribute, changes, unshown)
        else:
            reason = _left_out(too_few, []) or "No two values are annotated."
            source.left_out.append(
                f"Latent arithmetic with {attribute_name(attribute)} is left out. {reason}"
            )


@dataclass(frozen=True, eq=False)
class _Change:
    value: str
    has: Bool[np.ndarray, " n"]
    lacks: Bool[np.ndarray, " n"]
    shown: Int64[np.ndarray, " m"]  # faces without the value, in neither mean


def _page(
    source: LatentSource, name: str, attribute: str, changes: Sequence[_Change], unshown: str
) -> LatentPage:
    strengths = ", ".join(f"{strength:g}" for strength in STRENGTHS)
    means = (
        "The mean place of the images annotated with a value, less that of all others, is added "
        "to faces that neither mean contains: first the image, then with "
        f"{strengths} times the difference."
    )
    return LatentPage(
        name=name,
        title=f"Adding what goes with {attribute_name(attribute)}",
        means=f"{means} {unshown}".rstrip(),
        do="Where nothing changes, the model hardly sees this annotation and no figure from the "
        "latent space can speak for it; where light, background or hair change too, these data "
        "tie them to it: collect images in which they do not go together.",
        rows=[f"+ {words(change.value)}" for change in changes for _ in change.shown],
        picture=np.concatenate([_applied(source, change) for change in changes]),
    )


def _usable(names: Shaped[np.ndarray, " n"]) -> tuple[list[str], list[str]]:
    """Values with enough images on both sides, most frequent first, and those with too few."""
    counts = pd.Series(names[names != UNKNOWN]).value_counts().sort_index()
    if len(counts) < 2:
        return [], []
    # Some of the images without the value are shown, and must not be among those averaged.
    most = counts.sum() - ENOUGH - COLUMNS
    enough = (counts >= ENOUGH) & (counts <= most)
    by_count = counts[enough].sort_values(ascending=False, kind="stable")
    return by_count.index.tolist(), counts.index[~enough].tolist()


def _change(names: Shaped[np.ndarray, " n"], value: str, generator: np.random.Generator) -> _Change:
    each = max(2, COLUMNS // len(np.unique(names)))
    lacks = (names != UNKNOWN) & (names != value)
    shown = generator.permutation(np.flatnonzero(lacks))[:each]
    lacks[shown] = False
    return _Change(value, names == value, lacks, shown)


def _left_out(too_few: Sequence[str], rarer: Sequence[str]) -> str:
    """Sentences about the values that have no row; empty where each has."""
    reasons = (
        (too_few, f"too few images (at least {ENOUGH} with and {ENOUGH + COLUMNS} without it)"),
        (rarer, f"only the {VALUES} most frequent values are shown"),
    )
    return " ".join(f"Left out, {why}: {_listed(values)}." for values, why in reasons if values)


def _listed(values: Sequence[str]) -> str:
    more = len(values) - VALUES
    return ", ".join(values[:VALUES]) + (f" and {more} more" if more > 0 else "")


def _applied(source: LatentSource, change: _Change) -> UInt8[np.ndarray, "m columns H W 3"]:
    mean = source.latents.mean
    vector = generation.attribute_vector(mean, change.has, change.lacks)
    drawn = generation.shifted(
        source.network, mean[change.shown], vector, STRENGTHS, source.compute
    )
    return np.concatenate([source.originals(change.shown)[:, None], drawn], axis=1)
