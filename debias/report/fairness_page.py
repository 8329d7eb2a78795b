"""The page about one classifier, and what a run's page shows of each of its arms."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from debias.report import blocks as b
from debias.report.charts.style import (
    GROUPS_DRAWN,
    MEASURES_DRAWN,
    PANELS_DRAWN,
    arm_style,
    chart_names,
)
from debias.report.fairness_charts import fairness_figures
from debias.report.html import put, render
from debias.report.opening import first_metric, headline, told
from debias.report.panels import (
    UNJUDGED,
    Panel,
    Row,
    by_rate,
    largest_gap_first,
    of,
    panels,
    worst_rate_first,
)
from debias.report.readings import (
    counted,
    metric_meaning,
    metric_name,
    no_difference,
    opened,
    remark,
    size,
    source_name,
    verdict_name,
    why_no_number,
)
from debias.report.words import (
    TIMES,
    arm_name,
    attribute_name,
    group_name,
    is_number,
    number,
    words,
)
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
Key = tuple[str, str, str]  # attribute, group, measure
GAPS_FIRST = 15  # largest gaps, above the complete table
ROWS_SHOWN = 600  # of a complete table; a browser has to hold them
KINDS_SHOWN = 4  # columns of sizes
QUALITIES = {
    "auroc": "area under the ROC curve",
    "expected_calibration_error": "expected calibration error",
    "calibration_bias": "calibration bias: share of positives minus mean score",
}
READ = (
    ("difference found", "Chance alone would hardly show so large a difference, even after "
     "looking at this many. It says nothing about the cause."),
    ("difference ruled out beyond the margin of X pp", "The whole interval lies within the margin "
     "that was set beforehand. Smaller differences may exist."),
    ("cannot tell", "Neither of the two. It does not mean that there is no difference. The reason "
     "stands beside it:"),
    ("insufficient evidence", "The interval holds both values that matter and values that do not."),
    ("no margin", "Nobody said beforehand which differences matter, so none can be ruled out."),
    ("too small, not estimable, withheld", "A group has too few images, none at all, or its "
     "numbers must not be shown."),
    ("single run, too few seeds", "Training again could turn it around."),
    ("no group label, in no verdict", "Images that nobody assigned to a group: counted in a row of "
     "their own and compared with nobody."),
    ("incomplete", "Some groups could not be judged; a difference found among the others stands."),
    ("harm, gain", "A group is served worse, or better, than before, beyond chance. “In these "
     "trainings” means that other trainings could still turn it around."),
    ("learned nothing", "The classifier's answers or scores cannot be told from guessing; its "
     "groups then differ in guesses."),
    ("arm", "One way of drawing the training images. Everything else about the arms is the same, "
     "so that they differ in nothing but their weights."),
    ("seed", "The number that decides all chance in one training. Several seeds are several "
     "trainings of the same arm, and show how much training again changes."),
    ("accuracy", "Of all images, the share that is answered rightly."),
    ("true positive rate", "Of the images that are of the class in question, the share that is "
     "recognised as such."),
    ("false positive rate", "Of the images that are not, the share that is taken for it. Lower is "
     "better."),
    ("selection rate", "Of all images, the share that is given the class, rightly or wrongly. "
     "Neither high nor low is better in itself."),
    ("precision", "Of the images that are given the class, the share that really is of it."),
    ("AUC, AUROC, area under the curve", "How often a score puts the right one of two images "
     "first: 1 is always, 0.5 is guessing."),
    ("interval", "The values that go together with what was counted. A short line is a sure "
     "number, a long one is not."),
    ("pp", "Percentage points: 80% and 85% are 5 pp apart."),
    ("p, adjusted", "How easily chance alone would do this, allowing for the number of "
     "comparisons."),
)  # fmt: skip
HOW_TO_READ = b.Section("read", "How to read it", (b.Facts(READ),))


def write_fairness(path: Path, document: Document) -> dict[str, bytes]:
    """Write the page about one classifier, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: A fairness document; its verdicts are printed, never computed again.

    Returns:
        The charts of the page, SVG by name.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = fairness_figures(document)
    put(path, render(page(document, drawn)))
    return drawn


def render_fairness(document: Document) -> str:
    """The page about one classifier as text."""
    return render(page(document, fairness_figures(document)))


