from copy import deepcopy
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_audit_document import empty_audit, fake_audit, fake_map
from test_report_page import HOSTILE

from debias.report.audit_charts import (
    audit_figures,
    distance,
    group_shares,
    map_figures,
    shares_of_regions,
)
from debias.report.audit_document import every_row
from debias.report.charts.maps import _apart
from debias.report.charts.style import svg
from debias.report.pictures import AuditMap, AuditPictures

DOCUMENT = fake_audit()


def written(chart):
    """All text of a chart, in drawing order."""
    return [node.text or "" for node in ElementTree.fromstring(chart).iter() if "text" in node.tag]


def drawn(drawing):
    draw, height = drawing
    figure = Figure(figsize=(7.6, height))
    draw(figure)
    return figure


def marks(axes):
    """(x, y) of every mark."""
    groups = [group for group in axes.collections if not hasattr(group, "get_segments")]
    return [tuple(map(float, point)) for group in groups for point in group.get_offsets()]


@pytest.fixture(scope="module")
def charts():
    pictures = AuditPictures(map=fake_map(count=200, thumbnails=6, size=16))
    return audit_figures(DOCUMENT, pictures)


def test_every_chart_is_drawn_under_its_name(charts):
    assert set(charts) == {
        "reference_distance", "reference_regions", "drift_distance", "drift_regions",
        "group_shares", "crossing_shares", "group_rarity", "directions", "coverage", "clusters",
        "map_faces",
        "map_density", "map_regions", "map_cluster", "map_annotation",
        "map_annotation_perceived_gender",
    }  # fmt: skip
    for chart in charts.values():
        assert ElementTree.fromstring(chart).tag.endswith("svg")


def test_the_same_input_gives_the_same_bytes(charts):
    again = map_figures(DOCUMENT, fake_map(count=200, thumbnails=6, size=16))
    assert again["map_faces"] == charts["map_faces"]
    assert again["map_density"] == charts["map_density"]


def test_faces_are_on_the_map_of_faces_alone():
    without = map_figures(DOCUMENT, fake_map(count=200))
    with_faces = map_figures(DOCUMENT, fake_map(count=200, thumbnails=6, size=16))
    assert with_faces.keys() - without.keys() == {"map_faces"}
    for name, chart in without.items():
        assert with_faces[name] == chart


def test_nothing_is_drawn_of_nothing():
    assert audit_figures(empty_audit(), AuditPictures()) == {}


def test_a_distance_beyond_chance_is_filled_and_another_hollow():
    found, hollow = (drawn(distance(DOCUMENT[part])).axes[0] for part in ("reference", "drift"))
    for axes, part in ((found, "reference"), (hollow, "drift")):
        assert marks(axes)[0][0] == DOCUMENT[part]["distance"]
    faces = [axes.collections[-1].get_facecolor()[0].tolist() for axes in (found, hollow)]
    assert faces[0] != [1.0, 1.0, 1.0, 1.0] == faces[1]


def test_regions_stand_at_their_shares_with_what_is_missing_beside(charts):
    axes = drawn(shares_of_regions(DOCUMENT["reference"], "there")).axes[0]
    places = [x for x, _ in marks(axes)]
    rows = DOCUMENT["reference"]["regions"]
    assert places == [x for row in rows for x in (row["share"], row["reference_share"])]
    text = written(charts["reference_regions"])
    assert "240 missing" in text
    assert "172 missing" in text
    assert "13 missing" not in text  # it was not found


def test_withheld_groups_are_not_drawn(charts):
    axes = drawn(group_shares(DOCUMENT, crossed=False)).axes[0]
    assert len(marks(axes)) == 5
    text = written(charts["group_shares"]) + written(charts["crossing_shares"])
    assert ("withheld" in text, "Inuit" in text) == (False, False)
    for said in ("Indian", "n = 385", "n = 14, in no verdict", "n = 21, too small"):
        assert said in text


def test_values_whose_count_is_withheld_are_not_told_apart_on_the_map():
    found = fake_map()
    stated = {row["group"]: row["count"] for row in every_row(DOCUMENT["groups"])}
    told = found.countable("annotated_race", stated)
    assert told[0] == "White"
    assert not {"Inuit", "unknown"} & set(told)
    assert "Inuit" not in written(map_figures(DOCUMENT, found)["map_annotation"])


def test_without_a_table_of_groups_small_values_are_not_told_apart():
    document = empty_audit()
    column = np.array(["a"] * 30 + ["b"] * 11 + ["c"] * 10 + ["unknown"] * 12)
    zeros = np.zeros(len(column), dtype=np.int64)
    found = AuditMap(
        xy=np.zeros((len(column), 2)), density=np.zeros(len(column)), cluster=zeros, region=zeros,
        attributes={"x": column},
    )  # fmt: skip
    assert found.countable("x", {}) == ["a", "b"]
    assert map_figures(document, found).keys() == {"map_density", "map_cluster", "map_annotation"}


def test_thumbnails_that_would_hide_each_other_give_way_to_the_loneliest():
    xy = np.array([[0.0, 0.0], [0.1, 0.0], [100.0, 0.0], [50.0, 50.0]])
    zeros = np.zeros(4, dtype=np.int64)
    found = AuditMap(
        xy=xy, density=np.array([2.0, 1.0, 5.0, 4.0]), cluster=zeros, region=zeros,
        thumbnail_rows=np.array([0, 1, 2]), thumbnails=np.zeros((3, 8, 8, 3), dtype=np.uint8),
    )  # fmt: skip
    assert _apart(found) == [1, 2]


def test_hostile_names_can_be_drawn():
    document = deepcopy(DOCUMENT)
    row = document["groups"]["attributes"][0]["rows"][0]
    document["groups"]["attributes"][0]["rows"] = [
        row | {"group": f"annotated_race:{name}"} for name in (*HOSTILE, *map(str, range(30)))
    ]
    names = np.array([name.encode("utf-8", "replace").decode() for name in HOSTILE])
    found = fake_map(count=200)
    found.attributes["$x_1"] = np.resize(names, 200)
    document["groups"]["attributes"].append({"attribute": "$x_1", "declared": False, "rows": [
        row | {"group": f"$x_1:{name}"} for name in names]})  # fmt: skip
    draw, height = group_shares(document, crossed=False)
    charts = {"group_shares": svg(draw, 7.6, height), **map_figures(document, found)}
    for name in ("group_shares", "map_annotation_x_1"):
        assert "<script" not in charts[name].decode()
        assert "$x^$" in written(charts[name])


def test_a_large_map_stays_small_on_the_page():
    found = map_figures(DOCUMENT, fake_map(count=5_000))
    assert all(len(chart) < 400_000 for chart in found.values())
