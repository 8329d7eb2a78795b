"""The charts of a fairness document, of a comparison, and of the arms of a run, by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from debias.report.charts import rows as chart
from debias.report.charts.rows import Axis, Key, Look, Mark, Rows, Rule, rows_chart
from debias.report.charts.style import (
    ARM_STYLES,
    GROUPS_DRAWN,
    INK,
    MUTED,
    TOO_SMALL,
    Drawing,
    arm_style,
    chart_names,
    drawn,
    signed,
    there,
)
from debias.report.charts.tiles import calibration_tiles, confusion_tiles
from debias.report.panels import GAPS_DRAWN, Panel, Row, harm_first, of, panels, worst_rate_first
from debias.report.readings import SMALL, counted, metric_name, size, usual_place, withheld
from debias.report.words import arm_name, escape_label, group_name, is_number, number

Document = Mapping[str, Any]
Cell = tuple[str, str]
MEASURES_OF_A_RUN = 3  # a run has a picture of each for every arm
CLASSES_DRAWN = 12
HARM = ARM_STYLES[1][0]
# Of a gap between two groups, by verdict.
GAP_LOOKS = {
    "difference_found": Look("difference found", mark="D"),
    "difference_ruled_out": Look("difference ruled out", mark="s"),
    "cannot_tell": Look("cannot tell", filled=False),
}
# States that have a number but no part in a verdict, drawn grey and hollow.
UNJUDGED_NAMES = {"too_small": "too small to judge", "unknown": "no group label"}


def fairness_figures(document: Document) -> dict[str, bytes]:
    """Draw one classifier.

    Args:
        document: A fairness document.

    Returns:
        Name to SVG: ``intervals_by_group`` and ``detectable`` of the first measure, the same
        followed by ``_<measure>`` of the others, ``confusion``, ``calibration`` and ``scores``.
        What has nothing to show is left out. The same input gives the same bytes.
    """
    return drawn(fairness_drawings(document))


def fairness_drawings(document: Document) -> dict[str, Drawing]:
    """What :func:`fairness_figures` draws, not drawn yet."""
    one = {document["name"]: document}
    metrics = document["metrics"]
    drawings: dict[str, Drawing | None] = {}
    for metric, name in chart_names("intervals_by_group", metrics).items():
        drawings[name] = intervals_by_group(one, metric)
    for metric, name in chart_names("detectable", metrics).items():
        drawings[name] = detectable(document, metric)
    drawings |= {
        "confusion": confusion(document),
        "calibration": calibration(document),
        "scores": scores(document),
    }
    return there(drawings)


def comparison_figures(document: Document) -> dict[str, bytes]:
    """Draw two classifiers on the same images.

    Args:
        document: A comparison document.

    Returns:
        Name to SVG: ``change_by_group`` and ``gap_change`` of the first measure, the same followed
        by ``_<measure>`` of the others.
    """
    return drawn(comparison_drawings(document))


def comparison_drawings(document: Document) -> dict[str, Drawing]:
    """What :func:`comparison_figures` draws, not drawn yet."""
    metrics = compared_metrics(document)
    drawings: dict[str, Drawing | None] = {}
    for metric, name in chart_names("change_by_group", metrics).items():
        drawings[name] = change_by_group(document, metric)
    for metric, name in chart_names("gap_change", metrics).items():
        drawings[name] = gap_change(document, metric)
    return there(drawings)


def run_figures(
    fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> dict[str, bytes]:
    """Draw the arms of a run: all of them in one chart a measure, and the changes of each.

    Args:
        fairness: Arm to its fairness document, the baseline first.
        comparisons: Arm to its comparison with the baseline.

    Returns:
        Name to SVG: ``intervals_by_group``, ``change_by_group_<arm>``, each also followed by the
        other measures, and ``detectable`` of the baseline.
    """
    return drawn(run_drawings(fairness, comparisons))


def run_drawings(
    fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> dict[str, Drawing]:
    """What :func:`run_figures` draws, not drawn yet."""
    baseline = next(iter(fairness.values()))
    metrics = baseline["metrics"]
    drawings: dict[str, Drawing | None] = {}
    for metric, name in chart_names("intervals_by_group", metrics, MEASURES_OF_A_RUN).items():
        drawings[name] = intervals_by_group(fairness, metric)
    drawings["detectable"] = detectable(baseline, metrics[0])
    for arm, document in comparisons.items():
        for metric, name in run_change_names(arm, document).items():
            drawings[name] = change_by_group(document, metric)
    return there(drawings)


def run_change_names(arm: str, document: Document) -> dict[str, str]:
    """Name of the chart of changes of each measure under an arm."""
    return chart_names(f"change_by_group_{arm}", compared_metrics(document), MEASURES_OF_A_RUN)


def compared_metrics(document: Document) -> list[str]:
    """Measures of a comparison in their usual order: its rows begin with the harms."""
    found = dict.fromkeys(row["metric"] for row in document["groups"])
    return sorted(found, key=usual_place)


def _charted(found: Iterable[Panel], line: Callable[[chart.Label, Row], chart.Row]) -> list[Rows]:
    """Rows of a document as rows of a chart."""
    return [
        Rows(
            title=panel.title,
            rows=[line(label, row) for label, row in zip(panel.labels, panel.rows, strict=True)],
        )
        for panel in found
    ]


def intervals_by_group(documents: Mapping[str, Document], metric: str) -> Drawing | None:
    """A rate of each group with its interval, worst group first, n beside every row.

    An attribute whose groups are not compared in this measure is left out, and so is a crossing
    into which no image falls.

    Args:
        documents: Name of a classifier to its fairness document; the first one gives the order
            of the groups and the overall value.
        metric: Measure to draw.
    """
    names = list(documents)
    baseline = documents[names[0]]
    tables = {name: _by_group(documents[name], metric) for name in names}
    overall = next((row["value"] for row in of(baseline, "overall", metric)), None)
    unjudged = _unjudged_look(_compared(baseline, metric))

    def line(label: chart.Label, first: Row) -> chart.Row:
        rows = {name: tables[name].get(_key(first), first) for name in names}
        marks = [_rate(row, unjudged, _arm_look(name, names)) for name, row in rows.items()]
        note = _sizes(metric, rows, baseline["suppress_below"])
        return chart.Row(label=label, marks=marks, note=note)

    rules = [Rule(overall, "all images", style="--")] if is_number(overall) else []
    return rows_chart(
        _charted(panels(_compared(baseline, metric), worst_rate_first), line),
        [Axis(label=metric_name(metric), rules=rules)],
        row=0.17 + 0.115 * len(names),
    )


def _unjudged_look(rows: Sequence[Row]) -> Look:
    states = {row["state"] for row in rows}
    said = [name for state, name in UNJUDGED_NAMES.items() if state in states]
    return Look(" or ".join(said), TOO_SMALL, filled=False)


def _arm_look(name: str, names: Sequence[str]) -> Look:
    said = escape_label(arm_name(name), 30) if len(names) > 1 else "group, with its interval"
    return Look(said, *arm_style(name, names))


def _rate(row: Row, unjudged: Look, judged: Look) -> Mark:
    if row["state"] in UNJUDGED_NAMES:
        judged = unjudged._replace(mark=judged.mark)
    return Mark(value=row["value"], interval=(row["low"], row["high"]), look=judged)


def _compared(document: Document, metric: str) -> list[Row]:
    compared = {one["attribute"] for one in document["attributes"] if metric in one["metrics"]}
    empty = {(one["attribute"], group) for one in document["attributes"] for group in one["empty"]}
    rows = of(document, "by_group", metric)
    return [row for row in rows if row["attribute"] in compared and _key(row) not in empty]


def _key(row: Row) -> Cell:
    return row["attribute"], row["group"]


def _by_group(document: Document, metric: str) -> dict[Cell, Row]:
    return {_key(row): row for row in of(document, "by_group", metric)}


def _sizes(metric: str, rows: Mapping[str, Row], below: object) -> str:
    """One size where all classifiers share it; precision counts what each of them predicted."""
    said = list(dict.fromkeys(size(metric, row, below) for row in rows.values()))
    if len(said) == 1 or not all(text.startswith("n = ") for text in said):
        return "; ".join(said)
    counts = ", ".join(text.removeprefix("n = ").removesuffix(SMALL) for text in said)
    return f"n = {counts}{SMALL if any(text.endswith(SMALL) for text in said) else ''}"


def detectable(document: Document, metric: str) -> Drawing | None:
    """The smallest gap that each group's size would probably have shown, beside the gap found.

    Each group is compared with the group against which the smallest gap could be found: where
    even that one is large, the group is too small to judge.
    """
    sizes = _by_group(document, metric)
    margin = document["margin"]

    def line(_: chart.Label, row: Row) -> chart.Row:
        short, other = (group_name(row["attribute"], row[end]) for end in ("group", "other"))
        note = _both_sizes(row, sizes, document["suppress_below"])
        return chart.Row(label=(short, f"and {other}"), marks=[_gap_found(row)], note=note)

    found = panels(_sharpest(of(document, "gaps", metric)), _blindest_first, GROUPS_DRAWN)
    return rows_chart(
        _charted(found, line),
        [
            Axis(
                label=f"percentage points of {metric_name(metric)} between two groups",
                ticks=None,
                rules=[Rule(100 * margin, "your margin")] if is_number(margin) else [],
                limits=(0, None),
            )
        ],
        Key(band="a gap this small would probably be missed"),
        row=0.36,
    )


def _gap_found(row: Row) -> Mark:
    look, gap = GAP_LOOKS.get(row["verdict"], GAP_LOOKS["cannot_tell"]), row["difference"]
    if row["reason"] == "too_small":
        look = look._replace(colour=TOO_SMALL)
    reach = 100 * row["detectable"]
    value = 100 * abs(gap) if is_number(gap) else None
    return Mark(value=value, band=(0, reach), stroke=reach, look=look)


def _sharpest(rows: Sequence[Row]) -> list[Row]:
    """Of each group's gaps the one that could be told from chance best; each pair once."""
    best: dict[Cell, Row] = {}
    for row in rows:
        if is_number(row["detectable"]):
            for group in (row["group"], row["other"]):
                known = best.get((row["attribute"], group))
                if known is None or row["detectable"] < known["detectable"]:
                    best[row["attribute"], group] = row
    pairs = {(row["attribute"], row["group"], row["other"]): row for row in best.values()}
    return list(pairs.values())


