"""What the figures of an audit mean, in plain English, the worst first, and what to do about them.

Only group rows from which withheld numbers were removed come here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from debias.auditing.rules import AuditRules
from debias.report.audit_findings import VIEWS
from debias.statistics.groupings import UNKNOWN

if TYPE_CHECKING:
    from debias.auditing.coverage import Coverage, Direction
    from debias.auditing.thin import ThinRegion, ThinRegions

HALF = 0.5
UNEVEN = 0.25  # of the images in one half of a direction: then one end is thin
NAMED = 8  # groups in one sentence
MINIMUM = 30  # images below which nothing is concluded: of those with a label, for a share

Section = dict[str, Any]
Row = Any  # of a table of groups


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage: 0.031 -> 3.1 %, 0.25 -> 25 %."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01 %"
    if 99.95 <= value < 100:
        return "over 99.9 %"
    return f"{value:.2f} %" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0") + " %"


def with_ends(value: float, low: float, high: float) -> str:
    return f"{percent(value)} ({percent(low)} to {percent(high)})"


def listed(names: Iterable[str], most: int = NAMED) -> str:
    texts = list(names)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


# ---- what can be said without any annotation


def _said(sentence: str, action: str | None = None) -> Section:
    """A sentence, and what to do."""
    return {"sentence": sentence, "action": action}


def of_coverage(found: "Coverage") -> Section:
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
        return _said(sentence)
    return _said(
        f"{sentence} They fill fewer cells than one heap would: most are much alike, or they "
        "form separate heaps.",
        "Look at the clusters, and at the most and the least represented images below: they say "
        "what there is too much and too little of.",
    )


def of_regions(found: "ThinRegions") -> Section:
    if not found.enough:
        few = "There are too few images to look for thin regions."
        return _said(few, "Audit 200 images or more.")
    tried = f"{found.looked_at} direction{'' if found.looked_at == 1 else 's'}"
    if not found.found:
        return _said(
            f"No thin region found: of {tried} that looked promising on one half of the images, "
            "none was confirmed on the other half. Rare kinds of images that do not stand apart "
            "from the others in these descriptions cannot be found this way.",
            "Compare with a reference set, or annotate some images: both find what does not "
            "stand apart.",
        )
    count = len(found.found)
    return _said(
        f"{count} thin region{'' if count == 1 else 's'} found: small parts of the images that "
        f"stand apart from all others (of {tried} tried on images that had not suggested them; "
        f"{found.level:.0%} false alarms at most).",
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


def of_fidelity(section: Section) -> Section:
    """Of a fidelity as plain values, ``epochs`` of the training and ``advised`` beside it."""
    count, verdict = section["images"], section["verdict"]
    if verdict == "too_few":
        return _said(f"{count} images are too few to say whether the model tells images apart.")
    kept, chance = (percent(section[f"neighbours_{name}"]) for name in ("kept", "by_chance"))
    detail, every = (percent(max(section[name], 0.0)) for name in ("explained_detail", "explained"))
    measured = (
        f"Of {count:,} images that it was not trained on, it keeps {detail} of what tells "
        f"faces apart and {every} of all differences; {kept} of their "
        f"nearest neighbours stay neighbours ({chance} by chance)."
    )
    if verdict == "tells_apart":
        return _said(f"The model tells images apart. {measured}")
    return _said(
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
# Of a kind of news about groups: of which kind its verdict is, and what to do.
NEWS = {
    "below": ("group", "Collect images of the groups named, the first one first."),
    "lowered": (
        "caution",
        "Do not train with weights by rarity before you know whom they take it from.",
    ),
    "lost": ("group", "Find out why these images were set aside before collecting more."),
}


def verdicts(document: Section) -> list[Section]:
    """What a reader must know: whether to believe it, who is there, who is missing, the rest.

    Args:
        document: Sections ``fidelity``, ``reference``, ``drift``, ``groups``, ``regions``,
            ``coverage``.
    """
    groups, fidelity, coverage = (document[name] for name in ("groups", "fidelity", "coverage"))
    others = {"shortfall": document["reference"], "drift": document["drift"]}
    compared = {kind: [_against(kind, one)] if one else [] for kind, one in others.items()}
    found = [
        *compared["shortfall"], *_of_groups(groups), *compared["drift"],
        _of_thin(document["regions"]),
        _as_said("coverage" if coverage["action"] else "nothing", coverage),
    ]  # fmt: skip
    lead = [_as_said("fidelity", fidelity)] if fidelity and fidelity["verdict"] == "blurred" else []
    lead += _who(groups)
    if not any(compared.values()) and not _any_declared(groups):
        lead.append(_verdict("undeclared", UNDECLARED, DECLARE))
    elif all(one["kind"] == "nothing" for one in found):
        lead.append(_verdict("nothing", NOTHING))
    return lead + sorted(found, key=lambda one: LAST.get(one["kind"], 0))


def _verdict(kind: str, sentence: str, action: str | None = None) -> Section:
    return {"kind": kind} | _said(sentence, action)


def _as_said(kind: str, section: Section) -> Section:
    return _verdict(kind, section["sentence"], section["action"])


def _who(groups: Section | None) -> list[Section]:
    """The smallest and the largest group of each attribute."""
    told = [_ends(one["attribute"], one["rows"]) for one in groups["attributes"]] if groups else []
    return [_verdict("who", " ".join(filter(None, told)))] if any(told) else []


def _ends(name: str, rows: list[Section]) -> str:
    rows = [row for row in rows if row["share"] is not None and row["state"] != UNKNOWN]
    rows.sort(key=lambda row: row["share"])
    if len(rows) < 2:
        return ""
    fewest, most = (
        f"{row['group'].removeprefix(f'{name}:')}, "
        f"{with_ends(row['share'], row['low'], row['high'])}"
        for row in (rows[0], rows[-1])
    )
    return f"{name.replace('_', ' ').capitalize()}: fewest {fewest}, most {most}."


def _any_declared(groups: Section | None) -> bool:
    """Whether anybody said how large some group should be."""
    if groups is None:
        return False
    rows = [row for one in groups["attributes"] for row in one["rows"]] + groups["crossings"]
    return any(row["declared"] is not None for row in rows)


def _against(kind: str, section: Section) -> Section:
    known = section["verdict"] == "told_apart" or any(one["found"] for one in section["regions"])
    return _as_said("caution" if section["telltale"] else kind if known else "nothing", section)


def _of_groups(groups: Section | None) -> list[Section]:
    """One verdict for each kind of bad news, its first sentence."""
    if groups is None:
        return []
    first = {news["kind"]: news["sentence"] for news in reversed(groups["news"])}
    if not first and _any_declared(groups):
        return [_verdict("nothing", groups["sentences"][0])]
    return [_verdict(NEWS[kind][0], first[kind], NEWS[kind][1]) for kind in NEWS if kind in first]


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
        table: One row a group or crossing: the fields of a row of the document, ``attribute``,
            ``is_crossing``, ``few`` (images to say more than a share), ``before`` and ``reach`` of
            weights, ``set_aside_overall``, ``more_set_aside``.
        people: Number of people shown; None where nobody says.
        comparisons: Groups and crossings with a declared share.
    """

    table: pd.DataFrame
    images: int
    people: int | None
    comparisons: int
    rules: AuditRules
    source: str

    def of(self, column: str, value: str | bool) -> pd.DataFrame:
        """Rows of which a column says so."""
        return self.table[self.table[column].eq(value)]

    def say(
        self, column: str, texts: Mapping[str | bool, str], *, single: bool = True
    ) -> Iterator[str]:
        """By attribute, what is to be said of the groups of which a column says so.

        ``{names}`` of them, or ``{moved}``: names with the shares before and after; ``single``:
        crossings are left out.
        """
        for attribute, rows in _by_attribute(self.table):
            for value, text in texts.items():
                some = rows[rows[column].eq(value) & ~(rows["is_crossing"] & single)]
                told = {"moved": _moved} if "{moved}" in text else {"names": _names}
                if len(some):
                    filled = {name: of(some) for name, of in told.items()}
                    yield f"{attribute}: {text.format(**filled)}"


