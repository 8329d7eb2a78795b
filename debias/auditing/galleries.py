"""The pictures by which one judges a trained VAE, and what it shows of a data set.

Each page is a sheet of equal pictures; what it means and what to do, for somebody who has never
seen a VAE, stands in ``report/audit.toml``. A page takes some 64 decoded pictures at most, the one
with a row for every dimension excepted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Shaped, UInt8

from debias.auditing.words import listed, say
from debias.density import active_dimensions
from debias.models import Decodes
from debias.models import galleries as generation
from debias.models.quality.bounds import nats_by_dimension
from debias.report import audit_document as doc
from debias.report.audit_findings import WORDS
from debias.report.words import attribute_name, words
from debias.seeding import numpy_generator
from debias.statistics.groupings import UNKNOWN, group_names
from debias.training.device import Compute
from debias.types import FaceStore, Latents

COLUMNS = 8  # pictures beside each other
BLOCKS = 2  # pairs of rows of originals and reconstructions
SIDE = 8  # of the sheet of all places
STEPS = 7  # of a walk
PAIRS = 6  # walks from one image to another
CANDIDATES = 64  # images among which the pairs are chosen
DIMENSIONS = 32  # rows of single dimensions
WORST = 24  # images named
ENOUGH = 30  # images on each side of a difference
VALUES = 6  # of one attribute
STRENGTHS = (0.0, 0.5, 1.0, 1.5)

Sheet = UInt8[np.ndarray, "rows columns H W 3"]
Rows = Int64[np.ndarray, " m"]
Means = Float[np.ndarray, "n k"]
Names = Shaped[np.ndarray, " n"]


Page = tuple[doc.Sheet, Sheet]


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentPages:
    """What the trained VAE draws of audited images, which are named by their position.

    The (n,) ``rows`` of the store are audited; ``latents`` are theirs, in their order, by this
    network in evaluation mode. ``seed`` decides which images are shown and what is drawn at random;
    without ``nats``, see :func:`debias.models.encoding.nats`, the page about them is left out.
    ``left_out`` has one sentence for each page that could not be made.
    """

    network: Decodes
    faces: FaceStore
    rows: Int64[np.ndarray, " n"]
    latents: Latents
    compute: Compute
    seed: int
    nats: Float64[np.ndarray, " n"] | None = None
    left_out: list[str] = field(default_factory=list)

    def pages(self) -> list[Page]:
        """Every page that these images allow, in reading order."""
        return [page for make in _PAGES for page in make(self)]

    def __len__(self) -> int:
        return len(self.rows)

    def generator(self, page: str) -> np.random.Generator:
        return numpy_generator(self.seed, f"audit/latent_pages/{page}")

    def originals(self, chosen: Rows) -> UInt8[np.ndarray, "m H W 3"]:
        return self.faces.images[self.rows[chosen]]

    def pairs(self, chosen: Rows) -> Sheet:
        """Rows of originals and, below each, of reconstructions."""
        mean, rows = self.latents.mean[chosen], self.rows[chosen]
        drawn = generation.redraw(self.network, mean, self.faces, rows, self.compute)
        both = np.stack([self.originals(chosen), drawn])
        columns = min(COLUMNS, len(chosen))
        blocks = both.reshape(2, -1, columns, *both.shape[2:]).swapaxes(0, 1)
        return blocks.reshape(-1, *blocks.shape[2:])


def anomalies(sample_ids: Names, nats: Float64[np.ndarray, " n"]) -> doc.Anomalies:
    """The images that the model explains worst, and how far they lie from the typical one."""
    order = np.argsort(-nats, kind="stable")[:WORST]
    median = float(np.median(nats))
    excess = float(nats[order[0]]) - median
    return {
        "median": median,
        "worst": [{"sample_id": str(sample_ids[i]), "nats": float(nats[i])} for i in order],
        "sentence": say("anomalies.worst", excess=excess),
    }


def _page(name: str, picture: Sheet, rows: list[str], number: str = "", **facts: object) -> Page:
    title, means, do = (
        WORDS["drawings"][name][part].format(**facts).rstrip() for part in ("title", "means", "do")
    )
    return doc.Sheet(name=f"{name}{number}", title=title, means=means, do=do, rows=rows), picture


def _reconstructions(source: LatentPages) -> Iterator[Page]:
    splits = source.faces.samples["split"].to_numpy()[source.rows]
    unseen = np.flatnonzero(splits != "train")
    enough = len(unseen) >= BLOCKS * COLUMNS
    candidates = unseen if enough else np.arange(len(source))
    # As many as fill whole rows, in random order.
    columns = min(COLUMNS, len(candidates))
    count = columns * min(BLOCKS, len(candidates) // columns)
    picture = source.pairs(source.generator("reconstructions").permutation(candidates)[:count])
    yield _page(
        "reconstructions", picture, ["originals", "reconstructions"] * (len(picture) // 2),
        which="that the model was not trained on" if enough else "of the data set",
        k=source.latents.mean.shape[1], active=int(active_dimensions(source.latents).sum()),
    )  # fmt: skip


def _extremes(source: LatentPages) -> Iterator[Page]:
    if source.nats is None or len(source) < 2:
        return
    order = np.argsort(-source.nats, kind="stable")
    count = min(COLUMNS, len(order) // 2)
    picture = np.concatenate([source.pairs(order[:count]), source.pairs(order[-count:])])
    rows = ["explained worst", "reconstructions", "explained best", "reconstructions"]
    yield _page("extremes", picture, rows)


def _samples(source: LatentPages) -> Iterator[Page]:
    if source.latents.log_var is None:  # points without a posterior have no prior to draw from
        return
    network, compute, count = source.network, source.compute, BLOCKS * COLUMNS
    size = count, source.latents.mean.shape[1]
    chance = generation.prior_samples(network, size, source.generator("prior"), compute)
    around = generation.posterior_samples(
        network, source.latents, count, source.generator("posterior"), compute
    )
    picture = np.concatenate([chance, around])
    rows = ["from chance"] * BLOCKS + ["near real images"] * BLOCKS
    yield _page("samples", picture.reshape(-1, COLUMNS, *picture.shape[1:]), rows)


def _manifold(source: LatentPages) -> Iterator[Page]:
    mean = source.latents.mean
    picture = generation.manifold(source.network, mean, SIDE, source.compute)
    name, held = ("one", "two", "plane")[min(mean.shape[1], 3) - 1], ""
    if name == "plane":
        variance = generation.principal_directions(mean)[1]
        total = float(variance.sum())
        held = f", {variance[:2].sum() / total:.0%} of all variation" if total else ""
    means = WORDS["drawings"]["manifold"][name].format(held=held)
    yield _page("manifold", picture, [], sheet=means)


def _traversals(source: LatentPages) -> Iterator[Page]:
    mean, information = source.latents.mean, nats_by_dimension(source.latents)
    # The dimension with most nats first; without a spread, by variance.
    order = np.argsort(-(mean.var(axis=0) if information is None else information), kind="stable")
    dimensions = order[active_dimensions(source.latents)[order]].tolist()
    if not dimensions:
        source.left_out.append("No dimension is shown on its own: none varies over these images.")
        return
    shown = dimensions[:DIMENSIONS]
    more = len(dimensions) - len(shown)
    rest = f"; {more} further ones that say less are left out" if more else ""
    nats = ["" if information is None else f", {information[d]:.2f} nats" for d in shown]
    rows = [f"dimension {d + 1}{said}" for d, said in zip(shown, nats, strict=True)]
    picture = generation.traverse(source.network, mean, shown, source.compute, STEPS)
    yield _page("traversals", picture, rows, rest=rest)


def _interpolation(source: LatentPages) -> Iterator[Page]:
    if len(source) < 2:
        return
    mean = source.latents.mean
    starts, ends = _far_pairs(mean, source.generator("interpolation"))
    paths = [
        generation.walk(source.network, mean[a], mean[b], STEPS, source.compute)
        for a, b in zip(starts, ends, strict=True)
    ]
    first, last = source.originals(starts)[:, None], source.originals(ends)[:, None]
    picture = np.concatenate([first, np.stack(paths), last], axis=1)
    yield _page("interpolation", picture, [f"pair {n}" for n in range(1, len(paths) + 1)])


def _far_pairs(
    mean: Means, generator: np.random.Generator
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """Pairs among images drawn at random, the farthest first; no image twice."""
    from scipy.spatial.distance import pdist

    chosen = generator.permutation(len(mean))[:CANDIDATES]
    one, other = np.triu_indices(len(chosen), 1)
    taken: list[int] = []
    for pair in np.argsort(-pdist(mean[chosen]), kind="stable"):
        ends = int(one[pair]), int(other[pair])
        if len(taken) < 2 * PAIRS and not set(ends) & set(taken):
            taken += ends
    return chosen[taken[::2]], chosen[taken[1::2]]


def _arithmetic(source: LatentPages) -> Iterator[Page]:
    """A page for each annotated attribute that two values or more share well enough."""
    groups = source.faces.groups(source.rows)
    for number, attribute in enumerate(source.faces.attributes, start=1):
        names, title = group_names(groups[attribute]), attribute_name(attribute)
        usable, too_few = _usable(names)
        if not usable:
            reason = _left_out(too_few, []) or "No two values are annotated."
            source.left_out.append(f"Latent arithmetic with {title} is left out. {reason}")
            continue
        generator = source.generator(f"arithmetic/{attribute}")
        changes = [_changed(source, names, value, generator) for value in usable[:VALUES]]
        labels = zip(usable, changes, strict=False)
        yield _page(
            "arithmetic", np.concatenate(changes),
            [f"+ {words(value)}" for value, change in labels for _ in change],
            f"_{number}", attribute=title, left_out=_left_out(too_few, usable[VALUES:]),
            strengths=", ".join(f"{strength:g}" for strength in STRENGTHS),
        )  # fmt: skip


def _usable(names: Names) -> tuple[list[str], list[str]]:
    """Values with enough images on both sides, most frequent first, and those with too few."""
    counts = pd.Series(names[names != UNKNOWN]).value_counts().sort_index()
    if len(counts) < 2:
        return [], []
    # Some of the images without the value are shown, and must not be among those averaged.
    most = counts.sum() - ENOUGH - COLUMNS
    enough = (counts >= ENOUGH) & (counts <= most)
    by_count = counts[enough].sort_values(ascending=False, kind="stable")
    return by_count.index.tolist(), counts.index[~enough].tolist()


def _changed(
    source: LatentPages, names: Names, value: str, generator: np.random.Generator
) -> Sheet:
    """Faces without the value, in neither mean, with more and more of what goes with it."""
    mean, has, lacks = source.latents.mean, names == value, (names != UNKNOWN) & (names != value)
    each = max(2, COLUMNS // len(np.unique(names)))
    shown = generator.permutation(np.flatnonzero(lacks))[:each]
    lacks[shown] = False
    vector = generation.attribute_vector(mean, has, lacks)
    drawn = generation.shifted(source.network, mean[shown], vector, STRENGTHS, source.compute)
    return np.concatenate([source.originals(shown)[:, None], drawn], axis=1)


def _left_out(too_few: Sequence[str], rarer: Sequence[str]) -> str:
    """Sentences about the values that have no row; empty where each has."""
    reasons = (
        (too_few, f"too few images (at least {ENOUGH} with and {ENOUGH + COLUMNS} without it)"),
        (rarer, f"only the {VALUES} most frequent values are shown"),
    )
    return " ".join(
        f"Left out, {why}: {listed(values, VALUES)}." for values, why in reasons if values
    )


_PAGES: tuple[Callable[[LatentPages], Iterator[Page]], ...] = (
    _reconstructions, _extremes, _samples, _manifold, _traversals, _interpolation, _arithmetic,
)  # fmt: skip