def page(document: Document, drawn: Mapping[str, bytes]) -> b.Page:
    """The page, given its charts by name."""
    name = arm_name(document["name"]) or "One classifier"
    split = f" · {document['split']} split" if document["split"] else ""
    return b.Page(
        title=f"{name}: differences between groups",
        kicker=f"{name}{split}",
        heading=headline(document),
        opening=tuple(_opening(document, drawn)),
        sections=(
            b.Section("which", "Which groups?", tuple(_which(document)), "Which groups"),
            b.Section("many", "How many?", tuple(_many(document)), "How many"),
            b.Section("different", "How different?", tuple(_different(document, drawn))),
            b.Section("sure", "How sure?", tuple(_sure(document, drawn))),
            b.Section("changed", "What changed, and who was harmed?", (_NOTHING_COMPARED,)),
            b.Section(
                "scope", "What was measured, and what not", (b.Points(tuple(document["scope"])),)
            ),
            b.Section("numbers", "All numbers", tuple(_numbers(document, drawn, name))),
            HOW_TO_READ,
        ),
        footer="This page measures differences between annotated groups on one set of images. It "
        "is no statement about other data, other groups, or a use of the classifier.",
    )


_NOTHING_COMPARED = b.Sentence((
    "This page describes one classifier; nothing was compared. ", b.Code("debias compare"),
    " sets two classifiers side by side on the same images and names who is served worse first.",
))  # fmt: skip


def summary(document: Document) -> Iterator[b.Block]:
    """What a terminal shows: the verdict, banners, and the first measure by group, lowest first."""
    yield b.Sentence(document["verdict"]["sentence"], "verdict")
    yield b.Points(tuple(document["notes"]))
    metric, below = document["metrics"][0], document["suppress_below"]
    rows = sorted(of(document, "by_group", metric), key=by_rate)
    interval = f"{100 * document['level']:g}% interval"
    yield b.Table(
        ("group", "images", "value", interval, "state"),
        tuple(
            b.Row((
                group_name(row["attribute"], row["group"]),
                b.Value(row["denominator"], "count", "withheld"),
                b.Value(row["value"], "percent", why_no_number(metric, row, below)),
                b.between(row["low"], row["high"], "percent", ""), words(row["state"]),
            ))
            for row in rows
        ),
        f"{metric_name(metric)} by group, worst first", left=(0, 4),
    )  # fmt: skip


