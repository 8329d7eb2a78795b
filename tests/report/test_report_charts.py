import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_run import TONES, fake_document
from matplotlib import rcParams
from matplotlib.figure import Figure
from reading import replaced

from debias.report import Pictures, figures
from debias.report.curves import latent_dimensions, training_curves, weight_distribution
from debias.report.drawing import svg, wrapped
from debias.report.group_charts import accuracy_by_group, accuracy_change, weight_share
from debias.report.text import escape_label

NAMES = {
    "accuracy_by_group", "accuracy_change", "weight_share", "weight_distribution",
    "latent_dimensions", "training_curves",
}  # fmt: skip
SCRIPT = "<script>alert(1)</script>"
HOSTILE = [SCRIPT, "$x^$", "_hidden", "\u202eabc", "a\ud800b", "y" * 300, "日本"]


def written(chart):
    """All text of a chart, in drawing order."""
    return [node.text or "" for node in ElementTree.fromstring(chart).iter() if "text" in node.tag]


def drawn(drawing):
    draw, height = drawing
    figure = Figure(figsize=(7, height))
    draw(figure)
    return figure


def marks(axes):
    """(x, y) of every mark."""
    groups = [group for group in axes.collections if not hasattr(group, "get_segments")]
    return [tuple(point) for group in groups for point in group.get_offsets()]


def test_every_chart_is_drawn_under_its_name(charts):
    assert set(charts) == NAMES
    for chart in charts.values():
        assert ElementTree.fromstring(chart).tag.endswith("svg")


def test_equal_input_gives_equal_bytes(pictures, charts):
    again = figures(fake_document(attributes=()), pictures)
    for name in ("weight_distribution", "latent_dimensions", "training_curves"):
        assert again[name] == charts[name]


def test_drawing_leaves_matplotlib_as_it_was(document):
    before = dict(rcParams)
    svg(accuracy_by_group(document)[0], 7.0, 5.0)
    assert dict(rcParams) == before


def test_importing_needs_neither_pyplot_nor_torch():
    code = "import sys, debias.report; print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_every_group_and_its_size_stand_beside_the_marks(charts):
    texts = written(charts["accuracy_by_group"])
    assert set(TONES) <= set(texts)
    assert texts.count("n = 500") == 4
    assert texts.count("n = 24") == 1


def test_accuracy_marks_lie_at_the_means_worst_group_first(document):
    axes = drawn(accuracy_by_group(document)).axes[0]
    rows = document["arms"]["uniform"]["mean"]["by_group"]
    means = [
        r["value"]
        for r in rows
        if r["attribute"] == "skin_tone_group" and r["metric"] == "accuracy"
    ]
    for y, mean in enumerate(sorted(means)):
        assert any(x == pytest.approx(mean) and abs(place - y) < 0.3 for x, place in marks(axes))


def test_accuracy_whiskers_span_the_interval(document):
    row = document["arms"]["latent"]["mean"]["by_group"][0]
    axes = drawn(accuracy_by_group(document)).axes[0]
    spans = [
        line.get_segments()[0][:, 0] for line in axes.collections if hasattr(line, "get_segments")
    ]
    assert any(span == pytest.approx([row["low"], row["high"]]) for span in spans)


def test_a_group_that_is_too_small_is_hollow_and_named_in_the_legend(document, charts):
    crossing = drawn(accuracy_by_group(document)).axes[2]
    faces = [tuple(g.get_facecolor()[0]) for g in crossing.collections if len(g.get_facecolor())]
    assert faces.count((1.0, 1.0, 1.0, 1.0)) == 3  # one group, three arms
    assert "too small" in written(charts["accuracy_by_group"])


def test_change_marks_lie_at_after_minus_before_in_points(document):
    arms = [document["arms"][arm]["mean"]["by_group"][0] for arm in ("uniform", "latent")]
    change = 100 * (arms[1]["value"] - arms[0]["value"])
    axes = drawn(accuracy_change(document)).axes[0]
    assert any(x == pytest.approx(change) for x, _ in marks(axes))


def test_weight_share_marks_lie_at_before_and_after(document):
    axes = drawn(weight_share(document)).axes[0]
    places = [x for x, y in marks(axes) if abs(y) < 0.3]  # the rarest group, dark
    assert sorted(places) == pytest.approx([0.05, 0.05, 0.14, 0.25])


def test_weight_distribution_counts_every_image():
    weights = {"uniform": np.ones(4), "latent": np.array([0.0, 0.5, 0.5, 3.0])}
    axes = drawn(weight_distribution(["uniform", "latent"], weights)).axes
    assert len(axes) == 1  # plain training has nothing to show
    assert sum(bar.get_height() for bar in axes[0].patches) == pytest.approx(
        0.75
    )  # one is never drawn


def test_inactive_dimensions_are_grey_and_labelled(charts):
    texts = written(charts["latent_dimensions"])
    assert {"3 inactive", "11 inactive", "0", "15"} <= set(texts)


def test_many_dimensions_are_cut_and_non_finite_values_left_out():
    mean = np.full((50, 70), np.nan)
    mean[:, 0] = np.linspace(-1, 1, 50)
    assert len(drawn(latent_dimensions(mean, None)).axes) == 64


def test_training_curves_put_splits_of_a_quantity_into_one_panel():
    curves = {
        "representation": {
            "train/loss": [3.0, 2.0],
            "validation/loss": [3.1, np.nan],
            "train/kl": [1.0],
        }
    }
    axes = drawn(training_curves(curves)).axes[:2]
    assert [ax.get_title() or ax.get_title(loc="left") for ax in axes] == ["loss", "kl"]
    assert len(axes[0].lines) == 2


def test_what_does_not_exist_is_not_drawn():
    document = fake_document(arms=("uniform",), attributes=(), seeds=1)
    assert figures(document, Pictures()) == {}


def test_one_arm_has_no_change_and_no_share():
    assert set(figures(fake_document(arms=("uniform",)), Pictures())) == {"accuracy_by_group"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_drawn_as_plain_text(name):
    document = fake_document(arms=("uniform",), attributes=("skin_tone_group",), seeds=1)
    chart = figures(replaced(document, "dark", name), Pictures())["accuracy_by_group"]
    label = wrapped(escape_label(name, 60)).replace(r"\$", "$").strip()
    texts = [text.strip() for text in written(chart)]
    assert set(label.split("\n")) <= set(texts)
    assert b"<script" not in chart


def test_hostile_arms_stay_in_the_legend():
    document = replaced(fake_document(attributes=("skin_tone_group",), seeds=1), "latent", "_$a^$")
    texts = written(figures(document, Pictures())["accuracy_by_group"])
    assert any(text.strip() == "_$a^$" for text in texts)


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("short", "short"),
        ("somewhat longer than one line", "somewhat longer than one\nline"),
        ("x" * 60, f"{'x' * 26}\n{'x' * 25}…"),
    ],
)
def test_wrapped_breaks_into_two_lines_at_most(label, lines):
    assert wrapped(label) == lines


def test_charts_hold_no_date_and_no_address_but_name_spaces(charts):
    for chart in charts.values():
        text = chart.decode()
        assert not re.search(r"\b20\d\d-\d\d-\d\d", text)
        addresses = set(re.findall(r"https?://[^\"<> ]+", text))
        assert all(
            re.match(r"https?://(www\.w3\.org|purl\.org|creativecommons\.org)/", a)
            for a in addresses
        )
