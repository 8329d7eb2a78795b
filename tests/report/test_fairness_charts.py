from xml.etree import ElementTree

import numpy as np
import pytest
from fake_fairness import CROSS, GENDER, TONE, fake_comparison, fake_fairness
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from reading import replaced

from debias.report.charts import style
from debias.report.charts.style import WIDTH, chart_names, svg
from debias.report.fairness_charts import (
    HARM,
    calibration,
    change_by_group,
    comparison_drawings,
    confusion,
    detectable,
    fairness_drawings,
    gap_change,
    intervals_by_group,
    run_drawings,
    scores,
)
from debias.report.readings import compared_metrics, harm_first, panels
from debias.report.words import TIMES

MULTICLASS = fake_fairness(classes=("angry", "happy", "sad"), reference=f"{TONE}:light")


@pytest.fixture(scope="module")
def fairness():
    return fake_fairness()


@pytest.fixture(scope="module")
def comparison():
    whole, kept = fake_comparison(), ("accuracy", "true_positive_rate")
    parts = {part: [row for row in whole[part] if row["metric"] in kept]
             for part in ("groups", "gaps")}  # fmt: skip
    return whole | parts


def drawn(drawing):
    draw, height = drawing
    figure = Figure(figsize=(7.6, height))
    draw(figure)
    return figure


def points(axes):
    groups = [group for group in axes.collections if not hasattr(group, "get_segments")]
    return [tuple(point) for group in groups for point in group.get_offsets()]


def spans(axes):
    lines = [group for group in axes.collections if hasattr(group, "get_segments")]
    return [tuple(line[:, 0]) for group in lines for line in group.get_segments()]


def beside(axes):
    """Remark at the right end of each row."""
    return {round(text.get_position()[1]): text.get_text() for text in axes.texts}


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def rows(document, part, metric, attribute):
    return [
        r for r in document[part] if (r["metric"], r["attribute"]) == (metric, attribute)
    ]  # fmt: skip


def test_groups_stand_worst_first_with_a_size_or_a_reason_beside_each(fairness):
    axes = drawn(intervals_by_group({"uniform": fairness}, "accuracy")).axes[0]
    assert labels(axes) == ["dark", "brown", "tan", "light", "no group label", "pale"]
    sizes = ["n = 62", "n = 420", "n = 640", "n = 1,800"]
    said = [*sizes, "n = 72, in no verdict", "no images"]
    assert beside(axes) == dict(enumerate(said))


def test_only_groups_with_a_number_have_a_mark_and_an_interval(fairness):
    axes = drawn(intervals_by_group({"uniform": fairness}, "accuracy")).axes[0]
    known = [r for r in rows(fairness, "by_group", "accuracy", TONE) if r["value"] is not None]
    assert sorted(x for x, _ in points(axes)) == pytest.approx(sorted(r["value"] for r in known))
    ends = np.array(sorted((r["low"], r["high"]) for r in known))
    assert np.array(sorted(spans(axes))) == pytest.approx(ends)


def test_a_high_false_positive_rate_is_the_worst(fairness):
    axes = drawn(intervals_by_group({"uniform": fairness}, "false_positive_rate")).axes[0]
    assert labels(axes)[:4] == ["dark", "brown", "tan", "light"]


def test_too_small_groups_are_hollow_and_named(fairness):
    figure = drawn(intervals_by_group({"uniform": fairness}, "true_positive_rate"))
    crossing = figure.axes[2]
    hollow = [g for g in crossing.collections
              if len(g.get_facecolor()) and to_hex(g.get_facecolor()[0]) == "#ffffff"]  # fmt: skip
    small = [r for r in rows(fairness, "by_group", "true_positive_rate", CROSS)
             if r["state"] == "too_small"]  # fmt: skip
    assert len(hollow) == len(small) == 4
    assert sum(text.endswith(", too small") for text in beside(crossing).values()) == 4
    assert any("too small to judge" in text.get_text() for text in figure.legends[0].texts)


