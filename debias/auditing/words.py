"""What the figures of an audit mean, the worst first, and what to do about them.

The sentences stand in ``sentences.toml``. Only group rows from which withheld numbers were removed
come here.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from debias.auditing.rules import AuditRules
from debias.report import audit_document as doc
from debias.report.audit_findings import is_declared
from debias.report.documents import Told
from debias.report.readings import is_blurred
from debias.statistics.groupings import UNKNOWN

SENTENCES = tomllib.loads(
    files("debias.auditing").joinpath("sentences.toml").read_text(encoding="utf-8")
)
HALF = 0.5
NAMED = 8  # groups in one sentence
MINIMUM = 30  # images below which nothing is concluded: of those with a label, for a share
LAST = {"nothing": 1, "coverage": 2}  # kinds of verdict at the end
NEWS = {"below": "group", "lowered": "caution", "lost": "group"}  # and the kind of its verdict

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


def with_ends(*numbers: float | None) -> str:
    """A share and its interval."""
    value, low, high = (percent(one or 0.0) for one in numbers)
    return f"{value} ({low} to {high})"


def listed(names: Iterable[str], most: int = NAMED) -> str:
    texts = list(names)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def counted(count: int, one: str) -> str:
    return f"{count} {one}{'' if count == 1 else 's'}"


# ---- the whole document


def verdicts(document: doc.Findings) -> list[doc.Verdict]:
    """What a reader must know: whether to believe it, who is there, who is missing, the rest."""
    groups, fidelity, coverage = document["groups"], document.get("fidelity"), document["coverage"]
    reference, drift = document["reference"], document["drift"]
    found = [
        *([_against("shortfall", reference)] if reference else []),
        *_of_groups(groups),
        *([_against("drift", drift)] if drift else []),
        _of_thin(document["regions"]),
        _as_said("coverage" if coverage["action"] else "nothing", coverage),
    ]
    lead = [_as_said("fidelity", fidelity)] if fidelity and is_blurred(fidelity) else []
    told = [_ends(one["attribute"], one["rows"]) for one in groups["attributes"]] if groups else []
    if any(told):
        lead.append(_verdict("who", " ".join(filter(None, told))))
    if not reference and not drift and not is_declared(groups):
        lead.append(_verdict("undeclared", say("verdicts.undeclared"), say("verdicts.declare")))
    elif all(one["kind"] == "nothing" for one in found):
        lead.append(_verdict("nothing", say("verdicts.nothing")))
    return lead + sorted(found, key=lambda one: LAST.get(one["kind"], 0))


def _verdict(kind: str, sentence: str, action: str | None = None) -> doc.Verdict:
    return {"kind": kind, "sentence": sentence, "action": action}


def _as_said(kind: str, section: Told) -> doc.Verdict:
    return _verdict(kind, section["sentence"], section["action"])


def _ends(name: str, rows: list[doc.Group]) -> str:
    """The smallest and the largest group of an attribute."""
    known = [row for row in rows if row["share"] is not None and row["state"] != UNKNOWN]
    known.sort(key=lambda row: row["share"] or 0.0)
    if len(known) < 2:
        return ""
    fewest, most = (
        f"{row['group'].removeprefix(f'{name}:')}, "
        f"{with_ends(row['share'], row['low'], row['high'])}"
        for row in (known[0], known[-1])
    )
    return f"{name.replace('_', ' ').capitalize()}: fewest {fewest}, most {most}."


def _against(kind: str, section: doc.Comparison) -> doc.Verdict:
    known = section["verdict"] == "told_apart" or any(one["found"] for one in section["regions"])
    return _as_said("caution" if section["telltale"] else kind if known else "nothing", section)


def _of_groups(groups: doc.Groups | None) -> list[doc.Verdict]:
    """One verdict for each kind of bad news, its first sentence."""
    if groups is None:
        return []
    first = {news["kind"]: news["sentence"] for news in reversed(groups["news"])}
    if not first and is_declared(groups):
        return [_verdict("nothing", groups["sentences"][0])]
    return [
        _verdict(NEWS[kind], first[kind], say(f"verdicts.{kind}")) for kind in NEWS if kind in first
    ]


def _of_thin(section: doc.ThinRegions) -> doc.Verdict:
    kind = "thin" if section["verdict"] == "found" else "nothing"
    first = next((one for one in section["list"] if one["found"]), None)
    more = "" if first is None else f" The first: {first['sentence']}"
    return _verdict(kind, section["sentence"] + more, section["action"])


def limits(document: doc.Findings, *, subjects: bool) -> list[str]:
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


def group_sentences(facts: Facts) -> tuple[list[str], list[doc.News]]:
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
        groups = counted(facts.comparisons, "group")
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
