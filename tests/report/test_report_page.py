import os
import re
from dataclasses import replace

import numpy as np
import pytest
from fake_run import fake_document, fake_pictures
from reading import FORBIDDEN, Page, render, replaced, without_numbers, without_pictures

from debias.report import Pictures, write_report
from debias.report.words import clean

OUR_TAGS = {
    "html", "head", "meta", "title", "style", "body", "nav", "ul", "li", "a", "main", "header",
    "section", "footer", "h1", "h2", "h3", "p", "div", "span", "b", "i", "br", "small", "bdi",
    "code", "pre", "data", "dl", "dt", "dd", "details", "summary", "table", "thead", "tbody",
    "tr", "th", "td", "img", "figure", "figcaption",
}  # fmt: skip
NO_PICTURES = Pictures()
HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "$x^$",
    "_hidden", "\u202egnp.exe", "a\ud800b", "nul\x00 bell\x07", "y" * 300, "' onload='x",
]  # fmt: skip


def rate_tables(page):
    return [rows for kind, rows in page.tables if kind == "wide"]


def links(source):
    tags = Page(source).tags
    return [attributes["href"] for _, attributes in tags if "href" in attributes]


def test_only_our_tags_and_only_embedded_resources(page):
    read = Page(page)
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    for tag, attributes in read.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#"), tag
    assert "http://" not in without_pictures(page)
    assert "https://" not in without_pictures(page)
    assert "url(" not in page
    assert "@import" not in page


def test_the_policy_forbids_everything_but_embedded_pictures_and_styles(page):
    policy = next(a["content"] for _, a in Page(page).tags if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_link_of_the_navigation_has_a_target(page):
    tags = Page(page).tags
    targets = {attributes.get("id") for _, attributes in tags}
    assert {a["href"][1:] for _, a in tags if "href" in a} <= targets


def test_rates_on_the_page_equal_those_of_the_document(document, page):
    read, compared = {}, 0
    for rows in rate_tables(Page(page)):
        group = None
        for row in rows[1:]:
            group = row[0]["title"] or group  # empty where the next arm stands below
            read.setdefault(group, []).append([cell["numbers"] for cell in row[2:]])
    fields = ("value", "sd", "numerator", "denominator", "identities", "low", "high")
    for place, (arm, found) in enumerate(document["fairness"].items()):
        spread = {(r["group"], r["metric"]): r["sd"]
                  for r in document["arms"][arm]["mean"]["by_group"]}  # fmt: skip
        for row in (row for row in found["by_group"] if row["state"] != "suppressed"):
            row = {**row, "sd": spread.get((row["group"], row["metric"]))}
            expected = [row[f] for f in fields if row[f] is not None] if row["value"] else []
            column = found["metrics"].index(row["metric"])
            assert read[row["group"]][place][column] == expected
            compared += 1
    assert compared == 3 * 8 * 2  # of one group everything is withheld


def test_printed_numbers_are_the_rounded_exact_ones(page):
    percents = [(exact, text) for exact, text in Page(page).numbers if text.endswith("%")]
    assert len(percents) > 100
    for exact, text in percents:
        assert float(text[:-1]) == pytest.approx(100 * exact, abs=0.0501)


def test_big_numbers_and_their_changes_come_from_the_means(document, page):
    exact = {value for value, _ in Page(page).numbers}
    before = document["arms"]["uniform"]["mean"]["accuracy"]
    for arm, found in document["arms"].items():
        accuracy = found["mean"]["accuracy"]
        assert {accuracy["overall"], accuracy["worst_group"], accuracy["gap"]} <= exact
        if accuracy is not before:
            primary = document["comparisons"][arm]["primary"]
            assert {row["change"] for row in primary} <= exact


def test_changes_weights_and_counts_are_on_the_page(document, page):
    exact = {value for value, _ in Page(page).numbers}
    for found in document["comparisons"].values():
        for change in found["primary"]:
            assert {change[k] for k in ("before", "after", "change", "low", "high")} <= exact
    for weights in document["weights"].values():
        for share in weights["share_by_group"].values():
            assert set(share.values()) <= exact
        for auc in weights["auc_by_group"].values():
            assert set(auc.values()) <= exact
    for group in document["data"]["groups"]:
        assert {group["train"], group["test"], group["train_share"]} <= exact


def test_groups_come_worst_first(document, page):
    rows = rate_tables(Page(page))[0][1:]
    groups = [row[0]["title"].partition(":")[2] for row in rows if row[0]["title"]]
    assert groups == ["dark", "brown", "tan", "light", "unknown", "pale"]


def test_images_without_a_group_label_are_a_row_in_no_verdict(page):
    text = Page(page).visible.replace("\xa0", " ")
    assert "no group label n = 72, in no verdict" in text
    assert not re.search(r"\bunknown\b", text)
    listed = text[text.index("Which groups?", text.index("Means over")) :]
    assert "deep, dark, brown, tan, light, pale 6 groups" in listed


@pytest.mark.parametrize("undefined", [None, float("nan")])
def test_undefined_numbers_are_never_printed_as_zero_or_nan(undefined, quick):
    document = fake_document(arms=("uniform", "latent"), seeds=2)
    for part in ("arms", "comparisons", "weights"):
        document[part] = without_numbers(document[part], undefined)
    source = quick(document, NO_PICTURES)
    text = Page(source).visible
    assert text.count("undefined") > 60
    assert re.findall(r"\bnan\b|\bNone\b| 0\.0%|\+0\.0\b", text) == []
    assert 'value="nan"' not in source


def test_reason_of_an_undefined_gap_stands_beside_it(quick):
    document = fake_document(seeds=1)
    mean = document["arms"]["uniform"]["mean"]
    mean["accuracy"]["gap"] = None
    mean["reasons"] = {"accuracy_gap": "only one group has thirty images"}
    assert "only one group has thirty images" in Page(quick(document, NO_PICTURES)).visible


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name, quick):
    document = fake_document(arms=("uniform", "latent"), attributes=("skin_tone_group",), seeds=1)
    for old in ("dark", "synthetic", "faces/0042.png", "latent", "plain training"):
        document = replaced(document, old, name)
    read = Page(quick(document, NO_PICTURES))
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert not any(key.startswith("on") for _, found in read.tags for key in found)
    assert " ".join(clean(name).split()) in read.visible


