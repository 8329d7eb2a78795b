"""``debias evaluate`` and ``debias compare`` on tables: files in, a page and numbers out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import debias
import debias.errors
from debias.commands import app
from debias.pipeline.reports import Columns, Request, evaluate_table

ROWS = 3000


def predictions() -> pd.DataFrame:
    """Predictions of a classifier that serves the dark group worse."""
    generator = np.random.default_rng(0)
    skin = generator.choice(["light", "dark"], ROWS, p=[0.7, 0.3])
    y = generator.integers(0, 2, ROWS)
    wrong = generator.random(ROWS) < np.where(skin == "dark", 0.25, 0.05)
    yhat = np.where(wrong, 1 - y, y)
    return pd.DataFrame(
        {
            "image": [f"face{row:04}" for row in range(ROWS)],
            "smiles": y,
            "yhat": yhat,
            "score": np.clip(yhat * 0.8 + 0.1, 0, 1),
            "skin": skin,
            "age": generator.choice(["NA", "old"], ROWS),
            "person": generator.integers(0, 900, ROWS),
        }
    )


@pytest.fixture
def table(tmp_path, monkeypatch) -> pd.DataFrame:
    """Predictions in the working directory."""
    monkeypatch.chdir(tmp_path)
    frame = predictions()
    frame.to_csv("before.csv", index=False)
    return frame


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """A folder with the evaluations of a classifier and of a better one."""
    folder = tmp_path_factory.mktemp("evaluations")
    frame = predictions()
    kept = np.random.default_rng(1).random(ROWS) < 0.6
    for name, guess in (
        ("before", frame["yhat"]),
        ("after", frame["yhat"].where(kept, frame["smiles"])),
    ):
        path = folder / f"{name}.csv"
        frame.assign(yhat=guess).to_csv(path, index=False)
        code, said = run(
            "evaluate", path, "--label", "smiles", "--prediction", "yhat", "--attributes", "skin",
            "--sample", "image", "--subject", "person", "--metrics", "accuracy",
            "--out", folder / name,
        )  # fmt: skip
        assert code == 0, said
    return folder


def run(*arguments):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))
    return result.exit_code, " ".join(result.output.split())


def evaluated(name="before.csv", *more):
    return run(
        "evaluate",
        name,
        "--label",
        "smiles",
        "--prediction",
        "yhat",
        "--attributes",
        "skin,age",
        *more,
    )


def test_writes_a_page_and_numbers_and_says_where(table, tmp_path):
    code, said = evaluated("before.csv", "--score", "score", "--subject", "person")
    assert code == 0, said
    assert "skin dark" in said
    assert "Difference found" in said
    assert "before-evaluation/evaluation.html" in said
    page = (tmp_path / "before-evaluation/evaluation.html").read_text(encoding="utf-8")
    assert "skin" in page
    found = json.loads((tmp_path / "before-evaluation/evaluation.json").read_text())["fairness"]
    assert found["verdict"]["reading"] == "difference_found"
    assert found["identities"] == table["person"].nunique()
    # CSV alone cannot tell the text NA from nothing; here it stays the group that it is.
    assert {"age:NA", "age:old"} <= {row["group"] for row in found["by_group"]}


def test_numbers_are_those_of_the_function(table, tmp_path):
    evaluated("before.csv", "--reference-group", "skin=light", "--margin", "0.02")
    found = json.loads((tmp_path / "before-evaluation/evaluation.json").read_text())["fairness"]
    expected = debias.evaluate(
        table["smiles"], table["yhat"], groups=table[["skin", "age"]],
        reference={"skin": "light"}, margin=0.02, name="before",
        sources=dict.fromkeys(["skin", "age"], "not stated"),
    )  # fmt: skip
    assert found == expected.to_dict()


def test_csv_and_parquet_give_the_same_numbers(table):
    table.to_parquet("before.parquet")
    columns = Columns(label="smiles", prediction="yhat", groups=("skin", "age"), subject="person")
    csv, parquet = (
        evaluate_table(Request(table=Path(name), columns=columns, settings={})).to_dict()
        for name in ("before.csv", "before.parquet")
    )
    assert csv == parquet


def test_compare_reads_two_evaluations_again(evaluations, tmp_path):
    out = tmp_path / "change"
    code, said = run("compare", evaluations / "before", evaluations / "after", "--out", out)
    assert code == 0, said
    assert (out / "comparison.html").exists()
    document = json.loads((out / "comparison.json").read_text())
    (comparison,) = document["comparisons"].values()
    assert comparison["verdict"]["reading"] == "difference_found"
    changed = {row["group"]: row["change"] for row in comparison["groups"]
               if row["metric"] == "accuracy"}  # fmt: skip
    assert changed["skin:dark"] > 0.05


def test_compare_opens_with_the_harm(evaluations, tmp_path):
    code, said = run("compare", evaluations / "after", evaluations / "before", "--out", tmp_path)
    assert code == 0, said
    assert "Harm" in said.split("*")[0]


def test_a_table_that_changed_since_is_refused(evaluations, tmp_path):
    frame = pd.read_csv(evaluations / "after.csv")
    shutil.copytree(evaluations / "after", tmp_path / "after")
    document = json.loads((tmp_path / "after/evaluation.json").read_text())
    document["input"]["file"] = str(tmp_path / "after.csv")
    (tmp_path / "after/evaluation.json").write_text(json.dumps(document))
    frame.iloc[:-1].to_csv(tmp_path / "after.csv", index=False)
    code, said = run("compare", evaluations / "before", tmp_path / "after")
    assert code == 3
    assert "has changed since" in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere.csv",), 3, "there is no file"),
        (("before.txt",), 3, "must be a .csv or .parquet"),
        (("before.csv", "--subject", "nobody"), 3, "no column 'nobody'"),
        (("before.csv", "--reference-group", "skin"), 2, "takes COLUMN=VALUE"),
        (
            ("before.csv", "--reference-group", "skin=a", "--reference-group", "skin=b"),
            2,
            "'skin' twice",
        ),
        (("before.csv", "--reference-group", "skin=purple"), 7, "'skin:purple' is no group"),
        (("before.csv", "--margin", "5"), 7, "margin"),
        (("before.csv", "--metrics", "beauty"), 7, "unknown metric 'beauty'"),
        (("before.csv", "--source", "rumour"), 7, "unknown source of groups"),
        (("before.csv", "--declare", "skin=light|pale"), 3, "which was not declared"),
        (("before.csv", "--positive", "2"), 7, "positive class '2'"),
    ],
)
def test_wrong_input_is_one_paragraph(table, tmp_path, arguments, code, message):
    found, said = evaluated(*arguments)
    assert found == code, said
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "before-evaluation").exists()


def test_probabilities_given_as_predictions_are_refused(table):
    code, said = run(
        "evaluate",
        "before.csv",
        "--label",
        "smiles",
        "--prediction",
        "score",
        "--attributes",
        "skin",
    )
    assert code == 7
    assert "look like probabilities" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--prediction": "smiles"}, "'smiles' is named as the label and as the prediction"),
        ({"--groups": "image"}, "'image' has 3,000 values on 3,000 images (face0000, face0001, "),
        ({"--groups": "skin,person"}, "it looks like a number"),
        ({"--groups": "village"}, "nothing can be said about any group of village: 1500 of 1500"),
        ({"--prediction": "zero"}, "y_true holds only 1 and y_pred only 0: they have no class in"),
    ],
)
def test_unfit_columns_are_refused_and_nothing_is_written(table, tmp_path, options, message):
    table["village"] = [f"v{row % 300}" for row in range(ROWS)]
    table["zero"] = 0
    if "zero" in options.values():
        table["smiles"] = 1
    table.to_csv("before.csv", index=False)
    columns = {"--label": "smiles", "--prediction": "yhat", "--groups": "skin"} | options
    code, said = run("evaluate", "before.csv", *[part for pair in columns.items() for part in pair])
    assert code == 7, said
    assert message in said
    assert not (tmp_path / "before-evaluation").exists()


def test_numbers_that_are_declared_are_groups(table):
    table["district"] = [row % 25 for row in range(ROWS)]
    table.to_csv("before.csv", index=False)
    asked = ("evaluate", "before.csv", "--label", "smiles", "--prediction", "yhat")
    code, said = run(*asked, "--groups", "district")
    assert (code, "looks like a number" in said) == (7, True)
    values = "|".join(map(str, range(25)))
    code, said = run(*asked, "--groups", "district", "--declare", f"district={values}")
    assert code == 0, said


def test_another_delimiter_is_named(table):
    table.to_csv("before.csv", index=False, sep=";")
    code, said = evaluated()
    assert code == 3
    assert "it is separated by ';': write it with commas" in said


def test_a_folder_that_is_neither_run_nor_evaluation(table, tmp_path):
    code, said = run("compare", str(tmp_path), str(tmp_path))
    assert code == 3
    assert "neither a folder of debias evaluate" in said


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"kind": "evaluation", "schema": 0}'])
def test_a_broken_evaluation_is_one_paragraph(evaluations, tmp_path, content):
    (tmp_path / "evaluation.json").write_text(content)
    code, said = run("compare", evaluations / "before", tmp_path)
    assert code == 3, said
    assert "Traceback" not in said


def test_pages_of_an_earlier_comparison_do_not_stay_behind(evaluations, tmp_path):
    (tmp_path / "comparison-latent.html").write_text("old")
    run("compare", evaluations / "before", evaluations / "after", "--out", tmp_path)
    assert [page.name for page in tmp_path.glob("*.html")] == ["comparison.html"]


def test_the_function_takes_folders_as_well(evaluations):
    found = debias.compare(evaluations / "before", str(evaluations / "after"))
    assert found.verdict["reading"] == "difference_found"
    with pytest.raises(debias.errors.DataError, match="neither a folder"):
        debias.compare(evaluations, evaluations)
