"""The arms as the literature lists methods."""

from fake_run import fake_document
from reading import Page, render

from debias.report import Pictures
from debias.report.methods import method_name, methods


def test_a_method_is_what_is_not_plain_about_an_arm():
    assert method_name("uniform", "erm") == "erm"
    assert method_name("uniform", "jtt") == "jtt"
    assert method_name("latent_rarity", "erm") == "latent_rarity"
    assert method_name("latent_rarity", "jtt") == "latent_rarity + jtt"


def test_rows_hold_what_the_document_holds_and_times_count_from_plain_training():
    document = fake_document()
    document["skill"]["groups"]["learned"] = False
    rows = methods(document, {"latent": 30.0, "uniform": 20.0, "groups": 19.0})
    assert [row["arm"] for row in rows] == ["uniform", "latent", "groups"]
    assert [row["relative_seconds"] for row in rows] == [1, 1.5, 0.95]
    assert [row["group_labels"] for row in rows] == ["no", "no", "training"]
    for row in rows:
        mean = document["arms"][row["arm"]]["mean"]["accuracy"]
        figures = row["accuracy"], row["worst_group"], row["gap"]
        assert figures == (mean["overall"], mean["worst_group"], mean["gap"])
    verdict = document["comparisons"]["latent"]["verdict"]
    assert rows[0]["verdict"] == "baseline"
    assert rows[1]["verdict"].startswith(f"{len(verdict['harms'])} harm")
    assert rows[2]["verdict"] == "learned nothing"


def test_without_plain_training_nothing_is_compared_with_it():
    document = fake_document(arms=("latent", "groups"))
    rows = methods(document, {"latent": 30.0, "groups": 19.0})
    assert {row["relative_seconds"] for row in rows} == {None}
    assert {row["verdict"] for row in rows} == {"not compared"}


def test_the_page_shows_them_under_the_arms():
    document = fake_document()
    document["methods"][1]["relative_seconds"] = 1.52
    tables = [[[cell["text"] for cell in row] for row in rows]
              for _, rows in Page(render(document, Pictures())).tables]  # fmt: skip
    (rows,) = [rows for rows in tables if "against plain training" in rows[0]]
    said = [" ".join(row) for row in rows]
    assert "latent_rarity" in said[2]
    assert "1.52\N{MULTIPLICATION SIGN}" in said[2]
    assert "training" in said[3]