def test_hostile_tracking_address_does_not_become_a_link(quick):
    document = fake_document(arms=("uniform",), seeds=1)
    document["run"]["mlflow"] = "javascript:alert(1)"
    assert not any(
        "javascript" in a.get("href", "") for _, a in Page(quick(document, NO_PICTURES)).tags
    )
    document["run"]["mlflow"] = "http://127.0.0.1:5000"
    links = [a.get("href") for _, a in Page(quick(document, NO_PICTURES)).tags]
    assert "http://127.0.0.1:5000" in links


VARIANTS = {
    "full": (fake_document(), fake_pictures(m=2, size=8)),
    "one arm": (fake_document(arms=("uniform",)), NO_PICTURES),
    "one attribute": (fake_document(attributes=("skin_tone_group",)), NO_PICTURES),
    "no attributes": (fake_document(attributes=()), NO_PICTURES),
    "one seed": (fake_document(seeds=1), NO_PICTURES),
    "no plain training": (fake_document(arms=("groups", "latent")), NO_PICTURES),
    "nothing": (fake_document(arms=("uniform",), attributes=(), seeds=1), NO_PICTURES),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_makes_a_whole_page_without_promises(variant, quick):
    source = quick(*VARIANTS[variant])
    read = Page(source)
    assert read.open == []
    assert sum(tag == "h1" for tag, _ in read.tags) == 1
    assert FORBIDDEN.findall(without_pictures(source)) == []
    assert "what not" in read.visible


def test_one_seed_and_too_few_seeds_are_said_first(quick):
    for seeds, note in ((1, "Single run: says nothing."), (3, "3 paired seeds: no verdict.")):
        document = fake_document(arms=("uniform", "latent"), seeds=seeds)
        document["comparisons"]["latent"]["notes"] = [note]
        text = Page(quick(document, NO_PICTURES)).visible
        assert note in text[: text.index("Which groups?", text.index("Means over"))]


def test_without_attributes_the_page_says_so(quick):
    text = Page(quick(*VARIANTS["no attributes"])).visible
    assert "No group is annotated" in text
    assert "No attribute is annotated" in text


def test_absent_sections_are_absent(quick):
    document = fake_document(arms=("uniform",), attributes=(), seeds=1)
    document |= {"representation": {}, "weights": {}, "not_concluded": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("debias.report.figures", lambda *_: {})
        read = Page(render(document, NO_PICTURES))
    assert "No group has a rate that can be shown." in read.visible
    targets = {a.get("id") for _, a in read.tags}
    assert {"findings", "which", "sure", "data", "provenance"} <= targets
    assert not {"latents", "weights", "change", "harmed"} & targets


def test_a_run_without_plain_training_compares_nothing(quick):
    read = Page(quick(*VARIANTS["no plain training"]))
    assert "Plain training is not part of this run" in read.visible
    assert "Differences under group weights" in read.visible
    assert not {"change", "harmed"} & {a.get("id") for _, a in read.tags}
    assert " points, " not in read.visible  # no change beside the big numbers


def test_faces_that_must_not_be_shown_are_not_in_the_file(pictures, document, page, quick):
    fields = {name: getattr(pictures, name) for name in pictures.__dataclass_fields__}
    hidden = quick(document, Pictures(**{**fields, "faces_shown": False}))
    assert "image/webp" in page
    assert "image/webp" not in hidden
    assert "does not allow faces" in Page(hidden).visible


def test_generated_images_are_marked_and_shown_only_where_faces_are(pictures, document, quick):
    made = {"images": 2571, "share": 0.3, "neighbours": 5}
    weights = {
        **document["weights"],
        "latent": {**document["weights"]["latent"], "generated": made},
    }
    some = {"latent": np.stack([pictures.samples[:4]] * 3)}
    told = {**document, "weights": weights}
    for shown in (True, False):
        page = quick(told, replace(pictures, generated=some, faces_shown=shown))
        assert "trained with 2,571 generated images beside the real ones" in page
        assert "pictures of nobody" in page
        assert ("middle: generated, nobody is shown" in page) == shown


def test_many_groups_are_paged_and_all_listed(quick):
    document = fake_document(arms=("uniform",), attributes=("skin_tone_group",), seeds=1)
    names = [f"skin_tone_group:g{index}" for index in range(130)]
    found, rng = document["fairness"]["uniform"], np.random.default_rng(3)
    row = found["by_group"][2]
    found["by_group"] = [
        {**row, "metric": metric, "group": name, "value": float(rng.random())}
        for name in names for metric in found["metrics"]
    ]  # fmt: skip
    found["attributes"][0]["groups"] = names
    read = Page(quick(document, NO_PICTURES))
    tables = rate_tables(read)
    assert [len(rows) - 1 for rows in tables] == [60, 60, 10]
    listed = [row[0]["title"] for rows in tables for row in rows[1:]]
    assert sorted(listed) == sorted(names)
    assert "The pictures show the 24 worst groups of an attribute" in read.visible


def test_equal_input_gives_equal_bytes(tmp_path, pictures):
    document = fake_document(arms=("uniform", "latent"), attributes=("perceived_gender",))
    drawn = write_report(tmp_path / "first", document, pictures)
    write_report(tmp_path / "second", document, pictures)
    first = (tmp_path / "first").read_bytes()
    assert first == (tmp_path / "second").read_bytes()
    assert first.count(b"data:image/svg+xml;base64,") == len(drawn)


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="no space left"):
        write_report(path, fake_document(arms=("uniform",), attributes=(), seeds=1), NO_PICTURES)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_input_is_left_alone(document, pictures, quick):
    before = repr(document)
    quick(document, pictures)
    assert repr(document) == before


def test_weights_are_described_for_the_arms_that_have_any(document, quick):
    other = replaced(document, "no such text", "")
    other["weights"]["uniform"] = {**other["weights"]["latent"], "rule": "uniform"}
    for group, found in other["weights"]["latent"]["auc_by_group"].items():
        found["group"] = group
    share = other["weights"]["latent"]["share_by_group"]["skin_tone_group:dark"]
    share |= {"random_low": 0.041, "random_high": 0.062}
    read = Page(quick(other, NO_PICTURES))
    assert read.visible.count("Does the weight find the group?") == 1
    assert "skin tone group: dark" in read.visible
    assert "4.1% to 6.2%" in read.visible


def test_what_was_planted_is_said_before_any_number(quick):
    document = fake_document(arms=("uniform", "latent"))
    document["data"]["planted"] = "A correlation is planted."
    text = Page(quick(document, NO_PICTURES)).visible
    assert document["data"]["planted"] in text[: text.index("Which groups?", text.index("Means"))]
