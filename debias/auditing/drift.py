"""What changed between two dated versions of one data set.

Images that both versions have say nothing about a change. So what was added is compared with all
that was there before, and what was removed with what was kept.

``n`` images of a version, ``k`` latent dimensions, ``f`` features, ``a`` images after and ``b``
before in one comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped

from debias.auditing.group_words import percent
from debias.auditing.shortfall import (
    NEAREST,
    Region,
    Shortfall,
    missing,
    nothing_known,
    plain_region,
    shortfall,
    total_missing,
    whole,
)
from debias.auditing.two_samples import FEWEST, TwoSamples, too_few, two_samples
from debias.statistics.intervals import Share, holm, share_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Version:
    """One state of a data set.

    Attributes:
        sample_ids: (n,), as the audit document names the images.
        content: (n,), by which an image is known again: the SHA-256 of its file, or an id that
            never changes.
        latents: (n, k), of the same encoder in both versions.
        features: (n, f), of the same kind in both versions.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    content: Shaped[np.ndarray, " n"]
    latents: Float[np.ndarray, "n k"]
    features: Float[np.ndarray, "n f"]

    def __len__(self) -> int:
        return len(self.sample_ids)

    def of(self, chosen: Bool[np.ndarray, " n"]) -> "Version":
        """The chosen images alone."""
        return Version(
            sample_ids=self.sample_ids[chosen],
            content=self.content[chosen],
            latents=self.latents[chosen],
            features=self.features[chosen],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Change:
    """What was added, beside all that was there before; or what was kept, beside what was removed.

    Attributes:
        what: Whether images were added or removed.
        after: Images added; or kept.
        before: All images of the earlier version; or those removed.
    """

    what: Literal["added", "removed"]
    after: Version
    before: Version

    @property
    def enough(self) -> bool:
        return min(len(self.after), len(self.before)) >= FEWEST


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What one change did.

    Attributes:
        change: The images that were compared.
        test: Whether ``after`` and ``before`` differ as a whole.
        shrunk: Kinds of images of which ``after`` has less.
        grown: Kinds of images of which ``after`` has more: the two sets in each other's place.
    """

    change: Change
    test: TwoSamples
    shrunk: Shortfall
    grown: Shortfall


@dataclass(frozen=True, kw_only=True, eq=False)
class Moved:
    """A kind of images whose share one change may have moved.

    Attributes:
        region: ``here`` is its share after this change alone, ``there`` in the earlier version;
            ``typical`` are rows of ``before``, ``nearest`` of ``after``.
        change: What may have moved it.
        shrunk: Whether the change made its share smaller.
    """

    region: Region
    change: Change
    shrunk: bool

    def sentence(self) -> str:
        region = self.region
        before, now = percent(region.there.value), percent(region.here.value)
        if not self.region.found:
            return (
                "Cannot tell whether the share of images like these moved: "
                f"{before} in the earlier version, {now} after images were {self.change.what}."
            )
        verb = "fell" if self.shrunk else "rose"
        lacking = region.missing
        said = f"The share of images like these {verb} from {before} in the earlier version "
        said += f"to {now}, by what was {self.change.what}"
        if not lacking.count > 0:
            return f"{said}."
        return (
            f"{said}; {lacking.count:,.0f} more would bring it back (95 % interval "
            f"{lacking.low:,.0f} to {lacking.high:,.0f})."
        )


def drift(  # noqa: PLR0913 (two versions, and what counts as found)
    name: str,
    now: Version,
    earlier: Version,
    *,
    permutations: int = 999,
    level: float = 0.01,
    region_level: float = 0.05,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two versions of one data set, the earlier one in the place of the reference.

    Args:
        name: Of the earlier version.
        now: The later version.
        earlier: The earlier version.
        permutations: Of each test.
        level: Of a false alarm, be it about what was added or about what was removed.
        region_level: Of a false alarm among all regions looked at.
        seed: Of draws, folds and groups.

    Returns:
        The comparison as the audit document holds it, with ``added``, ``removed`` and ``kept``.
        The test shown is the one with the smaller p-value. Share and count of a region are those
        after one change alone: of the earlier version with what was added, or of what was kept.
        ``missing_total`` is None where images were both added and removed.

    Raises:
        DataError: The versions have different latents or features.
        ConfigError: Too few permutations for the level, or for half of it where images were
            added and removed.
    """
    known = np.isin(now.content, earlier.content)
    stayed = np.isin(earlier.content, now.content)
    changes = _changes(now, earlier, known, stayed)
    usable = [change for change in changes if change.enough]
    share = level / max(1, len(usable))
    compared = [_compared(change, permutations, share, seed) for change in usable]
    counts = {
        "added": int((~known).sum()),
        "removed": int((~stayed).sum()),
        "kept": int(known.sum()),
    }
    about = {"name": name, "images": len(earlier), "against": len(now)} | counts
    said = f"Added: {counts['added']:,}, removed: {counts['removed']:,}, kept: {counts['kept']:,}."
    found = _found(compared, region_level) if compared else _nothing(changes[0], level)
    return about | found | {"sentence": f"{said} {found['sentence']}"}


def _changes(
    now: Version,
    earlier: Version,
    known: Bool[np.ndarray, " n"],
    stayed: Bool[np.ndarray, " _"],
) -> tuple[Change, Change]:
    """What was added beside what was there, and what was kept beside what was removed."""
    return (
        Change(what="added", after=now.of(~known), before=earlier),
        Change(what="removed", after=now.of(known), before=earlier.of(~stayed)),
    )


def _compared(change: Change, permutations: int, level: float, seed: int) -> Compared:
    after, before = change.after, change.before
    test = two_samples(
        after.latents, before.latents, permutations=permutations, level=level, seed=seed
    )
    shrunk = shortfall(after.features, before.features, seed=seed)
    mirrored = shrunk.contrast.swapped()
    grown = shortfall(before.features, after.features, between=mirrored, seed=seed)
    return Compared(change=change, test=test, shrunk=shrunk, grown=grown)


def _found(compared: Sequence[Compared], level: float) -> dict[str, Any]:
    """The document's fields, of all changes together."""
    moved = _judged([one for change in compared for one in _moved(change)], level)
    fell = [one for one in moved if one.shrunk and one.region.found]
    shown = min(compared, key=lambda one: one.test.p)
    sentences = [one.test.sentence(*_sides(one.change)) for one in compared]
    numbered = [_plain(one, number) for number, one in enumerate(moved, start=1)]
    after, before = shown.change.after, shown.change.before
    of_images = shown.shrunk.to_dict(after.sample_ids, before.sample_ids)
    # Two changes sort the images into kinds anew, so their numbers do not add up.
    total = total_missing([one.region for one in fell]).count if len(compared) == 1 else np.nan
    return (
        of_images
        | shown.test.to_dict()
        | {
            "sentence": " ".join([*sentences, _told(moved)]),
            "action": _action(shown, bool(fell)),
            "missing_total": whole(total),
            "looked_at": len(moved),
            "regions": numbered,
        }
    )


def _nothing(added: Change, level: float) -> dict[str, Any]:
    """The document's fields where too little was added and removed for any comparison."""
    after, before = added.after, added.before
    test = too_few(len(after), len(before), level)
    known = nothing_known(len(after), len(before))
    return (
        known.to_dict(after.sample_ids, before.sample_ids)
        | test.to_dict()
        | {
            "sentence": f"With fewer than {FEWEST} images on a side there is no telling whether "
            "the make-up of the data set has changed.",
            "action": None,
        }
    )


def _sides(change: Change) -> tuple[str, str]:
    if change.what == "added":
        return "what was added", "the earlier version"
    return "what was kept", "what was removed"


def _moved(compared: Compared) -> list[Moved]:
    """Every region of a change, with its shares in both versions."""
    change, found = compared.change, []
    for direction in (compared.shrunk, compared.grown):
        fell = direction is compared.shrunk
        sides = direction.region, direction.reference_region
        after, before = sides if fell else sides[::-1]
        for region in direction.regions:
            shares = _shares(change, after == region.number, before == region.number)
            rows = (region.typical, region.nearest) if fell else (region.nearest, region.typical)
            found.append(
                Moved(
                    region=replace(
                        region,
                        here=shares[0],
                        there=shares[1],
                        missing=missing(*shares),
                        together=np.nan,
                        typical=rows[0],
                        nearest=rows[1][:NEAREST],
                    ),
                    change=change,
                    shrunk=fell,
                )
            )
    return found


def _shares(
    change: Change, after: Bool[np.ndarray, " a"], before: Bool[np.ndarray, " b"]
) -> tuple[Share, Share]:
    """Share of a region after the change and in the earlier version."""
    both = share_of(int(after.sum() + before.sum()), len(after) + len(before))
    if change.what == "added":
        return both, share_of(int(before.sum()), len(before))
    return share_of(int(after.sum()), len(after)), both


def _judged(moved: Sequence[Moved], level: float) -> list[Moved]:
    """Regions with p-values adjusted over all of them, most missing first, then most changed."""
    adjusted = holm(np.array([one.region.p for one in moved], dtype=np.float64))
    judged = [
        replace(one, region=replace(one.region, p_adjusted=float(p), found=bool(p < level)))
        for one, p in zip(moved, adjusted, strict=True)
    ]
    return sorted(judged, key=_most_missing_first)


def _most_missing_first(moved: Moved) -> tuple[float, float]:
    return -np.nan_to_num(moved.region.missing.count, nan=np.inf), moved.region.p


def _plain(moved: Moved, number: int) -> dict[str, Any]:
    region = replace(moved.region, number=number)
    plain = plain_region(region, moved.change.after.sample_ids, moved.change.before.sample_ids)
    return plain | {"sentence": moved.sentence()}


def _told(moved: Sequence[Moved]) -> str:
    found = [one.shrunk for one in moved if one.region.found]
    return (
        f"Of {len(moved)} kinds of images looked at, the share of {sum(found)} fell and of "
        f"{len(found) - sum(found)} rose by more than chance explains."
    )


def _action(shown: Compared, fell: bool) -> str | None:
    if shown.shrunk.contrast.telltale:
        return (
            f"Look at the images that were {shown.change.what} first: they are told from the "
            "others almost without error, as photographs of another kind are."
        )
    return (
        "Collect images like those whose share fell, or note why that was wanted." if fell else None
    )
