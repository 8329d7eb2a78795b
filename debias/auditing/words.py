"""What the figures of an audit mean, in plain English, the worst first, and what to do about them.

Only group rows from which withheld numbers were removed come here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from debias.statistics.groupings import UNKNOWN

if TYPE_CHECKING:
    from debias.auditing.coverage import Coverage, Direction
    from debias.auditing.thin import ThinRegion, ThinRegions

VIEWS = {
    "latents": "in what the autoencoder learned",
    "colour": "in colour",
    "structure": "in light and dark",
    "gradients": "in edges",
    "tones": "in tones of the whole image",
}
HALF = 0.5
UNEVEN = 0.25  # of the images in one half of a direction: then one end is thin
NAMED = 8  # groups in one sentence

Section = dict[str, Any]
Said = tuple[str, str | None]  # a sentence, and what to do
Row = Any  # of a table of groups


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage: 0.031 -> 3.1 %, 0.25 -> 25 %."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01 %"
    if 99.95 <= value < 100:
        return "over 99.9 %"
    return f"{value:.2f} %" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0") + " %"


def listed(names: Iterable[str], most: int = NAMED) -> str:
    texts = list(names)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def of_coverage(found: "Coverage") -> Said:
    low, high = found.bell["effective_cells"]
    effective = found.effective_cells
    heap = f"{low:.0f} to {high:.0f}" if low != high else f"{low:.0f}"
    sentence = (
        f"Cut into {found.cells} equal cells, the latent space is filled as unevenly as if "
        f"{effective:.1f} of them held equally many images and the others none (one bell-shaped "
        f"heap of as many images: {heap}); the fullest tenth of the cells holds "
        f"{percent(found.densest_tenth)} of the images."
    )
    if effective >= low:
        return sentence, None
    return (
        f"{sentence} They fill fewer cells than one heap would: most are much alike, or they "
        "form separate heaps.",
        "Look at the clusters, and at the most and the least represented images below: they say "
        "what there is too much and too little of.",
    )


def of_regions(found: "ThinRegions") -> Said:
    if not found.enough:
        return "There are too few images to look for thin regions.", "Audit 200 images or more."
    tried = f"{found.looked_at} direction{'' if found.looked_at == 1 else 's'}"
    if not found.found:
        return (
            f"No thin region found: of {tried} that looked promising on one half of the images, "
            "none was confirmed on the other half. Rare kinds of images that do not stand apart "
            "from the others in these descriptions cannot be found this way.",
            "Compare with a reference set, or annotate some images: both find what does not "
            "stand apart.",
        )
    count = len(found.found)
    regions = "1 thin region" if count == 1 else f"{count} thin regions"
    return (
        f"{regions} found: small parts of the images that stand apart from all others (of {tried} "
        f"tried on images that had not suggested them; {found.level:.0%} false alarms at most).",
        "Look at each region beside its opposite: if it shows people rather than photographs, "
        "collect more like them.",
    )


def of_region(region: "ThinRegion") -> str:
    where = VIEWS.get(region.view, f"in {region.view}")
    counted = (
        f"{region.count:,} images, {percent(region.share)} of the images ({percent(region.low)} to "
        f"{percent(region.high)}),"
    )
    if region.found:
        return f"{counted} stand apart from all others {where}."
    return (
        f"{counted} may stand apart from the others {where}; on images not used to find them that "
        "was not confirmed."
    )


def of_direction(one: "Direction") -> str:
    fuller, thin, share = "lower", "upper", one.low_share
    if share < HALF:
        fuller, thin, share = thin, fuller, 1 - share
    sentence = (
        f"Direction {one.number} explains {percent(one.variance_share)} of what varies; its "
        f"{fuller} half holds {percent(share)} of the images."
    )
    return f"{sentence} The {thin} end is thin." if share >= HALF + UNEVEN else sentence


def of_fidelity(section: Section) -> Said:
    """Of a fidelity as plain values, ``epochs`` of the training and ``advised`` beside it."""
    count, verdict = section["images"], section["verdict"]
    if verdict == "too_few":
        return f"{count} images are too few to say whether the model tells images apart.", None
    kept, chance = (percent(section[f"neighbours_{name}"]) for name in ("kept", "by_chance"))
    detail, every = (percent(max(section[name], 0.0)) for name in ("explained_detail", "explained"))
    measured = (
        f"Of {count:,} images that it was not trained on, it keeps {detail} of what tells "
        f"faces apart and {every} of all differences; {kept} of their "
        f"nearest neighbours stay neighbours ({chance} by chance)."
    )
    if verdict == "tells_apart":
        return f"The model tells images apart. {measured}", None
    return (
        f"The model draws nearly the same face for every image: no figure below that rests on it "
        f"can be relied on. {measured}",
        f"Train longer, for example --set representation.training.epochs={section['advised']} "
        f"(now {section['epochs']}), or bring more images or an encoder.",
    )


# ---- the whole document

LAST = {"nothing": 1, "coverage": 2}
UNDECLARED = (
    "Who is missing cannot be said: nobody declared what this collection should hold, and there "
    "is no reference."
)
DECLARE = (
    "Compare it: --shares FILE, --reference FOLDER or --earlier FOLDER (in a recipe: audit.shares, "
    "reference, earlier)."
)
NOTHING = (
    "Nothing was found to be missing. That is no proof that nothing is: see what this audit "
    "cannot see, below."
)
GROUP_ACTIONS = {
    "below": "Collect images of the groups named, the first one first.",
    "lowered": "Do not train with weights by rarity before you know whom they take it from.",
    "lost": "Find out why these images were set aside before collecting more.",
}


def verdicts(document: Section) -> list[Section]:
    """What a reader must know: whether to believe it, who is there, who is missing, the rest.

    Args:
        document: Sections ``fidelity``, ``reference``, ``drift``, ``groups``, ``regions``,
            ``coverage``.
    """
    groups, fidelity = document["groups"], document["fidelity"]
    reference, drift, coverage = document["reference"], document["drift"], document["coverage"]
    found = [
        *_against("shortfall", reference),
        *_of_groups(groups),
        *_against("drift", drift),
        _of_thin(document["regions"]),
        _as_said("coverage" if coverage["action"] else "nothing", coverage),
    ]
    lead = [_as_said("fidelity", fidelity)] if fidelity and fidelity["verdict"] == "blurred" else []
    lead += _who(groups)
    if reference is None and drift is None and not _any_declared(groups):
        lead.append(_verdict("undeclared", UNDECLARED, DECLARE))
    elif all(one["kind"] == "nothing" for one in found):
        lead.append(_verdict("nothing", NOTHING, None))
    return lead + sorted(found, key=lambda one: LAST.get(one["kind"], 0))


def _verdict(kind: str, sentence: str, action: str | None) -> Section:
    return {"kind": kind, "sentence": sentence, "action": action}


def _as_said(kind: str, section: Section) -> Section:
    return _verdict(kind, section["sentence"], section["action"])


def _who(groups: Section | None) -> list[Section]:
    """The smallest and the largest group of each attribute."""
    told = [_ends(one) for one in groups["attributes"]] if groups else []
    return [_verdict("who", " ".join(filter(None, told)), None)] if any(told) else []


def _ends(attribute: Section) -> str:
    rows = [row for row in attribute["rows"] if row["share"] is not None]
    rows = sorted((row for row in rows if row["state"] != UNKNOWN), key=lambda row: row["share"])
    if len(rows) < 2:
        return ""
    name = attribute["attribute"]
    fewest, most = (
        f"{row['group'].removeprefix(f'{name}:')}, {percent(row['share'])} "
        f"({percent(row['low'])} to {percent(row['high'])})"
        for row in (rows[0], rows[-1])
    )
    return f"{name.replace('_', ' ').capitalize()}: fewest {fewest}, most {most}."


def _any_declared(groups: Section | None) -> bool:
    """Whether anybody said how large some group should be."""
    if groups is None:
        return False
    rows = [row for one in groups["attributes"] for row in one["rows"]] + groups["crossings"]
    return any(row["declared"] is not None for row in rows)


def _against(kind: str, section: Section | None) -> list[Section]:
    if section is None:
        return []
    known = section["verdict"] == "told_apart" or any(one["found"] for one in section["regions"])
    as_kind = "caution" if section["telltale"] else kind if known else "nothing"
    return [_as_said(as_kind, section)]


def _of_groups(groups: Section | None) -> list[Section]:
    """One verdict for each kind of bad news, its first sentence."""
    if groups is None:
        return []
    first = {news["kind"]: news["sentence"] for news in reversed(groups["news"])}
    kinds = dict.fromkeys(news["kind"] for news in groups["news"])
    if not kinds:
        known = _any_declared(groups)
        return [_verdict("nothing", groups["sentences"][0], None)] if known else []
    return [
        _verdict("caution" if kind == "lowered" else "group", first[kind], GROUP_ACTIONS[kind])
        for kind in kinds
    ]


def _of_thin(section: Section) -> Section:
    kind = "thin" if section["verdict"] == "found" else "nothing"
    first = next((one for one in section["list"] if one["found"]), None)
    more = "" if first is None else f" The first: {first['sentence']}"
    return _verdict(kind, section["sentence"] + more, section["action"])


def limits(document: Section, *, subjects: bool) -> list[str]:
    """What this audit cannot see."""
    found = [
        "It describes this collection of images, not the people on them, and says nothing about "
        "how a classifier trained on it treats anybody.",
        "It sees what the descriptions of the images show. An autoencoder and plain descriptors "
        "show light, colour, hair, background and framing well, and eyes, age or expression "
        "hardly: what is rare only in these is missed.",
        "Rare photographs and rare people look alike to it: look at the pictures before acting.",
    ]
    if document["reference"] is None:
        found.append(
            "Nobody said what the collection should look like: without a reference or declared "
            "shares it can be uneven, but not short of anything."
        )
    if document["groups"] is None:
        found.append("No annotated attribute was named, so no group can be named.")
    found.append(
        "Outside of the annotated groups, images are counted as independent: where people repeat, "
        "intervals are too narrow and differences are found too easily."
        if subjects
        else "Nobody says who is shown: images are counted as independent, and where people "
        "repeat, intervals are too narrow and differences are found too easily."
    )
    return found


# ---- groups


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What sentences about groups are made of; withheld numbers are gone.

    Attributes:
        table: One row a group or crossing: the fields of :class:`GroupRow`, ``attribute``,
            ``is_crossing``, ``few`` (images to say more than a share), ``before`` and ``reach`` of
            weights, ``set_aside_overall``, ``more_set_aside``.
        images: Number of images.
        people: Number of people shown; None where nobody says.
        comparisons: Groups and crossings with a declared share.
        level: Of a false alarm.
        minimum: Images below which nothing is concluded.
        below: Counts from 1 to below this are withheld.
        source: Who says to which group a face belongs.
    """

    table: pd.DataFrame
    images: int
    people: int | None
    comparisons: int
    level: float
    minimum: int
    below: int
    source: str

    def rows(self, column: str, value: str | bool, *, single: bool = False) -> pd.DataFrame:
        """Of the groups of which a column says so; ``single``: without crossings."""
        chosen = self.table[column].eq(value)
        return self.table[chosen & ~self.table["is_crossing"] if single else chosen]

    def named(
        self, column: str, value: str | bool, *, single: bool = False
    ) -> list[tuple[str, str]]:
        """Each attribute and the names of those groups."""
        rows = self.rows(column, value, single=single)
        return [(name, _names(some)) for name, some in _by_attribute(rows)]


