"""What changed between two dated versions of one data set.

Images that both versions have say nothing about a change. So what was added is compared with all
that was there before; or, where more was removed than added, what was kept with what was removed.

``n`` images of a version, ``k`` latent dimensions, ``f`` features.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from debias.auditing.shortfall import (
    NEAREST,
    UNKNOWN,
    Missing,
    Region,
    Shortfall,
    comparison,
    most_missing_first,
    plain_region,
    shortfall,
)
from debias.auditing.two_samples import FEWEST, two_samples
from debias.auditing.words import percent

NONE = Missing(count=0.0, low=0.0, high=0.0)
ADDED, REMOVED = ("what was added", "the earlier version"), ("what was kept", "what was removed")


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
) -> dict[str, Any]:
    """Compare two versions of one data set, the earlier one in the place of the reference.

    Args:
        name: Of the earlier version.
        now: The later version.
        earlier: The earlier version.
        permutations: Of the test.
        level: Of a false alarm of the test.
        region_level: Of a false alarm among all regions looked at.
        seed: Of draws, folds and groups.

    Returns:
        The comparison as the audit document holds it, with ``added``, ``removed`` and ``kept``.
        Share and count of a region are those of what was added (or kept), its reference share and
        count those of the earlier version (or of what was removed). How many images would bring
        a share back is said of what was added alone.

    Raises:
        DataError: The versions have different latents or features.
        ConfigError: Too few permutations for the level.
    """
    known = np.isin(now.content, earlier.content)
    stayed = np.isin(earlier.content, now.content)
    counts = {"added": int((~known).sum()), "removed": int((~stayed).sum()),
              "kept": int(known.sum())}  # fmt: skip
    after, before, sides = now.of(~known), earlier, ADDED
    if counts["removed"] > counts["added"] and counts["kept"] >= FEWEST:
        after, before, sides = now.of(known), earlier.of(~stayed), REMOVED
    test = two_samples(
        after.latents, before.latents, permutations=permutations, level=level, seed=seed
    )
    # Half of the level for what fell, half for what rose.
    fell = shortfall(after.features, before.features, level=region_level / 2, seed=seed)
    rose = shortfall(
        before.features, after.features,
        between=fell.contrast.swapped(), level=region_level / 2, seed=seed,
    )  # fmt: skip
    regions = _moved(fell, rose, sides)
    said = f"{test.sentence(*sides)} {_told(fell, rose)}"
    if test.verdict == "too_few":
        said = f"With fewer than {FEWEST} images on a side there is no telling whether the "
        said += "make-up of the data set has changed."
    elif min(counts["added"], counts["removed"]) >= FEWEST:
        said += f" What was {'removed' if sides is ADDED else 'added'} was not compared."
    named = ", ".join(f"{what}: {count:,}" for what, count in counts.items()).capitalize()
    found = comparison(name, test, fell, after.sample_ids, before.sample_ids) | {
        "images": len(earlier),
        "against": len(now),
        "sentence": f"{named}. {said}",
        "action": _action(fell, sides),
        "looked_at": len(regions),
        "regions": [
            plain_region(replace(one, number=number), after.sample_ids, before.sample_ids)
            | {"sentence": _said(one, sides)}
            for number, one in enumerate(regions, start=1)
        ],
    }
    return found | counts | ({} if sides is ADDED else {"missing_total": None})


def _moved(fell: Shortfall, rose: Shortfall, sides: tuple[str, str]) -> list[Region]:
    """Kinds of images of either direction, most missing first.

    As many as were removed of a kind are in the earlier version: no number of others is asked for.
    """
    down = fell.regions if sides is ADDED else [replace(o, missing=UNKNOWN) for o in fell.regions]
    up = [
        replace(one, here=one.there, there=one.here, missing=NONE,
                typical=one.nearest, nearest=one.typical[:NEAREST])
        for one in rose.regions
    ]  # fmt: skip
    both = [
        replace(one, p_adjusted=min(1.0, 2 * one.p_adjusted), together=np.nan)
        for one in (*down, *up)
    ]
    return sorted(both, key=most_missing_first)


def _said(region: Region, sides: tuple[str, str]) -> str:
    after, before = sides
    shares = (
        f"{percent(region.there.value)} of {before} and {percent(region.here.value)} of {after}"
    )
    if not region.found:
        return f"Cannot tell whether the share of images like these moved: {shares}."
    lacking = region.missing
    verb = "fell" if region.here.value < region.there.value else "rose"
    more = (
        f"; {lacking.count:,.0f} more would bring it back (95 % interval {lacking.low:,.0f} to "
        f"{lacking.high:,.0f})"
        if lacking.count > 0
        else ""
    )
    return f"The share of images like these {verb}: {shares}{more}."


def _told(fell: Shortfall, rose: Shortfall) -> str:
    looked = len(fell.regions) + len(rose.regions)
    return (
        f"Of {looked} kinds of images looked at, the share of {len(fell.found)} fell and of "
        f"{len(rose.found)} rose by more than chance explains."
    )


def _action(fell: Shortfall, sides: tuple[str, str]) -> str | None:
    if fell.contrast.telltale:
        return (
            f"Look at {sides[0]} beside {sides[1]} first: a classifier tells them apart almost "
            "without error, as photographs of another kind are."
        )
    if not fell.found:
        return None
    return "Collect images like those whose share fell, or note why that was wanted."
