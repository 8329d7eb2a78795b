"""What an audit found, as one value, and the sections of its document: images by their ids.

``n`` images, ``k`` latent dimensions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.auditing.coverage import Clusters, Coverage, Direction
from debias.auditing.thin import ThinRegion, ThinRegions
from debias.auditing.words import counted, percent, say
from debias.report import audit_document as doc
from debias.report.audit_findings import VIEWS
from debias.report.documents import Fidelity, Kept
from debias.shown import Shown
from debias.statistics.intervals import Share
from debias.storage.sealed import write_json
from debias.types import Latents

SHOWN, ENDS = 24, 12  # images named for a region, and for a cluster or an end of a direction
HALF = 0.5
UNEVEN = 0.75  # of the images in one half of a direction: then the other end is thin
CANDIDATES = 6  # thin regions listed, if no more were found

Ids = Shaped[np.ndarray, " n"]
Members = Bool[np.ndarray, " n"]
Score = Float64[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditReport(Shown):
    """How representative a set of images is, and what that rests on.

    Attributes:
        document: Plain values, the same as in ``audit.json``: ``verdicts`` (worst first),
            ``fidelity`` (whether the model tells images apart, None where it was not measured),
            ``coverage``, ``regions``, ``directions``, ``clusters``, ``reference``, ``drift``,
            ``groups``, ``limits``.
        images: One row an audited image, in the order of the latents: ``sample_id, split, cluster,
            cell, region`` (0: none), ``rarity`` (log-rarity, larger is rarer), ``weight`` (mean 1,
            as for training), ``nats, log_ratio`` (wanted by the reference), ``x, y``; NaN where
            it was not asked for or not drawn.
        latents: Where the images lie; (k,) ``active`` dimensions say something about them.
        regions: Thin regions, most certain first.
        directions: Of the latent space, most unevenly populated first.
        groups: (n) annotated columns of the images, as text.
    """

    document: doc.Findings
    images: pd.DataFrame
    latents: Latents
    active: Bool[np.ndarray, " k"]
    regions: ThinRegions
    directions: Sequence[Direction]
    groups: pd.DataFrame
    image_size: int

    def __repr__(self) -> str:
        return f"AuditReport of {len(self.images):,} images: {self.verdicts[0]}"

    @property
    def verdicts(self) -> list[str]:
        """What a reader must know, worst first, one sentence each."""
        return [one["sentence"] for one in self.document["verdicts"]]

    def to_dict(self) -> doc.Findings:
        """The document as a new dictionary."""
        return self.document.copy()

    def to_json(self, path: str | Path) -> None:
        """Write the document; undefined numbers are null."""
        write_json(Path(path), self.document)


# ---- sections of the document, each with what it means


def of_fidelity(found: Kept) -> Fidelity:
    """What the figures of a model mean, and what to do about it."""
    verdict = found["verdict"]
    if verdict == "too_few":
        return {**found, "sentence": say("fidelity.too_few", **found), "action": None}
    measured = say(
        "fidelity.measured", images=found["images"],
        detail=percent(max(found["explained_detail"] or 0.0, 0.0)),
        every=percent(max(found["explained"] or 0.0, 0.0)),
        kept=percent(found["neighbours_kept"]), chance=percent(found["neighbours_by_chance"]),
    )  # fmt: skip
    sentence = say(f"fidelity.{verdict}", measured=measured)
    if verdict == "tells_apart":
        return {**found, "sentence": sentence, "action": None}
    action = say("fidelity.longer" if "epochs" in found else "fidelity.more", **found)
    return {**found, "sentence": sentence, "action": action}


def of_coverage(found: Coverage) -> doc.Coverage:
    low, high = found.bell["effective_cells"]
    sentence, action = say(
        "coverage.filled", cells=found.cells, effective=found.effective_cells,
        heap=f"{low:.0f} to {high:.0f}" if low != high else f"{low:.0f}",
        densest=percent(found.densest_tenth),
    ), None  # fmt: skip
    if found.effective_cells < low:
        sentence, action = say("coverage.heaps", filled=sentence), say("coverage.do")
    return doc.Coverage(
        cells=found.cells, occupied=found.occupied, effective_cells=found.effective_cells,
        densest_tenth=found.densest_tenth, shares=list(found.shares), bell=found.bell,
        sentence=sentence, action=action,
    )  # fmt: skip


def of_regions(
    found: ThinRegions, ids: Ids, explained: Callable[[Members], list[doc.Explained]]
) -> doc.ThinRegions:
    """``explained`` says what annotations tell about some of the images."""
    tried, name = counted(found.looked_at, "direction"), found.verdict
    next_step = {"too_few": "more", "none_found": "compare", "found": "look"}[name]
    regions = counted(len(found.found), "thin region")
    rows = [
        doc.ThinRegion(
            **_part(number, region.share), view=region.view, p=region.p,
            p_adjusted=region.p_adjusted, found=region.found, sentence=_of_region(region),
            typical=ids[region.typical(SHOWN)].tolist(),
            opposite=ids[region.opposite(SHOWN)].tolist(), explains=explained(region.members),
        )
        for number, region in enumerate(listed(found), 1)
    ]  # fmt: skip
    return doc.ThinRegions(
        verdict=name, looked_at=found.looked_at, level=found.level, list=rows,
        sentence=say(f"regions.{name}", regions=regions, tried=tried, level=found.level),
        action=say(f"regions.{next_step}"),
    )  # fmt: skip


def listed(found: ThinRegions) -> tuple[ThinRegion, ...]:
    """All that were found, then the most promising others up to six in all."""
    return found.regions[: max(CANDIDATES, len(found.found))]


def _part(number: int, share: Share) -> doc.Part:
    return {
        "number": number, "count": share.count, "share": share.value, "low": share.low,
        "high": share.high,
    }  # fmt: skip


def _of_region(region: ThinRegion) -> str:
    share, where = region.share, VIEWS.get(region.view, f"in {region.view}")
    ends = {"low": percent(share.low), "high": percent(share.high), "share": percent(share.value)}
    name = "regions.one" if region.found else "regions.perhaps"
    return say(name, count=share.count, where=where, **ends)


def of_direction(one: Direction, ids: Ids) -> doc.Direction:
    fuller, thin, share = "lower", "upper", one.low_share
    if share < HALF:
        fuller, thin, share = thin, fuller, 1 - share
    said = say(
        "direction.halves", number=one.number, variance=percent(one.variance_share), fuller=fuller,
        share=percent(share),
    )  # fmt: skip
    return doc.Direction(
        number=one.number, variance_share=one.variance_share, skewness=one.skewness,
        low_share=one.low_share, low=ids[one.rows(ENDS, high=False)].tolist(),
        high=ids[one.rows(ENDS, high=True)].tolist(),
        sentence=say("direction.thin", halves=said, thin=thin) if share >= UNEVEN else said,
    )  # fmt: skip


def of_clusters(found: Clusters, rarity: Score, ids: Ids) -> list[doc.Cluster]:
    """Smallest first; density beside that of the typical image, which is 1."""
    typical = float(np.median(rarity))
    crowded = [typical - float(np.median(rarity[found.of == n])) for n in range(len(found.shares))]
    return [
        doc.Cluster(
            **_part(number + 1, share), density=float(np.exp(np.clip(crowded[number], -50, 50))),
            typical=ids[found.typical(number, ENDS)].tolist(),
        )
        for number, share in enumerate(found.shares)
    ]  # fmt: skip


def explains(groups: pd.DataFrame, members: Members, below: int) -> list[doc.Explained]:
    """Share of every annotated group inside and outside of a region, most telling first.

    Counts inside and outside of a region add up to those of a group, so one count of an attribute
    from 1 to ``below`` could be worked out from another region: then no share of that attribute is
    told, only which group is the most of a region; where a group is small as a whole, anywhere.
    """
    rows: list[doc.Explained] = []
    for attribute, column in groups.items():
        counts = pd.crosstab(column, members).reindex(columns=[True, False], fill_value=0)
        sums = counts.sum(axis=1), counts.sum(axis=0), [len(column)]
        every = np.concatenate([counts.to_numpy().ravel(), *sums])
        small = ((every > 0) & (every < below)).any()
        for value, here, there in (counts / counts.sum()).fillna(0.0).itertuples(name=None):
            inside, outside = (None, None) if small else (here, there)
            rows.append({
                "group": f"{attribute}:{value}", "inside": inside, "outside": outside,
                "most": bool(here > HALF),
            })  # fmt: skip
    return sorted(rows, key=_least_telling)


def _least_telling(row: doc.Explained) -> tuple[bool, bool, float, str]:
    if row["inside"] is None or row["outside"] is None:
        return True, not row["most"], 0.0, row["group"]
    return False, False, row["outside"] - row["inside"], row["group"]
