"""``debias evaluate`` and ``debias compare`` on tables: files in, a page and numbers out."""

import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import debias
import debias.errors
from debias.commands import app
from debias.metrics import FairnessReport
from debias.pipeline.reports import Columns, Request, compare_places, evaluate_table, read_reports

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
            "age": generator.choice(["NO", "old"], ROWS),
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
    assert {"age:NO", "age:old"} <= {row["group"] for row in found["by_group"]}


def test_rows_of_one_image_are_named_unless_somebody_says_whose_they_are(table):
    twice = pd.concat([table, table], ignore_index=True)
    twice.drop(columns="person").to_csv("twice.csv", index=False)
    code, said = evaluated("twice.csv")
    assert code == 0, said
    assert "6,000 rows hold 3,000 different values of 'image' and are treated as indep" in said
    assert "--subject image" in said
    assert "Rows repeat" not in evaluated("twice.csv", "--subject", "image")[1]
    assert "Rows repeat" not in evaluated("before.csv")[1]


def test_numbers_are_those_of_the_function(table, tmp_path):
    evaluated("before.csv", "--reference-group", "skin=light", "--margin", "0.02")
    found = json.loads((tmp_path / "before-evaluation/evaluation.json").read_text())["fairness"]
    expected = debias.evaluate(
        table["smiles"], table["yhat"], groups=table[["skin", "age"]],
        reference={"skin": "light"}, margin=0.02, name="before",
        sources=dict.fromkeys(["skin", "age"], "not stated"),
    )  # fmt: skip
    *notes, named, last = found.pop("notes")
    assert named == "Images are told apart by column 'image'; --sample names another."
    assert last == "3,000 rows and 7 columns were read; not used: score, person."
    right = expected.to_dict()
    assert notes == right.pop("notes")
    assert found == right


def test_tables_of_every_kind_give_the_same_numbers(table):
    columns = Columns(label="smiles", prediction="yhat", groups=("skin", "age"), subject="person")
    table.to_parquet("t.parquet")
    table.to_json("t.jsonl", orient="records", lines=True)
    table.to_csv("t.txt.gz", index=False, sep=";")
    first, *others = (
        evaluate_table(Request(table=Path(name), columns=columns, settings={}))
        for name in ("before.csv", "t.parquet", "t.jsonl", "t.txt.gz")
    )
    for found in others:
        pd.testing.assert_frame_equal(found.by_group, first.by_group)
        pd.testing.assert_frame_equal(found.gaps, first.gaps)


def test_compare_reads_two_evaluations_again(evaluations, tmp_path):
    out = tmp_path / "change"
    code, said = run("compare", evaluations / "before", evaluations / "after", "--out", out)
    assert code == 0, said
    assert (out / "comparison.html").exists()
    assert stat.S_IMODE((out / "comparison.json").stat().st_mode) == 0o600
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
        (("before.txt",), 3, "there is no file"),
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
    table.assign(smiles=table["smiles"].map({0: "no", 1: "yes"})).to_csv("words.csv", index=False)
    asked = ("--label", "smiles", "--prediction", "score", "--attributes", "skin")
    for file in ("before.csv", "words.csv"):
        code, said = run("evaluate", file, *asked)
        assert code == 7
        assert "look like probabilities" in said
        assert "--prediction CLASSES --score PROBABILITIES" in said


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


ASKED = ("evaluate", "before.csv", "--label", "smiles", "--prediction", "yhat")


def found(table="before.csv", label="smiles", groups=("skin",), **settings) -> FairnessReport:
    """What the command measures, without its page."""
    columns = {"score", "sample"} & settings.keys()
    about = Columns(
        label=label, prediction="yhat", groups=groups,
        **{name: settings.pop(name) for name in columns},
    )  # fmt: skip
    joined = {name: settings.pop(name) for name in ("by_order", "allow_unjoined") & settings.keys()}
    return evaluate_table(Request(table=Path(table), columns=about, settings=settings, **joined))


def test_numbers_are_grouped_by_ranges_and_the_refusal_proposes_some(table):
    table["years"] = np.arange(ROWS) % 90 + 1
    table.to_csv("before.csv", index=False)
    code, said = run(*ASKED, "--attributes", "years")
    assert code == 7
    assert "years:1-23,24-45,46-67,68- in place of years" in said
    code, said = run(*ASKED, "--attributes", "skin,years:10-17,18-")
    assert (code, "values of 'years' lie in none of 10-17, 18-, first '1'" in said) == (3, True)
    report = found(groups=("years:0-17", "18-39", "40-", "skin"), metrics=["accuracy"])
    assert [one["groups"] for one in report.attributes[:2]] == [
        ["years:0-17", "years:18-39", "years:40-"], ["skin:dark", "skin:light"],
    ]  # fmt: skip
    right = (table["smiles"] == table["yhat"])[table["years"] <= 17].mean()
    assert report.by_group.set_index("group")["value"]["years:0-17"] == pytest.approx(right)


