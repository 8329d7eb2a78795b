"""The charts of a fairness document, of a comparison, and of a run, by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from debias.metrics import documents as d
from debias.report import readings as r
from debias.report.charts import rows as chart
from debias.report.charts.curves import latent_dimensions, training_curves, weight_distribution
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
from debias.report.documents import Findings, Share
from debias.report.pictures import Pictures
from debias.report.readings import Row
from debias.report.words import arm_name, escape_label, group_name, is_number, number
from debias.types import BASELINE

Cell = tuple[str, str]  # attribute, group
Grouped = TypeVar("Grouped", bound=d.OfGroup)
Change = TypeVar("Change", d.GroupChange, d.GapChange)
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


def fairness_drawings(document: d.FairnessDocument) -> dict[str, Drawing]:
    """Charts of one classifier that have something to show.

    Returns:
        ``intervals_by_group`` and ``detectable`` of the first measure, the same followed by
        ``_<measure>`` of the others, ``confusion``, ``calibration`` and ``scores``.
    """
    one, metrics = {document["name"]: document}, document["metrics"]
    rates, reach = (chart_names(kind, metrics) for kind in ("intervals_by_group", "detectable"))
    return there(
        {name: intervals_by_group(one, metric) for metric, name in rates.items()}
        | {name: detectable(document, metric) for metric, name in reach.items()}
        | {
            "confusion": confusion(document),
            "calibration": calibration(document),
            "scores": scores(document),
        }
    )


def comparison_drawings(document: d.ComparisonDocument) -> dict[str, Drawing]:
    """``change_by_group`` and ``gap_change`` of the first measure, ``_<measure>`` of the others."""
    metrics = r.compared_metrics(document)
    groups, gaps = (chart_names(kind, metrics) for kind in ("change_by_group", "gap_change"))
    return there(
        {name: change_by_group(document, metric) for metric, name in groups.items()}
        | {name: gap_change(document, metric) for metric, name in gaps.items()}
    )


def figures(document: Findings, pictures: Pictures) -> dict[str, bytes]:
    """Every chart of a run for which there is something to draw; the same input, the same bytes.

    Returns:
        Name to SVG: ``weight_share``, ``weight_distribution``, ``weights_by_epoch``,
        ``latent_dimensions``, ``training_curves``, and those of :func:`run_drawings`.
    """
    drawings: dict[str, Drawing | None] = {
        "weight_share": weight_share(document),
        "weight_distribution": weight_distribution(r.arms_of(document), pictures.weights),
        "weights_by_epoch": training_curves(r.weights_by_epoch(document)),
        "latent_dimensions": latent_dimensions(pictures.latent_mean, pictures.active),
        "training_curves": training_curves(pictures.training_curves),
    }
    return drawn(drawings | run_drawings(r.fairness_of(document), document["comparisons"]))


def run_drawings(
    fairness: Mapping[str, d.FairnessDocument], comparisons: Mapping[str, d.ComparisonDocument]
) -> dict[str, Drawing]:
    """All arms in one chart a measure, and the changes of each.

    Args:
        fairness: Arm to its fairness document, the baseline first.
        comparisons: Arm to its comparison with the baseline.

    Returns:
        ``intervals_by_group``, ``change_by_group_<arm>``, each also followed by the other
        measures, and ``detectable`` of the baseline.
    """
    baseline = next(iter(fairness.values()))
    names = chart_names("intervals_by_group", baseline["metrics"], MEASURES_OF_A_RUN)
    return there(
        {name: intervals_by_group(fairness, metric) for metric, name in names.items()}
        | {"detectable": detectable(baseline, baseline["metrics"][0])}
        | {
            name: change_by_group(document, metric)
            for arm, document in comparisons.items()
            for metric, name in run_change_names(arm, document).items()
        }
    )


def run_change_names(arm: str, document: d.ComparisonDocument) -> dict[str, str]:
    """Name of the chart of changes of each measure under an arm."""
    return chart_names(f"change_by_group_{arm}", r.compared_metrics(document), MEASURES_OF_A_RUN)


def _charted(
    found: Iterable[r.Panel[Row]], line: Callable[[chart.Label, Row], chart.Row]
) -> list[Rows]:
    """Rows of a document as rows of a chart."""
    return [Rows(title=panel.title, rows=[*map(line, panel.labels, panel.rows)]) for panel in found]


def intervals_by_group(documents: Mapping[str, d.FairnessDocument], metric: str) -> Drawing | None:
    """A rate of each group with its interval, worst group first, n beside every row.

    An attribute whose groups are not compared in this measure is left out, and so is what is
    withheld, and a crossing into which no image falls.

    Args:
        documents: Name of a classifier to its fairness document; the first one gives the order
            of the groups and the overall value.
        metric: Measure to draw.
    """
    names, (baseline, *_) = list(documents), list(documents.values())
    tables = {name: r.by_key(r.of(one["by_group"], metric)) for name, one in documents.items()}
    overall = next((row["value"] for row in baseline["overall"] if row["metric"] == metric), None)
    compared = {one["attribute"] for one in baseline["attributes"] if metric in one["metrics"]}
    empty = {(one["attribute"], group) for one in baseline["attributes"] for group in one["empty"]}
    shown = [
        row for row in r.of(baseline["by_group"], metric)
        if row["attribute"] in compared and (row["attribute"], row["group"]) not in empty
        and not r.is_withheld(row)
    ]  # fmt: skip
    states = {row["state"] for row in shown}
    grey = " or ".join(said for state, said in UNJUDGED_NAMES.items() if state in states)

    def mark(name: str, row: d.RateRow) -> Mark:
        said = escape_label(arm_name(name), 30) if len(names) > 1 else "group, with its interval"
        look = Look(said, *arm_style(name, names))
        if row["state"] in UNJUDGED_NAMES:
            look = Look(grey, TOO_SMALL, look.mark, filled=False)
        return Mark(value=row["value"], interval=(row["low"], row["high"]), look=look)

    def line(label: chart.Label, first: d.RateRow) -> chart.Row:
        rows = {name: table.get(r.key_of(first), first) for name, table in tables.items()}
        note = _sizes(rows.values(), baseline["suppress_below"])
        return chart.Row(label=label, marks=[mark(*one) for one in rows.items()], note=note)

    whose = f", {escape_label(arm_name(names[0]), 30).lower()}" if len(names) > 1 else ""
    rules = [Rule(overall, f"all images{whose}", style="--")] if is_number(overall) else []
    axis = Axis(label=r.metric_name(metric), rules=rules)
    blocks = _charted(r.panels(shown, r.worst_rate_first), line)
    return rows_chart(blocks, [axis], row=0.17 + 0.115 * len(names))


def _sizes(rows: Iterable[d.RateRow], below: int) -> str:
    """One size where all classifiers share it; precision counts what each of them predicted."""
    said = list(dict.fromkeys(r.size(row, below) for row in rows))
    if len(said) == 1 or not all(text.startswith("n = ") for text in said):
        return "; ".join(said)
    counts = ", ".join(text.removeprefix("n = ").removesuffix(r.SMALL) for text in said)
    return f"n = {counts}{r.SMALL if any(text.endswith(r.SMALL) for text in said) else ''}"


def detectable(document: d.FairnessDocument, metric: str) -> Drawing | None:
    """The smallest gap that each group's size would probably have shown, beside the gap found.

    Each group is compared with the group against which the smallest gap could be found: where
    even that one is large, the group is too small to judge.
    """
    counts = {(row["attribute"], row["group"]): row["denominator"]
              for row in r.of(document["by_group"], metric)}  # fmt: skip
    margin, below = document["margin"], document["suppress_below"]

    def line(_: chart.Label, row: d.GapRow) -> chart.Row:
        both = (counts.get((row["attribute"], group)) for group in (row["group"], row["other"]))
        shown = (number(n, "count") if is_number(n) else r.withheld(below) for n in both)
        small = r.SMALL if row["reason"] == "too_small" else ""
        note = f"n = {' and '.join(shown)} {r.counted(row['metric'])}{small}"
        return chart.Row(
            label=(r.name(row), f"and {r.other_of(row)}"), marks=[_gap_found(row)], note=note
        )

    found = r.panels(_sharpest(r.of(document["gaps"], metric)), lambda row: (-row["detectable"],))
    rules = [Rule(100 * margin, "your margin")] if is_number(margin) else []
    label = f"percentage points of {r.metric_name(metric)} between two groups"
    axis = Axis(label=label, ticks=None, rules=rules, limits=(0, None))
    key = Key(band="a gap this small would probably be missed")
    return rows_chart(_charted(found, line), [axis], key, row=0.36)


def _gap_found(row: d.GapRow) -> Mark:
    look, gap = GAP_LOOKS.get(row["verdict"], GAP_LOOKS["cannot_tell"]), row["difference"]
    if row["reason"] == "too_small":
        look = look._replace(colour=TOO_SMALL)
    reach = 100 * row["detectable"]
    value = 100 * abs(gap) if is_number(gap) else None
    return Mark(value=value, band=(0, reach), stroke=reach, look=look)


def _sharpest(rows: Sequence[d.GapRow]) -> list[d.GapRow]:
    """Of each group's gaps the one that could be told from chance best; each pair once."""
    best: dict[Cell, d.GapRow] = {}
    for row in rows:
        if is_number(row["detectable"]):
            for group in (row["group"], row["other"]):
                known = best.get((row["attribute"], group))
                if known is None or row["detectable"] < known["detectable"]:
                    best[row["attribute"], group] = row
    return list({(*r.key_of(row), row["other"]): row for row in best.values()}.values())