def group_sentences(facts: Facts) -> list[str]:
    """Shortfalls, harm by weights, losses, what is too small, the rest, and how it was judged."""
    parts = (
        _short, _together, _lowered, _lost, _too_small, _absent, _above, _open, _undeclared,
        _rarity, _few, _weights_reach, _withheld, _unlabelled, _method,
    )  # fmt: skip
    return [sentence for part in parts for sentence in part(facts)]


def bad_news(facts: Facts) -> list[tuple[str, str]]:
    """What a reader must not miss, by kind, worst first: ``below``, ``lowered``, ``lost``."""
    kinds = {"below": _short(facts), "lowered": _lowered(facts), "lost": _lost(facts)}
    return [(kind, sentence) for kind, found in kinds.items() for sentence in found]


def _short(facts: Facts) -> list[str]:
    worst = facts.rows("verdict", "below").sort_values("missing", ascending=False)
    return [
        f"{_called(row)} is below its declared share: {_share(row)} instead of "
        f"{percent(row.declared)}; {_reached(row.missing)}."
        for row in _records(worst)
    ]


def _reached(missing: float) -> str:
    if pd.isna(missing):
        return "no number of images of this group alone would reach it"
    return f"{missing:,.0f} more {_images(missing)} would reach it"


def _together(facts: Facts) -> list[str]:
    """How far a set grows until all shares are as declared, if images are only ever added."""
    found = []
    for attribute, rows in _by_attribute(facts.table):
        groups, declared = rows[rows["state"] != UNKNOWN], rows["declared"]
        if (rows["verdict"] == "below").sum() < 2 or (groups["state"] == "suppressed").any():
            continue
        size = (groups["count"] / declared.where(declared > 0)).max()
        unwanted = (groups["declared"] == 0) & (groups["count"] > 0)
        grown = "no addition suffices" if unwanted.any() else f"it takes {size:,.0f} images"
        found.append(
            f"{attribute}: each of these numbers is what one group needs if nothing else is "
            f"added; to reach all declared shares at once by adding, {grown} in all."
        )
    return found


