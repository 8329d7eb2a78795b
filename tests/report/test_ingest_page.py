import io
import os
import re
from copy import deepcopy

import numpy as np
import pytest
from fake_ingest import NAMES, REASONS, TONES, empty_ingest, fake_faces, fake_ingest
from reading import FORBIDDEN, Page, replaced, without_pictures
from rich.console import Console
from test_report_page import HOSTILE, OUR_TAGS

from debias.report.charts.flow import Outcome
from debias.report.ingest_page import (
    EXAMPLES,
    PAIRS_OPEN,
    cautions,
    ingest_figures,
    leak_check,
    rejected_by_group,
    render_ingest,
    summary,
    write_ingest_page,
)
from debias.report.terminal import lines
from debias.report.words import clean, is_number, shown

DOCUMENTS = {"full": fake_ingest(), "empty": empty_ingest()}
FACES = fake_faces(["face-31", "face-0", "not decodable-1", "nowhere on the page"])


@pytest.fixture(scope="module")
def sketch_page():
    """Pages with an empty picture for each chart; drawing has its own tests."""

    def page_of(document, pictures=FACES):
        stub = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("debias.report.charts.style.svg", lambda *_: stub)
            return render_ingest(document, pictures)

    return page_of


@pytest.fixture(scope="module")
def pages(sketch_page):
    return {name: Page(sketch_page(found, {})) for name, found in DOCUMENTS.items()}


def altered(**parts):
    return deepcopy(DOCUMENTS["full"]) | parts


def tables(page, kind):
    return [rows for found, rows in page.tables if found and kind in found.split()]


def terminal(document):
    console = Console(file=io.StringIO(), width=200, color_system=None)
    for line in lines(summary(document)):
        console.print(line)
    return console.file.getvalue()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_pages_are_whole_and_hold_only_our_tags(name, pages):
    read = pages[name]
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert sum(tag == "h1" for tag, _ in read.tags) == 1
    targets = {a.get("id") for _, a in read.tags}
    assert {a["href"][1:] for _, a in read.tags if "href" in a} <= targets
    assert all(a["src"].startswith("data:") for _, a in read.tags if "src" in a)
    assert "http" not in without_pictures(read.source).replace("http-equiv", "")
    assert FORBIDDEN.findall(without_pictures(read.source)) == []


def test_the_sections_stand_in_order(pages):
    headings = (
        "What became of the images?", "Was some group hit", "Rejected, by reason",
        "Duplicates, side by side", "Splits", "What was converted", "Provenance",
    )  # fmt: skip
    text = pages["full"].visible
    body = text[text.index(headings[0]) :]
    places = [body.index(heading) for heading in headings]
    assert places == sorted(places)


def test_every_group_is_in_the_tables_with_its_own_numbers(pages):
    document = DOCUMENTS["full"]
    found = {row[0]["title"]: row for rows in tables(pages["full"], "groups") for row in rows[1:]}
    assert set(found) == {row["group"] for row in document["groups"]}
    fields = ("listed", "rejected", "share", "times_overall", "p", "p_adjusted", "duplicates")
    for row in document["groups"]:
        kept = fields if is_number(row["share"]) else ("listed", "duplicates")
        read = [number for cell in found[row["group"]] for number in cell["numbers"]]
        assert read == [row[field] for field in kept if row[field] is not None]
        said = " ".join(cell["text"] for cell in found[row["group"]])
        assert ("flagged" in said) == row["flagged"]
        assert ("withheld" in said) == (row["rejected"] is None)
        assert ("no images" in said) == (row["listed"] == 0)


def test_images_without_a_group_label_have_their_row(pages):
    first = tables(pages["full"], "groups")[0]
    assert "no group label" in [row[0]["text"] for row in first]
    plain = deepcopy(DOCUMENTS["full"]["groups"][len(TONES) - 1]) | {"group": "unknown"}
    assert "tone: no group label" in cautions(altered(groups=[plain | {"flagged": True}]))[0]


def test_a_flagged_group_is_named_at_the_top_and_stands_first(pages):
    text = pages["full"].visible
    place = text.index("Rejected more often: tone: dark, 31 of 2,012 images")
    assert place < text.index("What became of the images?")
    assert tables(pages["full"], "groups")[0][1][0]["text"] == "dark"