def test_images_without_a_label_are_hollow_and_named(fairness):
    figure = drawn(intervals_by_group({"uniform": fairness}, "true_positive_rate"))
    axes, legend = figure.axes[0], [text.get_text() for text in figure.legends[0].texts]
    row = labels(axes).index("no group label")
    faces = [to_hex(g.get_facecolor()[0]) for g in axes.collections
             if not hasattr(g, "get_segments") and g.get_offsets()[0][1] == row]  # fmt: skip
    assert faces == ["#ffffff"]
    assert "too small to judge or no group label" in legend


def test_a_measure_is_drawn_only_of_attributes_compared_in_it(fairness):
    shown = [{**one, "metrics": ["accuracy"]} if one["attribute"] == GENDER else one
             for one in fairness["attributes"]]  # fmt: skip
    document = {**fairness, "attributes": shown}
    for metric, count in (("accuracy", 3), ("true_positive_rate", 2)):
        assert len(drawn(intervals_by_group({"u": document}, metric)).axes) == count
    none = [{**one, "metrics": ["accuracy"]} for one in shown]
    only = {**fairness, "attributes": none}
    assert intervals_by_group({"u": only}, "true_positive_rate") is None


def test_crossings_without_images_are_not_drawn(fairness):
    crossing = drawn(intervals_by_group({"uniform": fairness}, "accuracy")).axes[2]
    assert not [label for label in labels(crossing) if "pale" in label]


def test_a_class_without_images_is_named(fairness):
    crossing = drawn(intervals_by_group({"u": fairness}, "true_positive_rate")).axes[2]
    assert beside(crossing)[labels(crossing).index(f"brown {TIMES} masculine")] == "no positives"


def test_overall_is_the_value_over_all_images(fairness):
    axes = drawn(intervals_by_group({"uniform": fairness}, "precision")).axes[0]
    overall = next(r["value"] for r in fairness["overall"] if r["metric"] == "precision")
    assert axes.lines[0].get_xdata()[0] == overall


def test_arms_share_a_row_and_differing_sizes_are_all_named(fairness):
    other = fake_fairness("latent", better=0.1)
    figure = drawn(intervals_by_group({"uniform": fairness, "latent": other}, "accuracy"))
    assert len(points(figure.axes[1])) == 4  # two groups, two arms
    rows(other, "by_group", "precision", TONE)[1]["denominator"] = 33  # dark
    precision = drawn(intervals_by_group({"uniform": fairness, "latent": other}, "precision"))
    axes = precision.axes[0]
    assert beside(axes)[labels(axes).index("dark")] == "n = 31, 33"


def test_a_measure_without_any_number_is_not_drawn(fairness):
    hidden = [{**r, "value": None, "state": "suppressed"} for r in fairness["by_group"]]
    assert intervals_by_group({"u": {**fairness, "by_group": hidden}}, "accuracy") is None


def test_many_groups_are_cut_to_the_worst(fairness):
    names = [f"{TONE}:g{index}" for index in range(60)]
    row = rows(fairness, "by_group", "accuracy", GENDER)[0] | {"attribute": TONE}
    rng = np.random.default_rng(2)
    many = [{**row, "group": name, "value": float(rng.random())} for name in names]
    axes = drawn(intervals_by_group({"u": {**fairness, "by_group": many}}, "accuracy")).axes[0]
    worst = sorted(many, key=lambda r: r["value"])[:24]
    assert labels(axes) == [r["group"].partition(":")[2] for r in worst]


def test_detectable_takes_the_sharpest_comparison_of_each_group(fairness):
    axes = drawn(detectable(fairness, "accuracy")).axes[0]
    assert labels(axes) == ["dark and light", "brown and light", "tan and light"]
    gaps = rows(fairness, "gaps", "accuracy", TONE)
    gap = next(g for g in gaps if (g["group"], g["other"]) == (f"{TONE}:dark", f"{TONE}:light"))
    assert (0.0, pytest.approx(100 * gap["detectable"])) in spans(axes)
    assert (pytest.approx(100 * abs(gap["difference"])), 0) in points(axes)
    assert beside(axes)[0] == "n = 62 and 1,800 images"