def _blindest_first(row: Row) -> tuple[Any, ...]:
    return (-row["detectable"],)


def _both_sizes(row: Row, sizes: Mapping[Cell, Row], below: object) -> str:
    both = [sizes.get((row["attribute"], row[end]), {}) for end in ("group", "other")]
    counts = [one.get("denominator") for one in both]
    shown = [number(n, "count") if is_number(n) else withheld(below) for n in counts]
    small = SMALL if row["reason"] == "too_small" else ""
    return f"n = {' and '.join(shown)} {counted(row['metric'])}{small}"


def change_by_group(document: Document, metric: str) -> Drawing | None:
    """Before and after of each group, and the change with its interval; harmed groups first.

    Args:
        document: A comparison.
        metric: Measure to draw.
    """

    def remark(row: Row) -> str:
        return size(metric, row, document["suppress_below"])

    found = panels(of(document, "groups", metric), harm_first, GROUPS_DRAWN)
    return _changes(found, remark, Axis(label=f"{metric_name(metric)}, before and after"))


def gap_change(document: Document, metric: str) -> Drawing | None:
    """Before and after of the difference between two groups, and its change; harm first."""
    sizes = {_key(row): row["n"] for row in of(document, "groups", metric)}
    rows = [row for row in of(document, "gaps", metric) if is_number(row["change"])]

    def remark(row: Row) -> str:
        both = (sizes.get((row["attribute"], row[end])) for end in ("group", "other"))
        return f"n = {' and '.join(number(n, 'count') for n in both)}"

    label = f"gap in {metric_name(metric)}, before and after"
    axis = Axis(label=label, ticks=_points, rules=[Rule(0, colour=INK, style="-")])
    return _changes(panels(rows, harm_first, GAPS_DRAWN), remark, axis)