def test_a_flagged_group_too_small_to_show_is_still_named(sketch_page):
    document = altered()
    document["groups"][1] |= dict.fromkeys(
        ("rejected", "share", "times_overall", "p", "p_adjusted")
    )
    page = Page(sketch_page(document, {})).visible
    assert "tone: dark; its numbers are too small to be shown." in page
    assert "31 of 2,012" not in page
    assert re.search(r"tone: dark\W+withheld\W+2,012\W+withheld", terminal(document))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kept": 16_701}, "17,926 images listed, 17,925 accounted for"),
        ({"rejected": 90, "kept": 16_703}, "90 images rejected, 91 accounted for"),
        ({"rejected": 1_091, "not_selected": 0}, "6.086% of all images were rejected; the limit"),
    ],
)
def test_numbers_that_do_not_add_up_or_pass_a_limit_are_said(change, said, sketch_page):
    assert not any(said in caution for caution in cautions(DOCUMENTS["full"]))
    document = altered(counts=DOCUMENTS["full"]["counts"] | change)
    text = Page(sketch_page(document, {})).visible
    assert said in text[: text.index("What became of the images?")]
    assert said in terminal(document)


def test_without_pictures_no_face_is_on_the_page(pages, sketch_page):
    assert "image/webp" not in pages["full"].source
    assert "show_faces" in pages["full"].visible
    shown_faces = sketch_page(DOCUMENTS["full"])
    # One for each place on the page, none for what was rejected or has no place.
    assert shown_faces.count("data:image/webp") == 2
    assert "show_faces" not in Page(shown_faces).visible


def test_rejects_stand_by_reason_commonest_first(pages):
    text = pages["full"].visible
    body = text[text.index("Rejected, by reason") : text.index("Duplicates, side by side")]
    places = [body.index(f"{reason} {count}") for reason, count in REASONS.items()]
    in_order = sorted(REASONS, key=lambda reason: (-REASONS[reason], reason))
    assert [places[list(REASONS).index(reason)] for reason in in_order] == sorted(places)
    assert "41 images, 12 shown" in body
    examples = sum(len(rows) - 1 for rows in tables(pages["full"], "rejected"))
    assert examples == sum(min(count, EXAMPLES) for count in REASONS.values())
    assert sum(a.get("class") == "blank" for _, a in pages["full"].tags) == 80


def test_conflicting_pairs_come_first_and_all_pairs_are_there(pages):
    kinds = [a["class"].strip() for _, a in pages["full"].tags if "card" in a.get("class", "")]
    assert kinds == ["card caution"] * 9 + ["card"] * 31
    text = pages["full"].visible
    assert f"{40 - PAIRS_OPEN} more pairs" in text
    assert "labels disagree: age, perceived gender" in text
    assert "on two sides: train, test" in text
    assert "train, not in the store" in text


def test_splits_show_sizes_people_and_groups(pages):
    document = DOCUMENTS["full"]
    rows = tables(pages["full"], "splits")[0][1:]
    for row, split in zip(rows, document["splits"], strict=True):
        read = [number for cell in row for number in cell["numbers"]]
        assert read == [split["images"], split["people"], split["share"]]
    by_tone = tables(pages["full"], "shares")[0]
    deep = next(row for row in by_tone if row[0]["text"] == "deep")
    assert [cell["text"].strip() for cell in deep] == [
        "deep", "10", "0.0%", "withheld", "", "10", "0.0%",
    ]  # fmt: skip
    elder = next(row for row in tables(pages["full"], "shares")[1] if row[0]["text"] == "elder")
    assert "no images" in elder[5]["text"]


def test_what_was_not_checked_for_leaks_is_said():
    document = altered(leaks={"checked": ["content"], "removed": 1})
    assert leak_check(document) == [
        "Checked, and on one side only: identical content.",
        "Not checked, so possibly on several sides: people, duplicate clusters.",
        "1 image was left out to keep the sides apart.",
    ]


def test_an_empty_account_is_a_page_too(pages):
    text = pages["empty"].visible
    for sentence in (
        "12 of 12 images are in the store (100.0%).", "nobody says how many people they show",
        "Nothing was rejected.", "No duplicate was found.", "The images are not split.",
        "No group is annotated",
    ):  # fmt: skip
        assert sentence in text
    assert "NaN" not in text
    assert "None" not in text


def test_an_account_of_nothing_is_a_page_too(sketch_page):
    document = empty_ingest() | {"counts": dict.fromkeys(empty_ingest()["counts"], 0)}
    assert "Nothing was listed." in Page(sketch_page(document, {})).visible
    assert ingest_figures(document) == {}
    assert "0 of 0 images are in the store." in terminal(document)


def test_groups_without_any_rejection_are_not_tested(sketch_page):
    document = altered(reasons=[])
    document["counts"] |= {"rejected": 0, "kept": 16_793}
    for row in document["groups"]:
        row |= {"rejected": 0, "share": 0.0, "flagged": False}
        row |= dict.fromkeys(("times_overall", "p", "p_adjusted"))
    text = Page(sketch_page(document, {})).visible
    assert "no group lost more to it than another" in text
    assert "not tested" in text
    assert rejected_by_group(document) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name, sketch_page):
    document = DOCUMENTS["full"]
    for old in ("dark", "greyscale", "not decodable", "utkface", "perceived_age", "validation"):
        document = replaced(document, old, name)
    read = Page(sketch_page(document, {}))
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert not any(key.startswith("on") for _, found in read.tags for key in found)
    assert " ".join(clean(name).split()) in read.visible
    read.source.encode("utf-8")
    assert "\x1b" not in terminal(document)
    terminal(document).encode("utf-8")


