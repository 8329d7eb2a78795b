"""The page about one classifier, and what a run's page shows of each of its arms."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from debias.metrics import documents as d
from debias.report import blocks as b
from debias.report import readings as r
from debias.report import words as w
from debias.report.charts.style import (
    GROUPS_DRAWN,
    MEASURES_DRAWN,
    PANELS_DRAWN,
    arm_style,
    chart_names,
)
from debias.report.opening import first_metric, headline, told
from debias.report.texts import TEXTS, chart, note, sections_of, text
from debias.statistics.groupings import UNKNOWN

Row = TypeVar("Row", bound=d.OfGroup)
GAPS_FIRST = 15  # largest gaps, above the complete table
ROWS_SHOWN = 600  # of a complete table; a browser has to hold them
KINDS_SHOWN = 4  # columns of sizes
QUALITIES = {
    "auroc": "area under the ROC curve",
    "expected_calibration_error": "expected calibration error",
    "calibration_bias": "calibration bias: share of positives minus mean score",
}
HOW_TO_READ = (b.Facts(tuple(TEXTS["glossary"].items())),)
ANSWERS = {
    "confusion": "What was taken for what",
    "calibration": "Do the scores mean the same in every group?",
    "scores": "Where the scores lie",
}


def page(document: d.FairnessDocument, drawn: Mapping[str, bytes]) -> b.Page:
    """The page, given its charts by name."""
    name, seeds = w.arm_name(document["name"]) or "One classifier", len(document["seeds"])
    return b.Page(
        title=f"{name}: differences between groups",
        kicker=f"{name} · {document['split']} split" if document["split"] else name,
        heading=headline(document),
        opening=(
            b.Sentence(told(document), "lead"),
            *interval_chart(document, drawn, first_metric(document), "first"),
            *cautions(document["notes"]),
        ),
        sections=sections_of(
            TEXTS["fairness"],
            {
                "which": which(document),
                "many": many(document, seeds),
                "different": different(document, drawn, MEASURES_DRAWN, GAPS_FIRST),
                "sure": sure(document, drawn),
                "changed": [note("nothing_compared")],
                "scope": [b.Points(document["scope"])],
                "numbers": _numbers(document, drawn, name),
                "read": HOW_TO_READ,
            },
        ),
        footer="This page measures differences between annotated groups on one set of images. It "
        "is no statement about other data, other groups, or a use of the classifier.",
    )


def summary(document: d.FairnessDocument) -> Iterator[b.Block]:
    """What a terminal shows: the verdict, banners, and the first measure by group, lowest first."""
    yield b.Sentence(document["verdict"]["sentence"], "verdict")
    positive, classes = document["positive"], ", ".join(document["classes"])
    about = [f"Rates are about class {positive!r} of {classes}."] if positive is not None else []
    yield b.Points([*map(_asked, document["primary"]), *about, *document["notes"]])
    metric = document["metrics"][0]
    columns: b.Columns[d.RateRow] = {
        "group": r.name,
        "images": "{denominator:count}",
        "value": "{value:percent}",
        f"{100 * document['level']:g}% interval": "{low..high:percent|}",
        "state": lambda row: w.words(row["state"]),
    }
    rows = sorted(r.of(document["by_group"], metric), key=r.by_rate)
    yield b.table(
        (row for row in rows if not r.is_withheld(row)), columns, _why(document),
        title=f"{r.metric_name(metric)} by group, worst first", left=(0, 4),
    )  # fmt: skip
    yield from left_out(filter(r.is_withheld, rows), document["suppress_below"])


def _why(document: d.FairnessDocument) -> Callable[[d.RateRow], str]:
    return lambda row: r.why_no_number(row, document["suppress_below"])


def interval_chart(
    document: d.FairnessDocument,
    drawn: Mapping[str, bytes],
    metric: str,
    caption: str = "intervals",
) -> Iterator[b.Chart]:
    """The rate of every group in one measure, if it was drawn."""
    svg = drawn.get(chart_names("intervals_by_group", document["metrics"]).get(metric, ""))
    if svg:
        meaning = r.metric_meaning(metric, document["positive"])
        about = {"measure": r.metric_name(metric), "meaning": meaning, "level": document["level"]}
        yield chart(svg, caption, **about)


def cautions(notes: Iterable[str]) -> Iterator[b.Sentence]:
    """What must be known before any number."""
    yield from (b.Sentence(note, "caution") for note in notes)


def which(document: d.FairnessDocument) -> Iterator[b.Block]:
    """Which groups there are, who assigned them, and what they are compared with."""
    if not document["attributes"]:
        yield b.Sentence("No group is annotated, so nothing on this page is broken down by group.")
    attributes = document["attributes"]
    yield b.Facts([(w.attribute_name(one["attribute"]), _groups(one, document["metrics"]))
                   for one in attributes])  # fmt: skip
    yield note("listed")


def _groups(found: d.Attribute, metrics: Sequence[str]) -> str:
    """Groups with images, without those images that have no label."""

    def short(groups: Iterable[str]) -> list[str]:
        return [w.group_name(found["attribute"], group) for group in groups]

    labelled = (
        group
        for group in found["groups"]
        if UNKNOWN not in [part.partition(":")[2] for part in group.split(" x ")]
    )
    named = short(group for group in labelled if group not in found["empty"])
    against = "every group compared with every other"
    if found["reference"]:
        against = f"each compared with {short([found['reference']])[0]}"
    compared = [metric for metric in metrics if metric in found["metrics"]]
    if compared != list(metrics):
        against += f", in {', '.join(map(r.metric_name, compared))} alone"
    empty = f"; no test image: {', '.join(short(found['empty']))}" if found["empty"] else ""
    source = r.source_name(found["source"])
    return f"{', '.join(named)}\n{len(named):,} groups, {source}; {against}{empty}"


def people(document: d.FairnessDocument | d.ComparisonDocument) -> b.Text:
    """Behind a number of images: how many people they show."""
    known = b.said("identities? of {identities:count} people", document)
    return known or "; nobody says how many people they show"


def many(document: d.FairnessDocument, seeds: int) -> Iterator[b.Block]:
    """How many images there are in all and of each group."""
    trained = f", classified by {seeds:,} trainings each (counts are means over them)"
    yield b.Sentence(b.said(
        "{n:count} images{people}{trained}.", document, people=people(document),
        trained=trained * (seeds > 1),
    ))  # fmt: skip
    if document["attributes"]:
        note = "and what each group is too small for"
        yield b.Fold("Images by group", tuple(_sizes(document)), note)


def _sizes(document: d.FairnessDocument) -> Iterator[b.Block]:
    """How many images and people each group has, and what they are too few for."""
    kinds: dict[str, str] = {}
    for metric in sorted(document["metrics"], key=r.usual_place):  # accuracy tells most sizes
        kinds.setdefault(r.counted(metric), metric)
    metrics = sorted(kinds.values(), key=lambda metric: r.counted(metric) != "images")[:KINDS_SHOWN]
    minimum = w.number(document["minimum"], "count")
    rows = r.by_key(document["by_group"])
    why = _why(document)

    def count(row: d.RateRow) -> b.Cell:
        small = row["state"] == "too_small"
        note = f"too small: {minimum} needed" if small else ""
        return b.Cell(b.Value(row["denominator"], "count", why(row), small), note)

    def line(found: Sequence[d.RateRow]) -> b.Row:
        shown = (b.Value(found[0]["identities"], "count", why(found[0])),) if who else ()
        name = b.Cell(r.name(found[0]), title=found[0]["group"])
        return b.Row((name, *shown, *map(count, found)))

    silent = _silent(document["by_group"])
    who = ("people",) if w.is_number(document["identities"]) else ()
    for one in document["attributes"]:
        attribute = one["attribute"]
        every = [[rows[attribute, group, metric] for metric in metrics] for group in one["groups"]]
        lines = tuple(line(found) for found in every if found[0]["group"] not in silent)
        title = f"Images by {w.attribute_name(attribute)}"
        yield b.Table(("group", *who, *map(r.counted, metrics)), lines, title, look="tight")
        gone = (found[0] for found in every if found[0]["group"] in silent)
        yield from left_out(gone, document["suppress_below"])
    yield note("sizes", document, "note")


def _silent(rows: Iterable[d.RateRow]) -> set[str]:
    """Groups of which every rate is withheld."""
    every = list(rows)
    told = {row["group"] for row in every if not r.is_withheld(row)}
    return {row["group"] for row in every} - told


def left_out(rows: Iterable[d.OfGroup], below: int) -> Iterator[b.Sentence]:
    """A sentence in the place of rows that would say nothing but that they are withheld."""
    if said := r.all_withheld(map(r.name, rows), below):
        yield b.Sentence(said, "note")


def different(
    document: d.FairnessDocument,
    drawn: Mapping[str, bytes],
    measures: int,
    most: int,
    who: str = "",
) -> Iterator[b.Block]:
    """The charts that are not at the top of the page, and the ``most`` largest differences."""
    yield b.Sentence(f"Differences between two groups: {tally_text(document['gaps'])}.")
    yield from _other_charts(document, drawn, measures)
    gaps = sorted(document["gaps"], key=r.largest_gap_first)
    note = f"of each measure and attribute, found ones first; {len(gaps):,} comparisons in all"
    yield from _largest(gaps, document, most, f"The largest differences{who}", note)
    if not any(w.is_number(gap["difference"]) for gap in gaps):
        yield b.Sentence("No difference between two groups could be estimated.")


def _other_charts(
    document: d.FairnessDocument, drawn: Mapping[str, bytes], most: int
) -> Iterator[b.Block]:
    """The rates of every group, a chart a measure; one is at the top of the page."""
    names = chart_names("intervals_by_group", document["metrics"], most)
    if not any(name in drawn for name in names.values()):
        yield b.Sentence("No group has a rate that can be shown.")
    for metric in names:
        for found in interval_chart(document, drawn, metric):
            if metric != first_metric(document):
                yield folded(found, document["gaps"], metric)
    groups = Counter(attribute for attribute, _ in {(row["attribute"], row["group"])
                     for row in document["by_group"]})  # fmt: skip
    limits = (
        (GROUPS_DRAWN, max(groups.values(), default=0), "the {} worst groups of an attribute"),
        (PANELS_DRAWN, len(groups), "{} attributes"),
        (most, len(document["metrics"]), "{} measures"),
    )
    if cut := ", ".join(said.format(limit) for limit, there, said in limits if there > limit):
        yield b.Sentence(f"The pictures show {cut}; the tables hold the others.", "note")
    if gone := sum(map(r.is_withheld, document["by_group"])):
        yield b.Sentence(f"{w.amount(gone, 'rate')} withheld, so not drawn.", "note")


def folded(found: b.Chart, rows: Iterable[d.Tested], metric: str) -> b.Fold:
    """The chart of a measure, with how many of its comparisons found something."""
    own = [row for row in rows if row["metric"] == metric]
    return b.Fold(r.metric_name(metric), (found,), tally_text(own))


def tally_text(rows: Sequence[d.Tested]) -> str:
    """Say how many of the comparisons of a measure found a difference, and how many were made."""
    found = sum(row["verdict"] == "difference_found" for row in rows)
    tested = sum(w.is_number(row["p_value"]) for row in rows)
    untested = len(rows) - tested
    if rows and not tested:
        return f"none of {untested:,} comparisons could be made"
    said = f"{found:,} found in {w.amount(tested, 'comparison')}"
    return f"{said}; {untested:,} could not be made" if untested else said


def _largest(
    gaps: Sequence[d.GapRow], document: d.FairnessDocument, most: int, title: str, about: str
) -> Iterator[b.Block]:
    """The largest gap of each measure and attribute, those that were found first."""
    estimated = [row for row in gaps if w.is_number(row["difference"])]
    judged = [row for row in estimated if row["reason"] not in r.UNJUDGED]
    first: dict[tuple[str, str], d.GapRow] = {}
    for row in judged or estimated:
        first.setdefault((row["metric"], row["attribute"]), row)
    if first:
        yield b.Heading(title, about)
        yield gap_table(list(first.values())[:most], document)
        yield note("differences", tone="note")


def measure(row: d.OfAttribute) -> b.Cell:
    """A measure above its attribute."""
    return b.Cell(r.metric_name(row["metric"]), w.attribute_name(row["attribute"]))


def gap_table(
    rows: Sequence[d.GapRow], document: d.FairnessDocument, *, full: bool = False
) -> b.Table:
    """Differences with the two rates, their sizes and the verdict."""
    values = r.by_key(document["by_group"])

    def end(row: d.GapRow, group: str) -> b.Cell:
        one = values.get((row["attribute"], group, row["metric"]))
        rate = b.said("value?{value:percent}, ", one)
        n = b.said("denominator?n = {denominator:count}", one) or "n withheld"
        return b.Cell(w.group_name(row["attribute"], group), b.joined((rate, n), ""), group)

    def reading(row: d.GapRow) -> b.Text:
        said = r.said_of(row, document["margin"])
        return b.Strong(said) if row["verdict"] == "difference_found" else said

    columns: b.Columns[d.GapRow] = {
        "measure": measure,
        "group": lambda row: end(row, row["group"]),
        "compared with": lambda row: end(row, row["other"]),
        "difference, pp": "{difference:change}",
        "interval, adjusted": "{low..high:change|}",
        "reading": reading,
        "detectable, pp": "{detectable:points|}",
    }
    columns |= {"p, adjusted": "{p_adjusted:p|}"} if full else {}
    return b.table(
        rows, columns, lambda row: r.no_difference(row, document["suppress_below"]),
        lambda _: "gap" * full, left=(0, 1, 2, 5),
    )  # fmt: skip


def verdict(found: d.Verdict | d.ChangeVerdict, margin: float | None) -> b.Sentence:
    """A verdict as the document states it."""
    first, rest = r.opened(found, margin)
    return b.Sentence((b.Strong(first), rest), "verdict")


def sure(
    document: d.FairnessDocument, drawn: Mapping[str, bytes], others: Iterable[b.Block] = ()
) -> Iterator[b.Block]:
    """The verdict, the verdicts on others, what could have been found, and what is no verdict."""
    yield from verdicts(document)
    yield from _how_level(document)
    yield from others
    names = chart_names("detectable", document["metrics"])
    shown = {metric: drawn[name] for metric, name in names.items() if name in drawn}
    for place, (metric, svg) in enumerate(shown.items()):
        drawn_ = chart(svg, "detectable", measure=r.metric_name(metric))
        if place:
            yield folded(drawn_, document["gaps"], metric)
        else:
            yield b.Heading("What could have been found with these sizes")
            yield drawn_
    if shown:
        yield note("long_bars")
    yield from spread(document)
    yield from _ratios(document)
    yield from _noise(document)


def verdicts(document: d.FairnessDocument) -> Iterator[b.Block]:
    """The verdict as a whole and by attribute."""
    found, margin = document["verdict"], document["margin"]
    yield verdict(found, margin)
    yield from (b.Sentence(_asked(one), "note") for one in document["primary"])
    if len(found["by_attribute"]) > 1:
        parts = ((one["attribute"], *r.opened(one, margin)) for one in found["by_attribute"])
        yield b.Points(tuple(
            (f"{w.attribute_name(who)}: ", b.Strong(first), rest) for who, first, rest in parts
        ))  # fmt: skip


def _asked(one: d.PrimaryGap) -> b.Text:
    """What was asked first, and the answer."""
    reading = r.verdict_name(one["reading"], one["reason"], None)
    return text("primary_gap", one, rate=r.metric_name(one["metric"]), reading=reading)


def _how_level(document: d.FairnessDocument) -> Iterator[b.Block]:
    """How many differences were looked at, how that is allowed for, and what they came to."""
    looked = text("level", document) or text("no_level")
    margin = text("margin", document) or text("no_margin")
    yield b.Sentence(b.joined((looked, margin)))
    gaps = sorted(document["gaps"], key=r.largest_gap_first)
    yield from tally(gaps, document["margin"])


def tally(rows: Iterable[d.GapRow | d.ChangeRow], margin: float | None) -> Iterator[b.Sentence]:
    """How many comparisons came to which verdict."""
    counts = Counter(r.said_of(row, margin) for row in rows)
    if counts:
        yield b.Sentence("; ".join(f"{said}: {n:,}" for said, n in counts.items()) + ".", "note")


def spread(document: d.FairnessDocument) -> Iterator[b.Fold]:
    """Highest minus lowest group, and what chance would show."""
    columns: b.Columns[d.SpreadRow] = {
        "measure": measure,
        "groups": "{groups:count}",
        "highest minus lowest, pp": "{gap:points|fewer than two groups can be compared}",
        "read it against chance": "expected_if_equal?equal groups of these sizes would show "
        "{expected_if_equal:points} pp on average",
        "variance between groups, chance taken out": "{variance:variance|not estimable}",
    }
    if document["spread"]:
        inside = (b.table(document["spread"], columns, left=(0, 3)), note("spread", tone="note"))
        title = "never below zero; read it against chance"
        yield b.Fold("Highest minus lowest group", inside, title)


def _ratios(document: d.FairnessDocument) -> Iterator[b.Fold]:
    """Ratios of the lowest to the highest group, as a rule of thumb."""
    points = tuple(
        text(
            "ratio", row, attribute=w.attribute_name(row["attribute"]),
            metric=r.metric_name(row["metric"]), low_group=r.name(row),
            high_group=w.group_name(row["attribute"], row["other"]),
        )
        for row in document["ratios"]
    )  # fmt: skip
    if points:
        inside = (b.Points(points), note("four_fifths", tone="note"))
        yield b.Fold("Four-fifths ratio", inside, "a rule of thumb, no verdict")


def _noise(document: d.FairnessDocument) -> Iterator[b.Block]:
    """How far the groups would lie apart if some annotations were wrong."""
    if document["noise"]:
        yield b.Heading("If some annotations are wrong")
        yield note("noise")
        columns: b.Columns[d.NoiseRow] = {
            "measure": measure,
            "annotations exchanged": "{flipped:percent}",
            "highest minus lowest, as annotated": "{gap:points}",
            "range over 200 exchanges": "{low..high:points}",
        }
        yield b.table(document["noise"], columns, look="tight")


def _numbers(
    document: d.FairnessDocument, drawn: Mapping[str, bytes], name: str
) -> Iterator[b.Block]:
    who = ", how many people that is," if w.is_number(document["identities"]) else ""
    yield note("all_rates", document, who=who)
    columns: b.Columns[d.Figure] = {
        "measure": lambda row: b.Cell(
            r.metric_name(row["metric"]), r.metric_meaning(row["metric"], document["positive"])
        ),
        "value": "{value:percent}",
        "counted": "denominator?{numerator:count} of {denominator:count}",
        "interval": "{low..high:percent}",
    }
    yield b.table(document["overall"], columns, lambda _: "not estimable", title="All images")
    known = [(title, document["quality"][one]) for one, title in QUALITIES.items()]
    found = tuple((title, b.Value(value)) for title, value in known if w.is_number(value))
    if found:
        yield b.Facts(found)
    yield from rates({name: document})
    yield from all_gaps(document, "Differences between groups of {}")
    for answer, title in ANSWERS.items():
        if answer in drawn:
            yield b.Fold(title, (chart(drawn[answer], answer),))


def all_gaps(document: d.FairnessDocument, title: str) -> Iterator[b.Block]:
    """Every difference; the title has a place for the attribute."""
    yield from complete(
        sorted(document["gaps"], key=r.largest_gap_first), "differences",
        lambda rows: gap_table(rows, document, full=True), title, "comparisons",
    )  # fmt: skip


def complete(
    rows: Sequence[Row],
    what: str,
    table: Callable[[Sequence[Row]], b.Table],
    title: str,
    count: str,
) -> Iterator[b.Block]:
    """A complete table by attribute, as far as a browser can hold it.

    Args:
        rows: In their order.
        what: They are, in the plural.
        table: Makes a table of rows.
        title: Of a fold, with a place for the attribute.
        count: What is counted behind it.
    """
    kept: dict[str, list[Row]] = {}
    shown = [row for row in rows if not r.is_withheld(row)]
    for row in shown[:ROWS_SHOWN]:
        kept.setdefault(w.attribute_name(row["attribute"]), []).append(row)
    for over in sorted(kept, key=lambda name: w.TIMES in name):
        yield b.Fold(title.format(over), (table(kept[over]),), f"{len(kept[over]):,} {count}")
    if len(shown) > ROWS_SHOWN:
        yield b.Sentence(
            f"The first {ROWS_SHOWN:,} {what} are listed; the JSON file holds "
            f"{len(shown) - ROWS_SHOWN:,} more.", "note",
        )  # fmt: skip
    if len(rows) > len(shown):
        yield b.Sentence(f"Left out, as they are withheld: {len(rows) - len(shown):,}.", "note")


def rates(
    documents: Mapping[str, d.FairnessDocument],
    deviations: Mapping[str, Mapping[tuple[str, str, str], d.Number]] | None = None,
) -> Iterator[b.Fold]:
    """Every rate of every group, worst group first.

    Args:
        documents: Name of a classifier to its fairness document, all about the same groups; the
            first one gives the order.
        deviations: Name of a classifier to the standard deviations of its rates over seeds; with
            them, the table has a column of names.
    """
    names, (first, *_) = list(documents), list(documents.values())
    metrics, below = first["metrics"], first["suppress_below"]
    rows = {name: r.by_key(one["by_group"]) for name, one in documents.items()}

    def line(place: int, row: d.RateRow) -> b.Row:
        attribute, group, name = row["attribute"], row["group"], names[place]
        who = b.Cell(w.group_name(attribute, group), r.size(row, below), group)
        arm = (b.Marked(w.arm_name(name), arm_style(name, names)[0]),)
        own = [(attribute, group, metric) for metric in metrics]
        spread_ = (deviations or {}).get(name, {})
        return b.Row(
            (who if not place else "", *(arm if deviations is not None else ()),
             *(_rate(rows[name][key], below, spread_.get(key)) for key in own)),
            "inner" * (place < len(names) - 1),
        )  # fmt: skip

    headings = ("group", *(() if deviations is None else ("arm",)), *map(r.metric_name, metrics))
    left = tuple(range(len(headings) - len(metrics)))
    every = r.panels(r.of(first["by_group"], metrics[0]), r.worst_rate_first, None, None)
    silent = _silent(row for one in documents.values() for row in one["by_group"])
    for panel in every:
        listed = [row for row in panel.rows if row["group"] not in silent]
        lines = tuple(line(place, row) for row in listed for place in range(len(names)))
        table = b.Table(headings, lines, left=left, look="wide")
        gone = (row for row in panel.rows if row["group"] in silent)
        inside: tuple[b.Block, ...] = (table, *left_out(gone, below))
        yield b.Fold(f"Rates by {panel.title}", inside, w.amount(len(panel.rows), "group"))


def _rate(row: d.RateRow, below: int, deviation: float | None) -> b.Cell:
    """A rate, its spread over seeds, and below it what it was counted from."""
    if not w.is_number(row["value"]):
        return b.Cell(b.Value(None, missing=r.why_no_number(row, below)))
    said = r.remark(row)
    rate = (b.Value(row["value"], "percent", faint=bool(said)),
            b.said("sd? sd {sd:points}", sd=deviation))  # fmt: skip
    who = b.said("identities?, {identities:count} people", row)
    interval = b.said("low?\n{low..high:percent}", row)
    counted_ = b.said(
        "{numerator:count} of {denominator:count}{who}{said}", row, who=who, said=said
    )
    return b.Cell(b.joined(rate, ""), b.joined((counted_, interval), ""))