def _lowered(facts: Facts) -> list[str]:
    return [
        f"{attribute}: harm, the weights lower the share of {_moved(rows)}."
        for attribute, rows in _by_attribute(facts.rows("reach", "lowered", single=True))
    ]


def _lost(facts: Facts) -> list[str]:
    return [
        f"{_called(row)} lost more than others: {percent(row.set_aside_share)} of its listed "
        f"images were set aside, {percent(row.set_aside_overall)} overall; find out why before "
        "collecting more."
        for row in _records(facts.rows("more_set_aside", value=True))
    ]


def _too_small(facts: Facts) -> list[str]:
    def wanted(row: Row) -> str:
        more = f", {row.missing:,.0f} more would reach {percent(row.declared)}"
        return more if row.missing > 0 else ""

    found = []
    for attribute, rows in _by_attribute(facts.rows("state", "too_small")):
        texts = [f"{_value(row)} ({row.count:,.0f}{wanted(row)})" for row in _records(rows)]
        found.append(
            f"{attribute}: no verdict on {listed(texts)}: the images with a label are under "
            f"{facts.minimum}, or show so few people that they are worth no more."
        )
    return found


def _absent(facts: Facts) -> list[str]:
    """Groups without images that no shortfall has named."""
    absent = facts.rows("state", "not_estimable")
    rest = _by_attribute(absent[absent["verdict"] != "below"])
    return [f"{attribute}: no image shows {_names(rows)}." for attribute, rows in rest]