def test_detectable_needs_a_number(fairness):
    blind = [{**gap, "detectable": None} for gap in fairness["gaps"]]
    assert detectable({**fairness, "gaps": blind}, "accuracy") is None


def test_confusion_shares_are_of_the_true_class(fairness):
    figure = drawn(confusion(fairness))
    first = figure.axes[0]
    assert first.get_title(loc="left") or first.get_title()
    shares = np.asarray(first.images[0].get_array())
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    counts = {(r["true"], r["predicted"]): r["count"] for r in fairness["confusion"]
              if r["group"] == f"{TONE}:dark"}  # fmt: skip
    right = counts["smiling", "smiling"]
    total = right + counts["smiling", "not smiling"]
    assert shares[1, 1] == pytest.approx(right / total)


def test_a_class_that_does_not_occur_has_no_share(fairness):
    tiles = {axes.get_title(): axes for axes in drawn(confusion(fairness)).axes}
    tile = next(
        axes for title, axes in tiles.items() if title.startswith(f"brown {TIMES} masculine")
    )
    assert [text.get_text() for text in tile.texts].count("none") == 2


def test_calibration_marks_lie_at_score_and_share(fairness):
    axes = drawn(calibration(fairness)).axes[0]
    found = [r for r in fairness["calibration"] if r["group"] == f"{TONE}:dark"]
    x, y = axes.lines[1].get_data()
    assert list(x) == [r["mean_score"] for r in found]
    assert list(y) == [r["observed"] for r in found]
    assert "n = 62" in axes.get_title()


def test_scores_show_the_median_of_each_class(fairness):
    axes = drawn(scores(fairness)).axes[0]
    found = [r["median"] for r in fairness["scores"] if r["group"] == f"{TONE}:dark"]
    assert sorted(x for x, y in points(axes) if abs(y) < 0.4) == pytest.approx(sorted(found))
    assert beside(axes)[0] == "n = 31 and 31"


def test_without_scores_there_is_no_calibration_and_no_score():
    without = fake_fairness(scores=False)
    assert calibration(without) is None
    assert scores(without) is None


def test_harmed_groups_come_first_in_their_own_mark_colour_and_words(comparison):
    left, right = drawn(change_by_group(comparison, "accuracy")).axes[:2]
    assert labels(left)[:2] == ["tan", "dark"]
    assert beside(right)[0] == "n = 640, harmed"
    assert sum(text.endswith("harmed") for text in beside(right).values()) == 1
    colours = [to_hex(g.get_facecolor()[0]) for g in right.collections
               if not hasattr(g, "get_segments")]  # fmt: skip
    assert colours[0] == HARM.lower()
    assert colours.count(HARM.lower()) == 1
    crosses = [len(g.get_paths()[0].vertices) for g in right.collections
               if not hasattr(g, "get_segments")]  # fmt: skip
    assert crosses[0] not in crosses[1:]


def test_changes_lie_at_before_after_and_in_points(comparison):
    left, right = drawn(change_by_group(comparison, "accuracy")).axes[:2]
    row = next(r for r in comparison["groups"]
               if (r["metric"], r["group"]) == ("accuracy", f"{TONE}:dark"))  # fmt: skip
    y = labels(left).index("dark")
    assert {x for x, place in points(left) if place == y} == {row["before"], row["after"]}
    assert (pytest.approx(100 * row["change"]), y) in points(right)
    assert (pytest.approx(100 * row["low"]), pytest.approx(100 * row["high"])) in spans(right)
    seeds = pytest.approx(100 * row["wide_low"]), pytest.approx(100 * row["wide_high"])
    assert seeds in spans(right)


