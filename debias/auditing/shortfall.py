"""Where a data set falls short of a reference, and what changed since an earlier version of it.

Images that are likelier in the reference than in the data are put into groups of a kind. Nobody
says what the groups show: that is seen in their pictures. A number says how many images of a kind
would make up for it.

``n`` images of the data, ``m`` of the reference, ``N`` of both, ``f`` features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from scipy.stats import norm

from debias.auditing.two_samples import (
    FEWEST,
    Contrast,
    TwoSamples,
    by_place,
    contrast,
    two_samples,
)
from debias.auditing.words import percent, say
from debias.report import audit_document as doc
from debias.statistics.intervals import Share, holm, share_of

LIKELIER = 0.01  # nats: where the ratio is nearer to 0, the sets are as dense as one another
MOST_REGIONS = 6
DETECTABLE = 2.5  # standard errors by which a region should fall short to be told from chance
DIRECTIONS = 50  # principal components in which regions are formed
MOST_FILLED = 0.9  # of the reference: to fill more than that takes numbers without any meaning
NEARLY = 1e-9  # a share such as 0.1 is no exact number; rounding must not ask for one more image
TYPICAL, NEAREST, SHOWN = 24, 12, 24  # ids in a document
# What two versions are compared in, by what was most of what changed.
ADDED, REMOVED = ("what was added", "the earlier version"), ("what was kept", "what was removed")

Ids = Shaped[np.ndarray, " _"]
Rows = Int64[np.ndarray, " _"]
Both = Float64[np.ndarray, " N"]
Features = Float[np.ndarray, "n f"]
Others = Float[np.ndarray, "m f"]
Amount = int | float | Float64[np.ndarray, "*parts"]


@dataclass(frozen=True)
class Missing:
    """Images to add, with a 95 % interval that comes from the share in the reference alone.

    The data are what they are: their own share is no estimate. NaN where no number would do.
    """

    count: float
    low: float
    high: float


UNKNOWN = Missing(np.nan, np.nan, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Images of a kind that are likelier in the reference than in the data.

    Attributes:
        here, there: Share of the data, and of the reference.
        missing: Images like these that would bring the region to its share in the reference, if
            nothing else is added; ``together``, if every region found is.
        p: Chance of such a shortfall, or a larger one, if both sets were alike; adjusted by Holm
            over all regions looked at.
        typical: Rows of the reference: of the half of the region that is most wanted, those in
            its middle first.
        nearest: Rows of the data in the region, most wanted first.
        number: From 1 on, most missing first.
    """

    here: Share
    there: Share
    missing: Missing
    p: float
    typical: Rows
    nearest: Rows
    number: int = 0
    together: float = np.nan
    p_adjusted: float = np.nan
    found: bool = False

    def sentence(self) -> str:
        here, there = (
            f"{percent(one.value)} ({one.count:,} of {one.size:,})"
            for one in (self.here, self.there)
        )
        shares = say("shortfall.shares", here=here, there=there)
        if not self.found:
            return say("shortfall.unsure", shares=shares)
        count, interval = self.missing.count, _interval(self.missing)
        if np.isnan(count):
            return say("shortfall.no_number", shares=shares)
        name = "shortfall.collect_all" if self.together > count else "shortfall.collect"
        return say(name, count=count, interval=interval, together=self.together, shares=shares)

    def row(self, ids: Ids, reference_ids: Ids, sentence: str) -> doc.Region:
        """As the audit document holds it, images by their ids."""
        here, there, lacking = self.here, self.there, self.missing
        return doc.Region(
            number=self.number, count=here.count, reference_count=there.count,
            share=here.value, share_low=here.low, share_high=here.high,
            reference_share=there.value, reference_low=there.low, reference_high=there.high,
            missing=_whole(lacking.count), missing_low=_whole(lacking.low),
            missing_high=_whole(lacking.high), missing_together=_whole(self.together),
            p=self.p, p_adjusted=self.p_adjusted, found=self.found, sentence=sentence,
            typical=reference_ids[self.typical].tolist(), nearest=ids[self.nearest].tolist(),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shortfall:
    """Where a data set falls short of a reference.

    Attributes:
        contrast: How much likelier each image is in the reference; NaN with fewer than 20 images
            in one of the sets.
        regions: All regions looked at, most missing first.
        region: (n,), number of the region of each image of the data, 0 where there is none;
            ``reference_region`` (m,) likewise.
        total: Images to add to bring every region found to its share at once: more than the sum
            over single regions, as whatever is added to one thins out the others.
    """

    contrast: Contrast
    regions: tuple[Region, ...]
    region: Int64[np.ndarray, " n"]
    reference_region: Int64[np.ndarray, " m"]
    total: Missing

    @property
    def found(self) -> tuple[Region, ...]:
        return tuple(region for region in self.regions if region.found)

    def sentence(self) -> str:
        area, total = self.contrast.separability, self.total
        if np.isnan(area):
            return ""
        facts = {"looked": len(self.regions), "found": len(self.found)}
        if not self.found:
            return say("shortfall.none", **facts)
        if self.contrast.telltale:
            return say("shortfall.telltale", area=area)
        if np.isnan(total.count):
            return say("shortfall.most", **facts)
        return say("shortfall.fill", count=total.count, interval=_interval(total), **facts)

    def action(self) -> str | None:
        if self.contrast.telltale:
            return say("shortfall.prepare")
        return say("shortfall.do") if self.found else None


def comparison(
    name: str, test: TwoSamples, found: Shortfall, ids: Ids, reference_ids: Ids
) -> doc.Comparison:
    """A comparison with a reference of that name, as the audit document holds it.

    The test is of both sets as a whole; ``ids`` (n,) and ``reference_ids`` (m,) name the images.
    """
    # What is missing first; without that, whether anything differs.
    parts = [test.sentence(), found.sentence()]
    said = " ".join(parts[::-1] if found.found and not found.contrast.telltale else parts)
    area = _known(found.contrast.separability)
    order = np.arange(0) if area is None else np.argsort(-found.contrast.data, kind="stable")
    return doc.Comparison(
        name=name, images=len(reference_ids), against=len(ids), compared=[test.n, test.m],
        distance=_known(test.distance), p=_known(test.p), level=test.level, verdict=test.verdict,
        null=None if test.verdict == "too_few" else list(test.null), sentence=said.strip(),
        action=found.action(), separability=area, telltale=found.contrast.telltale,
        missing_total=_whole(found.total.count), looked_at=len(found.regions),
        regions=[region.row(ids, reference_ids, region.sentence()) for region in found.regions],
        wanted=ids[order[:SHOWN]].tolist(), unwanted=ids[order[::-1][:SHOWN]].tolist(),
        keys_on=None,
    )  # fmt: skip


def shortfall(
    data: Features,
    reference: Others,
    *,
    between: Contrast | None = None,
    level: float = 0.05,
    seed: int = 0,
) -> Shortfall:
    """Find the kinds of images of which the data have less than the reference, and count them.

    Images of both sets, finite (n, f) and (m, f), that are likelier in the reference are put into
    up to six groups by their features, as many as can be told from chance one by one: the weaker
    the difference, the fewer. Neither the likelihood nor the groups rest on the set that an image
    itself comes from. The order of the rows does not matter. ``between`` is what :func:`contrast`
    said of the two sets, if it was asked; ``level`` of a false alarm among all regions.
    """
    n, m = len(data), len(reference)
    if min(n, m) < FEWEST:  # nothing was looked at, and nothing is known
        unknown = Contrast(data=np.full(n, np.nan), reference=np.full(m, np.nan),
                           separability=np.nan)  # fmt: skip
        return Shortfall(unknown, (), np.zeros(n, np.int64), np.zeros(m, np.int64), UNKNOWN)
    between = between or contrast(data, reference, seed=seed)
    ratio = np.concatenate([between.data, between.reference])
    kind, away = _kinds(data, reference, ratio, seed)
    parts = [_region(kind == number, ratio, away, n) for number in np.unique(kind[kind > 0])]
    regions = _judged(parts, level)
    if between.telltale:
        # Another camera is no lack of people, and sets that do not overlap cannot be matched.
        regions = tuple(replace(one, missing=UNKNOWN, together=np.nan) for one in regions)
    numbers = np.zeros(kind.max() + 1, dtype=np.int64)
    for region in regions:
        numbers[kind[region.typical[0] + n]] = region.number
    total = UNKNOWN if between.telltale else total_missing(regions)
    return Shortfall(between, regions, numbers[kind[:n]], numbers[kind[n:]], total)


def images_missing(count: Amount, size: Amount, share: Amount) -> Float64[np.ndarray, "*parts"]:
    """Images to add to a part so that it makes up ``share`` of the enlarged set.

    The x of ``(count + x) / (size + x) = share``: rounded up, 0 where the part is large enough, NaN
    where no number would do, or the share in [0, 1] is NaN.
    """
    part, whole, wanted = (np.asarray(one, dtype=np.float64) for one in (count, size, share))
    lacking = wanted * whole - part
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.ceil(lacking / (1 - wanted) - NEARLY)
    return np.where(lacking <= NEARLY, 0.0, np.where(wanted < 1, more, np.nan))


def missing(here: Share, there: Share) -> Missing:
    """Images that a part lacks for its share in the reference, and for both limits of it."""
    shares = there.value, there.low, there.high
    return Missing(*images_missing(here.count, here.size, np.array(shares)).tolist())


def standard_errors(here: Share, there: Share) -> float:
    """By how many standard errors a part is larger in the reference than in the data.

    Twice the variance of two independent proportions. A chance pattern that two folds share is
    counted from both sides when each is scored by a model of the other: with first-order terms
    only, that doubles the variance of the difference, whatever the number of folds. On halves of
    one set of faces, the plain variance made 13 % of differences significant at 5 %.
    """
    pooled = (here.count + there.count) / (here.size + there.size)
    variance = 2 * pooled * (1 - pooled) * (1 / here.size + 1 / there.size)
    return (there.value - here.value) / float(np.sqrt(variance)) if variance else 0.0


def total_missing(regions: Sequence[Region]) -> Missing:
    """Images to add in all, so that every region found reaches its share at once.

    All of them are one part of the data, which has to reach the sum of their shares. NaN where
    none was found, or where they make up more than nine tenths of the reference.
    """
    found = [region for region in regions if region.found]
    if not found:
        return UNKNOWN
    here = share_of(sum(region.here.count for region in found), found[0].here.size)
    there = share_of(sum(region.there.count for region in found), found[0].there.size)
    return missing(here, there) if there.value <= MOST_FILLED else UNKNOWN


def _kinds(
    data: Features, reference: Others, ratio: Both, seed: int
) -> tuple[Int64[np.ndarray, " N"], Both]:
    """Group, from 1, of each image likelier in the reference, and its distance from the middle."""
    n = len(data)
    order = np.concatenate([by_place(data), n + by_place(reference)])
    chosen = order[ratio[order] > LIKELIER]
    own, others = chosen[chosen < n], chosen[chosen >= n]
    kind, away = np.zeros(len(ratio), dtype=np.int64), np.zeros(len(ratio))
    if not len(others):
        return kind, away
    excess = standard_errors(share_of(len(own), n), share_of(len(others), len(ratio) - n))
    # Split into r equal parts, each has about 1/r of the excess and 1/r of the variance.
    count = int(np.clip((excess / DETECTABLE) ** 2, 1, MOST_REGIONS))
    x = np.concatenate([data[own], reference[others - n]])
    kind[chosen], away[chosen] = _clusters(x, count, seed)
    # What the reference does not hold, it cannot miss.
    kind[~np.isin(kind, kind[others])] = 0
    return kind, away


def _clusters(
    x: Float[np.ndarray, "N f"], count: int, seed: int
) -> tuple[Int64[np.ndarray, " N"], Both]:
    """Cluster of each row, from 1 on, and its distance from the middle of the cluster."""
    distinct = len(np.unique(x, axis=0))
    if distinct == 1:
        return np.ones(len(x), dtype=np.int64), np.zeros(len(x))
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    place = make_pipeline(StandardScaler(), PCA(min(DIRECTIONS, *x.shape), random_state=seed))
    away = KMeans(min(count, distinct), n_init=3, random_state=seed).fit_transform(
        place.fit_transform(x)
    )
    return 1 + away.argmin(axis=1), away.min(axis=1).astype(np.float64)


def _region(inside: Bool[np.ndarray, " N"], ratio: Both, away: Both, n: int) -> Region:
    """One region before it is compared with the others."""
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(-ratio[rows], kind="stable")]
    own, others = rows[rows < n], rows[rows >= n]
    here, there = share_of(len(own), n), share_of(len(others), len(inside) - n)
    # The most wanted alone would show the same few faces for every region.
    half = others[: max(TYPICAL, len(others) // 2)]
    return Region(
        here=here,
        there=there,
        missing=missing(here, there),
        p=float(norm.sf(standard_errors(here, there))),
        typical=half[np.argsort(away[half], kind="stable")][:TYPICAL] - n,
        nearest=own[:NEAREST],
    )


def _judged(regions: Sequence[Region], level: float) -> tuple[Region, ...]:
    """The regions with their adjusted p-values, most missing first."""
    adjusted = holm(np.array([region.p for region in regions], dtype=np.float64))
    judged = [
        replace(region, p_adjusted=float(p), found=bool(p < level))
        for region, p in zip(regions, adjusted, strict=True)
    ]
    judged.sort(key=_most_missing_first)
    total = total_missing(judged).count

    def together(one: Region) -> float:
        """What is left for this region of the images added in all."""
        left = one.there.value * (one.here.size + total) - one.here.count
        return float(np.ceil(left)) if one.found else np.nan

    return tuple(
        replace(region, number=number, together=together(region))
        for number, region in enumerate(judged, start=1)
    )


def _most_missing_first(region: Region) -> tuple[float, float]:
    return -np.nan_to_num(region.missing.count, nan=np.inf), region.p


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _interval(found: Missing) -> str:
    low, high = ("no number" if np.isnan(one) else f"{one:,.0f}" for one in (found.low, found.high))
    return f"95% interval {low} to {high}"


# ---- two dated versions of one data set


@dataclass(frozen=True, kw_only=True, eq=False)
class Version:
    """One state of a data set: ids as the audit document names them, and by what an image is known.

    ``content`` is the SHA-256 of its file, or an id that never changes; latents (n, k) and features
    (n, f) are of the same kind in both versions.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    content: Shaped[np.ndarray, " n"]
    latents: Float[np.ndarray, "n k"]
    features: Features

    def __len__(self) -> int:
        return len(self.sample_ids)

    def of(self, chosen: Bool[np.ndarray, " n"]) -> "Version":
        """The chosen images alone."""
        return Version(**{name: values[chosen] for name, values in vars(self).items()})


def drift(  # noqa: PLR0913 (two versions, and what counts as found)
    name: str,
    now: Version,
    earlier: Version,
    *,
    permutations: int = 999,
    level: float = 0.01,
    region_level: float = 0.05,
    seed: int = 0,
) -> doc.Drift:
    """Compare two versions of one data set, the earlier one, of that name, as the reference.

    Images that both versions have say nothing about a change. So what was added is compared with
    all that was there before; or, where more was removed than added, what was kept with what was
    removed. How many images would bring a share back is said of what was added alone. ``level``
    is that of a false alarm of the test, ``region_level`` of one among all regions.
    """
    known, stayed = np.isin(now.content, earlier.content), np.isin(earlier.content, now.content)
    added, removed, kept = int((~known).sum()), int((~stayed).sum()), int(known.sum())
    after, before, sides = now.of(~known), earlier, ADDED
    if removed > added and kept >= FEWEST:
        after, before, sides = now.of(known), earlier.of(~stayed), REMOVED
    test = two_samples(
        after.latents, before.latents, permutations=permutations, level=level, seed=seed
    )
    # Half of the level for what fell, half for what rose.
    fell = shortfall(after.features, before.features, level=region_level / 2, seed=seed)
    rose = shortfall(
        before.features, after.features, between=fell.contrast.swapped(), level=region_level / 2,
        seed=seed,
    )  # fmt: skip
    said = say(
        "drift.moved", test=test.sentence(*sides), looked=len(fell.regions) + len(rose.regions),
        fell=len(fell.found), rose=len(rose.found),
    )  # fmt: skip
    if test.verdict == "too_few":
        said = say("drift.too_few", least=FEWEST)
    elif min(added, removed) >= FEWEST:
        other = "removed" if sides is ADDED else "added"
        said = say("drift.not_compared", said=said, other=other)
    rows = [
        one.row(after.sample_ids, before.sample_ids, _how_moved(one, sides))
        for one in _moved(fell, rose, sides)
    ]
    found = comparison(name, test, fell, after.sample_ids, before.sample_ids)
    said = say("drift.counts", said=said, added=added, removed=removed, kept=kept)
    total = found["missing_total"] if sides is ADDED else None
    return {
        **found, "images": len(earlier), "against": len(now), "sentence": said,
        "action": _to_do(fell, sides), "looked_at": len(rows), "regions": rows,
        "missing_total": total, "added": added, "removed": removed, "kept": kept,
    }  # fmt: skip


def _moved(fell: Shortfall, rose: Shortfall, sides: tuple[str, str]) -> list[Region]:
    """Kinds of images of either direction, most missing first.

    What was removed of a kind is in the earlier version: no number of others is asked for.
    """
    down = fell.regions if sides is ADDED else [replace(o, missing=UNKNOWN) for o in fell.regions]
    up = [
        replace(one, here=one.there, there=one.here, missing=Missing(0.0, 0.0, 0.0),
                typical=one.nearest, nearest=one.typical[:NEAREST])
        for one in rose.regions
    ]  # fmt: skip
    return [
        replace(one, number=number, p_adjusted=min(1.0, 2 * one.p_adjusted), together=np.nan)
        for number, one in enumerate(sorted([*down, *up], key=_most_missing_first), start=1)
    ]


def _how_moved(region: Region, sides: tuple[str, str]) -> str:
    here, there, lacking = percent(region.here.value), percent(region.there.value), region.missing
    shares = f"{there} of {sides[1]} and {here} of {sides[0]}"
    if not region.found:
        return say("drift.unsure", shares=shares)
    verb = "fell" if region.here.value < region.there.value else "rose"
    more = say("drift.more", count=lacking.count, interval=_interval(lacking))
    return say("drift.fell", verb=verb, shares=shares, more=more if lacking.count > 0 else "")


def _to_do(fell: Shortfall, sides: tuple[str, str]) -> str | None:
    if fell.contrast.telltale:
        return say("drift.telltale", after=sides[0], before=sides[1])
    return say("drift.do") if fell.found else None