def _above(facts: Facts) -> list[str]:
    return [
        f"{_called(row)} is above its declared share: {_share(row)} instead of "
        f"{percent(row.declared)}."
        for row in _records(facts.rows("verdict", "above"))
    ]


def _open(facts: Facts) -> list[str]:
    return [
        f"{attribute}: cannot tell whether {names} differ from "
        "what was declared: INSUFFICIENT EVIDENCE."
        for attribute, names in facts.named("verdict", "cannot_tell")
    ]


def _undeclared(facts: Facts) -> list[str]:
    return [
        f"{attribute}: no shares are declared, so there are counts and intervals and no verdict."
        for attribute, rows in _by_attribute(facts.table)
        if rows["declared"].isna().all()
    ]


def _rarity(facts: Facts) -> list[str]:
    """Groups that lie where the latent space is thin, and those of which that cannot be said."""
    single, found = facts.rows("is_crossing", value=False), []
    for attribute, rows in _by_attribute(single[single["auc"].notna()]):
        low, high = rows["auc_low"].astype(float), rows["auc_high"].astype(float)
        rare = rows[low > HALF].sort_values("auc", ascending=False)
        unseen = rows[low.le(HALF) & high.ge(HALF)]
        if len(rare):
            texts = [
                f"{_value(row)} ({row.auc:.2f}, {row.auc_low:.2f} to {row.auc_high:.2f})"
                for row in _records(rare)
            ]
            found.append(
                f"{attribute}: images of {listed(texts)} lie in thinner surroundings than the "
                "others (area under the ROC curve of rarity; 0.5 says nothing, 1 everything)."
            )
        if len(unseen):
            found.append(
                f"{attribute}: rarity does not tell {_names(unseen)} "
                "from the others: the interval of the area holds one half."
            )
    return found


