import os
import re
from copy import deepcopy
from html import unescape
from html.parser import HTMLParser

import pytest
from reading import FORBIDDEN, VOID, Page, replaced, without_numbers, without_pictures
from test_audit_document import empty_audit, fake_audit, fake_map, fake_pictures
from test_report_page import HOSTILE, OUR_TAGS

from debias.auditing.audit_report import of_fidelity
from debias.report.audit_findings import collect, opening
from debias.report.audit_page import render_audit, write_audit_page
from debias.report.pictures import AuditPictures
from debias.report.words import clean

DOCUMENTS = {"full": fake_audit(), "empty": empty_audit()}
NO_PICTURES = AuditPictures()
STUB = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
CHARTS = (
    "reference_distance", "reference_regions", "drift_distance", "drift_regions", "group_shares",
    "crossing_shares", "group_rarity", "directions", "coverage", "clusters", "map_density",
    "map_cluster", "map_regions", "map_annotation", "map_annotation_perceived_gender",
)  # fmt: skip


class Pictured(HTMLParser):
    """The figures of a page: how many pictures stand in each, and its caption."""

    def __init__(self, source):
        super().__init__()
        self.figures, self.alone, self.inside = [], 0, []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        if tag == "figure":
            self.figures.append({"pictures": 0, "caption": ""})
        if tag == "img" and "figure" in self.inside:
            self.figures[-1]["pictures"] += 1
        elif tag == "img":
            self.alone += 1
        if tag not in VOID:
            self.inside.append(tag)

    def handle_endtag(self, _):
        self.inside.pop()

    def handle_data(self, data):
        if "figcaption" in self.inside:
            self.figures[-1]["caption"] += data


@pytest.fixture(scope="module")
def sketch():
    """Pages with an empty picture for each chart; drawing has its own tests."""

    def page_of(document, pictures=NO_PICTURES, charts=CHARTS):
        with pytest.MonkeyPatch.context() as patch:
            drawn = dict.fromkeys(charts, STUB)
            patch.setattr("debias.report.audit_page.audit_figures", lambda *_: drawn)
            return render_audit(document, pictures)

    return page_of


@pytest.fixture(scope="module")
def pictures():
    return fake_pictures(DOCUMENTS["full"])


@pytest.fixture(scope="module")
def full(sketch, pictures):
    return Page(sketch(DOCUMENTS["full"], pictures, (*CHARTS, "map_faces")))


@pytest.fixture(scope="module")
def faceless(sketch):
    return Page(sketch(DOCUMENTS["full"], AuditPictures(map=fake_map())))


@pytest.fixture(scope="module")
def empty(sketch):
    return Page(sketch(DOCUMENTS["empty"], NO_PICTURES, ()))


@pytest.fixture(params=["full", "faceless", "empty"])
def read(request):
    return request.getfixturevalue(request.param)


def altered(**parts):
    return deepcopy(DOCUMENTS["full"]) | parts


def tables(page, kind):
    return [rows for found, rows in page.tables if found and kind in found.split()]


def numbers(row):
    return [number for cell in row for number in cell["numbers"]]


def known(row, *fields):
    return [row[field] for field in fields if row[field] is not None]


def test_pages_are_whole_and_need_nothing_from_elsewhere(read):
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert sum(tag == "h1" for tag, _ in read.tags) == 1
    targets = {a.get("id") for _, a in read.tags}
    assert {a["href"] for _, a in read.tags if "href" in a} <= {f"#{one}" for one in targets}
    assert all(a["src"].startswith("data:") for _, a in read.tags if "src" in a)
    plain = without_pictures(read.source)
    assert "http" not in plain.replace("http-equiv", "")
    assert "url(" not in plain
    assert "None" not in read.visible
    assert "nan" not in read.visible.split()
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_nothing_is_promised(read):
    spoken = [a[key] for _, a in read.tags for key in ("alt", "title", "aria-label") if key in a]
    assert FORBIDDEN.findall(" ".join([read.visible, *spoken])) == []
    assert "PASS" not in read.visible


def test_every_picture_says_what_it_means_and_what_to_do(full, faceless):
    for page, least in ((full, 60), (faceless, len(CHARTS))):
        found = Pictured(page.source)
        assert found.alone == 0
        assert sum(figure["pictures"] for figure in found.figures) >= least
        for figure in found.figures:
            means, do, said = figure["caption"].partition("What to do:")
            assert not figure["pictures"] or (do and len(means.split()) > 3 < len(said.split()))


