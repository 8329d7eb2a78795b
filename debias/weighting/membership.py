"""From a few annotated samples to everybody's probable group.

``n`` samples, ``k`` latent dimensions, ``g`` groups, ``m`` some of the samples.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from scipy.special import log_softmax, softmax

from debias.errors import DataError, WeightError
from debias.statistics.crossfit import CrossFit, cross_fitted
from debias.types import ROWS_AT_ONCE

STRENGTHS = tuple(np.logspace(-4, 1, 6).tolist())  # inverse penalties, flattest model first
# Nats a sample by which shares of each class must explain the samples better. Latents that tell
# classes apart gain some by chance: 0.05 on faces where label and group do not go together, 0.14
# where they do for 95 %.
WORTHWHILE = 0.1
ABSENT = 5  # annotated samples of a group in other classes that make none in this one telling
SHARE_ROWS = 100_000  # a handful of shares need no more


def cross_fitted_membership(
    z: Float[np.ndarray, "n k"],
    groups: Shaped[np.ndarray, " _"],
    labels: Int64[np.ndarray, " n"] | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
) -> Float64[np.ndarray, "n g"]:
    """Probability (n, g) of each group, learned from the annotated samples; columns by sorted name.

    Logistic regression on standardised latents, with the penalty that predicts left-out samples
    best. Annotated samples are scored by the model that did not see them, the others by the mean of
    all fold models; see :func:`calibrated_membership` for what makes probabilities of the scores.

    Args:
        z: (n, k), finite, may be memory-mapped.
        groups: (n,) text, empty where nobody said.
        labels: (n,), class index; None for a single class.
        folds: Left-out parts; fewer when a group has fewer annotated samples.
        seed: Of the folds.

    Raises:
        DataError: Latents and groups of different lengths.
        WeightError: Fewer than two groups, or a group with a single annotated sample.
    """
    from sklearn.preprocessing import StandardScaler

    known = groups != ""
    codes, counts = _annotated(z, groups, known)
    scaler = StandardScaler()
    for rows in _pieces(np.arange(len(z))):
        scaler.partial_fit(np.asarray(z[rows], dtype=np.float64))
    fitted = fitted_groups(scaler.transform(z[known]), codes, folds=folds, seed=seed)
    logits = np.empty((len(z), len(counts)))
    logits[known] = fitted.held_out
    for rows in _pieces(np.flatnonzero(~known)):
        scaled = scaler.transform(z[rows])
        logits[rows] = np.mean([m.predict_log_proba(scaled) for m in fitted.models], axis=0)
    return calibrated_membership(logits, groups, labels, seed=seed)


def fitted_groups(
    scaled: Float[np.ndarray, "m k"], codes: Int64[np.ndarray, " m"], *, folds: int, seed: int
) -> CrossFit:
    """Cross-fitted logistic regression, with the penalty that predicts left-out samples best."""
    from sklearn.linear_model import LogisticRegression

    fits = (
        cross_fitted(
            LogisticRegression(C=strength, max_iter=500),
            scaled, codes, folds=folds, seed=seed, method="predict_log_proba",
        )
        for strength in STRENGTHS
    )  # fmt: skip
    return min(fits, key=lambda one: one.loss(codes))


def calibrated_membership(
    logits: Float64[np.ndarray, "n g"],
    groups: Shaped[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"] | None = None,
    *,
    seed: int = 0,
) -> Float64[np.ndarray, "n g"]:
    """Probability of each group from scores that no model gave to a sample it had seen.

    One temperature and one offset a group, fitted to the annotated samples, make the scores
    (n, g) probabilities. Who was annotated need not be who is there: the shares of the groups are
    estimated from all samples. Where label and group go together, so that shares of each class by
    itself explain the samples better, those are used, and a group of which a class has no annotated
    sample has no share in it; where they do not, the classes together give steadier shares.
    ``seed`` picks samples when there are very many.

    Reference:
        Saerens, Latinne, Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori
        Probabilities, for the shares (EM). Alexandari, Kundaje, Shrikumar 2020, Maximum Likelihood
        with Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation, for temperature
        and offsets. Deviation: annotated samples count for their own group in the shares.
    """
    known = groups != ""
    codes, _ = _annotated(logits, groups, known)
    even = even_membership(logits, logits[known], codes)
    return restated(even, labels, known, codes, seed=seed)


def even_membership(
    logits: Float64[np.ndarray, "n g"],
    held_out: Float64[np.ndarray, "m g"],
    codes: Int64[np.ndarray, " m"],
) -> Float64[np.ndarray, "n g"]:
    """Probability of each group if all were equally common.

    Scores are calibrated by those of the annotated samples, ``held_out``, whose groups are
    ``codes``.
    """
    member = softmax(_calibrated(logits, _calibration(held_out, codes)), axis=1)
    counts = np.bincount(codes, minlength=logits.shape[1])
    return _under(member, counts, np.ones(len(counts)))


def restated(
    even: Float64[np.ndarray, "n g"],
    labels: Int64[np.ndarray, " n"] | None,
    known: Bool[np.ndarray, " n"] | None = None,
    codes: Int64[np.ndarray, " m"] | None = None,
    *,
    seed: int = 0,
) -> Float64[np.ndarray, "n g"]:
    """The same under the shares that the groups have here, in each class where that is better.

    ``known`` marks samples whose groups are ``codes``; None of them by default.
    """
    groups, whole = even.shape[1], np.zeros(len(even), dtype=np.int64)
    known = np.zeros(len(even), dtype=bool) if known is None else known
    codes = whole[:0] if codes is None else codes
    classes = whole if labels is None else labels
    together, apart = (
        _shares_of_parts(even, known, codes, parts, np.random.default_rng(seed))
        for parts in (whole, classes)
    )
    gain = _log_likelihood(even, apart, ~known) - _log_likelihood(even, together, ~known)
    own = gain > WORTHWHILE or _lacks_a_group(codes, classes[known], groups)
    return _under(even, np.ones(groups), apart if own else together)


def shares_of(
    even: Float64[np.ndarray, "n g"], generator: np.random.Generator
) -> Float64[np.ndarray, " g"]:
    """Share of each group among samples of which nobody is annotated."""
    return _shares(even, np.zeros(even.shape[1], dtype=np.int64), generator)


def _annotated(
    z: Float[np.ndarray, "_ k"], groups: Shaped[np.ndarray, " n"], known: Bool[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " g"]]:
    """Group numbers of the annotated samples, and how many each group has."""
    if len(z) != len(groups):
        raise DataError(f"latents and groups have {(len(z), len(groups))} rows; they must agree")
    names, codes, counts = np.unique(groups[known], return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise WeightError(
            f"the {known.sum()} annotated samples belong to {len(names)} group(s); at least 2 are "
            "needed to tell them apart: annotate samples of the others"
        )
    if counts.min() < 2:
        raise WeightError(
            f"group {str(names[counts.argmin()])!r} has a single annotated sample; at least 2 are "
            "needed, and some dozens advisable"
        )
    return codes.astype(np.int64), counts.astype(np.int64)


def _shares_of_parts(
    even: Float64[np.ndarray, "n g"],
    known: Bool[np.ndarray, " n"],
    codes: Int64[np.ndarray, " m"],
    parts: Int64[np.ndarray, " n"],
    generator: np.random.Generator,
) -> Float64[np.ndarray, "n g"]:
    """Share of every group in the part of each sample; ``even`` as for :func:`_shares`."""
    found = np.empty_like(even)
    for value in np.unique(parts):
        here = parts == value
        certain = np.bincount(codes[here[known]], minlength=even.shape[1])
        if not certain.any():  # nobody was annotated here: what holds elsewhere must do
            certain = np.bincount(codes, minlength=even.shape[1])
        found[here] = _shares(even[here & ~known], certain.astype(np.int64), generator)
    return found


def _lacks_a_group(
    codes: Int64[np.ndarray, " m"], parts: Int64[np.ndarray, " m"], groups: int
) -> bool:
    """Whether a group is annotated in some parts and, although others are, never in this."""
    values, part = np.unique(parts, return_inverse=True)
    counts = np.zeros((len(values), groups), dtype=np.int64)
    np.add.at(counts, (part, codes), 1)
    return bool(((counts == 0) & (counts.sum(axis=0) >= ABSENT)).any())


def _log_likelihood(
    even: Float64[np.ndarray, "n g"],
    shares: Float64[np.ndarray, "n g"],
    here: Bool[np.ndarray, " n"],
) -> float:
    """Mean over samples, in nats, up to a constant that does not depend on the shares."""
    if not here.any():
        return 0.0
    return float(np.log((even * shares)[here].sum(axis=1) + np.finfo(float).tiny).mean())


def _pieces(rows: Int64[np.ndarray, " m"]) -> Iterator[Int64[np.ndarray, " _"]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def _calibration(
    logits: Float64[np.ndarray, "m g"], codes: Int64[np.ndarray, " m"]
) -> Float64[np.ndarray, " _"]:
    """Slope (>= 0) and one offset a group with the lowest log loss."""
    from scipy.optimize import minimize

    truth = np.eye(logits.shape[1])[codes]

    def loss(values: Float64[np.ndarray, " _"]) -> tuple[float, Float64[np.ndarray, " _"]]:
        log_member = log_softmax(_calibrated(logits, values), axis=1)
        excess = np.exp(log_member) - truth
        slopes = [np.sum(excess * logits, axis=1).mean(), *excess.mean(axis=0)]
        return -float(np.sum(log_member * truth, axis=1).mean()), np.array(slopes)

    groups = logits.shape[1]
    start = np.array([1.0, *np.zeros(groups)])
    bounds = [(0, 10), *[(-10, 10)] * groups]  # perfect separation has no finite optimum
    return minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x


def _calibrated(
    logits: Float64[np.ndarray, "m g"], values: Float64[np.ndarray, " _"]
) -> Float64[np.ndarray, "m g"]:
    return np.maximum(logits, np.log(np.finfo(float).tiny)) * values[0] + values[1:]


def _shares(
    even: Float64[np.ndarray, "m g"],
    certain: Int64[np.ndarray, " g"],
    generator: np.random.Generator,
) -> Float64[np.ndarray, " g"]:
    """Share of each group among samples of one part, by expectation maximisation.

    ``even`` holds the unknown samples as if all groups were equally frequent, ``certain`` how many
    annotated ones each group has.
    """
    size = len(even)
    if size > SHARE_ROWS:
        even = even[generator.choice(size, SHARE_ROWS, replace=False)]
    scale = size / max(len(even), 1)
    ones = np.ones(len(certain))
    shares = certain / certain.sum() if certain.any() else ones / len(ones)
    for _ in range(1000):
        counts = certain + scale * _under(even, ones, shares).sum(axis=0)
        before, shares = shares, counts / counts.sum()
        if np.abs(shares - before).max() < 1e-7:
            break
    return shares


def _under(
    member: Float64[np.ndarray, "m g"],
    before: Float64[np.ndarray, " g"] | Int64[np.ndarray, " g"],
    shares: Float64[np.ndarray, "*_ g"],
) -> Float64[np.ndarray, "m g"]:
    """Bayes' rule: probabilities that held under the frequencies ``before``, now under others."""
    # Where every group with a share is out of the question, the shares are all that is known.
    odds = (member + np.finfo(float).tiny) * (shares / before)
    return odds / odds.sum(axis=1, keepdims=True)