def _few(facts: Facts) -> list[str]:
    return [
        f"{attribute}: whether rarity or weights reach {names} is not said: under "
        f"{facts.minimum} images, or of so few people that they are worth no more."
        for attribute, names in facts.named("few", value=True, single=True)
    ]


def _weights_reach(facts: Facts) -> list[str]:
    raised = {
        attribute: f"{attribute}: the weights raise the share of {_moved(rows)}, more than equally "
        "uneven random weights would."
        for attribute, rows in _by_attribute(facts.rows("reach", "reached", single=True))
    }
    missed = {
        attribute: f"{attribute}: the weights do not target {names}: they do no better there "
        "than random weights of equal effective sample size."
        for attribute, names in facts.named("reach", "missed", single=True)
    }
    unclear = {
        attribute: f"{attribute}: whether the weights reach {names} cannot be told."
        for attribute, names in facts.named("reach", "unclear", single=True)
    }
    attributes = facts.table["attribute"].unique()
    return [kind[one] for one in attributes for kind in (raised, missed, unclear) if one in kind]


def _withheld(facts: Facts) -> list[str]:
    return [
        f"{attribute}: the numbers of {names} are withheld, as "
        f"a count of 1 to {facts.below - 1} could be read from them."
        for attribute, names in facts.named("state", "suppressed")
    ]


def _unlabelled(facts: Facts) -> list[str]:
    return [
        f"{row.attribute}: {row.count:,.0f} {_images(row.count)} ({percent(row.share)}) have no "
        "label and are compared with nobody; shares are of the others."
        for row in _records(facts.rows("state", UNKNOWN, single=True))
    ]


def _method(facts: Facts) -> list[str]:
    found = []
    if facts.comparisons:
        found.append(
            f"{facts.comparisons} {'group' if facts.comparisons == 1 else 'groups'} and crossings "
            f"were compared with declared shares; p-values are adjusted (Holm), so that a false "
            f"alarm among all of them has a chance of at most {percent(facts.level)}."
        )
    if facts.people is None:
        found.append(
            "Nobody says who is shown: images are treated as independent, and intervals are too "
            "narrow if people repeat."
        )
    elif facts.people < facts.images:
        found.append(
            f"The {facts.images:,} images show {facts.people:,} people; intervals are wide enough "
            "for their images being alike."
        )
    if facts.source == "inferred":
        found.append("The groups are machine guesses, not what people say of themselves.")
    return found


def _share(row: Row) -> str:
    return f"{percent(row.share)} ({percent(row.low)} to {percent(row.high)})"


def _moved(rows: pd.DataFrame) -> str:
    return listed(
        f"{_value(row)} ({percent(row.before)} to {percent(row.weight_share)})"
        for row in _records(rows)
    )


def _images(count: float) -> str:
    return "image" if count == 1 else "images"


def _called(row: Row) -> str:
    return str(row.group) if row.is_crossing else f"{row.attribute}: {_value(row)}"


def _value(row: Row) -> str:
    """The value alone; of a crossing, the name."""
    return str(row.group) if row.is_crossing else str(row.group).removeprefix(f"{row.attribute}:")


def _names(rows: pd.DataFrame) -> str:
    return listed(map(_value, _records(rows)))


def _records(table: pd.DataFrame) -> Iterable[Row]:
    return table.itertuples(index=False)


def _by_attribute(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """The rows of each attribute or crossing, in the order of the table."""
    for attribute, rows in table.groupby("attribute", sort=False):
        yield str(attribute), rows