def test_captions_are_one_sentence_on_the_meaning_and_one_on_what_to_do(full):
    of_model = {page["means"] for page in DOCUMENTS["full"]["latent_pages"]["pages"]}
    captions = {figure["caption"] for figure in Pictured(full.source).figures}
    for means, _, do in (one.partition(" What to do: ") for one in captions if one):
        for sentence in (means, do):
            assert sentence.endswith(".")
            assert not re.search(r"[.!?] [A-Z]", sentence)
        assert means[0].isupper()
        assert do[0].islower() or means in of_model


def test_the_worst_verdict_stands_first_and_sections_follow_in_order(full):
    text = full.visible
    places = [text.index(found["sentence"]) for found in DOCUMENTS["full"]["verdicts"]]
    assert places == sorted(places)
    headings = (
        "What should you collect?", "How this page sees your images", "beside the reference?",
        "since the earlier version?", "What do the annotations say?", "Where is the collection",
        "In which directions", "How evenly", "on one map", "Cluster by cluster",
        "The least and the most", "What the model draws", "explain worst?",
        "What this audit cannot see", "How to read it", "Provenance",
    )  # fmt: skip
    body = text[text.index("What should you collect?") :]
    found = [body.index(heading) for heading in headings]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One.", ("One.", "")),
        ("At 3.1% (p = 0.2). Then. More.", ("At 3.1% (p = 0.2).", "Then. More.")),
        ("no full stop", ("no full stop", "")),
        ("e.g. this is one. Two?", ("e.g. this is one.", "Two?")),
    ],
)
def test_the_first_sentence_is_set_off(text, parts):
    assert opening(text) == parts


def test_what_to_collect_is_what_was_found_most_missing_first():
    regions, groups = collect(DOCUMENTS["full"]).values()
    assert [row["missing"] for row in regions] == [240, 172]
    assert [row["missing"] for row in groups] == [3_621, 2_827, 2_528]
    assert groups[0]["who"] == "images of annotated race: Indian"
    assert [row["together"] for row in regions] == [252, 180]
    nothing = altered(groups=None)
    for row in nothing["reference"]["regions"]:
        row["found"] = False
    assert collect(nothing) == {}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"reference": None, "groups": None}, "takes something to compare with"),
        ({"reference": DOCUMENTS["full"]["reference"] | {"regions": []}, "groups": None},
         "has enough of everything that was looked at"),
    ],
)  # fmt: skip
def test_without_a_number_to_collect_the_page_says_why(parts, said, sketch):
    assert said in Page(sketch(altered(**parts))).visible


def test_numbers_of_the_reference_are_those_of_the_document(full):
    document = DOCUMENTS["full"]["reference"]
    rows = tables(full, "reference-regions")[0][1:]
    fields = (
        "count", "reference_count", "share", "share_low", "share_high", "reference_share",
        "reference_low", "reference_high", "missing", "missing_low", "missing_high", "p_adjusted",
    )  # fmt: skip
    for row, region in zip(rows, document["regions"], strict=True):
        assert row[0]["text"] == str(region["number"])
        assert numbers(row) == [region[field] for field in fields]
        said = "falls short" if region["found"] else "no shortfall found"
        assert row[-1]["text"] == said
    exact = {value for value, _ in full.numbers}
    assert {document[key] for key in ("distance", "p", "separability", "missing_total")} <= exact
    assert {document["null"][0], document["null"][2]} <= exact


def test_numbers_of_regions_directions_clusters_and_oddities_are_those_of_the_document(full):
    document = DOCUMENTS["full"]
    fields = ("count", "share", "low", "high", "p", "p_adjusted")
    for row, region in zip(
        tables(full, "regions")[0][1:], document["regions"]["list"], strict=True
    ):
        assert numbers(row) == [region[field] for field in fields]
    exact = {value for value, _ in full.numbers}
    for row in document["directions"]:
        assert {row["variance_share"], row["skewness"], row["low_share"]} <= exact
    for row in document["clusters"]:
        assert {row[key] for key in ("count", "share", "low", "high", "density")} <= exact
    assert {row["nats"] for row in document["anomalies"]["worst"]} <= exact
    assert {document["coverage"]["effective_cells"], document["coverage"]["densest_tenth"]} <= exact
    assert set(document["data"]["splits"].values()) & exact == set()  # in words, in the provenance
    assert "11,160 train, 1,240 validation" in full.visible