def test_hostile_paths_are_shown_so_that_they_can_be_told_apart(pages):
    for said in (
        r"\u202egpj.exe", r"raw\udc80.jpg", r"nul\u0000 bell\u0007.png", r"line\u000abreak.jpg",
        "a/<b>bold</b>.jpg", "$x^$.png", "_hidden.png", "{{ 7 * 7 }}.jpg",
    ):  # fmt: skip
        assert said in pages["full"].visible
    long = next(name for name in NAMES if len(name) > 4000)
    assert long not in pages["full"].visible
    assert f"{'y' * 54}.jpeg" in pages["full"].visible
    assert long in {a.get("title") for _, a in pages["full"].tags}


@pytest.mark.parametrize(
    ("text", "limit", "said"),
    [
        ("face.jpg", 8, "face.jpg"),
        ("abcdefghij", 5, "ab…ij"),
        ("a\u2066b\U000e0001", 80, r"a\u2066b\U000e0001"),
        ("é ש 漢 😀", 80, "é ש 漢 😀"),
        (7, 80, "7"),
    ],
)
def test_names_are_shown_whole_or_by_both_ends(text, limit, said):
    assert shown(text, limit) == said


def test_bands_are_as_thick_as_their_numbers_and_never_vanish():
    outcome = Outcome(name="kept", images=100, leaves=(("train", 90), ("test", 10)), scale=0.01)
    assert outcome.thick(90) == pytest.approx(0.9)
    assert outcome.thick(0) == 0.015
    assert outcome.height == pytest.approx(0.9 + 0.21)  # a line of text is taller than the test
    alone = Outcome(name="rejected", images=1, leaves=(), scale=0.01)
    assert alone.height == 0.21


def test_charts_name_every_outcome_and_every_group_drawn():
    charts = {name: found.decode() for name, found in ingest_figures(DOCUMENTS["full"]).items()}
    assert charts.keys() == {"flow", "rejected_by_group"}
    for said in ("listed 17,926", "kept 16,702", "not selected 1,000", "rejected 91", "test 3,341"):
        assert f">{said}<" in charts["flow"]
    for reason, count in REASONS.items():
        assert f">{reason} {count}<" in charts["flow"]
    for said in (*TONES[:-1], "no group label", "31 of 2,012", "withheld", "no images", "flagged"):
        assert f">{said}<" in charts["rejected_by_group"]
    assert ingest_figures(DOCUMENTS["full"])["flow"].decode() == charts["flow"]


def test_many_hostile_reasons_and_groups_can_be_drawn():
    reasons = [
        {"reason": name, "count": place + 1, "examples": []}
        for place, name in enumerate((HOSTILE * 2)[:17])
    ]
    groups = [
        deepcopy(DOCUMENTS["full"]["groups"][0]) | {"attribute": "$x_1", "group": name}
        for name in (*HOSTILE, *map(str, range(30)))
    ]
    charts = ingest_figures(altered(reasons=reasons, groups=groups))
    assert b">3 others 6<" in charts["flow"]  # 1 + 2 + 3
    assert b"onerror=alert(1)&gt;" in charts["flow"]
    assert charts["rejected_by_group"].count(b">16 of 4,012<") == 24


def test_the_terminal_shows_reasons_flags_duplicates_and_splits():
    said = terminal(DOCUMENTS["full"])
    for part in (
        "16,702 of 17,926 images are in the store (93.2%).", "not decodable", "exact duplicate",
        "groups rejected more often", "tone: dark", "61 near pairs, 7 mirrored pairs",
        "labels disagree in 9", "validation",
    ):  # fmt: skip
        assert part in said
    calm = altered(groups=[row | {"flagged": False} for row in DOCUMENTS["full"]["groups"]])
    assert "31 groups were tested for being rejected more often; none is flagged." in terminal(calm)
    assert "Every image listed is in the store." in terminal(DOCUMENTS["empty"])


def test_the_page_is_written_whole_and_for_its_owner_alone(tmp_path, monkeypatch):
    path = tmp_path / "ingest.html"
    write_ingest_page(DOCUMENTS["empty"], {}, path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_ingest_page(DOCUMENTS["full"], {}, path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_large_pictures_are_reduced(sketch_page):
    noise = np.random.default_rng(0).integers(0, 256, (700, 500, 3), dtype=np.uint8)
    small = sketch_page(DOCUMENTS["full"], {"face-0": noise})
    assert small.count("data:image/webp") == 1
    assert len(small) < len(sketch_page(DOCUMENTS["full"], {})) + 60_000
