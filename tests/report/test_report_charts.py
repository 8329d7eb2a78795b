import re
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_run import fake_document
from matplotlib import rcParams
from matplotlib.figure import Figure
from reading import replaced

from debias.report.charts.curves import latent_dimensions, training_curves, weight_distribution
from debias.report.charts.rows import wrapped
from debias.report.charts.style import ARM_STYLES, arm_style, svg
from debias.report.fairness_charts import weight_share
from debias.report.readings import arms_of
from debias.report.words import escape_label

NAMES = {
    "weight_share", "weight_distribution", "latent_dimensions", "training_curves",
    "intervals_by_group", "detectable", "change_by_group_latent", "change_by_group_groups",
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
    assert set(charts) >= NAMES
    for chart in charts.values():
        assert ElementTree.fromstring(chart).tag.endswith("svg")


def test_drawing_leaves_matplotlib_as_it_was(document):
    before = dict(rcParams)
    svg(weight_share(document)[0], 7.0, 5.0)
    assert dict(rcParams) == before


def test_weight_share_marks_lie_at_before_and_after(document):
    axes = drawn(weight_share(document)).axes[0]
    places = [x for x, y in marks(axes) if abs(y) < 0.3]  # the rarest group, dark
    assert sorted(places) == pytest.approx([0.05, 0.05, 0.14, 0.25])


def test_arms_keep_their_colours_when_plain_training_is_not_the_first(document):
    turned = {**document, "arms": dict(reversed(document["arms"].items()))}
    names = arms_of(turned)
    assert [arm_style(arm, names)[0] for arm in names] == [c for c, _ in ARM_STYLES[:3]]
    many = [str(number) for number in range(3 * len(ARM_STYLES))]
    assert len({arm_style(arm, many) for arm in many}) == len(many)
    assert names[0] == "uniform"


def test_a_group_that_only_the_training_images_have_is_drawn():
    document = fake_document(arms=("uniform", "latent"), seeds=1)
    share = {"origin:far": {"before": 0.2, "after": 0.3}}
    document["weights"]["latent"]["share_by_group"] |= share
    titles = [axes.get_title(loc="left") or axes.get_title()
              for axes in drawn(weight_share(document)).axes]  # fmt: skip
    assert titles == ["skin tone group", "origin"]


def test_without_weights_no_share_is_drawn():
    document = fake_document(arms=("uniform", "latent"), seeds=1)
    assert weight_share(document) is not None
    document["weights"]["latent"]["rule"] = "uniform"  # its objective is what differs
    assert weight_share(document) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_drawn_as_plain_text(name):
    document = fake_document(attributes=("skin_tone_group",), seeds=1)
    document = replaced(replaced(document, "dark", name), "latent", f"_{name}")
    draw, height = weight_share(document)
    chart = svg(draw, 7.6, height)
    label = wrapped(escape_label(name, 60)).replace(r"\$", "$").strip()
    texts = [text.strip() for text in written(chart)]
    assert set(label.split("\n")) <= set(texts)
    legend = escape_label(f"_{name}", 30).replace(r"\$", "$").strip()
    assert legend in texts
    assert b"<script" not in chart


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


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("short", "short"),
        ("somewhat longer than one line", "somewhat longer than\none line"),
        ("x" * 60, f"{'x' * 20}\n{'x' * 19}…"),
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