def test_a_class_that_only_the_classifier_knows_can_be_declared(table):
    table.assign(yhat=table["yhat"].where(table.index % 60 > 0, 2)).to_csv("before.csv")
    code, said = evaluated()
    assert (code, "--classes 0,1,2" in said) == (7, True)
    assert found(classes=["0", "1", "2"]).classes == ("0", "1", "2")
    code, said = evaluated("before.csv", "--classes", "0,1,maybe")
    assert (code, "class 'maybe' was declared, but y_true holds whole numbers" in said) == (7, True)


def test_the_class_of_the_rates_is_told_and_a_backward_score_remarked(table):
    assert not any("ranks backwards" in note for note in found(score="score").notes)
    table.assign(score=1 - table["score"]).to_csv("before.csv")
    code, said = evaluated("before.csv", "--score", "score", "--metrics", "accuracy")
    assert code == 0
    assert "Rates are about class '1' of 0, 1." in said
    assert "The score ranks backwards (AUC 0." in said
    assert "for class '1'): it looks like the probability of '0'" in said
    assert "ranks backwards" in Path("before-evaluation/evaluation.html").read_text()
    assert not any("backwards" in one for one in found(score="score", positive="0").notes)


@pytest.mark.parametrize(("column", "name"), [("smiles", "y_true"), ("yhat", "y_pred")])
def test_a_missing_answer_is_no_class_however_it_is_written(table, column, name):
    words = {0: "no", 1: "yes"}
    text = table.assign(smiles=table["smiles"].map(words), yhat=table["yhat"].map(words))
    for blank in ("nan", "NaN", "None", "NA", "null", ""):
        text[column] = text[column].mask(text.index % 100 == 7, blank)
        text.to_csv("before.csv", index=False)
        message = f"30 of 3000 values of {name} are missing, first .* in line 9;"  # header: line 1
        with pytest.raises(debias.errors.EvaluationError, match=message):
            found()
    text[column] = text[column].mask(text.index % 100 == 7, "None")
    text.to_csv("before.csv", index=False)
    declared = found(classes=["None", "no", "yes"])  # somebody says that it is a class
    assert declared.classes == ("None", "no", "yes")


def test_a_group_that_says_nothing_is_missing_unless_it_is_declared(table):
    for blank in ("nan", "NaN", "None", "NA"):
        ages = table["age"].mask(table.index % 2 == 0, blank)
        table.assign(age=ages).to_csv("before.csv", index=False)
        report = found(groups=("age",))
        assert set(report.by_group["group"]) == {"age:NO", "age:old", "age:unknown"}
        assert any("age: text such as NA, None" in note for note in report.notes)
    declared = found(groups=("age",), declared={"age": ["NA", "NO", "old"]})
    assert set(declared.by_group["group"]) == {"age:NA", "age:NO", "age:old"}
    ages = table["age"].replace({"NO": "12", "old": "NA"})
    table.assign(age=ages).to_csv("before.csv", index=False)
    assert set(found(groups=("age:0-17",)).by_group["group"]) == {"age:0-17", "age:unknown"}


def test_compare_joins_by_a_column_of_names_without_being_told(table):
    """The same answers in another order: nothing was fixed and nothing broken."""
    table.sample(frac=1, random_state=0).to_csv("after.csv", index=False)
    for name in ("before", "after"):
        code, said = evaluated(f"{name}.csv")
        assert (code, "told apart by column 'image'" in said) == (0, True), said
        assert "face0" not in Path(f"{name}-evaluation/evaluation.json").read_text()
        assert "face0" not in Path(f"{name}-evaluation/evaluation.html").read_text()
    ((_, compared),) = compare_places("before-evaluation", "after-evaluation", {}).items()
    assert compared.groups["change"].dropna().eq(0).all()
    table.assign(image="one").to_csv("before.csv", index=False)  # names nothing
    assert not any("told apart" in note for note in found().notes)
    for name in ("before", "after"):
        pd.read_csv(f"{name}.csv").drop(columns="image").to_csv(f"{name}.csv", index=False)
        assert evaluated(f"{name}.csv")[0] == 0
    code, said = run("compare", "before-evaluation", "after-evaluation")
    assert (code, "true labels differ" in said, "--sample" in said) == (7, True, True)