HARM = {"lowered": "harm, the weights lower the share of {moved}."}
OPEN = {
    "cannot_tell": "cannot tell whether {names} differ from what was declared: "
    "INSUFFICIENT EVIDENCE."
}
FEW = {
    True: f"whether rarity or weights reach {{names}} is not said: under {MINIMUM} images, or of "
    "so few people that they are worth no more."
}
REACH = {
    "reached": "the weights raise the share of {moved}, more than equally uneven random weights "
    "would.",
    "missed": "the weights do not target {names}: they do no better there than random weights of "
    "equal effective sample size.",
    "unclear": "whether the weights reach {names} cannot be told.",
}
WITHHELD = (
    "the numbers of {{names}} are withheld, as a count of 1 to {most} could be read from them."
)


def group_sentences(facts: Facts) -> list[str]:
    """Shortfalls, harm by weights, losses, what is too small, the rest, and how it was judged."""
    withheld = {"suppressed": WITHHELD.format(most=facts.rules.suppress_below - 1)}
    return [
        *(said for _, said in _worst(facts)),
        *_judged(facts),
        *(said for name, rows in _by_attribute(facts.table) for said in _rarity(name, rows)),
        *facts.say("few", FEW),
        *facts.say("reach", REACH),
        *facts.say("state", withheld, single=False),
        *_method(facts),
    ]


