"""Which disease do training data have, as far as latents tell without any annotation.

A plain model that is asked about images it did not see errs where its data are poor: in a group of
which they hold too few, or wherever the label goes against the look that it mostly goes with. The
plain model here is a logistic regression on latents and pixels, cross-fitted. Its errors are looked
for in clusters of the latents, class by class. If a tenth of the images holds
several times the errors that chance would put there, most of them are either against the label of
their cluster, which is correlation, or not, which is rarity.

What the latents do not show is not found, so nothing is ever denied: where no part stands out, it
cannot be told. And where they show the label itself, as a good embedding
does, errors lie against the label of their cluster whatever the data: then it cannot be told.

``n`` training images, ``k`` latent dimensions.
"""

import warnings
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from debias.auditing.diagnosis import HALF, Diagnosis, Errors, Reading
from debias.statistics.crossfit import cross_fitted
from debias.statistics.intervals import Share, share_of

FOLDS, STARTS = 5, 4
CLUSTERS = 16
COMPONENTS = 128  # of the pixels, at most, and a tenth of the images
PART = 0.1  # most of the images that may explain the errors
LIFT = 3.0  # times the errors that chance puts there
TOLD = 0.6  # of the labels that latents may tell among images of one look; guessing tells half
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
    if reason := _too_little(latents, codes):
        return Diagnosis(reading="cannot_tell", reason=reason)
    wrong = _wrong(np.hstack([latents, _components(pixels)]), codes, seed)
    if reason := _uninformative(wrong, codes):
        return Diagnosis(reading="cannot_tell", reason=reason)
    clusters, generator = _clusters(latents, seed), np.random.default_rng(seed)
    errors = explained(clusters, codes, wrong, generator)
    if errors.against > HALF:
        rows = matched(clusters, codes, against_the_label(clusters, codes), generator)
        errors = replace(errors, told=_told(latents[rows], codes[rows], seed))
    reading, reason = _concluded(errors)
    return Diagnosis(reading=reading, reason=reason, errors=errors)


def _too_little(latents: Latent, codes: Codes) -> str:
    """Why nothing can be asked; empty where something can."""
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        return "single"
    if sizes.min() < FEWEST:
        return "too_few"
    return "" if latents.shape[1] else "no_latents"


def _uninformative(wrong: Mask, codes: Codes) -> str:
    """Why errors say nothing: there are none, as many as by guessing, or too many to stand out."""
    if not wrong.any():
        return "too_few_errors"
    guessed = len(codes) - np.bincount(codes).max()  # wrong, if the largest class is always named
    return "errs_too_often" if wrong.sum() >= min(len(codes) / LIFT, guessed) else ""


def _concluded(errors: Errors) -> tuple[Reading, str]:
    usual = LIFT * errors.chance
    if errors.share.high < usual:
        return "cannot_tell", "nothing_stands_out"
    if errors.share.low <= usual:
        return "cannot_tell", "too_few_errors"
    if errors.against <= HALF:
        return "rarity", ""
    is_look = errors.told is not None and errors.told.high <= TOLD
    return ("correlation", "") if is_look else ("cannot_tell", "shows_the_label")


def _components(pixels: Pixels) -> Latent:
    """Places of the images along the directions in which their pixels vary most."""
    from sklearn.decomposition import PCA

    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    width = min(COMPONENTS, len(flat) // 10, flat.shape[1])
    return PCA(width, svd_solver="randomized", random_state=0).fit_transform(flat)


def matched(clusters: Codes, codes: Codes, against: Mask, generator: np.random.Generator) -> Codes:
    """Rows of images against the label of their cluster, and of as many others of each cluster."""
    rows = []
    for cluster in np.unique(clusters[against]):
        here = clusters == cluster
        one, other = (
            generator.permutation(np.flatnonzero(here & of)) for of in (against, ~against)
        )
        size = min(len(one), len(other))
        rows += [one[:size], other[:size]]
    return np.concatenate(rows).astype(np.int64)


def _told(latents: Latent, codes: Codes, seed: int) -> Share | None:
    """How many labels the latents alone tell among them; None where a class has too few images."""
    present, codes = np.unique(codes, return_inverse=True)
    if len(present) < 2 or np.bincount(codes).min() < FEWEST:
        return None
    wrong = _wrong(latents, codes.astype(np.int64), seed)
    return share_of(int((~wrong).sum()), len(wrong))


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