def test_numbers_of_groups_are_those_of_the_document(full):
    groups = DOCUMENTS["full"]["groups"]
    every = [*(row for one in groups["attributes"] for row in one["rows"]), *groups["crossings"]]
    first, second = (
        {row[0]["title"]: row for rows in tables(full, kind) for row in rows[1:]}
        for kind in ("shares", "weights")
    )
    hidden = [row["group"] for row in every if row["count"] is None]
    assert set(first) == set(second) == {row["group"] for row in every} - set(hidden)
    assert len(hidden) == 3
    assert full.visible.count("everything in it is withheld") == 4  # two attributes, twice
    for row in (row for row in every if row["group"] not in hidden):
        shares = ("count", "share", "low", "high", "declared", "missing", "p_adjusted")
        weights = (
            "auc", "auc_low", "auc_high", "weight_share", "set_aside", "set_aside_share",
        )  # fmt: skip
        assert numbers(first[row["group"]]) == known(row, *shares)
        assert numbers(second[row["group"]]) == known(row, *weights)
        said = " ".join(cell["text"] for cell in first[row["group"]])
        assert ("too small to judge" in said) == (row["state"] == "too_small")


def test_groups_stand_in_the_order_of_the_document(full):
    names = [row[0]["text"] for row in tables(full, "shares")[0][1:]]
    assert names == ["Indian", "Asian", "Black", "White", "no group label"]


def test_what_the_annotation_says_of_a_region_is_withheld_where_it_must_be(full):
    rows = {row[0]["text"]: row for row in tables(full, "explains")[-1]}
    assert numbers(rows["annotated race: Black"]) == [0.34, 0.08]
    assert [cell["text"] for cell in rows["annotated race: Inuit"][1:]] == ["withheld"] * 2


def test_without_pictures_no_face_is_on_the_page(faceless, empty, full):
    assert "data:image/webp" in full.source
    for page in (faceless, empty):
        assert "image/webp" not in page.source
    for page in (faceless, empty):
        assert page.visible.count("report.show_faces") == 1
        assert page.visible.count("--show-faces") == 1
    for sentence in ("Above, the images", "What is missing below", "The most typical images of"):
        assert sentence not in faceless.visible
    assert "report.show_faces" not in full.visible
    assert "odd-0030" in faceless.visible  # who it is can still be looked up


def test_a_reference_whose_faces_may_not_be_shown_beside_others_says_so(sketch, pictures):
    own = {name: face for name, face in pictures.faces.items() if "reference" not in name}
    page = Page(sketch(DOCUMENTS["full"], AuditPictures(faces=own, pages=pictures.pages)))
    text = page.visible
    sections = text.split("Who is missing beside the reference?")[1].split("Where is the")[0]
    assert sections.count("report.show_faces") == 2  # of the reference and of the earlier version
    assert "report.show_faces" not in text.split("Where is the collection thin?")[1].split("map")[0]


def test_only_faces_of_which_the_document_speaks_are_embedded(sketch, pictures):
    unspoken = {name: face for name, face in pictures.faces.items() if name == "nobody"}
    one = AuditPictures(faces=unspoken | {"somebody else": next(iter(pictures.faces.values()))})
    assert "image/webp" not in sketch(DOCUMENTS["full"], one)


def test_what_does_not_apply_is_said_in_a_sentence(empty):
    for sentence in (
        "12 images are too few to say anything.", "No reference was given",
        "No earlier version was given", "No annotated column was named",
        "12 images are too few to look for thin regions.", "No direction carries enough variation",
        "No map was drawn.", "The images were not clustered.", "No image was ranked.",
        "There are no drawings", "This was not measured", "No limit was stated.",
        "embeddings made elsewhere", "too few images to look",
    ):  # fmt: skip
        assert sentence in empty.visible


def test_undeclared_shares_and_missing_measures_are_said(sketch):
    document = altered()
    for row in [*document["groups"]["attributes"][0]["rows"], *document["groups"]["crossings"],
                *document["groups"]["attributes"][1]["rows"]]:  # fmt: skip
        row |= dict.fromkeys(("declared", "verdict", "missing", "p_adjusted", "auc", "auc_low",
                              "auc_high", "weight_share", "raised"))  # fmt: skip
    text = Page(sketch(document)).visible
    assert "No share was declared" in text
    assert "For no group could it be measured" in text


def test_sets_told_apart_almost_without_error_come_with_a_caution(sketch, full):
    document = altered()
    document["reference"]["telltale"] = True
    assert "mark of another camera" in Page(sketch(document)).visible
    assert "mark of another camera" not in full.visible


def test_undefined_numbers_are_words(sketch):
    page = Page(sketch(without_numbers(DOCUMENTS["full"], None), NO_PICTURES, ()))
    assert "undefined" in page.visible
    assert "0.0%" not in page.visible
    assert page.open == []


