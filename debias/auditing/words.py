"""What the figures of an audit mean, the worst first, and what to do about them.

The sentences stand in ``sentences.toml``. Only group rows from which withheld numbers were removed
come here.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd

from debias.auditing.rules import AuditRules
from debias.report.audit_findings import VIEWS, every_row
from debias.statistics.groupings import UNKNOWN

if TYPE_CHECKING:
    from debias.auditing.coverage import Coverage, Direction
    from debias.auditing.thin import ThinRegion, ThinRegions

SENTENCES = tomllib.loads(
    files("debias.auditing").joinpath("sentences.toml").read_text(encoding="utf-8")
)
HALF = 0.5
UNEVEN = 0.25  # of the images in one half of a direction: then one end is thin
NAMED = 8  # groups in one sentence
MINIMUM = 30  # images below which nothing is concluded: of those with a label, for a share
LAST = {"nothing": 1, "coverage": 2}  # kinds of verdict at the end
NEWS = {"below": "group", "lowered": "caution", "lost": "group"}  # and the kind of its verdict

Section = dict[str, Any]
Row = Any  # of a table of groups


def say(name: str, /, **facts: object) -> str:
    """A sentence of ``sentences.toml``, such as ``coverage.filled``, with what it tells."""
    part, _, key = name.partition(".")
    return str(SENTENCES[part][key]).format(**facts)


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage: 0.031 -> 3.1 %, 0.25 -> 25 %."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01%"
    if 99.95 <= value < 100:
        return "over 99.9%"
    return f"{value:.2f}%" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0") + "%"


def with_ends(value: float, low: float, high: float) -> str:
    return f"{percent(value)} ({percent(low)} to {percent(high)})"


def listed(names: Iterable[str], most: int = NAMED) -> str:
    texts = list(names)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _counted(count: int, one: str) -> str:
    return f"{count} {one}{'' if count == 1 else 's'}"


def _said(sentence: str, action: str | None = None) -> Section:
    return {"sentence": sentence, "action": action}


# ---- what can be said without any annotation


def of_coverage(found: "Coverage") -> Section:
    low, high = found.bell["effective_cells"]
    filled = say(
        "coverage.filled", cells=found.cells, effective=found.effective_cells,
        heap=f"{low:.0f} to {high:.0f}" if low != high else f"{low:.0f}",
        densest=percent(found.densest_tenth),
    )  # fmt: skip
    if found.effective_cells >= low:
        return _said(filled)
    return _said(say("coverage.heaps", filled=filled), say("coverage.do"))


def of_regions(found: "ThinRegions") -> Section:
    if not found.enough:
        return _said(say("regions.too_few"), say("regions.more"))
    tried = _counted(found.looked_at, "direction")
    if not found.found:
        return _said(say("regions.none_found", tried=tried), say("regions.compare"))
    regions = _counted(len(found.found), "thin region")
    sentence = say("regions.found", regions=regions, tried=tried, level=found.level)
    return _said(sentence, say("regions.look"))


def of_region(region: "ThinRegion") -> str:
    where = VIEWS.get(region.view, f"in {region.view}")
    share = region.share
    ends = {"low": percent(share.low), "high": percent(share.high), "share": percent(share.value)}
    name = "regions.one" if region.found else "regions.perhaps"
    return say(name, count=share.count, where=where, **ends)


def of_direction(one: "Direction") -> str:
    fuller, thin, share = "lower", "upper", one.low_share
    if share < HALF:
        fuller, thin, share = thin, fuller, 1 - share
    halves = say(
        "direction.halves", number=one.number, variance=percent(one.variance_share), fuller=fuller,
        share=percent(share),
    )  # fmt: skip
    return say("direction.thin", halves=halves, thin=thin) if share >= HALF + UNEVEN else halves


def of_fidelity(section: Section) -> Section:
    """Of a fidelity as plain values, ``epochs`` of the training and ``advised`` beside it."""
    verdict = section["verdict"]
    if verdict == "too_few":
        return _said(say("fidelity.too_few", **section))
    measured = say(
        "fidelity.measured", images=section["images"],
        detail=percent(max(section["explained_detail"], 0.0)),
        every=percent(max(section["explained"], 0.0)),
        kept=percent(section["neighbours_kept"]), chance=percent(section["neighbours_by_chance"]),
    )  # fmt: skip
    do = None if verdict == "tells_apart" else say("fidelity.do", **section)
    return _said(say(f"fidelity.{verdict}", measured=measured), do)


# ---- the whole document


def verdicts(document: Section) -> list[Section]:
    """What a reader must know: whether to believe it, who is there, who is missing, the rest."""
    groups, fidelity, coverage = (document[name] for name in ("groups", "fidelity", "coverage"))
    reference, drift = document["reference"], document["drift"]
    found = [
        *([_against("shortfall", reference)] if reference else []),
        *_of_groups(groups),
        *([_against("drift", drift)] if drift else []),
        _of_thin(document["regions"]),
        _as_said("coverage" if coverage["action"] else "nothing", coverage),
    ]
    lead = [_as_said("fidelity", fidelity)] if fidelity and fidelity["verdict"] == "blurred" else []
    told = [_ends(one["attribute"], one["rows"]) for one in groups["attributes"]] if groups else []
    if any(told):
        lead.append(_verdict("who", " ".join(filter(None, told))))
    if not reference and not drift and not _any_declared(groups):
        lead.append(_verdict("undeclared", say("verdicts.undeclared"), say("verdicts.declare")))
    elif all(one["kind"] == "nothing" for one in found):
        lead.append(_verdict("nothing", say("verdicts.nothing")))
    return lead + sorted(found, key=lambda one: LAST.get(one["kind"], 0))


def _verdict(kind: str, sentence: str, action: str | None = None) -> Section:
    return {"kind": kind} | _said(sentence, action)


def _as_said(kind: str, section: Section) -> Section:
    return _verdict(kind, section["sentence"], section["action"])


def _ends(name: str, rows: list[Section]) -> str:
    """The smallest and the largest group of an attribute."""
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
    return any(row["declared"] is not None for row in every_row({"groups": groups}))


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
    return [
        _verdict(NEWS[kind], first[kind], say(f"verdicts.{kind}")) for kind in NEWS if kind in first
    ]


def _of_thin(section: Section) -> Section:
    kind = "thin" if section["verdict"] == "found" else "nothing"
    first = next((one for one in section["list"] if one["found"]), None)
    more = "" if first is None else f" The first: {first['sentence']}"
    return _verdict(kind, section["sentence"] + more, section["action"])


def limits(document: Section, *, subjects: bool) -> list[str]:
    """What this audit cannot see."""
    names = ["collection", "looks", "photographs"]
    names += ["no_reference"] if document["reference"] is None else []
    names += ["no_groups"] if document["groups"] is None else []
    return [say(f"limits.{name}") for name in (*names, "people" if subjects else "nobody")]


# ---- groups


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What sentences about groups are made of; withheld numbers are gone.

    ``table`` has one row a group or crossing: the fields of a row of the document, ``attribute``,
    ``is_crossing``, ``few`` (images to say more than a share), ``before`` and ``reach`` of weights,
    ``set_aside_overall``, ``more_set_aside``. ``people`` are those shown, None where nobody says;
    ``comparisons`` the groups and crossings with a declared share.
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

    def about(self, column: str, *kinds: str, single: bool = True) -> Iterator[str]:
        """By attribute, what is said of the groups of which a column says a kind.

        ``kinds`` are its values, each a sentence of ``groups``; a column of truth values names its
        sentence itself. ``single``: without crossings.
        """
        facts = {"minimum": MINIMUM, "most": self.rules.suppress_below - 1}
        for attribute, rows in _by_attribute(self.table):
            for kind in kinds or (column,):
                some = rows[rows[column].eq(kind if kinds else True)]
                some = some[~some["is_crossing"]] if single else some
                moved = _moved(some) if column == "reach" else ""
                if len(some):
                    said = say(f"groups.{kind}", names=_names(some), moved=moved, **facts)
                    yield f"{attribute}: {said}"


def group_sentences(facts: Facts) -> tuple[list[str], list[Section]]:
    """All that is said of groups, the worst first, and what of it a reader must not miss, by kind.

    Shortfalls (``below``), harm by weights (``lowered``), losses (``lost``), what is too small, the
    rest, and how it was judged.
    """
    worst = list(_worst(facts))
    sentences = [
        *(said for _, said in worst),
        *_judged(facts),
        *(said for name, rows in _by_attribute(facts.table) for said in _rarity(name, rows)),
        *facts.about("few"),
        *facts.about("reach", "reached", "missed", "unclear"),
        *facts.about("state", "suppressed", single=False),
        *_method(facts),
    ]
    return sentences, [{"kind": kind, "sentence": said} for kind, said in worst if kind]


def _worst(facts: Facts) -> Iterator[tuple[str, str]]:
    for row in _each(facts.of("verdict", "below").sort_values("missing", ascending=False)):
        more = say("groups.unreachable")
        if not pd.isna(row.missing):
            more = say("groups.reachable", missing=row.missing, images=_images(row.missing))
        yield "below", say("groups.below", called=_called(row), instead=_instead(row), more=more)
    for attribute, rows in _by_attribute(facts.table):
        if grown := _together(rows):
            yield "", say("groups.together", attribute=attribute, grown=grown)
    for said in facts.about("reach", "lowered"):
        yield "lowered", said
    for row in _each(facts.of("more_set_aside", value=True)):
        share, overall = percent(row.set_aside_share), percent(row.set_aside_overall)
        yield "lost", say("groups.lost", called=_called(row), share=share, overall=overall)


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
        wanting = listed(f"{_value(row)} ({row.count:,.0f}{_wanted(row)})" for row in _each(rows))
        yield say("groups.too_small", attribute=attribute, wanting=wanting, minimum=MINIMUM)
    absent = facts.of("state", "not_estimable")
    for attribute, rows in _by_attribute(absent[absent["verdict"] != "below"]):
        yield say("groups.absent", attribute=attribute, names=_names(rows))
    for row in _each(facts.of("verdict", "above")):
        yield say("groups.above", called=_called(row), instead=_instead(row))
    yield from facts.about("verdict", "cannot_tell", single=False)
    for attribute, rows in _by_attribute(facts.table):
        if rows["declared"].isna().all():
            yield say("groups.undeclared", attribute=attribute)


def _wanted(row: Row) -> str:
    more = f", {row.missing:,.0f} more would reach {percent(row.declared)}"
    return more if row.missing > 0 else ""


def _rarity(attribute: str, rows: pd.DataFrame) -> Iterator[str]:
    """Groups that lie where the latent space is thin, and those of which that cannot be said."""
    rows = rows[rows["auc"].notna() & ~rows["is_crossing"]]
    low, high = rows["auc_low"].astype(float), rows["auc_high"].astype(float)
    rare, unseen = rows[low > HALF], rows[low.le(HALF) & high.ge(HALF)]
    if len(rare):
        texts = listed(
            f"{_value(row)} ({row.auc:.2f}, {row.auc_low:.2f} to {row.auc_high:.2f})"
            for row in _each(rare.sort_values("auc", ascending=False))
        )
        yield say("groups.rare", attribute=attribute, rare=texts)
    if len(unseen):
        yield say("groups.unseen", attribute=attribute, names=_names(unseen))


def _method(facts: Facts) -> Iterator[str]:
    unlabelled = facts.of("state", UNKNOWN)
    for row in _each(unlabelled[~unlabelled["is_crossing"]]):
        yield say(
            "groups.unlabelled", attribute=row.attribute, count=row.count,
            images=_images(row.count), share=percent(row.share),
        )  # fmt: skip
    if facts.comparisons:
        groups = _counted(facts.comparisons, "group")
        yield say("groups.compared", groups=groups, level=percent(facts.rules.level))
    if facts.people is None:
        yield say("groups.independent")
    elif facts.people < facts.images:
        yield say("groups.people", images=facts.images, people=facts.people)
    if facts.source == "inferred":
        yield say("groups.inferred")


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