def change_by_group(document: d.ComparisonDocument, metric: str) -> Drawing | None:
    """Before and after of each group, and the change with its interval; harmed groups first."""
    found = r.panels(r.of(document["groups"], metric), r.harm_first)
    axis = Axis(label=f"{r.metric_name(metric)}, before and after")
    return _changes(found, lambda row: r.size(row, document["suppress_below"]), axis)


def gap_change(document: d.ComparisonDocument, metric: str) -> Drawing | None:
    """Before and after of the difference between two groups, and its change; harm first."""
    sizes = {r.key_of(row): row["n"] for row in r.of(document["groups"], metric)}
    rows = [row for row in r.of(document["gaps"], metric) if is_number(row["change"])]

    def remark(row: d.GapChange) -> str:
        both = (
            sizes.get((row["attribute"], group, metric)) for group in (row["group"], row["other"])
        )
        return f"n = {' and '.join(number(n, 'count') for n in both)}"

    axis = Axis(
        label=f"gap in {r.metric_name(metric)}, before and after",
        ticks=lambda difference, _: signed(round(100 * difference, 6), None),
        rules=[Rule(0, colour=INK, style="-")],
    )
    return _changes(r.panels(rows, r.harm_first, r.GAPS_DRAWN), remark, axis)


def _changes(
    found: Sequence[r.Panel[Change]], remark: Callable[[Change], str], axis: Axis
) -> Drawing | None:
    def line(label: chart.Label, row: Change) -> chart.Row:
        before, after, look = row["before"], row["after"], _change_look(row)
        known = is_number(before) and is_number(after)
        marks = [Mark(value=after, before=before, look=look)] if known else []
        note = f"{remark(row)}{', harmed' if row['harm'] else ''}"
        return chart.Row(label=label, marks=marks, right=[_change(row, look)], note=note)

    change = Axis(label="change, percentage points", ticks=signed, rules=[Rule(0, "", INK, "-")])
    key = Key(
        before=Look("before", MUTED, "|"),
        interval="interval: other images",
        band="interval: training again, too",
    )
    return rows_chart(_charted(found, line), [axis, change], key, row=0.32)