def test_pixels_of_a_vae_are_not_claimed_for_other_descriptions(full, empty):
    assert "changes pixels most" in full.visible
    assert "decided elsewhere" in empty.visible


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name, sketch):
    document = DOCUMENTS["full"]
    for old in ("city-portraits", "Indian", "perceived_gender", "even-faces", "odd-0030", "dark",
                "redrawn", "validation", "conv_vae"):  # fmt: skip
        document = replaced(document, old, name)
    read = Page(sketch(document, AuditPictures(map=fake_map())))
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert not any(key.startswith("on") for _, found in read.tags for key in found)
    assert " ".join(clean(name).split()) in read.visible
    read.source.encode("utf-8")


def test_the_real_charts_stand_on_the_page():
    document = DOCUMENTS["empty"] | {key: DOCUMENTS["full"][key] for key in ("drift", "coverage")}
    page = render_audit(document, AuditPictures(map=fake_map(count=50)))
    # Two of the drift, one of the coverage, and the map by density, regions, clusters and twice
    # by annotation.
    assert page.count("data:image/svg+xml") == 8
    assert without_pictures(page).count("http") == 1  # http-equiv


def test_the_page_is_written_whole_and_for_its_owner_alone(tmp_path, monkeypatch):
    path = tmp_path / "audit.html"
    write_audit_page(DOCUMENTS["empty"], NO_PICTURES, path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_audit_page(DOCUMENTS["empty"] | {"name": "another"}, NO_PICTURES, path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


BLURRED = {
    "images": 60, "explained": 0.6, "explained_detail": 0.07, "neighbours_kept": 0.4,
    "neighbours_by_chance": 0.02, "verdict": "blurred", "definition": "", "epochs": 12,
    "advised": 36,
}  # fmt: skip


def test_a_model_that_draws_one_face_for_everybody_is_said_first_and_doubted_everywhere(sketch):
    section = of_fidelity(BLURRED)
    first = {"kind": "fidelity", "sentence": section["sentence"], "action": section["action"]}
    document = altered(fidelity=section, verdicts=[first, *DOCUMENTS["full"]["verdicts"]])
    page = Page(sketch(document))
    assert page.visible.index("nearly the same face") < page.visible.index("412 images are missing")
    assert "--set representation.training.epochs=36 (now 12)" in page.visible
    assert page.visible.count("This rests on a model that draws nearly the same face") == 11
    told = altered(fidelity=of_fidelity(BLURRED | {"verdict": "tells_apart"}))
    assert "The model tells images apart." in Page(sketch(told)).visible
    assert "This rests on a model" not in Page(sketch(told)).visible


def first_screen(page):
    """Words and pictures above the first fold, without the line above the heading."""
    header = page[page.index("</h1>") : page.index("<details")]
    text = re.sub(r"<[^>]*>", " ", re.sub(r"</?data[^>]*>", "", header))
    return header.count("<img"), unescape(text).split()


def test_the_first_screen_is_sixty_words_and_one_picture(sketch):
    pictures, words = first_screen(sketch(DOCUMENTS["full"]))
    said = " ".join(words)
    for part in ("Fewest: annotated race: Indian, 3.1%", "3,621 images of annotated race: Indian",
                 "p < 0.001", "Collect 3,621 more images."):  # fmt: skip
        assert part in said
    assert pictures == 1
    assert len(words) <= 60
    nothing = dict.fromkeys(("groups", "reference", "drift"))
    for parts, chart, part in (
        ({"groups": None}, "reference_regions", "240 images like those of region 1"),
        (nothing, "map_density", "there is nothing to compare with"),
        ({"fidelity": of_fidelity(BLURRED)}, "group_shares", "nearly one face for everybody"),
    ):
        pictures, words = first_screen(sketch(altered(**parts), NO_PICTURES, (chart,)))
        assert part in " ".join(words)
        assert (pictures, len(words) <= 60) == (1, True)
    blurred = nothing | {"fidelity": of_fidelity(BLURRED)}
    words = first_screen(sketch(altered(**blurred)))[1]
    said = " ".join(words)
    assert len(words) <= 60
    assert "How sure Shares are counted; the model draws nearly one face" in said


def test_annotated_columns_that_were_not_named_are_told(sketch):
    document = deepcopy(DOCUMENTS["empty"])
    document["data"]["known"] = ["perceived_gender", "annotated_race"]
    said = Page(sketch(document, NO_PICTURES, ())).visible
    assert "hold annotated columns that were not named (perceived_gender, annotated_race)" in said