def bad_news(facts: Facts) -> list[tuple[str, str]]:
    """What a reader must not miss, by kind, worst first: ``below``, ``lowered``, ``lost``."""
    return [(kind, said) for kind, said in _worst(facts) if kind]


def _worst(facts: Facts) -> Iterator[tuple[str, str]]:
    for row in _each(facts.of("verdict", "below").sort_values("missing", ascending=False)):
        more = "no number of images of this group alone would reach it"
        if not pd.isna(row.missing):
            more = f"{row.missing:,.0f} more {_images(row.missing)} would reach it"
        yield "below", f"{_called(row)} is below its declared share: {_instead(row)}; {more}."
    for attribute, rows in _by_attribute(facts.table):
        if grown := _together(rows):
            said = (
                f"{attribute}: each of these numbers is what one group needs if nothing else is "
                f"added; to reach all declared shares at once by adding, {grown} in all."
            )
            yield "", said
    for said in facts.say("reach", HARM):
        yield "lowered", said
    for row in _each(facts.of("more_set_aside", value=True)):
        said = (
            f"{_called(row)} lost more than others: {percent(row.set_aside_share)} of its listed "
            f"images were set aside, {percent(row.set_aside_overall)} overall; find out why before "
            "collecting more."
        )
        yield "lost", said


def _together(rows: pd.DataFrame) -> str:
    """How far a set grows until all shares are as declared, if images are only ever added."""
    groups, declared = rows[rows["state"] != UNKNOWN], rows["declared"]
    if (rows["verdict"] == "below").sum() < 2 or (groups["state"] == "suppressed").any():
        return ""
    size = (groups["count"] / declared.where(declared > 0)).max()
    unwanted = (groups["declared"] == 0) & (groups["count"] > 0)
    return "no addition suffices" if unwanted.any() else f"it takes {size:,.0f} images"


