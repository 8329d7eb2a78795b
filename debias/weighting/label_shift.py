"""Shares of groups where nobody annotated any, from scores that were learned elsewhere.

What a group looks like is taken to be the same in both collections, however common it is (label
shift). ``n`` own images, ``m`` annotated elsewhere, ``g`` groups, ``s`` styles.

Reference:
    Saerens, Latinne, Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori
    Probabilities, for the shares; Lipton, Wang, Smola 2018, Detecting and Correcting for Label
    Shift with Black Box Predictors, as the check. Deviations: the check keeps its shares at 0 or
    more; the interval is about another camera as well as about other images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped
from scipy.optimize import nnls
from scipy.stats import entropy

from debias.weighting.membership import even_membership, fitted_groups, shares_of

DRAWS = 100  # of the bootstrap
ROWS_A_DRAW = 20_000  # chance among more is nothing beside another camera
LEVEL = 0.95
EDGE = 0.005  # share of a group's scores beyond either end of its range
OUTSIDE = 0.1  # share of the own images beyond every range that is too much
UNSURE = 0.1  # of the largest entropy
APART = 0.1  # between two estimates of a share


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """log p(image | group) up to a constant an image, from networks that had not seen the image.

    Attributes:
        held_out: Of annotated images, as they are and in other styles.
        codes: Their groups: 0, 1, ...
        single: Of the own images, by one network each, as the annotated ones.
        averaged: Of the own images, the mean over networks.
    """

    held_out: Float64[np.ndarray, "s m g"]
    codes: Int64[np.ndarray, " m"]
    single: Float64[np.ndarray, "n g"]
    averaged: Float64[np.ndarray, "n g"]


def scores_of_latents(
    own: Float[np.ndarray, "n k"],
    there: Float[np.ndarray, "m k"],
    codes: Int64[np.ndarray, " m"],
    *,
    seed: int,
    folds: int = 5,
) -> Scores:
    """By logistic regression on latents, standardised as those of the annotated samples are.

    Of latents no other style is known, so limits of shares are about other samples alone.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(there)
    fitted = fitted_groups(scaler.transform(there), codes, folds=folds, seed=seed)
    said = np.array([model.predict_log_proba(scaler.transform(own)) for model in fitted.models])
    turn = np.random.default_rng(seed).integers(len(said), size=len(own))
    return Scores(
        held_out=fitted.held_out[None],
        codes=codes,
        single=said[turn, np.arange(len(own))],
        averaged=said.mean(axis=0),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """Share of every group among the own images, with 95 % limits.

    ``check`` is a second estimate, ``doubts`` say why neither may be believed.
    """

    share: Float64[np.ndarray, " g"]
    low: Float64[np.ndarray, " g"]
    high: Float64[np.ndarray, " g"]
    check: Float64[np.ndarray, " g"]
    doubts: tuple[str, ...]

    def describe(self, names: Shaped[np.ndarray, " g"]) -> dict[str, Any]:
        """Plain values, by group."""
        columns = {one: getattr(self, one).tolist() for one in ("share", "low", "high", "check")}
        rows = zip(names.tolist(), *columns.values(), strict=True)
        shares = {name: dict(zip(columns, values, strict=True)) for name, *values in rows}
        return {"shares": shares, "doubts": list(self.doubts)}


def estimated(scores: Scores, generator: np.random.Generator) -> Shares:
    """Shares by expectation maximisation, limits by a bootstrap over images and styles.

    Each draw takes the scores of annotated images in one of the styles for how the own camera
    shows the groups.
    """
    held_out, codes, own = scores.held_out[0], scores.codes, scores.single
    even = even_membership(own, held_out, codes)
    share = shares_of(even, generator)
    check = black_box_shares(_confusion(even_membership(held_out, held_out, codes), codes), even)
    drawn = np.array([*_redrawn(scores, generator)])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    doubts = (*_out_of_range(scores), *_unsure(scores, even, share), *_apart(share, check, drawn))
    return Shares(
        share=share,
        low=np.minimum(low, share),
        high=np.maximum(high, share),
        check=check,
        doubts=doubts,
    )


def black_box_shares(
    confusion: Float64[np.ndarray, "g g"], even: Float64[np.ndarray, "n g"]
) -> Float64[np.ndarray, " g"]:
    """Shares that lead, through ``confusion``, to the groups found among the own images.

    ``confusion``: chance of being found in a group (row) for members of each group (column).
    ``even``: membership of each own image as if groups were equally common.
    """
    found = np.bincount(even.argmax(axis=1), minlength=even.shape[1]) / len(even)
    shares, _ = nnls(confusion, found)
    return shares / shares.sum()


def _confusion(
    even: Float64[np.ndarray, "m g"], codes: Int64[np.ndarray, " m"]
) -> Float64[np.ndarray, "g g"]:
    counts = np.zeros((even.shape[1], even.shape[1]))
    np.add.at(counts, (even.argmax(axis=1), codes), 1)
    return counts / counts.sum(axis=0)


def _redrawn(scores: Scores, generator: np.random.Generator) -> Iterator[Float64[np.ndarray, " g"]]:
    """Shares from other annotated images, in any of the styles, and other own images."""
    members = [np.flatnonzero(scores.codes == code) for code in range(scores.single.shape[1])]
    most = ROWS_A_DRAW // len(members)
    for number in range(DRAWS):
        held_out = scores.held_out[number % len(scores.held_out)]
        rows = np.concatenate([generator.choice(here, min(len(here), most)) for here in members])
        own = generator.integers(len(scores.single), size=min(len(scores.single), ROWS_A_DRAW))
        even = even_membership(scores.single[own], held_out[rows], scores.codes[rows])
        yield shares_of(even, generator)


def _out_of_range(scores: Scores) -> Iterator[str]:
    """Own images that look like no group, in no style."""
    inside = np.zeros(len(scores.single), dtype=bool)
    own = _centred(scores.single)
    known = _centred(scores.held_out)
    for code in range(known.shape[-1]):
        low, high = np.quantile(known[:, scores.codes == code], [EDGE, 1 - EDGE], axis=(0, 1))
        inside |= ((own >= low) & (own <= high)).all(axis=1)
    outside = 1 - inside.mean()
    if outside > OUTSIDE:
        yield (
            f"{outside:.0%} of the own images score as hardly any image of the annotated "
            "collection does"
        )


def _centred(scores: Float64[np.ndarray, "*_ g"]) -> Float64[np.ndarray, "*_ g"]:
    return scores - scores.mean(axis=-1, keepdims=True)


def _unsure(
    scores: Scores, even: Float64[np.ndarray, "n g"], share: Float64[np.ndarray, " g"]
) -> Iterator[str]:
    """Groups told apart worse among the own images than in any style of the annotated ones."""
    own = _uncertainty(even, share).mean()
    known = [
        _uncertainty(even_membership(one, scores.held_out[0], scores.codes), share)
        for one in scores.held_out
    ]
    groups = range(len(share))
    expected = [
        sum(share[code] * one[scores.codes == code].mean() for code in groups) for one in known
    ]
    if own > max(expected) + UNSURE * np.log(len(share)):
        yield (
            f"the group of an own image is left open by {own:.2f} nats on average, of an "
            f"annotated one by {expected[0]:.2f}"
        )


def _uncertainty(
    even: Float64[np.ndarray, "m g"], share: Float64[np.ndarray, " g"]
) -> Float64[np.ndarray, " m"]:
    return entropy((even + np.finfo(float).tiny) * share, axis=1)


def _apart(
    share: Float64[np.ndarray, " g"],
    check: Float64[np.ndarray, " g"],
    drawn: Float64[np.ndarray, "_ g"],
) -> Iterator[str]:
    """Two estimates that rest on the same premise, and disagree beyond chance."""
    far = np.abs(share - check)
    if (far > np.maximum(APART, 2 * drawn.std(axis=0))).any():
        worst = int(far.argmax())
        yield (
            f"two estimates of one share lie far apart ({share[worst]:.0%} and {check[worst]:.0%})"
        )
