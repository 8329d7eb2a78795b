"""The pictures by which one judges a trained VAE, and what it shows of a data set.

Each page is a sheet of equal pictures with one sentence that says what it shows and one that says
what to do, for somebody who has never seen a VAE. A page takes some 64 decoded pictures at most,
the one with a row for every dimension excepted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped, UInt8

from debias.auditing.latent_arithmetic import arithmetic
from debias.auditing.latent_source import COLUMNS, LatentPage, LatentSource
from debias.density import active_dimensions
from debias.models import Decodes
from debias.models import galleries as generation
from debias.training.device import Compute
from debias.types import FaceStore, Latents

BLOCKS = 2  # pairs of rows of originals and reconstructions
SIDE = 8  # of the sheet of all places
STEPS = 7  # of a walk
PAIRS = 6  # walks from one image to another
CANDIDATES = 64  # images among which the pairs are chosen
DIMENSIONS = 32  # rows of single dimensions
WORST = 24  # images named


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentPages:
    """What the trained VAE draws.

    Attributes:
        pages: For each page ``name``, ``title``, ``means``, ``do`` and ``rows``, the labels of
            its rows, empty where the picture is one sheet; in reading order.
        pictures: Page name: (rows, columns, H, W, 3).
        left_out: One sentence for each page that could not be made.
    """

    pages: list[dict[str, Any]]
    pictures: dict[str, UInt8[np.ndarray, "rows columns H W 3"]]
    left_out: tuple[str, ...]


def latent_pages(  # noqa: PLR0913 (one call; what is scored elsewhere may be missing)
    network: Decodes,
    faces: FaceStore,
    rows: Int64[np.ndarray, " n"],
    latents: Latents,
    compute: Compute,
    *,
    seed: int,
    nats: Float64[np.ndarray, " n"] | None = None,
) -> LatentPages:
    """Every page that these images allow.

    Args:
        network: Trained, in evaluation mode.
        faces: Store.
        rows: (n,), rows of the store that are audited.
        latents: Of these rows, in their order, by this network.
        compute: Where to decode.
        seed: Decides which images are shown and what is drawn at random.
        nats: (n,), see :func:`debias.models.galleries.nats`; None leaves out the page about it.

    Raises:
        ValueError: The latents are not those of the rows, or the network is in training mode.
    """
    if not np.array_equal(faces.ids(rows), latents.sample_ids):
        raise ValueError("the latents do not belong to these rows of the store, in this order")
    source = LatentSource(
        network=network,
        faces=faces,
        rows=rows,
        latents=latents,
        compute=compute,
        seed=seed,
        nats=nats,
    )
    pages = [page for make in _PAGES for page in make(source)]
    return LatentPages(
        pages=[page.entry() for page in pages],
        pictures={page.name: page.picture for page in pages},
        left_out=tuple(source.left_out),
    )


def anomalies(
    sample_ids: Shaped[np.ndarray, " n"], nats: Float64[np.ndarray, " n"]
) -> dict[str, Any]:
    """The images that the model explains worst, and how far they lie from the typical one."""
    order = np.argsort(-nats, kind="stable")[:WORST]
    median = float(np.median(nats))
    excess = float(nats[order[0]]) - median
    return {
        "median": median,
        "worst": [{"sample_id": str(sample_ids[i]), "nats": float(nats[i])} for i in order],
        "sentence": f"The image that the model explains worst costs it {excess:,.0f} nats more "
        "than a typical one. Images like these are often damaged, oddly cropped, strong in "
        "contrast or no faces; some show people whom the model has met too seldom: look at each "
        "before removing any.",
    }


def _reconstructions(source: LatentSource) -> Iterator[LatentPage]:
    splits = source.faces.samples["split"].to_numpy()[source.rows]
    unseen = np.flatnonzero(splits != "train")
    enough = len(unseen) >= BLOCKS * COLUMNS
    candidates = unseen if enough else np.arange(len(source))
    picture = source.pairs(_some(candidates, source.generator("reconstructions")))
    active, k = int(active_dimensions(source.latents).sum()), source.latents.mean.shape[1]
    which = "that the model was not trained on" if enough else "of the data set"
    yield LatentPage(
        name="reconstructions",
        title="What the model keeps of an image",
        means=f"Originals drawn at random from the images {which} and, below each, what the model "
        f"draws after it has reduced the image to {k} numbers, of which {active} are in use.",
        do="What is missing below (a detail, a background, an expression) is invisible to every "
        "figure that rests on the latent space; if the lower faces do not resemble the upper "
        "ones, train longer or raise representation.model.latent_dim before believing any.",
        rows=["originals", "reconstructions"] * (len(picture) // 2),
        picture=picture,
    )


def _extremes(source: LatentSource) -> Iterator[LatentPage]:
    if source.nats is None or len(source) < 2:
        return
    order = np.argsort(-source.nats, kind="stable")
    count = min(COLUMNS, len(order) // 2)
    picture = np.concatenate([source.pairs(order[:count]), source.pairs(order[-count:])])
    yield LatentPage(
        name="extremes",
        title="Images that the model explains worst and best",
        means="Above, the images that surprise the model most, with what it makes of them; "
        "below, those that surprise it least, which are often low in contrast.",
        do="Look through the upper originals for files that are damaged, cropped or no faces and "
        "take those out; of the others, strong contrast and unusual light rank high whoever is "
        "shown, so collect more people like these only where the thin regions say so too.",
        rows=["explained worst", "reconstructions", "explained best", "reconstructions"],
        picture=picture,
    )


def _samples(source: LatentSource) -> Iterator[LatentPage]:
    if source.latents.log_var is None:  # points without a posterior have no prior to draw from
        return
    network, compute, count = source.network, source.compute, BLOCKS * COLUMNS
    size = count, source.latents.mean.shape[1]
    chance = generation.prior_samples(network, size, source.generator("prior"), compute)
    around = generation.posterior_samples(
        network, source.latents, count, source.generator("posterior"), compute
    )
    picture = np.concatenate([chance, around])
    yield LatentPage(
        name="samples",
        title="Faces that the model invents",
        means="The upper rows are drawn from pure chance (the prior), the lower rows from places "
        "near those of real images (the aggregated posterior); a model that has learned the data "
        "set as a whole draws both alike.",
        do="If the upper rows look less like faces, or like another crowd, the images fill the "
        "latent space otherwise than the model assumes: show no invented face as a picture of the "
        "data set, and train longer or raise representation.model.beta to bring the two together.",
        rows=["from chance"] * BLOCKS + ["near real images"] * BLOCKS,
        picture=picture.reshape(-1, COLUMNS, *picture.shape[1:]),
    )


def _manifold(source: LatentSource) -> Iterator[LatentPage]:
    mean = source.latents.mean
    picture = generation.manifold(source.network, mean, SIDE, source.compute)
    yield LatentPage(
        name="manifold",
        title="The latent space on one sheet",
        means=_sheet_means(mean),
        do="Look for whom you would expect and do not find: a kind of face that has no place here "
        "is too rare, or too small a part of what the images differ in, for the model to set "
        "aside a region for it; see the thin regions.",
        rows=[],
        picture=picture,
    )


def _sheet_means(mean: Float[np.ndarray, "n k"]) -> str:
    if mean.shape[1] == 1:
        return "All that the model can draw, in the order of its one dimension."
    if mean.shape[1] == 2:
        return (
            "All that the model can draw, laid out by its two dimensions: neighbours on the sheet "
            "are neighbours in the latent space."
        )
    variance = generation.principal_directions(mean)[1]
    total = float(variance.sum())
    held = f", {variance[:2].sum() / total:.0%} of all variation" if total else ""
    return (
        "What the model draws across the two directions in which the images differ most"
        f"{held}: the first runs to the right, the second upwards, each from the 5th to the 95th "
        "percentile of the images."
    )


def _traversals(source: LatentSource) -> Iterator[LatentPage]:
    dimensions, information = _most_informative(source.latents)
    if not len(dimensions):
        source.left_out.append("No dimension is shown on its own: none varies over these images.")
        return
    shown = dimensions[:DIMENSIONS].tolist()
    mean = source.latents.mean
    more = len(dimensions) - len(shown)
    rest = f"; {more} further ones that say less are left out" if more else ""
    yield LatentPage(
        name="traversals",
        title="What each dimension changes",
        means="Each row moves one dimension from low to high (1st to 99th percentile) while the "
        "others stay at their mean; the dimension that says most about an image, in nats, comes "
        f"first{rest}.",
        do="Name what each row changes: where it is light, background or framing rather than "
        "the person, a thin region along it lacks photographs of a kind, not people.",
        rows=[_dimension_label(d, information) for d in shown],
        picture=generation.traverse(source.network, mean, shown, source.compute, STEPS),
    )


def _most_informative(
    latents: Latents,
) -> tuple[Int64[np.ndarray, " d"], Float64[np.ndarray, " k"] | None]:
    """Active dimensions, the one with most nats first; without a spread, by variance."""
    information = generation.nats_by_dimension(latents)
    ranked_by = latents.mean.var(axis=0) if information is None else information
    order = np.argsort(-ranked_by, kind="stable")
    return order[active_dimensions(latents)[order]], information


def _dimension_label(dimension: int, information: Float64[np.ndarray, " k"] | None) -> str:
    nats = "" if information is None else f", {information[dimension]:.2f} nats"
    return f"dimension {dimension + 1}{nats}"


def _interpolation(source: LatentSource) -> Iterator[LatentPage]:
    if len(source) < 2:
        return
    mean = source.latents.mean
    starts, ends = _far_pairs(mean, source.generator("interpolation"))
    paths = [
        generation.walk(source.network, mean[a], mean[b], STEPS, source.compute)
        for a, b in zip(starts, ends, strict=True)
    ]
    first, last = source.originals(starts)[:, None], source.originals(ends)[:, None]
    yield LatentPage(
        name="interpolation",
        title="From one image to another",
        means="Each row walks in a straight line through the latent space between two images far "
        "apart; the first and the last picture are the images themselves.",
        do="Steps that change little by little and stay faces mean that near in this space is "
        "alike to the eye; where the middle fades or doubles, trust which images are neighbours, "
        "but not how far apart distant ones are.",
        rows=[f"pair {number}" for number in range(1, len(paths) + 1)],
        picture=np.concatenate([first, np.stack(paths), last], axis=1),
    )


def _far_pairs(
    mean: Float[np.ndarray, "n k"], generator: np.random.Generator
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


def _some(
    candidates: Int64[np.ndarray, " n"], generator: np.random.Generator
) -> Int64[np.ndarray, " m"]:
    """As many as fill whole rows, in random order."""
    columns = min(COLUMNS, len(candidates))
    blocks = min(BLOCKS, len(candidates) // columns)
    return generator.permutation(candidates)[: blocks * columns]


_PAGES: tuple[Callable[[LatentSource], Iterator[LatentPage]], ...] = (
    _reconstructions,
    _extremes,
    _samples,
    _manifold,
    _traversals,
    _interpolation,
    arithmetic,
)