def _change_look(row: d.ChangeRow) -> Look:
    """Colour, mark and filling; each tells harm apart alone."""
    if row["harm"]:
        return Look("harmed: became worse", HARM, "X")
    if row["reason"] in ("too_small", "unknown"):
        return Look("too small, or no group label", TOO_SMALL, filled=False)
    if row["verdict"] == "cannot_tell":
        return Look("cannot tell", filled=False)
    return Look("change found")


def _change(row: d.ChangeRow, look: Look) -> Mark:
    if not is_number(row["change"]):
        return Mark(value=None)
    interval, band = (
        tuple(100 * end if is_number(end) else None for end in ends)
        for ends in ((row["low"], row["high"]), (row["wide_low"], row["wide_high"]))
    )
    return Mark(value=100 * row["change"], interval=interval, band=band, look=look)


def _gathered(document: d.FairnessDocument, part: Iterable[Grouped]) -> dict[Cell, list[Grouped]]:
    """Rows of each group, worst accuracy first within an attribute, cut to what fits."""
    rows: dict[Cell, list[Grouped]] = {}
    for row in part:
        rows.setdefault((row["attribute"], row["group"]), []).append(row)
    first = r.of(document["by_group"], document["metrics"][0])
    order = [(panel.attribute, row["group"])
             for panel in r.panels(first, r.worst_rate_first) for row in panel.rows]  # fmt: skip
    known = [cell for cell in order if cell in rows]
    return {cell: rows[cell] for cell in known[:GROUPS_DRAWN]}


