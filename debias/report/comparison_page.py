"""The page about two classifiers, harms first, and what a run's page shows of each change."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TypeVar

from debias.metrics import documents as d
from debias.report import blocks as b
from debias.report import fairness_page as single
from debias.report import readings as r
from debias.report import words as w
from debias.report.charts.style import chart_names
from debias.report.opening import moved, worst_seen
from debias.report.texts import TEXTS, chart, note, sections_of, text

Change = TypeVar("Change", d.GroupChange, d.GapChange)
CHANGES_FIRST = 10
TOLD = 3  # harms, and gains, at the top of a page
LEADS = {
    "harm": "At least one group is served worse than before:",
    "gain": "At least one group is served better than before, or a gap is narrower:",
    "trade": "One kind of error became rarer for a group, and the other more common:",
}


def page(document: d.ComparisonDocument, drawn: Mapping[str, bytes]) -> b.Page:
    """The page, given its charts by name."""
    before = w.arm_name(document["before"]) or "the first classifier"
    after = w.arm_name(document["after"]) or "the second classifier"
    resized = [row for row in document["sizes"] if row["before"] != row["after"]]
    sizes = note("resized"), _sizes(resized, lambda row: w.full_group_name(row["group"]))
    return b.Page(
        title=f"{before} and {after}: what changed for whom",
        kicker=f"before: {before} · after: {after}",
        heading=_heading(document),
        opening=tuple(_opening(document, drawn)),
        sections=sections_of(
            TEXTS["comparison"],
            {
                "sizes": sizes if resized else (), "which": [_which(document)],
                "many": _many(document, not resized), "different": _different(document, drawn),
                "sure": _sure(document), "changed": _changed(document, drawn),
                "harmed": harmed(document), "scope": [b.Points(document["scope"])],
                "numbers": _numbers(document), "read": single.HOW_TO_READ,
            },
        ),
        footer="This page measures changes between two classifiers on the same images. It is no "
        "statement about other data, other groups, or a use of the classifiers.",
    )  # fmt: skip


def summary(name: str, document: d.ComparisonDocument) -> Iterator[b.Block]:
    """What a terminal shows: harms first, the verdict, banners, and the change of every group."""
    yield b.Sentence(f"{name}: {document['verdict']['sentence']}", "verdict")
    seen = "" if document["verdict"]["harms"] else worst_seen(document)
    yield b.Points((*([seen] if seen else []), *document["notes"]))
    metrics = r.compared_metrics(document)
    metric = "accuracy" if "accuracy" in metrics or not metrics else metrics[0]
    columns: b.Columns[d.GroupChange] = {
        "group": r.name,
        "images": "{n:count}",
        "before": "{before:percent}",
        "after": "{after:percent}",
        "change, points": lambda row: b.joined((
            b.Value(row["change"], "change", r.why_no_number(row, document["suppress_below"])),
            b.said("low?[{low:change}, {high:change}]", row),
        )),
        "fixed, broken": "fixed?{fixed:count}, {broken:count}",
        "verdict": lambda row: r.change_said(row, document),
    }  # fmt: skip
    rows = r.of(document["groups"], metric)
    yield b.table(
        (row for row in rows if not r.is_withheld(row)), columns,
        lambda row: r.why_no_number(row, document["suppress_below"]),
        title=f"{r.metric_name(metric)} by group, harmed groups first", left=(0, 6),
    )  # fmt: skip
    yield from single.left_out(filter(r.is_withheld, rows), document["suppress_below"])


def _heading(document: d.ComparisonDocument) -> str:
    young = " in this training" * r.is_young(document)
    if document["verdict"]["harms"]:
        return f"{moved(document, better=False)}{young}"
    tested = w.number(document["comparisons"], "count")
    none = f"harm was found in none of {tested} comparisons"
    if document["verdict"]["gains"]:
        return f"{moved(document, better=True)}{young}; {none}"
    return none.capitalize()


def _opening(document: d.ComparisonDocument, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    cards = tuple(told(
        document, "", b.Link("who was harmed", "#harmed"), b.Link("what changed", "#changed")
    ))  # fmt: skip
    if not document["verdict"]["harms"] and (seen := worst_seen(document)):
        yield b.Sentence(seen, "lead")
    yield from cards or (single.verdict(document["verdict"], document["margin"]),)
    names = chart_names("change_by_group", r.compared_metrics(document))
    for metric in [name for name in names if names[name] in drawn][:1]:
        svg, level = drawn[names[metric]], document["level"]
        yield chart(svg, "first_changes", measure=r.metric_name(metric), level=level)
    yield from single.cautions(document["notes"])


def told(
    document: d.ComparisonDocument, who: str, harms: b.Link, gains: b.Link
) -> Iterator[b.Card]:
    """Harms, gains and trades, if there are any, in the words of the document.

    A trade is told with what the group paid. Of a single training all three are told alike, as
    seen in it.
    """
    found = document["verdict"]
    seen = " seen in this training" * r.is_young(document)
    for kind, sentences, where in (
        ("harm", found["harms"], harms),
        ("gain", found["gains"], gains),
        ("trade", found["trades"], gains),
    ):
        more = len(sentences) - TOLD
        rest = [(f"and {more:,} more: ", where)] if more > 0 else []
        if sentences:
            points = b.Points((*sentences[:TOLD], *rest))
            beside = _paid(document) if kind == "trade" else ()
            heading = b.Strong(f"{kind.capitalize()}{seen}{who}."), " ", LEADS[kind]
            yield b.Card((b.Sentence(heading), points, *beside), kind)


def _paid(document: d.ComparisonDocument) -> Iterator[b.Sentence]:
    for row in document["groups"]:
        if price := r.paid(row, document["groups"], document["level"]):
            who = f"{w.attribute_name(row['attribute'])} {r.name(row)}"
            yield note("paid", price, who=who, gain=_went(row), price=_went(price))


def _went(row: d.GroupChange) -> str:
    return f"{r.metric_name(row['metric'])} {'rose' if row['change'] > 0 else 'fell'}"


def _sizes(rows: Iterable[d.SizeRow], name: Callable[[d.SizeRow], str]) -> b.Table:
    columns: b.Columns[d.SizeRow] = {
        "group": lambda row: b.Cell(name(row), title=row["group"]),
        "images before": "{before:count|withheld}",
        "images after": "{after:count|withheld}",
    }
    return b.table(rows, columns, look="tight")


def _which(document: d.ComparisonDocument) -> b.Facts:
    found: dict[str, dict[str, None]] = {}
    for row in document["groups"]:
        short = r.name(row)
        found.setdefault(row["attribute"], {})[short] = None
    names = sorted(found, key=lambda name: " x " in name)
    return b.Facts(tuple((w.attribute_name(name), ", ".join(found[name])) for name in names))


def _many(document: d.ComparisonDocument, same: bool) -> Iterator[b.Block]:
    seeds = len(document["seeds"])
    trained = "One training of each classifier: training again could give other changes."
    if seeds > 1:
        trained = f"{seeds:,} trainings of each classifier."
    unchanged = ", the same before and after" if same else ""
    images = b.said("{n:count} images{people}", document, people=single.people(document))
    yield b.Sentence((*b.pieces(images), f"{unchanged}. {trained}"))
    for attribute, rows in groupby(document["sizes"], key=lambda row: row["attribute"]):
        table = _sizes(rows, r.name)
        title = f"Images by {w.attribute_name(attribute)}"
        yield b.Fold(title, (table,), w.amount(len(table.rows), "group"))


def _different(document: d.ComparisonDocument, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    yield note("gaps", directions=directions(document))
    names = chart_names("gap_change", r.compared_metrics(document))
    shown = {metric: drawn[name] for metric, name in names.items() if name in drawn}
    if not shown:
        yield b.Sentence("No gap between two groups could be compared.")
    for place, (metric, svg) in enumerate(shown.items()):
        found = chart(svg, "gaps", measure=r.metric_name(metric))
        fold = single.folded(found, document["gaps"], metric)
        yield replace(fold, title=f"gaps in {fold.title}", is_open=not place)


def counts(document: d.ComparisonDocument) -> str:
    """How many changes beyond chance are for the better and for the worse."""
    found = document["verdict"]
    traded = f", {len(found['trades']):,} traded for another error" if found["trades"] else ""
    several = len(document["seeds"]) > 1
    where = " in these trainings" if several else " in this training" * r.is_young(document)
    return (
        f"{w.amount(len(found['gains']), 'change')} for the better{traded} and "
        f"{len(found['harms']):,} for the worse are beyond chance{where}"
    )


def directions(document: d.ComparisonDocument) -> str:
    """Say how many gaps went which way, told apart from chance or not."""
    counts = Counter(
        row["direction"] for row in document["gaps"] if row["verdict"] == "difference_found"
    )
    if not counts:
        return "For no gap between two groups was a change found."
    said = ", ".join(f"{n:,} {w.words(name)}" for name, n in counts.items())
    return f"Changes of a gap that were found: {said}."


def _sure(document: d.ComparisonDocument) -> Iterator[b.Block]:
    yield single.verdict(document["verdict"], document["margin"])
    several = text("several") if len(document["seeds"]) > 1 else ""
    yield note("tested", document, widened=text("adjusted", document), several=several)
    rows = sorted([*document["groups"], *document["gaps"]], key=r.harm_first)
    yield from single.tally(rows, document["margin"])


def _changed(document: d.ComparisonDocument, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    names = chart_names("change_by_group", r.compared_metrics(document))
    charts = list(change_charts(document, drawn, names))
    yield b.Sentence(f"{counts(document)}." if charts else "No rate could be compared.")
    yield from changed(document, charts[1:])


def changed(
    document: d.ComparisonDocument, charts: Iterable[b.Block], traded: int | None = None
) -> Iterator[b.Block]:
    """Charts, the changes to look at first, gains, and the first ``traded`` tables of trades."""
    yield from charts
    yield from _first_changes(document)
    found = document["verdict"]
    for title, listed in (("Gains", found["gains"]), ("Trades", found["trades"])):
        if listed:
            yield b.Fold(title, (b.Points(listed),), f"{len(listed):,}", is_open=True)
    if document["trade"]:
        yield b.Fold("What was traded for what", tuple(_trades(document, traded)))


def change_charts(
    document: d.ComparisonDocument, drawn: Mapping[str, bytes], names: Mapping[str, str]
) -> Iterator[b.Fold]:
    """The chart of every measure that was drawn, with the number of changes found."""
    for metric, name in names.items():
        if name in drawn:
            meaning = r.metric_meaning(metric, document["positive"]).capitalize()
            found = chart(drawn[name], "changes", measure=r.metric_name(metric), meaning=meaning)
            yield single.folded(found, document["groups"], metric)


def _first_changes(document: d.ComparisonDocument) -> Iterator[b.Block]:
    """Harms, other changes that were found, then the largest losses."""
    rows = sorted(document["groups"], key=r.harm_first)
    judged = [row for row in rows if w.is_number(row["change"]) and row["reason"] not in r.UNJUDGED]
    if judged:
        table = group_table(judged[:CHANGES_FIRST], document)
        note = "harms, then changes that were found"
        yield b.Fold("The changes to look at first", (table,), note, is_open=True)


def group_table(
    rows: Sequence[d.GroupChange], document: d.ComparisonDocument, *, full: bool = False
) -> b.Table:
    """Rates before and after."""

    def group(row: d.GroupChange) -> b.Cell:
        n = b.said("n?n = {n:count}", row)
        who = b.said("identities?, {identities:count} people", row)
        return b.Cell(r.name(row), b.joined((n, who, r.remark(row) if n else ""), ""), row["group"])

    counts: b.Columns[d.GroupChange] = {"fixed, broken": "change?{fixed:count}, {broken:count}"}
    return _change_table(
        rows, document, ("group", group), "percent", counts if full else {},
        lambda row: r.why_no_number(row, document["suppress_below"]), full,
    )  # fmt: skip


def gap_table(
    rows: Sequence[d.GapChange], document: d.ComparisonDocument, *, full: bool = False
) -> b.Table:
    """Differences between two groups before and after."""
    sizes = {key: row["n"] for key, row in r.by_key(document["groups"]).items()}

    def pair(row: d.GapChange) -> b.Text:
        ends = (
            (w.group_name(row["attribute"], group), b.said("n? (n = {n:count})", n=n))
            for group in (row["group"], row["other"])
            for n in [sizes.get((row["attribute"], group, row["metric"]))]
        )
        return b.joined((b.joined(end, "") for end in ends), " minus ")

    return _change_table(
        rows, document, ("gap between", pair), "change", {},
        lambda row: r.no_difference(row, document["suppress_below"]), full,
    )  # fmt: skip


def _change_table(  # noqa: PLR0913 (what rates and gaps differ in)
    rows: Sequence[Change],
    document: d.ComparisonDocument,
    who: tuple[str, Callable[[Change], b.Cell | b.Text]],
    kind: str,
    counts: b.Columns[Change],
    why: Callable[[Change], str],
    full: bool,
) -> b.Table:
    """Before and after, and the change over other images and over training again."""

    def reading(row: Change) -> b.Cell:
        said, known = r.change_said(row, document), w.is_number(row["change"])
        is_sure = row["harm"] or row["verdict"] == "difference_found"
        direction = w.words(row["direction"]) if known and "direction" in row else ""
        return b.Cell(b.Strong(said) if is_sure else said, direction)

    unit = ", pp" if kind == "change" else ""
    level = w.number(document["level"], "level")
    width = f", {level}, not adjusted" if kind == "percent" else ", adjusted"
    columns: b.Columns[Change] = {
        "measure": single.measure,
        who[0]: who[1],
        f"before{unit}": f"{{before:{kind}}}",
        f"after{unit}": f"change?{{after:{kind}}}",
        "change, pp": "change?{change:change}",
        f"other images{width}": "change?{low..high:change|not estimable}",
        "training again, too": "change?{wide_low..wide_high:change|one training}",
        **counts,
        **({"p, adjusted": "change?{p_adjusted:p|not tested}"} if full else {}),
        "reading": reading,
    }

    def tone(row: Change) -> str:
        if "state" in row and r.remark(row):
            return "faint"
        return "harmed" if row["harm"] else "change"

    return b.table(rows, columns, why, tone, left=(0, 1, len(columns) - 1))


def _trades(document: d.ComparisonDocument, most: int | None = None) -> Iterator[b.Block]:
    """Measures side by side before and after, all images first, then each group."""
    found: dict[tuple[str, str], list[d.TradeRow]] = {}
    for row in document["trade"]:
        found.setdefault((row["attribute"], row["group"]), []).append(row)
    tables = [_trade(group, rows) for (_, group), rows in found.items()][:most]
    yield from tables[:1]
    if tables[1:]:
        yield b.Fold("The same by group", tuple(tables[1:]), f"{len(tables) - 1:,} groups")
    yield note("traded", tone="note")


def _trade(group: str, rows: Sequence[d.TradeRow]) -> b.Table:
    def shown(quality: str, rate: str) -> Callable[[d.TradeRow], b.Text]:
        return lambda row: b.said(
            quality if row["metric"] in single.QUALITIES else rate, row, missing
        )

    missing = "withheld or not estimable"
    columns: b.Columns[d.TradeRow] = {
        w.full_group_name(group) if group else "all images": lambda row: single.QUALITIES.get(
            row["metric"], r.metric_name(row["metric"])
        ),
        "before": shown("{before:plain}", "{before:percent}"),
        "after": shown("change?{after:plain}", "change?{after:percent}"),
        "change": shown("change?{change:signed}", "change?{change:change} pp"),
    }
    return b.table(rows, columns, look="tight")


def harmed(
    document: d.ComparisonDocument, none: str = "No group was found to be served worse."
) -> Iterator[b.Block]:
    """Who became worse, in the words of the document, and where harm could go unseen."""
    sentences = document["verdict"]["harms"]
    yield b.Points(sentences) if sentences else b.Sentence(none)
    groups, gaps = _sorted(document)
    worse = [row for row in groups if row["harm"]], [row for row in gaps if row["harm"]]
    tables = group_table(worse[0], document), gap_table(worse[1], document)
    for what, table in zip(("Rates", "Gaps"), tables, strict=True):
        if table.rows:
            title, count = f"{what} that became worse", f"{len(table.rows):,}"
            yield b.Fold(title, (table,), count)
    unseen = _unseen([*groups, *gaps])
    if unseen:
        yield b.Sentence(unseen)


def _unseen(rows: Sequence[d.ChangeRow]) -> str:
    """Where a harm could be that nobody could see."""
    open_ = [row for row in rows if not row["harm"] and row["verdict"] == "cannot_tell"]
    unread = sum(row["reason"] in r.UNJUDGED for row in open_)
    if not open_:
        return ""
    said = f"{len(open_):,} of {len(rows):,} comparisons came to no verdict; any could be a harm."
    if len(open_) == len(rows):
        said = "No comparison came to a verdict: a harm could be in any of them."
    if unread:
        said += f" In {unread:,} a group is too small, empty, withheld, or has no label."
    return said


def _numbers(document: d.ComparisonDocument) -> Iterator[b.Block]:
    yield b.Sentence("The JSON file of this page holds the same numbers, unrounded.")
    yield from all_changes(document, "Changes by {}", "Changes of gaps in {}")
    yield note("fixed", tone="note")


def all_changes(document: d.ComparisonDocument, rates: str, title: str) -> Iterator[b.Block]:
    """Every rate and every gap before and after; the titles have a place for the attribute."""
    groups, gaps = _sorted(document)
    rates_of = partial(group_table, document=document, full=True)
    yield from single.complete(groups, "changes", rates_of, rates, "rates")
    gaps_of = partial(gap_table, document=document, full=True)
    yield from single.complete(gaps, "gaps", gaps_of, title, "gaps")


def _sorted(document: d.ComparisonDocument) -> tuple[list[d.GroupChange], list[d.GapChange]]:
    groups, gaps = document["groups"], document["gaps"]
    return sorted(groups, key=r.harm_first), sorted(gaps, key=r.harm_first)