def _points(difference: float, _: object) -> str:
    return signed(round(100 * difference, 6), None)


def _changes(found: Sequence[Panel], remark: Callable[[Row], str], axis: Axis) -> Drawing | None:
    def line(label: chart.Label, row: Row) -> chart.Row:
        before, after = row["before"], row["after"]
        marks = [Mark(value=after, before=before, look=_change_look(row))]
        note = f"{remark(row)}{', harmed' if row['harm'] else ''}"
        if not (is_number(before) and is_number(after)):
            marks = []
        return chart.Row(label=label, marks=marks, right=[_change(row)], note=note)

    change = Axis(label="change, percentage points", ticks=signed, rules=[Rule(0, "", INK, "-")])
    words = Key(
        before=Look("before", MUTED, "|"),
        interval="interval: other images",
        band="interval: training again",
    )
    return rows_chart(_charted(found, line), [axis, change], words, row=0.32)


def _change_look(row: Row) -> Look:
    """Colour, mark and filling; each tells harm apart alone."""
    if row["harm"]:
        return Look("harmed: became worse", HARM, "X")
    if row["reason"] in ("too_small", "unknown"):
        return Look("too small, or no group label", TOO_SMALL, filled=False)
    if row["verdict"] == "cannot_tell":
        return Look("cannot tell", filled=False)
    return Look("change found")


