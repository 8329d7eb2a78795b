"""The page about two classifiers, harms first, and what a run's page shows of each change."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from debias.report import blocks as b
from debias.report.charts.style import chart_names
from debias.report.fairness_charts import compared_metrics, comparison_figures
from debias.report.fairness_page import (
    HOW_TO_READ,
    QUALITIES,
    cautions,
    complete,
    people,
    said_of,
    tally,
    tally_text,
    verdict,
)
from debias.report.html import put, render
from debias.report.panels import UNJUDGED, Row, harm_first, of
from debias.report.readings import (
    metric_meaning,
    metric_name,
    no_difference,
    opened,
    remark,
    why_no_number,
)
from debias.report.words import (
    arm_name,
    attribute_name,
    full_group_name,
    group_name,
    is_number,
    words,
)

Document = Mapping[str, Any]
CHANGES_FIRST = 10
TOLD = 3  # harms, and gains, at the top of a page
LEADS = {
    "harm": "At least one group is served worse than before:",
    "gain": "At least one group is served better than before, or a gap is narrower:",
}
IN_THE_PICTURE = (
    "Left: from the upright stroke (before) to the mark (after). Right: the change alone, with "
    "intervals. A cross in orange is a group that became worse; filled marks are changes that were "
    "found, hollow ones cannot be told from chance."
)


def write_comparison(path: Path, document: Document) -> dict[str, bytes]:
    """Write the page about two classifiers, harms first, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: A comparison document.

    Returns:
        The charts of the page, SVG by name.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = comparison_figures(document)
    put(path, render(page(document, drawn)))
    return drawn


def render_comparison(document: Document) -> str:
    """The page about two classifiers as text."""
    return render(page(document, comparison_figures(document)))


def page(document: Document, drawn: Mapping[str, bytes]) -> b.Page:
    """The page, given its charts by name."""
    before = arm_name(document["before"]) or "the first classifier"
    after = arm_name(document["after"]) or "the second classifier"
    resized = [row for row in document["sizes"] if row["before"] != row["after"]]
    sizes = b.Section(
        "sizes", "The groups are not the same size any more", tuple(_resized(resized)), "Sizes"
    )
    return b.Page(
        title=f"{before} and {after}: what changed for whom",
        kicker=f"before: {before} · after: {after}",
        heading=_heading(document["verdict"]),
        opening=tuple(_opening(document, drawn)),
        sections=(
            *([sizes] if resized else []),
            b.Section("which", "Which groups?", (_which(document),), "Which groups"),
            b.Section("many", "How many?", tuple(_many(document, not resized)), "How many"),
            b.Section("different", "How different are the groups, before and after?",
                      tuple(_different(document, drawn)), "How different"),
            b.Section("sure", "How sure?", tuple(_sure(document)), "How sure"),
            b.Section("changed", "What changed?", tuple(_changed(document, drawn)), "What changed"),
            b.Section("harmed", "Who was harmed?", tuple(harmed(document)), "Who was harmed"),
            b.Section("scope", "What was measured, and what not",
                      (b.Points(tuple(document["scope"])),), "Scope"),
            b.Section("numbers", "All numbers", tuple(_numbers(document))),
            HOW_TO_READ,
        ),
        footer="This page measures changes between two classifiers on the same images. It is no "
        "statement about other data, other groups, or a use of the classifiers.",
    )  # fmt: skip


def summary(name: str, document: Document) -> Iterator[b.Block]:
    """What a terminal shows: harms first, the verdict, banners, and the change of every group."""
    yield b.Sentence(f"{name}: {document['verdict']['sentence']}", "verdict")
    yield b.Points(tuple(document["notes"]))
    metrics = compared_metrics(document)
    metric = "accuracy" if "accuracy" in metrics or not metrics else metrics[0]
    rows = of(document, "groups", metric)
    headings = ("group", "images", "before", "after", "change, points", "fixed, broken", "verdict")
    listed = tuple(b.Row(_brief(row, document)) for row in rows)
    title = f"{metric_name(metric)} by group, harmed groups first"
    yield b.Table(headings, listed, title, left=(0, 6))