def test_a_score_that_is_none_is_told_by_its_line(table):
    for value, message in (("high", "first 'high' in line 7"), (1.5, "first 1.5 in line 7; give")):
        scores = table["score"].astype(object).mask(table.index == 5, value)
        table.assign(score=scores).to_csv("before.csv", index=False)
        with pytest.raises(debias.errors.EvaluationError, match=message):
            found(score="score")


def test_labels_of_another_table_are_joined_by_name(table):
    """In another order, the column of names called otherwise, endings added."""
    expected = found(groups=("skin", "age"))
    truth = table[["smiles", "skin", "age"]].assign(path="x/" + table["image"] + ".png")
    truth = truth.sample(frac=1, random_state=0)
    truth.to_csv("truth.tsv", sep="\t", index=False)
    table[["image", "yhat"]].to_csv("said.csv", index=False)
    report = found("said.csv", "truth.tsv:smiles", ("skin", "age"))
    pd.testing.assert_frame_equal(report.by_group, expected.by_group)
    asked = ("evaluate", "said.csv", "--prediction", "yhat", "--attributes", "skin",
             "--metrics", "accuracy", "--labels")  # fmt: skip
    code, said = run(*asked, "truth.tsv:smiles")
    assert code == 0, said
    assert "truth.tsv: 3,000 of 3,000 rows joined with 3,000 of 3,000 in said.csv" in said
    again = read_reports("said-evaluation")[""].by_group.set_index("group")["value"]
    accuracy = report.by_group[report.by_group["metric"] == "accuracy"].set_index("group")["value"]
    assert again["skin:dark"] == accuracy["skin:dark"]
    truth[60:].to_csv("truth.tsv", sep="\t", index=False)
    with pytest.raises(debias.errors.DataError, match=r"truth\.tsv has changed since"):
        read_reports("said-evaluation")
    code, said = run(*asked, "truth.tsv:smiles")
    assert (code, "allow it with --allow-unjoined 0.02" in said) == (3, True)
    fewer = found("said.csv", "truth.tsv:smiles", allow_unjoined=0.02)
    assert fewer.n == ROWS - 60
    assert "60 of said.csv without a partner" in fewer.notes[-3]
    code, said = run(*asked, "truth.tsv")
    assert (code, "say which one as truth.tsv:COLUMN" in said) == (3, True)


def test_without_names_order_must_be_asked_for(table):
    table[["smiles", "skin"]].to_csv("truth.csv", index=False)
    table[["yhat"]].to_csv("said.csv", index=False)
    with pytest.raises(debias.errors.DataError, match="say so with --by-order"):
        found("said.csv", "truth.csv:smiles")
    report = found("said.csv", "truth.csv:smiles", by_order=True)
    assert "3,000 rows joined with said.csv by the order of the rows" in report.notes[-2]
    assert report.by_group["value"].tolist() == found().by_group["value"].tolist()


def test_a_name_with_a_comma_is_written_in_quotes(table):
    table.rename(columns={"skin": "tone, perceived"}).to_csv("before.csv", index=False)
    code, said = run(*ASKED, "--attributes", '"tone, perceived"', "--metrics", "accuracy")
    assert code == 0, said
    assert "tone, perceived" in said
    code, said = run(*ASKED, "--attributes", "tone, perceived")
    assert (code, "a name with a comma is written in quotes of its own" in said) == (3, True)


def test_an_attribute_that_follows_from_the_answers_is_refused(table):
    for column in ("smiles", "yhat"):
        code, said = run(*ASKED, "--attributes", f"skin,{column}")
        assert (code, f"column '{column}' is named as an attribute and as" in said) == (7, True)


def test_a_folder_that_is_neither_run_nor_evaluation(table, tmp_path):
    missing, stopped = tmp_path / "nosuch", tmp_path / "run"
    stopped.mkdir()
    (stopped / "run.json").write_text("{}")
    for folder, told in (
        (tmp_path, "neither a folder of debias evaluate"),
        (missing, f"there is no folder {missing}; name one of"),
        (stopped, "is a run without a report (no report.json): it has not finished, or a purge"),
    ):
        code, said = run("compare", str(folder), str(tmp_path))
        assert (code, told in said) == (3, True)


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