def confusion(document: d.FairnessDocument) -> Drawing | None:
    """What each true class was taken for, as shares of the true class, one panel a group."""
    classes, tables = list(document["classes"]), []
    if len(classes) > CLASSES_DRAWN:
        return None
    for cell, rows in _gathered(document, document["confusion"]).items():
        known = {(row["true"], row["predicted"]): row["count"] for row in rows}
        counts = [[known.get((true, taken), 0) for taken in classes] for true in classes]
        tables.append((group_name(*cell), counts))
    return confusion_tiles(tables, classes)


def calibration(document: d.FairnessDocument) -> Drawing | None:
    """How often images of a score are positive, with intervals, one panel a group."""
    return calibration_tiles([
        (
            group_name(*cell),
            sum(row["n"] for row in rows),
            [(row["mean_score"], row["observed"], row["low"], row["high"]) for row in rows],
        )
        for cell, rows in _gathered(document, document["calibration"]).items()
    ])  # fmt: skip


def scores(document: d.FairnessDocument) -> Drawing | None:
    """Where the scores of each true class lie in each group: median, middle half, middle 90 %."""
    found, classes = _gathered(document, document["scores"]), list(document["classes"])

    def mark(row: d.ScoreRow | None, name: str) -> Mark:
        if row is None:
            return Mark(value=None)
        look = Look(escape_label(f"truly {name}", 40), *arm_style(name, classes))
        ends, half = (row["q05"], row["q95"]), (row["q25"], row["q75"])
        return Mark(value=row["median"], interval=ends, half=half, look=look)

    def line(label: chart.Label, first: d.ScoreRow) -> chart.Row:
        rows = {row["true"]: row for row in found[first["attribute"], first["group"]]}
        marks = [mark(rows.get(name), name) for name in classes[: len(ARM_STYLES)]]
        counts = {name: number(rows[name]["n"], "count") for name in classes if name in rows}
        note = " and ".join(counts.values())
        if len(counts) < len(classes):
            note = ", ".join(f"{n} {escape_label(name, 20)}" for name, n in counts.items())
        return chart.Row(label=label, marks=marks, note=f"n = {note}")

    kept = r.panels([rows[0] for rows in found.values()], lambda _: ())  # keeps the order
    axis = Axis(label=f"probability given to “{escape_label(document['positive'], 40)}”")
    key = Key(interval="middle 90%", half="middle half")
    return rows_chart(_charted(kept, line), [axis], key, row=0.4)


class Shares(d.OfGroup):
    """A group with its shares under each arm."""

    shares: dict[str, Share]


def weight_share(document: Findings) -> Drawing | None:
    """Share of each group among the images and among the draws of each arm, rarest first."""
    arms = r.arms_of(document)
    rows = _shares(document)
    shown = [arm for arm in arms if any(arm in row["shares"] for row in rows)]

    def mark(share: Share | None, arm: str) -> Mark:
        look = Look(escape_label(arm_name(arm), 30), *arm_style(arm, arms))
        if share is None:
            return Mark(value=None, look=look)
        return Mark(value=share["after"], before=share["before"], look=look)

    def line(label: chart.Label, row: Shares) -> chart.Row:
        marks = [mark(row["shares"].get(arm), arm) for arm in shown]
        return chart.Row(label=label, marks=marks)

    def rarest_first(row: Shares) -> tuple[Any, ...]:
        before = next(iter(row["shares"].values()))["before"]
        return (before if is_number(before) else 2.0,)

    said = "share of the training images (hollow) and of the training draws (filled)"
    key = Key(before=Look("share of the images", MUTED, filled=False))
    axis = Axis(label=said, limits=(0, None))
    blocks = _charted(r.panels(rows, rarest_first), line)
    return rows_chart(blocks, [axis], key, row=0.2 + 0.115 * len(shown))


def _shares(document: Findings) -> list[Shares]:
    """Each group with its shares under the arms whose weights differ from plain training."""
    shares: dict[str, dict[str, Share]] = {}
    for arm, weights in document["weights"].items():
        for group, share in (weights.get("share_by_group") or {}).items():
            if arm in document["arms"] and weights.get("rule", arm) != BASELINE:
                shares.setdefault(group, {})[arm] = share
    tested = (row for one in r.fairness_of(document).values() for row in one["attributes"])
    known = {group: row["attribute"] for row in tested for group in row["groups"]}

    def attribute(group: str) -> str:  # a group may be among the training images alone
        alone = " x ".join(part.partition(":")[0] for part in group.split(" x "))
        return known.get(group) or alone

    return [{"attribute": attribute(group), "group": group, "shares": by_arm}
            for group, by_arm in shares.items()]  # fmt: skip