def _brief(row: Row, document: Document) -> tuple[b.Text, ...]:
    why = why_no_number(row["metric"], row, document["suppress_below"])
    limits: tuple[b.Piece, ...] = ()
    if is_number(row["change"]) and is_number(row["low"]):
        limits = (" [", b.Value(row["low"], "change"), ", ", b.Value(row["high"], "change"), "]")
    flips = (b.Value(row["fixed"], "count"), ", ", b.Value(row["broken"], "count"))
    return (
        group_name(row["attribute"], row["group"]), b.Value(row["n"], "count", "withheld"),
        b.Value(row["before"], "percent", why), b.Value(row["after"], "percent", why),
        (b.Value(row["change"], "change", why), *limits),
        flips if is_number(row["fixed"]) else "", said_of(row, document["margin"]),
    )  # fmt: skip


def _heading(found: Mapping[str, Any]) -> str:
    if found["harms"]:
        return "Somebody is served worse than before"
    if found["gains"]:
        return (
            "Somebody is served better than before; no harm was found, which does not rule it out"
        )
    return "No harm was found; that does not rule it out"


def _opening(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    found = document["verdict"]
    yield from told_card("harm", "", found["harms"], b.Link("who was harmed", "#harmed"))
    yield from told_card("gain", "", found["gains"], b.Link("what changed", "#changed"))
    if opened(found, document["margin"])[0].lower() not in LEADS:
        yield verdict(found, document["margin"])
    yield from (chart for _, _, chart in _rates_drawn(document, drawn)[:1])
    yield from cautions(document["notes"])


def told_card(kind: str, who: str, sentences: Sequence[str], where: b.Link) -> Iterator[b.Card]:
    """Harms or gains, if there are any, in the words of the document."""
    if not sentences:
        return
    more: list[b.Text] = []
    if len(sentences) > TOLD:
        more = [(f"and {len(sentences) - TOLD:,} more: ", where)]
    lead = b.Sentence((b.Strong(f"{kind.capitalize()}{who}."), " ", LEADS[kind]))
    yield b.Card((lead, b.Points((*sentences[:TOLD], *more))), kind)


def _resized(rows: Sequence[Row]) -> Iterator[b.Block]:
    yield b.Sentence(
        "The data differ between the two, so a change of a rate can come from other images "
        "instead of another classifier."
    )
    yield b.Table(
        ("group", "images before", "images after"),
        tuple(_sizes(row, full_group_name(row["group"])) for row in rows), look="tight",
    )  # fmt: skip


def _sizes(row: Row, name: str) -> b.Row:
    sizes = (b.Value(row[end], "count", "withheld") for end in ("before", "after"))
    return b.Row((b.Cell(name, title=row["group"]), *sizes))


def _which(document: Document) -> b.Facts:
    found: dict[str, dict[str, None]] = {}
    for row in document["groups"]:
        short = group_name(row["attribute"], row["group"])
        found.setdefault(row["attribute"], {})[short] = None
    names = sorted(found, key=lambda name: " x " in name)
    return b.Facts(tuple((attribute_name(name), ", ".join(found[name])) for name in names))


def _many(document: Document, same: bool) -> Iterator[b.Block]:
    seeds = len(document["seeds"])
    trained = (
        f"{seeds:,} trainings of each classifier."
        if seeds > 1
        else "One training of each classifier: training again could give other changes."
    )
    unchanged = ", the same before and after" if same else ""
    yield b.Sentence(
        (b.Value(document["n"], "count"), " images", *b.pieces(people(document)),
         f"{unchanged}. {trained}")
    )  # fmt: skip
    for attribute, rows in groupby(document["sizes"], key=lambda row: row["attribute"]):
        listed = [_sizes(row, group_name(attribute, row["group"])) for row in rows]
        table = b.Table(("group", "before", "after"), tuple(listed), look="tight")
        title = f"Images by {attribute_name(attribute)}"
        yield b.Fold(title, (table,), f"{len(listed):,} groups")


def _different(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    yield b.Sentence(
        f"{directions(document)} A gap can also become narrower because somebody is served worse; "
        "the changes of each group below tell. In the picture a gap is one group's rate minus "
        "another's; at 0 the two are equal."
    )
    names = chart_names("gap_change", compared_metrics(document))
    charts = [
        (f"gaps in {metric_name(metric)}", tally_text(of(document, "gaps", metric)),
         b.Chart(drawn[name], f"Gaps in {metric_name(metric)} before and after"))
        for metric, name in names.items()
        if name in drawn
    ]  # fmt: skip
    if not charts:
        yield b.Sentence("No gap between two groups could be compared.")
    for place, (title, note, chart) in enumerate(charts):
        yield b.Fold(title, (chart,), note, is_open=not place)


def directions(document: Document) -> str:
    """Say how many gaps went which way, told apart from chance or not."""
    counts: dict[str, int] = {}
    for row in document["gaps"]:
        if row["verdict"] == "difference_found":
            counts[row["direction"]] = counts.get(row["direction"], 0) + 1
    if not counts:
        return "For no gap between two groups was a change found."
    said = ", ".join(f"{n:,} {words(name)}" for name, n in counts.items())
    return f"Changes of a gap that were found: {said}."


def _sure(document: Document) -> Iterator[b.Block]:
    yield verdict(document["verdict"], document["margin"])
    widened: b.Text = ""
    if is_number(document["adjusted_level"]):
        widened = ("the intervals of gaps and of training again are widened to a level of ",
                   b.Value(document["adjusted_level"], "level"), ", and ")  # fmt: skip
    several = (
        "; the one over training again is about these very images. A change is found only if both "
        "agree."
        if len(document["seeds"]) > 1
        else "."
    )
    yield b.Sentence(
        (b.Value(document["comparisons"], "count"), " changes were tested; ", *b.pieces(widened),
         "p-values are adjusted for all of them (Holm). The interval over other images is about "
         f"these very trainings{several}")
    )  # fmt: skip
    rows = sorted([*document["groups"], *document["gaps"]], key=harm_first)
    yield from tally(rows, document["margin"])


def _changed(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    charts = _rates_drawn(document, drawn)
    if not charts:
        yield b.Sentence("No rate could be compared.")
    yield from (b.Fold(title, (chart,), note) for title, note, chart in charts[1:])
    yield from first_changes(document)
    gains = document["verdict"]["gains"]
    if gains:
        yield b.Heading("Gains")
        yield b.Points(tuple(gains))
    if document["trade"]:
        yield b.Heading("What was traded for what")
        yield from trade(document)


def _rates_drawn(document: Document, drawn: Mapping[str, bytes]) -> list[tuple[str, str, b.Chart]]:
    names = chart_names("change_by_group", compared_metrics(document))
    return change_charts(document, drawn, names)


def change_charts(
    document: Document, drawn: Mapping[str, bytes], names: Mapping[str, str]
) -> list[tuple[str, str, b.Chart]]:
    """Title, number of changes found, and chart of every measure that was drawn."""
    return [
        (
            metric_name(metric), tally_text(of(document, "groups", metric)),
            b.Chart(
                drawn[name],
                f"{metric_name(metric)} of each group before and after, and its change with "
                "intervals",
                f"{metric_meaning(metric, document['positive']).capitalize()}. {IN_THE_PICTURE}",
            ),
        )
        for metric, name in names.items()
        if name in drawn
    ]  # fmt: skip


def first_changes(document: Document) -> Iterator[b.Block]:
    """Harms, other changes that were found, then the largest losses."""
    rows = sorted(document["groups"], key=harm_first)
    judged = [row for row in rows if is_number(row["change"]) and row["reason"] not in UNJUDGED]
    if judged:
        table = change_table(judged[:CHANGES_FIRST], document)
        yield b.Fold(
            "The changes to look at first", (table,), "harms, then changes that were found", True
        )


def change_table(rows: Sequence[Row], document: Document, *, full: bool = False) -> b.Table:
    """Rates before and after, with the change over other images and over training again."""
    more = ("fixed, broken", "p, adjusted") if full else ()
    return b.Table(
        ("measure", "group", "before", "after", "change, pp", "other images", "training again",
         *more, "reading"),
        tuple(_change(row, document, full) for row in rows),
        left=(0, 1, 7 + len(more)),
    )  # fmt: skip


def _change(row: Row, document: Document, full: bool) -> b.Row:
    why = why_no_number(row["metric"], row, document["suppress_below"])
    faint, known = bool(remark(row)), is_number(row["change"])
    ends = [b.Value(row[end], "percent", why, faint) for end in ("before", "after")]
    flips: list[b.Text] = []
    if full and known:
        fixed, broken = (b.Value(row[name], "count") for name in ("fixed", "broken"))
        flips = [(fixed, ", ", broken), b.Value(row["p_adjusted"], "p", "not tested")]
    elif full:
        flips = ["", ""]
    numbers: tuple[b.Text, ...] = (b.Value(None, missing=why), "", "", "", "", *flips)
    if known:
        change = b.Value(row["change"], "gap", why, faint)
        numbers = (*ends, change, *_intervals(row), *flips)
    return _row(row, document, _who(row), numbers)


def _row(
    row: Row, document: Document, who: b.Cell | b.Text, numbers: Sequence[b.Cell | b.Text]
) -> b.Row:
    """One measure and what it is about, its numbers, and the verdict."""
    said = said_of(row, document["margin"])
    is_sure = row["harm"] or row["verdict"] == "difference_found"
    direction = words(row["direction"]) if is_number(row["change"]) and "direction" in row else ""
    return b.Row(
        (
            b.Cell(metric_name(row["metric"]), attribute_name(row["attribute"])), who, *numbers,
            b.Cell(b.Strong(said) if is_sure else said, direction),
        ),
        "harmed" if row["harm"] else "change",
    )  # fmt: skip


def _intervals(row: Row) -> tuple[b.Text, b.Text]:
    """Over other images, and over training again."""
    once = "one training"
    return (
        b.between(row["low"], row["high"], "gap", "not estimable"),
        b.between(row["seed_low"], row["seed_high"], "gap", once),
    )


def _who(row: Row) -> b.Cell:
    name = group_name(row["attribute"], row["group"])
    if not is_number(row["n"]):
        return b.Cell(name, title=row["group"])
    who = row["identities"]
    shown = (", ", b.Value(who, "count"), " people") if is_number(who) else ()
    return b.Cell(name, ("n = ", b.Value(row["n"], "count"), *shown, remark(row)), row["group"])


def gap_change_table(rows: Sequence[Row], document: Document, *, full: bool = False) -> b.Table:
    """Gaps before and after, with the change over other images and over training again."""
    sizes = {(row["metric"], row["attribute"], row["group"]): row["n"]
             for row in document["groups"]}  # fmt: skip
    more = ("p, adjusted",) if full else ()
    return b.Table(
        ("measure", "gap between", "before, pp", "after, pp", "change, pp", "other images",
         "training again", *more, "reading"),
        tuple(_gap_change(row, document, sizes, full) for row in rows),
        left=(0, 1, 7 + len(more)),
    )  # fmt: skip


def _gap_change(
    row: Row, document: Document, sizes: Mapping[tuple[str, str, str], Any], full: bool
) -> b.Row:
    who: list[b.Text] = []
    for end in ("group", "other"):
        n = sizes.get((row["metric"], row["attribute"], row[end]))
        known = (" (n = ", b.Value(n, "count"), ")") if is_number(n) else ()
        who.append((group_name(row["attribute"], row[end]), *known))
    why = no_difference(row["reason"], document["suppress_below"])
    numbers: tuple[b.Text, ...] = (b.Value(None, missing=why), "", "", "", "")
    if is_number(row["change"]):
        numbers = (*(b.Value(row[one], "gap", why) for one in ("before", "after", "change")),
                   *_intervals(row))  # fmt: skip
    p = (b.Value(row["p_adjusted"], "p", ""),) if full else ()
    return _row(row, document, b.joined(who, " minus "), (*numbers, *p))


def trade(document: Document, most: int | None = None) -> Iterator[b.Block]:
    """Measures side by side before and after, all images first, then each group."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in document["trade"]:
        found.setdefault((row["attribute"], row["group"]), []).append(row)
    tables = [_trade(group, rows) for (_, group), rows in found.items()][:most]
    yield from tables[:1]
    if tables[1:]:
        yield b.Fold("The same by group", tuple(tables[1:]), f"{len(tables) - 1:,} groups")
    yield b.Sentence(
        "Side by side, so that a gain in one that was paid for by another is seen. These "
        "differences carry no interval here; those of the rates are in the tables of changes.",
        "note",
    )


def _trade(group: str, rows: Sequence[Row]) -> b.Table:
    who = full_group_name(group) if group else "all images"
    return b.Table((who, "before", "after", "change"), tuple(map(_traded, rows)), look="tight")


def _traded(row: Row) -> b.Row:
    title = QUALITIES.get(row["metric"])
    kind, change = ("plain", "signed") if title else ("percent", "gap")
    name = title or metric_name(row["metric"])
    if not is_number(row["change"]):
        return b.Row((name, b.Value(None, missing="withheld or not estimable"), "", ""))
    ends = (b.Value(row[end], kind) for end in ("before", "after"))
    return b.Row((name, *ends, (b.Value(row["change"], change), "" if title else " pp")))


def harmed(
    document: Document, none: str = "No group was found to be served worse."
) -> Iterator[b.Block]:
    """Who became worse, in the words of the document, and where harm could go unseen."""
    sentences = document["verdict"]["harms"]
    yield b.Points(tuple(sentences)) if sentences else b.Sentence(none)
    groups, gaps = (sorted(document[part], key=harm_first) for part in ("groups", "gaps"))
    rates = [row for row in groups if row["harm"]]
    if rates:
        table = change_table(rates, document)
        yield b.Fold("Rates that became worse", (table,), f"{len(rates):,}", True)
    worse = [row for row in gaps if row["harm"]]
    if worse:
        yield b.Fold(
            "Gaps that became worse", (gap_change_table(worse, document),), f"{len(worse):,}"
        )
    unseen = _unseen([*groups, *gaps])
    if unseen:
        yield b.Sentence(unseen)


def _unseen(rows: Sequence[Row]) -> str:
    """Where a harm could be that nobody could see."""
    open_ = [row for row in rows if not row["harm"] and row["verdict"] == "cannot_tell"]
    unread = sum(row["reason"] in UNJUDGED for row in open_)
    if not open_:
        return ""
    said = (
        f"{len(open_):,} of {len(rows):,} comparisons came to no verdict: a harm could be among "
        "them."
    )
    if len(open_) == len(rows):
        said = "No comparison came to a verdict: a harm could be in any of them."
    if unread:
        said += (
            f" {unread:,} of them concern{'s' * (unread == 1)} groups that are too small, empty or "
            "withheld, or images without a label."
        )
    return said


def _numbers(document: Document) -> Iterator[b.Block]:
    yield b.Sentence("The JSON file of this page holds the same numbers, unrounded.")
    yield from all_changes(document, "Changes by {}", "Changes of gaps in {}")
    yield b.Sentence(
        "“fixed” counts the images that were wrong and became right, “broken” the others; means "
        "over the trainings.", "note",
    )  # fmt: skip


def all_changes(document: Document, rates: str, gaps: str) -> Iterator[b.Block]:
    """Every rate and every gap before and after; the titles have a place for the attribute."""
    yield from complete(
        sorted(document["groups"], key=harm_first), "changes",
        lambda rows: change_table(rows, document, full=True), rates, "rates",
    )  # fmt: skip
    yield from complete(
        sorted(document["gaps"], key=harm_first), "gaps",
        lambda rows: gap_change_table(rows, document, full=True), gaps, "gaps",
    )  # fmt: skip