def _opening(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    yield b.Sentence(told(document), "lead")
    yield from interval_chart(document, drawn, first_metric(document))
    yield verdict(document["verdict"], document["margin"])
    yield from cautions(document["notes"])


def interval_chart(
    document: Document, drawn: Mapping[str, bytes], metric: str
) -> Iterator[b.Chart]:
    """The rate of every group in one measure, if it was drawn."""
    name = chart_names("intervals_by_group", document["metrics"]).get(metric, "")
    if name in drawn:
        title = metric_name(metric)
        yield b.Chart(
            drawn[name],
            f"{title} of each group with its interval; the same numbers are in the tables below",
            f"{title}: {metric_meaning(metric, document['positive'])}. The line is the "
            f"{number(document['level'], 'level')} interval: with other images of the same kind "
            "the mark could fall elsewhere on it.",
        )


def cautions(notes: Iterable[str]) -> Iterator[b.Sentence]:
    """What must be known before any number."""
    yield from (b.Sentence(note, "caution") for note in notes)


def _which(document: Document) -> Iterator[b.Block]:
    yield from which_groups(document)
    yield b.to_do(
        "check that the people you worry about are here. Nothing on this page is known about a "
        "group that is not listed."
    )


def which_groups(document: Document) -> Iterator[b.Block]:
    """Which groups there are, who assigned them, and what they are compared with."""
    if not document["attributes"]:
        yield b.Sentence("No group is annotated, so nothing on this page is broken down by group.")
    yield b.Facts(tuple(
        (attribute_name(found["attribute"]), _groups(found, document["metrics"]))
        for found in document["attributes"]
    ))  # fmt: skip


def _groups(found: Row, metrics: Sequence[str]) -> str:
    named = _short(found, [group for group in found["groups"] if _is_group(found, group)])
    reference = found["reference"]
    against = (
        f"each compared with {group_name(found['attribute'], reference)}"
        if reference
        else "every group compared with every other"
    )
    compared = [metric for metric in metrics if metric in found["metrics"]]
    alone = (
        f", in {', '.join(map(metric_name, compared))} alone" if compared != list(metrics) else ""
    )
    empty = f"; no test image: {', '.join(_short(found, found['empty']))}" if found["empty"] else ""
    source = source_name(found["source"])
    return f"{', '.join(named)}\n{len(named):,} groups, {source}; {against}{alone}{empty}"


def _short(found: Row, groups: Iterable[str]) -> list[str]:
    return [group_name(found["attribute"], group) for group in groups]


def _is_group(found: Row, group: str) -> bool:
    """Not images without a label, and no combination that nobody belongs to."""
    values = [part.partition(":")[2] for part in group.split(" x ")]
    return UNKNOWN not in values and group not in found["empty"]


def people(document: Document) -> b.Text:
    """Behind a number of images: how many people they show."""
    if is_number(document["identities"]):
        return " of ", b.Value(document["identities"], "count"), " people"
    return "; nobody says how many people they show"


def _many(document: Document) -> Iterator[b.Block]:
    seeds = len(document["seeds"])
    trained = (
        f", classified by {seeds:,} trainings of the same classifier (counts are means over them)"
        if seeds > 1
        else ""
    )
    yield b.Sentence(b.joined(
        (b.Value(document["n"], "count"), " images", *b.pieces(people(document)), trained, "."), ""
    ))  # fmt: skip
    yield from sizes(document)


def sizes(document: Document) -> Iterator[b.Block]:
    """How many images and people each group has, and what they are too few for."""
    kinds: dict[str, str] = {}
    for metric in document["metrics"]:
        kinds.setdefault(counted(metric), metric)
    metrics = sorted(kinds.values(), key=lambda metric: counted(metric) != "images")[:KINDS_SHOWN]
    who = ("people",) if is_number(document["identities"]) else ()
    rows = {_key(row): row for row in document["by_group"]}
    for found in document["attributes"]:
        attribute = found["attribute"]
        yield b.Table(
            ("group", *who, *map(counted, metrics)),
            tuple(
                b.Row((
                    b.Cell(group_name(attribute, group), title=group),
                    *(_people(rows[attribute, group, metrics[0]], document) for _ in who),
                    *(_size(rows[attribute, group, metric], document) for metric in metrics),
                ))
                for group in found["groups"]
            ),
            f"Images by {attribute_name(attribute)}",
            look="tight",
        )  # fmt: skip
    below, minimum = (number(document[one], "count") for one in ("suppress_below", "minimum"))
    yield b.Sentence(
        f"A rate resting on fewer than {minimum} images is shown in grey and takes no part in any "
        f"verdict. “withheld (counts < {below})” stands where fewer than {below} images were "
        "counted, or where the number would let a reader work out such a count of somebody else. "
        "Nothing to count is “no images” or the like; it is never 0%. Images with “no group "
        "label” are counted, but take no part in any verdict.",
        "note",
    )


def _people(row: Row, document: Document) -> b.Value:
    why = why_no_number(row["metric"], row, document["suppress_below"])
    return b.Value(row["identities"], "count", why)


def _size(row: Row, document: Document) -> b.Cell:
    why = why_no_number(row["metric"], row, document["suppress_below"])
    is_small = row["state"] == "too_small"
    needed = f"too small: {number(document['minimum'], 'count')} needed" if is_small else ""
    return b.Cell(b.Value(row["denominator"], "count", why, is_small), needed)


def _key(row: Row) -> Key:
    return row["attribute"], row["group"], row["metric"]


def _different(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    yield from other_charts(document, drawn, document, MEASURES_DRAWN)
    gaps = sorted(document["gaps"], key=largest_gap_first)
    yield from largest(
        gaps, document, GAPS_FIRST,
        "The largest differences",
        f"of each measure and attribute, found ones first; {len(gaps):,} comparisons in all",
    )  # fmt: skip
    if not any(is_number(gap["difference"]) for gap in gaps):
        yield b.Sentence("No difference between two groups could be estimated.")


def other_charts(
    document: Document, drawn: Mapping[str, bytes], tallied: Document, most: int
) -> Iterator[b.Block]:
    """The rates of every group, a chart a measure; one is at the top of the page."""
    first = first_metric(document)
    names = chart_names("intervals_by_group", document["metrics"], most)
    if not any(name in drawn for name in names.values()):
        yield b.Sentence("No group has a rate that can be shown.")
    for metric in names:
        for chart in interval_chart(document, drawn, metric):
            if metric != first:
                said = tally_text(of(tallied, "gaps", metric))
                yield b.Fold(metric_name(metric), (chart,), said)
    limit = _chart_limit(document, most)
    if limit:
        yield b.Sentence(limit, "note")


def _chart_limit(document: Document, measures: int) -> str:
    """Say what the pictures leave out, if they leave out anything."""
    groups: dict[str, set[str]] = {}
    for row in document["by_group"]:
        groups.setdefault(row["attribute"], set()).add(row["group"])
    said = []
    if any(len(found) > GROUPS_DRAWN for found in groups.values()):
        said.append(f"the {GROUPS_DRAWN} worst groups of an attribute")
    if len(groups) > PANELS_DRAWN:
        said.append(f"{PANELS_DRAWN} attributes")
    if len(document["metrics"]) > measures:
        said.append(f"{measures} measures")
    return f"The pictures show {', '.join(said)}; the tables hold the others." if said else ""


def tally_text(rows: Sequence[Row]) -> str:
    """Say how many of the comparisons of a measure found a difference, and how many were made."""
    found = sum(row["verdict"] == "difference_found" for row in rows)
    tested = sum(is_number(row["p_value"]) for row in rows)
    untested = len(rows) - tested
    if rows and not tested:
        return f"none of {untested:,} comparisons could be made"
    said = f"{found:,} found in {tested:,} comparison{'' if tested == 1 else 's'}"
    return f"{said}; {untested:,} could not be made" if untested else said


def largest(
    gaps: Sequence[Row], document: Document, most: int, title: str, note: str
) -> Iterator[b.Block]:
    """The largest gap of each measure and attribute, those that were found first."""
    estimated = [row for row in gaps if is_number(row["difference"])]
    judged = [row for row in estimated if row["reason"] not in UNJUDGED]
    first: dict[tuple[str, str], Row] = {}
    for row in judged or estimated:
        first.setdefault((row["metric"], row["attribute"]), row)
    if first:
        yield b.Heading(title, note)
        yield gap_table(list(first.values())[:most], document)
        yield b.Sentence(
            "“difference” is group minus comparison, in percentage points (pp). “detectable” is "
            "the smallest gap that groups of these sizes would show in four of five such studies.",
            "note",
        )


def gap_table(rows: Sequence[Row], document: Document, *, full: bool = False) -> b.Table:
    """Differences with the two rates, their sizes and the verdict."""
    values = {_key(row): row for row in document["by_group"]}
    return b.Table(
        ("measure", "group", "compared with", "difference, pp", "interval, adjusted", "reading",
         "detectable, pp", *(["p, adjusted"] if full else [])),
        tuple(b.Row(_gap(row, values, document, full), "gap" if full else "") for row in rows),
        left=(0, 1, 2, 5),
    )  # fmt: skip


def _gap(
    row: Row, values: Mapping[Key, Row], document: Document, full: bool
) -> tuple[b.Cell | b.Text, ...]:
    why = no_difference(row["reason"], document["suppress_below"])
    said = verdict_name(row["verdict"], row["reason"], document["margin"])
    return (
        b.Cell(metric_name(row["metric"]), attribute_name(row["attribute"])),
        *(_end(row["attribute"], row[end], row["metric"], values) for end in ("group", "other")),
        b.Value(row["difference"], "gap", why),
        b.between(row["low"], row["high"], "gap", ""),
        b.Strong(said) if row["verdict"] == "difference_found" else said,
        b.Value(row["detectable"], "reach", ""),
        *([b.Value(row["p_adjusted"], "p", "")] if full else []),
    )  # fmt: skip


def _end(attribute: str, group: str, metric: str, values: Mapping[Key, Row]) -> b.Cell:
    row = values.get((attribute, group, metric), {})
    rate = (b.Value(row["value"], "percent"), ", ") if is_number(row.get("value")) else ()
    n = row.get("denominator")
    images = ("n = ", b.Value(n, "count")) if is_number(n) else ("n withheld",)
    return b.Cell(group_name(attribute, group), (*rate, *images), group)


def verdict(found: Mapping[str, Any], margin: object, who: str = "") -> b.Sentence:
    """A verdict as the document states it."""
    first, rest = opened(found, margin)
    return b.Sentence((*b.pieces(who), b.Strong(first), rest), "verdict")


def _sure(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    yield from verdicts(document)
    yield from how_level(document)
    names = chart_names("detectable", document["metrics"])
    for place, metric in enumerate(metric for metric, name in names.items() if name in drawn):
        chart = detectable(drawn[names[metric]], metric)
        if not place:
            yield b.Heading("What could have been found with these sizes")
            yield chart
        else:
            yield b.Fold(metric_name(metric), (chart,), tally_text(of(document, "gaps", metric)))
    if set(names.values()) & set(drawn):
        yield b.to_do(
            "where a bar is longer than a gap that would matter to you, collect more test images "
            "of that group before concluding anything."
        )
    if document["spread"]:
        yield b.Fold(
            "Highest minus lowest group",
            (spread(document), b.Sentence(
                "The highest minus the lowest of several groups is never negative, so some of it "
                "is always chance. It gives no verdict. A variance near zero or below it is no "
                "more than chance would show.", "note")),
            "never below zero; read it against chance",
        )  # fmt: skip
    yield from ratios(document)
    yield from noise(document)


def detectable(svg: bytes, metric: str) -> b.Chart:
    """Gaps that sizes would show, beside those seen."""
    return b.Chart(
        svg,
        f"Smallest gap in {metric_name(metric)} that the sizes of two groups would show, beside "
        "the gap seen",
        "Each group stands beside the one with which it can be compared most sharply. Inside the "
        "grey bar a gap would probably be missed: a long bar means that the group is too small "
        "for this question, whatever the mark says.",
    )


def verdicts(document: Document) -> Iterator[b.Block]:
    """The verdict as a whole and by attribute."""
    found, margin = document["verdict"], document["margin"]
    yield verdict(found, margin)
    if len(found["by_attribute"]) > 1:
        parts = [
            (attribute_name(row["attribute"]), *opened(row, margin))
            for row in found["by_attribute"]
        ]
        yield b.Points(tuple((f"{who}: ", b.Strong(first), rest) for who, first, rest in parts))


def how_level(document: Document) -> Iterator[b.Block]:
    """How many differences were looked at, how that is allowed for, and what they came to."""
    level = number(document["level"], "level")
    looked: b.Text = "No difference between two groups carries an interval. "
    if is_number(document["adjusted_level"]):
        looked = (
            b.Value(document["comparisons"], "count"),
            " differences carry an interval. Each interval is widened to a level of ",
            b.Value(document["adjusted_level"], "level"),
            f", so that all of them together hold with {level}: looking at many differences finds "
            "some by chance, and this is what keeps that in check. ",
        )
    margin: b.Text = (
        "No margin was set below which a difference does not matter; without one, no difference "
        "can be ruled out."
    )
    if is_number(document["margin"]):
        margin = ("The margin below which a difference does not matter was set to ",
                  b.Value(document["margin"], "margin"), " pp.")  # fmt: skip
    yield b.Sentence(b.joined((looked, margin), ""))
    yield from tally(sorted(document["gaps"], key=largest_gap_first), document["margin"])


def tally(rows: Iterable[Row], margin: object) -> Iterator[b.Sentence]:
    """How many comparisons came to which verdict."""
    counts: dict[str, int] = {}
    for row in rows:
        said = said_of(row, margin)
        counts[said] = counts.get(said, 0) + 1
    if counts:
        yield b.Sentence("; ".join(f"{said}: {n:,}" for said, n in counts.items()) + ".", "note")


def said_of(row: Row, margin: object) -> str:
    """The verdict on a difference or a change."""
    if row.get("harm"):
        return "HARM: became worse"
    return verdict_name(row["verdict"], row["reason"], margin)


def spread(document: Document) -> b.Table:
    """Highest minus lowest group, and what chance would show."""
    return b.Table(
        ("measure", "groups", "highest minus lowest, pp", "read it against chance",
         "variance between groups, chance taken out"),
        tuple(
            b.Row((
                b.Cell(metric_name(row["metric"]), attribute_name(row["attribute"])),
                b.Value(row["groups"], "count"),
                b.Value(row["gap"], "reach", "fewer than two groups can be compared"),
                _by_chance(row["expected_if_equal"]),
                b.Value(row["variance"], "variance", "not estimable"),
            ))
            for row in document["spread"]
        ),
        left=(0, 3),
    )  # fmt: skip


def _by_chance(expected: float | None) -> b.Text:
    if not is_number(expected):
        return ""
    return ("equal groups of these sizes would show ", b.Value(expected, "reach"), " pp on average")


def ratios(document: Document) -> Iterator[b.Fold]:
    """Ratios of the lowest to the highest group, as a rule of thumb."""
    if document["ratios"]:
        note = (
            "An old rule of thumb asks whether the lowest selection rate reaches four fifths of "
            "the highest. Small groups fall short of it by chance alone."
        )
        points = b.Points(tuple(map(_ratio, document["ratios"])))
        yield b.Fold(
            "Four-fifths ratio", (points, b.Sentence(note, "note")), "a rule of thumb, no verdict"
        )


def _ratio(row: Row) -> b.Text:
    low, high = (group_name(row["attribute"], row[end]) for end in ("group", "other"))
    return b.joined(
        (
            f"{attribute_name(row['attribute'])}: the {metric_name(row['metric'])} of {low} (n = ",
            b.Value(row["n_group"], "count"), ") is ", b.Value(row["ratio"], "auc"),
            f" of that of {high} (n = ", b.Value(row["n_other"], "count"), "); interval ",
            b.between(row["low"], row["high"], "auc"),
            ". With equal groups of these sizes the lowest would fall under 0.8 of the highest "
            "with a probability of ", b.Value(row["chance_if_equal"], "percent"), ".",
        ), "",
    )  # fmt: skip


def noise(document: Document) -> Iterator[b.Block]:
    """How far the groups would lie apart if some annotations were wrong."""
    if not document["noise"]:
        return
    yield b.Heading("If some annotations are wrong")
    yield b.Sentence(
        "How far the highest and the lowest group would lie apart if some of the group "
        "annotations were exchanged at random."
    )
    yield b.Table(
        ("measure", "annotations exchanged", "highest minus lowest, as annotated",
         "range over 200 exchanges"),
        tuple(
            b.Row((
                b.Cell(metric_name(row["metric"]), attribute_name(row["attribute"])),
                b.Value(row["flipped"], "percent"), b.Value(row["gap"], "reach"),
                b.between(row["low"], row["high"], "reach"),
            ))
            for row in document["noise"]
        ),
        look="tight",
    )  # fmt: skip


def _numbers(document: Document, drawn: Mapping[str, bytes], name: str) -> Iterator[b.Block]:
    who = ", how many people that is," if is_number(document["identities"]) else ""
    level = number(document["level"], "level")
    yield b.Sentence(
        f"Every rate with what it was counted from{who} and its {level} interval, worst accuracy "
        "first. The JSON file of this page holds the same numbers, unrounded."
    )
    yield _overall(document)
    known = [(title, document["quality"][one]) for one, title in QUALITIES.items()]
    found = [(title, b.Value(value)) for title, value in known if is_number(value)]
    if found:
        yield b.Facts(tuple(found))
    yield from rates({name: document})
    yield from complete(
        sorted(document["gaps"], key=largest_gap_first), "differences",
        lambda rows: gap_table(rows, document, full=True),
        "Differences between groups of {}", "comparisons",
    )  # fmt: skip
    for chart, (title, alt, caption) in _ANSWERS.items():
        if chart in drawn:
            yield b.Heading(title)
            yield b.Chart(drawn[chart], alt, caption)


_ANSWERS = {
    "confusion": (
        "What was taken for what",
        "For each group, what each true class was taken for, as shares of the true class",
        "Each row of a square is a true class and adds up to 100%. Groups with anything withheld "
        "are left out.",
    ),
    "calibration": (
        "Do the scores mean the same in every group?",
        "Share of positives by score, one panel a group",
        "On the dotted line, images with a score of 70% are positive 70% of the time. Above it the "
        "classifier is too hesitant for that group, below it too confident. Lines are intervals; "
        "every bin holds the same number of images.",
    ),
    "scores": (
        "Where the scores lie",
        "Spread of the scores of each group by true class",
        "Mark: the middle score of the group's images of that class. Where the two classes of a "
        "group lie closer together than those of others, the classifier tells them apart less "
        "well.",
    ),
}


def _overall(document: Document) -> b.Table:
    rows = tuple(_over_all(row, document["positive"]) for row in document["overall"])
    return b.Table(("measure", "value", "counted", "interval"), rows, "All images")


def _over_all(row: Row, positive: str | None) -> b.Row:
    metric, n = row["metric"], row["denominator"]
    counted_ = (b.Value(row["numerator"], "count"), " of ", b.Value(n, "count"))
    interval = b.between(row["low"], row["high"], "percent", "not estimable")
    return b.Row((
        b.Cell(metric_name(metric), metric_meaning(metric, positive)),
        b.Value(row["value"], "percent", "not estimable"),
        counted_ if is_number(n) else "", interval,
    ))  # fmt: skip


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
    for row in rows[:ROWS_SHOWN]:
        kept.setdefault(attribute_name(row["attribute"]), []).append(row)
    for over in sorted(kept, key=lambda name: TIMES in name):
        yield b.Fold(title.format(over), (table(kept[over]),), f"{len(kept[over]):,} {count}")
    if len(rows) > ROWS_SHOWN:
        yield b.Sentence(
            f"The first {ROWS_SHOWN:,} {what} are listed; the JSON file holds "
            f"{len(rows) - ROWS_SHOWN:,} more.", "note",
        )  # fmt: skip


def rates(
    documents: Mapping[str, Document], deviations: Mapping[str, Mapping[Key, Any]] | None = None
) -> Iterator[b.Fold]:
    """Every rate of every group, worst group first.

    Args:
        documents: Name of a classifier to its fairness document, all about the same groups; the
            first one gives the order.
        deviations: Name of a classifier to the standard deviations of its rates over seeds; with
            them, the table has a column of names.
    """
    first = next(iter(documents.values()))
    rows = of(first, "by_group", first["metrics"][0])
    every = panels(rows, worst_rate_first, most=None, panels_drawn=None)
    cells = {
        name: {_key(row): _rate(row, document, (deviations or {}).get(name, {}).get(_key(row)))
               for row in document["by_group"]}
        for name, document in documents.items()
    }  # fmt: skip
    named = ("arm",) if deviations is not None else ()
    for panel in every:
        is_open = deviations is not None and len(every) == 1 and len(panel.rows) <= 4
        table = b.Table(
            ("group", *named, *map(metric_name, first["metrics"])),
            tuple(_rate_rows(panel, first, cells, bool(named))),
            left=tuple(range(1 + len(named))), look="wide",
        )  # fmt: skip
        count = f"{len(panel.rows):,} group{'' if len(panel.rows) == 1 else 's'}"
        yield b.Fold(f"Rates by {panel.title}", (table,), count, is_open)


def _rate_rows(
    panel: Panel, first: Document, cells: Mapping[str, Mapping[Key, b.Cell]], named: bool
) -> Iterator[b.Row]:
    names = list(cells)
    for row in panel.rows:
        attribute, group = row["attribute"], row["group"]
        beside = size(row["metric"], row, first["suppress_below"])
        who = b.Cell(group_name(attribute, group), beside, group)
        for place, (name, table) in enumerate(cells.items()):
            arm = (b.Marked(arm_name(name), arm_style(name, names)[0]),) if named else ()
            yield b.Row(
                (who if not place else "", *arm,
                 *(table[attribute, group, metric] for metric in first["metrics"])),
                "inner" if place < len(names) - 1 else "",
            )  # fmt: skip


def _rate(row: Row, document: Document, deviation: float | None) -> b.Cell:
    if not is_number(row["value"]):
        why = why_no_number(row["metric"], row, document["suppress_below"])
        return b.Cell(b.Value(None, missing=why))
    value = b.Value(row["value"], "percent", faint=bool(remark(row)))
    spread_ = (" sd ", b.Value(deviation, "points")) if is_number(deviation) else ()
    who = row.get("identities")
    shown = (", ", b.Value(who, "count"), " people") if is_number(who) else ()
    ends = is_number(row["low"]) and is_number(row["high"])
    interval = ("\n", *b.pieces(b.between(row["low"], row["high"], "percent"))) if ends else ()
    note = (
        b.Value(row["numerator"], "count"), " of ", b.Value(row["denominator"], "count"), *shown,
        remark(row), *interval,
    )  # fmt: skip
    return b.Cell((value, *spread_), b.joined(note, ""))
