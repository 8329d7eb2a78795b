"""Which disease do training data have, as far as latents tell without any annotation.

A plain model that is asked about images it did not see errs where its data are poor: in a group of
which they hold too few, or wherever the label goes against the look that it mostly goes with. The
plain model here is a logistic regression on latents and pixels, cross-fitted. Its errors are looked
for in clusters of the latents, class by class. If a tenth of the images holds
several times the errors that chance would put there, most of them are either against the label of
their cluster, which is correlation, or not, which is rarity.

What the latents do not show is not found. And whether the look that a label goes with is the label
itself, as the shape of a digit is, no latents can tell.

``n`` training images, ``k`` latent dimensions.
"""

import warnings

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from debias.auditing.diagnosis import HALF, Diagnosis, Errors
from debias.statistics.crossfit import cross_fitted
from debias.statistics.intervals import share_of

FOLDS, STARTS = 5, 4
CLUSTERS = 16
COMPONENTS = 128  # of the pixels, at most, and a tenth of the images
PART = 0.1  # most of the images that may explain the errors
LIFT = 3.0  # times the errors that chance puts there
PERMUTATIONS = 200
FEWEST = 20  # images of a class

Codes = Int64[np.ndarray, " n"]
Mask = Bool[np.ndarray, " n"]
Latent = Float[np.ndarray, "n k"]
Pixels = UInt8[np.ndarray, "n H W C"]


def diagnose_unannotated(latents: Latent, pixels: Pixels, labels: Codes, seed: int) -> Diagnosis:
    """What the errors of a plain model say.

    Args:
        latents: Finite; dimensions that say something.
        pixels: Of the same images, made small.
        labels: Class index.
        seed: Of folds, clusters, halves and permutations.
    """
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        return Diagnosis(reading="cannot_tell", reason="single")
    if sizes.min() < FEWEST:
        return Diagnosis(reading="cannot_tell", reason="too_few")
    if not latents.shape[1]:
        return Diagnosis(reading="cannot_tell", reason="no_latents")
    wrong = _wrong(np.hstack([latents, _components(pixels)]), codes, seed)
    if wrong.mean() > min(1 / LIFT, 1 - sizes.max() / len(codes)):
        return Diagnosis(reading="cannot_tell", reason="errs_too_often")
    if not wrong.any():
        return Diagnosis(reading="cannot_tell", reason="too_few_errors")
    errors = explained(_clusters(latents, seed), codes, wrong, np.random.default_rng(seed))
    low, high = (limit - LIFT * errors.chance for limit in (errors.share.low, errors.share.high))
    if low <= 0 <= high:
        return Diagnosis(reading="cannot_tell", reason="too_few_errors", errors=errors)
    if high < 0:
        return Diagnosis(reading="neither", errors=errors)
    against = errors.against > HALF
    return Diagnosis(reading="correlation" if against else "rarity", errors=errors)


def _components(pixels: Pixels) -> Latent:
    """Places of the images along the directions in which their pixels vary most."""
    from sklearn.decomposition import PCA

    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    width = min(COMPONENTS, len(flat) // 10, flat.shape[1])
    return PCA(width, svd_solver="randomized", random_state=0).fit_transform(flat)


def _wrong(seen: Latent, codes: Codes, seed: int) -> Mask:
    """Which images a logistic regression that did not see them takes for another class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_fitted(model, seen, codes, folds=FOLDS, seed=seed % 2**32).held_out
    said = scores > 0 if scores.ndim == 1 else scores.argmax(axis=1)
    return np.asarray(said != codes)


def _clusters(latents: Latent, seed: int) -> Codes:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    found = KMeans(min(CLUSTERS, len(latents)), n_init=STARTS, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # copies of a few points
        return found.fit_predict(latents).astype(np.int64)


def explained(clusters: Codes, codes: Codes, wrong: Mask, generator: np.random.Generator) -> Errors:
    """The part of the errors in the cells, of cluster and class, that err most.

    They are chosen on one half of the images and counted on the other, each half in turn, so that
    the luck of the choice is not counted; at most a tenth of the half that chooses. What chance
    puts there comes of errors dealt out anew within each class. At least one answer is wrong.
    """
    cells = clusters * (codes.max() + 1) + codes
    first = generator.permutation(len(codes)) % 2 == 0
    chosen = _chosen(cells, wrong, first)
    dealt = []
    for _ in range(PERMUTATIONS):
        shuffled = _dealt(wrong, codes, generator)
        dealt.append(shuffled[_chosen(cells, shuffled, first)].sum() / wrong.sum())
    held = chosen & wrong
    return Errors(
        rate=float(wrong.mean()),
        images=float(chosen.mean()),
        share=share_of(int(held.sum()), int(wrong.sum())),
        chance=float(np.mean(dealt)),
        against=float(against_the_label(clusters, codes)[held].mean()) if held.any() else np.nan,
    )


def _chosen(cells: Codes, wrong: Mask, first: Mask) -> Mask:
    """Images of the cells that err most on the half that they are not in."""
    found = np.zeros(len(cells), bool)
    for seen in (first, ~first):
        size = np.bincount(cells[seen], minlength=cells.max() + 1)
        errors = np.bincount(cells[seen], wrong[seen], minlength=cells.max() + 1)
        # One image more of each, of the usual rate, so that cells of a few images come last.
        order = np.argsort(-(errors + wrong.mean()) / (size + 1), kind="stable")
        few = order[np.cumsum(size[order]) <= PART * seen.sum()]
        found |= ~seen & np.isin(cells, few)
    return found


def _dealt(wrong: Mask, codes: Codes, generator: np.random.Generator) -> Mask:
    """As many errors in each class, on images drawn at random."""
    found = np.empty_like(wrong)
    for code in range(codes.max() + 1):
        here = np.flatnonzero(codes == code)
        found[here] = wrong[generator.permutation(here)]
    return found


def against_the_label(clusters: Codes, codes: Codes) -> Mask:
    """Images of a class that has less than half an even share of their cluster.

    As though all classes were equally large.
    """
    counts = np.zeros((codes.max() + 1, clusters.max() + 1))
    np.add.at(counts, (codes, clusters), 1)
    within = counts / counts.sum(axis=1, keepdims=True)
    share = within / within.sum(axis=0).clip(min=np.finfo(float).tiny)
    return np.asarray(share[codes, clusters] < HALF / len(counts))