def _change(row: Row) -> Mark:
    if not is_number(row["change"]):
        return Mark(value=None)
    low, high = (100 * end if is_number(end) else None for end in (row["low"], row["high"]))
    seeds = is_number(row["seed_low"]) and is_number(row["seed_high"])
    return Mark(
        value=100 * row["change"],
        interval=(low, high),
        band=possible(row) if seeds else chart.NOWHERE,
        look=_change_look(row),
    )


def possible(row: Row) -> tuple[float, float]:
    """Interval over trainings, in points, as far as a rate or a gap can go from where it was."""
    least = -1.0 if "direction" in row else 0.0
    low, high = least - row["before"], 1 - row["before"]
    return 100 * max(row["seed_low"], low), 100 * min(row["seed_high"], high)


def _gathered(document: Document, part: str) -> dict[Cell, list[Row]]:
    """Rows of each group, worst accuracy first within an attribute, cut to what fits."""
    rows: dict[Cell, list[Row]] = {}
    for row in document[part]:
        rows.setdefault(_key(row), []).append(row)
    order = [
        (panel.attribute, row["group"])
        for panel in panels(of(document, "by_group", document["metrics"][0]), worst_rate_first)
        for row in panel.rows
    ]
    known = [cell for cell in order if cell in rows]
    return {cell: rows[cell] for cell in known[:GROUPS_DRAWN]}


def confusion(document: Document) -> Drawing | None:
    """What each true class was taken for, as shares of the true class, one panel a group."""
    found, classes = _gathered(document, "confusion"), list(document["classes"])
    if len(classes) > CLASSES_DRAWN:
        return None
    counts = {
        cell: {(row["true"], row["predicted"]): row["count"] for row in rows}
        for cell, rows in found.items()
    }
    tables = [
        (
            group_name(*cell),
            [[known.get((true, taken), 0) for taken in classes] for true in classes],
        )
        for cell, known in counts.items()
    ]
    return confusion_tiles(tables, classes)


def calibration(document: Document) -> Drawing | None:
    """How often images of a score are positive, with intervals, one panel a group."""
    return calibration_tiles(
        [
            (
                f"{group_name(*cell)}",
                sum(row["n"] for row in rows),
                [(row["mean_score"], row["observed"], row["low"], row["high"]) for row in rows],
            )
            for cell, rows in _gathered(document, "calibration").items()
        ]
    )


def scores(document: Document) -> Drawing | None:
    """Where the scores of each true class lie in each group: median, middle half, middle 90 %."""
    found, classes = _gathered(document, "scores"), list(document["classes"])

    def line(label: chart.Label, first: Row) -> chart.Row:
        rows = {row["true"]: row for row in found[_key(first)]}
        marks = [_score(rows.get(name), name, classes) for name in classes[: len(ARM_STYLES)]]
        return chart.Row(label=label, marks=marks, note=_class_sizes(rows, classes))

    kept = panels([rows[0] for rows in found.values()], lambda _: ())  # keeps the order
    positive = escape_label(document["positive"], 40)
    axis = Axis(label=f"probability given to “{positive}”")
    return rows_chart(
        _charted(kept, line), [axis], Key(interval="middle 90%", half="middle half"), row=0.4
    )


def _score(row: Row | None, name: str, classes: Sequence[str]) -> Mark:
    look = Look(escape_label(f"truly {name}", 40), *arm_style(name, classes))
    if row is None:
        return Mark(value=None)
    return Mark(
        value=row["median"], interval=(row["q05"], row["q95"]), half=(row["q25"], row["q75"]),
        look=look,
    )  # fmt: skip


def _class_sizes(rows: Mapping[str, Row], classes: Sequence[str]) -> str:
    counts = {name: number(rows[name]["n"], "count") for name in classes if name in rows}
    if len(counts) == len(classes):
        return f"n = {' and '.join(counts.values())}"
    return "n = " + ", ".join(f"{n} {escape_label(name, 20)}" for name, n in counts.items())
