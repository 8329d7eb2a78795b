"""How representative a data set is: every part of an audit put together, from values to a value.

``n`` audited images, ``m`` of a second set, ``k`` latent dimensions, ``f`` features.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped

from debias.auditing import audit_report as sections
from debias.auditing import coverage as spread
from debias.auditing import words as wording
from debias.auditing.audit_report import AuditReport
from debias.auditing.groups import audit_groups, declared_groupings
from debias.auditing.rules import AuditRules
from debias.auditing.shares_file import checked_shares, read_shares
from debias.auditing.shortfall import Shortfall, Version, comparison, drift, shortfall
from debias.auditing.thin import ThinRegions, thin_regions
from debias.auditing.two_samples import two_samples
from debias.density import DensityEstimator, HistogramDensity, active_dimensions, rarity
from debias.density.descriptors import DESCRIPTORS, VIEWS, condensed
from debias.errors import DataError, GroupSchemaError
from debias.report import audit_document as doc
from debias.report.documents import Fidelity
from debias.seeding import stream_seed
from debias.statistics.withholding import hidden_counts
from debias.tracking.tracker import Advance, silent
from debias.types import FaceStore, Latents, Rarity, TrainingTable
from debias.weighting import WEIGHTINGS
from debias.weighting.weights import SamplingWeights

PARTS = 8  # calls of ``advance`` for an answer
FEWEST = 50  # images that an audit needs
# Ids of two sets can be the same: those of a second one say where they are from.
REFERENCE, EARLIER = "reference/", "earlier/"

Column = Shaped[np.ndarray, " n"]
Which = Literal["data", "reference", "earlier"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """Faces, where some of them lie in a latent space, and what readers call the set."""

    store: FaceStore
    latents: Latents
    name: str = "the reference"

    @cached_property
    def rows(self) -> Int64[np.ndarray, " n"]:
        """Rows of the store, in the order of the latents; DataError where it lacks an image."""
        ids = pd.Index(self.store.samples["sample_id"].astype(str))
        rows = ids.get_indexer(pd.Index(self.latents.sample_ids.astype(str)))
        strange = self.latents.sample_ids[rows < 0]
        if len(strange):
            raise DataError(
                f"{len(strange)} of {len(rows)} latents belong to no image of the store, first: "
                f"{strange[0]}; pass the latents of this store"
            )
        return rows.astype(np.int64)

    @property
    def ids(self) -> Column:
        return self.store.ids(self.rows)

    def column(self, name: str) -> Column | None:
        """One column of the store's table; None where it has none."""
        samples = self.store.samples
        return samples[name].to_numpy(dtype=object)[self.rows] if name in samples else None

    def is_known_by(self, name: str) -> bool:
        """Whether a column says something about every image."""
        found = self.column(name)
        return found is not None and bool((pd.notna(found) & (found != "")).all())


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What is audited, and what decides the answer.

    Attributes:
        data: Images to audit.
        reference: As :func:`audit` takes it; none of its images may be among the audited ones.
        earlier: Likewise; images of both versions are known by ``sha256``, or by their id where
            there is none.
        set_aside: Columns ``attribute, group, listed, rejected``: whose images were lost before.
        source: Who says to which group a face belongs.
        nats: (n,) how badly a model explains each image.
        fidelity: Whether a model tells images apart; None: not measured.
        seed: Of every random choice.
    """

    data: Placed
    reference: Placed | None = None
    earlier: Placed | None = None
    density: DensityEstimator = field(default_factory=HistogramDensity)
    rules: AuditRules = field(default_factory=AuditRules)
    set_aside: pd.DataFrame | None = None
    source: str = "annotated"
    nats: Float64[np.ndarray, " n"] | None = None
    fidelity: Fidelity | None = None
    seed: int = 0

    def stream(self, purpose: str) -> int:
        # scikit-learn takes 32 bits.
        return stream_seed(self.seed, f"audit/{purpose}") % 2**32

    @cached_property
    def active(self) -> Bool[np.ndarray, " k"]:
        """Latent dimensions that say something about the images."""
        found = active_dimensions(self.data.latents)
        if not found.any():
            raise DataError(
                f"all {len(found)} latent dimensions are constant: the latents say nothing about "
                "the images; train longer or bring other embeddings"
            )
        return found

    def points(self, placed: Placed) -> Float64[np.ndarray, "_ k"]:
        """Active latents of a set; those without a posterior in units of the data's spread.

        Embeddings have no scale of their own.
        """
        k, other = self.data.latents.mean.shape[1], placed.latents.mean.shape[1]
        if k != other:
            raise DataError(
                f"the data have {k} dimensions and {placed.name} {other}: place both with the same "
                "network"
            )
        own, found = (
            np.asarray(one.latents.mean[:, self.active], dtype=np.float64)
            for one in (self.data, placed)
        )
        return found if self.data.latents.log_var is not None else found / own.std(axis=0)

    @cached_property
    def views(self) -> dict[str, dict[str, np.ndarray]]:
        """Descriptions by name, of the data and of each other set that is given."""
        named = {"data": self.data, "reference": self.reference, "earlier": self.earlier}
        sets = {name: one for name, one in named.items() if one is not None}
        (images, rows), *others = [(one.store.images, one.rows) for one in sets.values()]
        found = {"latents": {name: self.points(one) for name, one in sets.items()}}
        for view in VIEWS:
            # Other sets are compared in the plain descriptors alone.
            described = condensed(view, images, rows, *(others if view in DESCRIPTORS else ()))
            found[view] = dict(zip(sets, described, strict=False))
        return found

    def features(self, of: Which) -> Float64[np.ndarray, "_ f"]:
        """Latents and plain descriptions of one of the sets, side by side."""
        found = [self.views[name][of] for name in ("latents", *DESCRIPTORS)]
        return np.concatenate(found, axis=1).astype(np.float64)

    @cached_property
    def groups(self) -> pd.DataFrame:
        return self.data.store.groups(self.data.rows).reset_index(drop=True)

    def explained(self, members: Bool[np.ndarray, " n"]) -> list[doc.Explained]:
        """What annotations tell about some of the images."""
        return sections.explains(self.groups, members, self.rules.suppress_below)


def audit(  # noqa: PLR0913 (one call is the point)
    store: FaceStore,
    latents: Latents,
    *,
    reference: Placed | None = None,
    earlier: Placed | None = None,
    rules: AuditRules | None = None,
    density: DensityEstimator | None = None,
    seed: int = 0,
) -> AuditReport:
    """Say who is missing from a collection of faces, how sure that is, and what to collect.

    No label and no annotation is needed; annotated attributes of the store are counted besides.

    Args:
        store: Decoded faces.
        latents: Of the images to audit, (n, k), n >= 50, by any encoder.
        reference: A second set, ``Placed(store=..., latents=...)`` by the same encoder, that says
            what the images should look like.
        earlier: An earlier version of this set, likewise.
        rules: What counts as found, and the shares that annotated groups should have.
        density: How rarity is measured; a histogram by default.
        seed: Of every random choice; the same seed gives the same audit.

    Raises:
        DataError: Latents, stores and shares that do not belong together, or fewer than 50 images.
    """
    question = Question(
        data=Placed(store=store, latents=latents, name="the data"), reference=reference,
        earlier=earlier, rules=rules or AuditRules(), density=density or HistogramDensity(),
        seed=seed,
    )  # fmt: skip
    return answer(question)


def answer(question: Question, advance: Advance = silent) -> AuditReport:
    """The same, with everything that a pipeline knows; ``advance`` is called :data:`PARTS` times.

    Raises:
        DataError: As :func:`audit`.
    """
    data = question.data
    require_enough(len(data.rows))
    _require_other_photographs(data, question.reference)
    require_declarable(question.groups, declared_shares(question.rules))
    space = _looked_at(question, advance)
    reference, short = _against(question)
    advance("reference")
    drifted = _changed(question)
    advance("drift")
    groups = _grouped(question, space)
    advance(f"{len(data.rows):,} images")
    document = space.document(question)
    document["reference"], document["drift"], document["groups"] = reference, drifted, groups
    document["verdicts"] = wording.verdicts(document)
    document["limits"] = wording.limits(document, subjects=data.column("subject_id") is not None)
    return AuditReport(
        document=document, images=space.images(question, short), latents=data.latents,
        active=question.active, regions=space.regions, directions=space.directions,
        groups=question.groups, image_size=data.store.images.shape[1],
    )  # fmt: skip


def require_enough(size: int) -> None:
    """Refuse, with a DataError, to speak of fewer than 50 images."""
    if size < FEWEST:
        raise DataError(f"there are {size} images to audit, an audit needs {FEWEST}; add images")


def _require_other_photographs(data: Placed, reference: Placed | None) -> None:
    """Refuse an image in both sets: it would be told apart from itself."""
    mine, theirs = (None if one is None else one.column("sha256") for one in (data, reference))
    shared = set() if mine is None or theirs is None else set(mine) & set(theirs) - {""}
    if shared:
        raise DataError(
            f"{len(shared)} images are in both the data and the reference; leave them out of the "
            "reference, which must show other photographs"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Space:
    """What the latent space and other descriptions say of the images without any annotation."""

    rarity: Rarity
    weights: SamplingWeights
    regions: ThinRegions
    coverage: spread.Coverage
    directions: list[spread.Direction]
    clusters: spread.Clusters
    layout: spread.LatentMap

    def document(self, question: Question) -> doc.Findings:
        """Without what annotations and other sets say."""
        ids, score, layout = question.data.ids, self.rarity.score, self.layout
        rarest, shown = ids[np.argsort(-score, kind="stable")], sections.SHOWN
        return doc.Findings(
            fidelity=question.fidelity,
            coverage=sections.of_coverage(self.coverage),
            regions=sections.of_regions(self.regions, ids, question.explained),
            directions=[sections.of_direction(one, ids) for one in self.directions],
            clusters=sections.of_clusters(self.clusters, score, ids),
            map={"method": layout.method, "shown": len(layout.rows), "of": len(ids),
                 "note": wording.say(f"map.{layout.method}")},
            extremes={"least": rarest[:shown].tolist(), "most": rarest[::-1][:shown].tolist()},
            anomalies=None, latent_pages=None, reference=None, drift=None, groups=None,
            verdicts=[], limits=[],
        )  # fmt: skip

    def images(self, question: Question, short: Shortfall | None) -> pd.DataFrame:
        """One row an audited image, see :class:`AuditReport`."""
        places = np.full((len(question.data.rows), 2), np.nan)
        places[self.layout.rows] = self.layout.xy
        columns = {
            "sample_id": question.data.ids, "split": question.data.column("split"),
            "cluster": self.clusters.of + 1, "cell": self.coverage.cell,
            "region": self.regions.numbers(len(places)), "rarity": self.rarity.score,
            "weight": self.weights.weight,
            "nats": np.nan if question.nats is None else question.nats,
            "log_ratio": np.nan if short is None else short.contrast.data,
        }  # fmt: skip
        return pd.DataFrame(columns | {"x": places[:, 0], "y": places[:, 1]})


def _looked_at(question: Question, advance: Advance) -> _Space:
    rules, stream = question.rules, question.stream
    views = {name: sets["data"] for name, sets in question.views.items()}
    points = views["latents"]
    advance("described")
    found, weights = rarity_weights(question.density, question.data.latents)
    advance("density")
    thin = thin_regions(views, most=rules.thin_share, level=rules.level, seed=stream("thin"))
    advance("thin regions")
    covered = spread.coverage(points, cells=rules.cells, seed=stream("bell"))
    directions = spread.uneven_directions(points)
    clusters = spread.clustered(points, rules.clusters, stream("clusters"))
    advance("coverage")
    layout = spread.latent_map(points, rules.map_method, rules.map_points, stream("map"))
    advance("map")
    return _Space(
        rarity=found, weights=weights, regions=thin, coverage=covered, directions=directions,
        clusters=clusters, layout=layout,
    )  # fmt: skip


def rarity_weights(density: DensityEstimator, latents: Latents) -> tuple[Rarity, SamplingWeights]:
    """How rare images without labels are, and what that would make of them in training."""
    rule = WEIGHTINGS["latent_rarity"](allow_degenerate=True)
    labels = np.zeros(len(latents.mean), np.int64)
    found = rarity(density, latents, labels, alpha=rule.alpha, across="all")
    table = TrainingTable(sample_ids=latents.sample_ids, labels=labels, score=found.score)
    return found, rule.weights(table)


def _against(question: Question) -> tuple[doc.Comparison | None, Shortfall | None]:
    """Where the audited images fall short of a reference."""
    data, reference, rules = question.data, question.reference, question.rules
    if reference is None:
        return None, None
    test = two_samples(
        question.points(data), question.points(reference), permutations=rules.permutations,
        level=rules.difference_level, seed=question.stream("two samples"),
    )  # fmt: skip
    found = shortfall(
        question.features("data"), question.features("reference"), level=rules.level,
        seed=question.stream("shortfall"),
    )  # fmt: skip
    names = np.array([f"{REFERENCE}{name}" for name in reference.ids])
    section = comparison(reference.name, test, found, data.ids, names)
    for entry in section["regions"]:
        entry["explains"] = question.explained(found.region == entry["number"])
    return section, found


def _changed(question: Question) -> doc.Drift | None:
    """What has changed since an earlier version."""
    earlier, data, rules = question.earlier, question.data, question.rules
    if earlier is None:
        return None
    by = "sha256" if data.is_known_by("sha256") and earlier.is_known_by("sha256") else "sample_id"

    def version(of: Which, one: Placed, prefix: str) -> Version:
        return Version(
            sample_ids=np.array([f"{prefix}{name}" for name in one.ids]),
            content=one.store.samples[by].to_numpy(dtype=str)[one.rows],
            latents=question.points(one),
            features=question.features(of),
        )

    now, before = version("data", data, ""), version("earlier", earlier, EARLIER)
    # What the data still hold, in a split that is not audited, was not removed.
    elsewhere = set(data.store.samples[by].astype(str)) - set(now.content)
    return drift(
        earlier.name, now, before.of(~np.isin(before.content, list(elsewhere))),
        permutations=rules.permutations, level=rules.difference_level, region_level=rules.level,
        seed=question.stream("drift"),
    )  # fmt: skip


def declared_shares(rules: AuditRules) -> dict[str, dict[str, float]]:
    """Shares from the recipe, or from the file that it names, checked (see ``shares_file``)."""
    return read_shares(rules.shares_file) if rules.shares_file else checked_shares(rules.shares)


def require_declarable(groups: pd.DataFrame, declared: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse, with a GroupSchemaError, shares of what is not annotated, before any work is done."""
    if declared and not len(groups.columns):
        raise GroupSchemaError(
            f"audit.shares declares shares of {', '.join(declared)}, but no attribute is "
            "annotated; name the columns under 'attributes'"
        )
    if len(groups.columns):
        declared_groupings(groups, declared)


def _grouped(question: Question, space: _Space) -> doc.Groups | None:
    """What annotations say; None without any."""
    groups, rules = question.groups, question.rules
    if not len(groups.columns):
        return None
    hidden = {name for name, small in hidden_counts(groups, rules.suppress_below).items() if small}
    return audit_groups(
        groups, declared=declared_shares(rules), rarity=space.rarity.score,
        weight=space.weights.weight, subjects=question.data.column("subject_id"),
        set_aside=question.set_aside, hidden=frozenset(hidden), rules=rules,
        source=question.source, seed=question.stream("groups"),
    )  # fmt: skip