def test_gaps_that_grew_come_first_with_both_sizes(comparison):
    left, right = drawn(gap_change(comparison, "accuracy")).axes[:2]
    assert labels(left)[0] == "tan minus light"
    assert beside(right)[0] == "n = 640 and 1,800, harmed"


def test_losses_come_before_gains_among_what_cannot_be_told():
    def row(group, change, **more):
        shared = {"metric": "false_positive_rate", "attribute": "a", "state": "estimated",
                  "verdict": "cannot_tell", "reason": "", "harm": False}  # fmt: skip
        return {**shared, "group": f"a:{group}", "change": change, **more}

    found = panels(
        [row("none", None), row("gain", -0.1), row("loss", 0.1), row("harm", 0.01, harm=True),
         row("small", 0.9, state="too_small", reason="too_small")], harm_first,
    )  # fmt: skip
    assert found[0].labels == ("harm", "loss", "gain", "small", "none")


def test_a_selection_rate_that_falls_is_no_loss(comparison):
    row = next(r for r in comparison["groups"] if r["verdict"] == "cannot_tell" and r["change"])
    fell = {**row, "metric": "selection_rate", "change": -0.2}
    assert harm_first({**row, "change": -0.01}) < harm_first(fell) < harm_first(
        {**row, "change": 0.01}
    )  # fmt: skip


def test_every_chart_of_every_kind_is_drawn_and_equal_input_gives_equal_bytes(comparison):
    compared = style.drawn(comparison_drawings(comparison))
    assert {"change_by_group", "gap_change", "change_by_group_true_positive_rate"} <= set(compared)
    assert all(ElementTree.fromstring(chart).tag.endswith("svg") for chart in compared.values())
    again = svg(change_by_group(comparison, "accuracy")[0], WIDTH,
                change_by_group(comparison, "accuracy")[1])  # fmt: skip
    assert again == compared["change_by_group"]


def test_more_than_two_classes_are_drawn_against_a_reference():
    assert drawn(confusion(MULTICLASS)).axes[0].images[0].get_array().shape == (3, 3)
    assert calibration(MULTICLASS) is None
    left = drawn(detectable(MULTICLASS, "true_positive_rate[angry]")).axes[0]
    assert all(label.endswith("and light") for label in labels(left))


def test_every_chart_of_one_classifier_is_drawn_under_its_name(fairness):
    two = {**fairness, "metrics": ["accuracy", "precision"]}
    assert list(fairness_drawings(two)) == [
        "intervals_by_group", "intervals_by_group_precision", "detectable", "detectable_precision",
        "confusion", "calibration", "scores",
    ]  # fmt: skip


def test_chart_names_are_file_names_and_never_collide():
    names = chart_names("x", ["accuracy", "rate[a b]", "rate[a_b]", "rate[../etc]"])
    assert list(names.values()) == ["x", "x_rate_a_b", "x_rate_a_b_2", "x_rate_etc"]


def test_measures_of_a_comparison_keep_their_usual_order(comparison):
    names = ["home_made", "selection_rate", "accuracy", "true_positive_rate[b]"]
    rows = [{**comparison["groups"][0], "metric": name} for name in names]
    assert compared_metrics({"groups": rows}) == [
        "accuracy", "true_positive_rate[b]", "selection_rate", "home_made",
    ]  # fmt: skip


def test_a_run_draws_all_arms_together_and_each_change_alone(fairness, comparison):
    names = set(run_drawings({"uniform": fairness}, {"latent": comparison}))
    assert {"intervals_by_group", "detectable", "change_by_group_latent"} <= names


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$x^$", "_a", "y" * 300])
def test_hostile_names_are_drawn_as_text(name, fairness):
    drawing = intervals_by_group({"u": replaced(fairness, "dark", name)}, "accuracy")
    chart = svg(drawing[0], 7.6, drawing[1])
    assert b"<script" not in chart
    texts = [node.text or "" for node in ElementTree.fromstring(chart).iter() if "text" in node.tag]
    assert any(text.strip().startswith(name[:5].strip()) for text in texts)