def _judged(facts: Facts) -> Iterator[str]:
    """Shares without a verdict, above the declared one, or that cannot be told from it."""
    for attribute, rows in _by_attribute(facts.of("state", "too_small")):
        texts = [
            f"{_value(row)} ({row.count:,.0f}"
            + (f", {row.missing:,.0f} more would reach {percent(row.declared)})" if row.missing > 0
               else ")")
            for row in _each(rows)
        ]  # fmt: skip
        yield (
            f"{attribute}: no verdict on {listed(texts)}: the images with a label are under "
            f"{MINIMUM}, or show so few people that they are worth no more."
        )
    absent = facts.of("state", "not_estimable")
    for attribute, rows in _by_attribute(absent[absent["verdict"] != "below"]):
        yield f"{attribute}: no image shows {_names(rows)}."
    for row in _each(facts.of("verdict", "above")):
        yield f"{_called(row)} is above its declared share: {_instead(row)}."
    yield from facts.say("verdict", OPEN, single=False)
    for attribute, rows in _by_attribute(facts.table):
        if rows["declared"].isna().all():
            yield (
                f"{attribute}: no shares are declared, so there are counts and intervals and no "
                "verdict."
            )


def _rarity(attribute: str, rows: pd.DataFrame) -> Iterator[str]:
    """Groups that lie where the latent space is thin, and those of which that cannot be said."""
    rows = rows[rows["auc"].notna() & ~rows["is_crossing"]]
    low, high = rows["auc_low"].astype(float), rows["auc_high"].astype(float)
    rare, unseen = rows[low > HALF], rows[low.le(HALF) & high.ge(HALF)]
    if len(rare):
        texts = [
            f"{_value(row)} ({row.auc:.2f}, {row.auc_low:.2f} to {row.auc_high:.2f})"
            for row in _each(rare.sort_values("auc", ascending=False))
        ]
        yield (
            f"{attribute}: images of {listed(texts)} lie in thinner surroundings than the "
            "others (area under the ROC curve of rarity; 0.5 says nothing, 1 everything)."
        )
    if len(unseen):
        yield (
            f"{attribute}: rarity does not tell {_names(unseen)} from the others: the interval of "
            "the area holds one half."
        )


def _method(facts: Facts) -> Iterator[str]:
    unlabelled = facts.of("state", UNKNOWN)
    for row in _each(unlabelled[~unlabelled["is_crossing"]]):
        yield (
            f"{row.attribute}: {row.count:,.0f} {_images(row.count)} ({percent(row.share)}) have "
            "no label and are compared with nobody; shares are of the others."
        )
    if facts.comparisons:
        yield (
            f"{facts.comparisons} {'group' if facts.comparisons == 1 else 'groups'} and crossings "
            f"were compared with declared shares; p-values are adjusted (Holm), so that a false "
            f"alarm among all of them has a chance of at most {percent(facts.rules.level)}."
        )
    if facts.people is None:
        yield (
            "Nobody says who is shown: images are treated as independent, and intervals are too "
            "narrow if people repeat."
        )
    elif facts.people < facts.images:
        yield (
            f"The {facts.images:,} images show {facts.people:,} people; intervals are wide enough "
            "for their images being alike."
        )
    if facts.source == "inferred":
        yield "The groups are machine guesses, not what people say of themselves."


def _instead(row: Row) -> str:
    return f"{with_ends(row.share, row.low, row.high)} instead of {percent(row.declared)}"


def _moved(rows: pd.DataFrame) -> str:
    return listed(
        f"{_value(row)} ({percent(row.before)} to {percent(row.weight_share)})"
        for row in _each(rows)
    )


def _images(count: float) -> str:
    return "image" if count == 1 else "images"


def _called(row: Row) -> str:
    return str(row.group) if row.is_crossing else f"{row.attribute}: {_value(row)}"


def _value(row: Row) -> str:
    """The value alone; of a crossing, the name."""
    return str(row.group) if row.is_crossing else str(row.group).removeprefix(f"{row.attribute}:")


def _names(rows: pd.DataFrame) -> str:
    return listed(map(_value, _each(rows)))


def _each(table: pd.DataFrame) -> Iterable[Row]:
    return table.itertuples(index=False)


def _by_attribute(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """The rows of each attribute or crossing, in the order of the table."""
    return ((str(attribute), rows) for attribute, rows in table.groupby("attribute", sort=False))
