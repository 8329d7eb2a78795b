"""``debias weigh``: files in, files out, sentences a person can act on."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import debias
from debias.commands import app

ROWS = 2400


@pytest.fixture
def embeddings(tmp_path, monkeypatch) -> pd.DataFrame:
    """A table of embeddings in the working directory: a shifted minority, a label, ids."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    member = generator.random(ROWS) < 0.08
    z = generator.normal(size=(ROWS, 6)).astype(np.float32)
    z[member, :2] += 3
    table = pd.DataFrame(z, columns=[f"d{column}" for column in range(6)])
    table.insert(0, "sample_id", [f"face{row:04}" for row in range(ROWS)])
    table["smiles"] = generator.integers(0, 2, ROWS)
    table["skin"] = np.where(member, "dark", "light")
    table["coin"] = generator.choice(["heads", "tails"], ROWS)
    table.to_parquet("z.parquet")
    table.to_csv("z.csv", index=False)
    np.save("z.npy", z)
    np.savez(
        "z.npz",
        embeddings=z,
        ids=table["sample_id"].to_numpy(str),
        skin=table["skin"].to_numpy(str),
    )
    return table


def weigh(*arguments):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["weigh", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split()), result


def expected(table, **settings):
    z = table[[f"d{column}" for column in range(6)]].to_numpy()
    return debias.latent_weights(z, **settings).probability


@pytest.mark.parametrize("name", ["z.parquet", "z.csv", "z.npz", "z.npy"])
def test_every_format_gives_the_same_weights_under_its_own_ids(embeddings, name):
    code, said, _ = weigh(name, "--out", "w.parquet")
    assert code == 0, said
    found = pd.read_parquet("w.parquet")
    assert list(found) == ["sample_id", "weight", "probability"]
    ids = [str(row) for row in range(ROWS)] if name == "z.npy" else list(embeddings["sample_id"])
    assert list(found["sample_id"]) == ids
    np.testing.assert_allclose(found["probability"], expected(embeddings), rtol=1e-6)
    np.testing.assert_allclose(found["weight"], found["probability"] * ROWS)
    assert f"{ROWS:,} samples, 6 dimensions, 1 class" in said
    assert "Weights: w.parquet" in said
    assert "Next:" in said


def test_labels_and_groups_from_columns(embeddings):
    code, said, _ = weigh("z.csv", "--label", "smiles", "--attributes", "skin", "--out", "w.csv")
    assert Path("w.csv").stat().st_mode & 0o077 == 0
    assert code == 0, said
    found = pd.read_csv("w.csv")
    labels = embeddings["smiles"].to_numpy()
    np.testing.assert_allclose(found["probability"], expected(embeddings, labels=labels), rtol=1e-6)
    assert "2 classes" in said
    assert "The weights raise the share of dark (" in said
    assert "no group label" not in said


def test_columns_become_dimensions_by_their_names_and_it_is_said_which(embeddings):
    """Whole numbers beside one fraction: quantised embeddings and a quality score."""
    whole = embeddings.copy()
    names = [f"d{column}" for column in range(6)]
    whole[names] = (20 * whole[names]).round().astype(int)
    whole["quality"] = np.linspace(0, 1, ROWS)
    whole.to_csv("whole.csv", index=False)
    code, said, _ = weigh("whole.csv", "--labels", "smiles", "--out", "w.csv")
    assert code == 0, said
    assert f"{ROWS:,} samples, 6 dimensions" in said
    assert "Dimensions: d0 to d5, 6 of 9 columns. No dimensions: skin (no numbers)" in said
    assert "quality (a score)" in said
    labels = embeddings["smiles"].to_numpy()
    probability = pd.read_csv("w.csv")["probability"]
    np.testing.assert_allclose(probability, expected(whole, labels=labels), rtol=1e-6)


def test_a_table_of_predictions_is_no_embedding_unless_columns_are_named(embeddings):
    table = pd.DataFrame(
        {"id": range(ROWS), "y": 1, "p": embeddings["d0"], "age": embeddings["d1"]}
    )
    table.to_csv("predictions.csv", index=False)
    code, said, _ = weigh("predictions.csv")
    assert code == 3
    assert "does not look like embeddings: none holds lists of numbers" in said
    assert "(id, y, p, age)" in said
    assert "--columns" in said
    code, said, _ = weigh("predictions.csv", "--columns", "p,age")
    assert code == 0, said
    assert "Dimensions: p to age, 2 of 3 columns" in said
    assert "y (not named by --columns)" in said


def test_a_reference_is_read_by_the_same_columns(embeddings):
    names = [f"d{column}" for column in range(6)]
    embeddings[[*reversed(names), "smiles"]].to_csv("wanted.csv", index=False)
    code, said, _ = weigh("z.csv", "--reference", "wanted.csv", "--out", "a.csv")
    assert code == 0, said
    embeddings[names].to_csv("wanted.csv", index=False)
    assert weigh("z.csv", "--reference", "wanted.csv", "--out", "b.csv")[0] == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    embeddings[names[:5]].to_csv("wanted.csv", index=False)
    code, said, _ = weigh("z.csv", "--reference", "wanted.csv")
    assert (code, "has no column 'd5'" in said) == (3, True)


def test_an_array_that_lies_on_its_side_is_remarked_on(embeddings):
    np.save("side.npy", np.random.default_rng(0).normal(size=(5, 400)))
    code, said, _ = weigh("side.npy")
    assert code == 0, said
    assert "Note: 400 dimensions of 5 samples are many" in said
    assert "transpose it" in said
    assert "transpose" not in weigh("z.npy")[1]


def test_groups_that_the_weights_do_not_follow_are_named(embeddings):
    code, said, _ = weigh("z.parquet", "--attributes", "coin")
    assert code == 0, said
    assert "no better than random weights of equal effective sample size for heads, tails" in said


def test_without_groups_it_says_that_nobody_knows_whom_the_weights_reach(embeddings):
    code, said, _ = weigh("z.npy")
    assert code == 0, said
    assert "No groups were given" in said
    assert Path("weights.parquet").exists()


def test_a_label_that_goes_with_a_group_is_called_a_correlation(embeddings):
    even = weigh("z.parquet", "--label", "smiles", "--attributes", "coin")[1]
    assert "A correlation is not a rarity" not in even
    same = np.random.default_rng(1).random(ROWS) < 0.9
    embeddings["smiles"] = np.where(same, embeddings["coin"] == "heads", embeddings["smiles"])
    embeddings["smiles"] = embeddings["smiles"].map({0: "no", 1: "yes"})
    embeddings.to_parquet("tied.parquet")
    tied = weigh("tied.parquet", "--label", "smiles", "--attributes", "coin")[1]
    assert "The label goes with the group" in tied
    assert "A correlation is not a rarity" in tied
    rarest = embeddings.groupby(["coin", "smiles"]).size().idxmin()
    assert f"{rarest[0]} with label {rarest[1]} has" in tied


def test_groups_that_nobody_knows_are_as_good_as_none(embeddings):
    embeddings["skin"] = ""
    embeddings.to_parquet("z.parquet")
    code, said, _ = weigh("z.parquet", "--attributes", "skin")
    assert code == 0, said
    assert "No groups were given" in said


def test_labels_in_a_file_are_joined_by_id_in_any_order(embeddings):
    shuffled = embeddings[["sample_id", "smiles", "coin"]].sample(frac=1, random_state=0)
    shuffled.to_csv("labels.csv", index=False)
    code, said, _ = weigh("z.parquet", "--label", "labels.csv:smiles")
    assert code == 0, said
    labels = embeddings["smiles"].to_numpy()
    found = pd.read_parquet("weights.parquet")
    np.testing.assert_allclose(found["probability"], expected(embeddings, labels=labels), rtol=1e-6)


@pytest.mark.parametrize("name", ["filename", "image_id", "path"])
def test_annotations_are_joined_by_whatever_column_holds_the_same_names(embeddings, name):
    """Another order, paths in front, and a file that does not name the column as we do."""
    z, right = expected(embeddings), embeddings["skin"] == "dark"
    aligned = weigh("z.parquet", "--attributes", "skin", "--out", "w.csv")[1]
    said = embeddings.rename(columns={"sample_id": name})[[name, "skin"]]
    said[name] = "faces/" + said[name] + ".jpg"
    said.sample(frac=1, random_state=0).to_csv("mixed.csv", index=False)
    code, told, _ = weigh("z.parquet", "--attributes", "mixed.csv:skin", "--out", "w.csv")
    assert code == 0, told
    assert f"2,400 of 2,400 rows joined with 2,400 of 2,400 in the embeddings ({name} =" in told
    assert told.partition("* Dimensions")[0] == aligned.partition("* Dimensions")[0]
    code, told, _ = weigh("z.parquet", "--attributes", "mixed.csv:skin", "--target", "groups",
                          "--out", "w.csv")  # fmt: skip
    assert code == 0, told
    weights = pd.read_csv("w.csv")["probability"].to_numpy()
    assert weights[right].sum() == pytest.approx(0.5)
    assert not np.allclose(weights, z)


def test_files_go_by_the_order_of_their_rows_only_where_that_is_asked_for(embeddings):
    embeddings[["skin"]].to_csv("nameless.csv", index=False)
    code, said, _ = weigh("z.parquet", "--attributes", "nameless.csv")
    assert code == 3
    assert "no names in common: the embeddings has names such as 'face0000'" in said
    assert "say so with --by-order" in said
    code, said, _ = weigh("z.parquet", "--attributes", "nameless.csv", "--by-order")
    assert code == 0, said
    assert "rows joined with the embeddings by the order of the rows" in said
    assert "The weights raise the share of dark" in said
    embeddings[["sample_id", "skin"]].iloc[::-1].to_csv("turned.csv", index=False)
    code, said, _ = weigh("z.parquet", "--attributes", "turned.csv:skin", "--by-order")
    assert (code, "stand in another order: leave it out" in said) == (3, True)
    few = embeddings[["sample_id", "skin"]].head(50)
    few.loc[[3, 4], "sample_id"] = "nobody"
    few.to_csv("few.csv", index=False)
    code, said, _ = weigh("z.parquet", "--attributes", "few.csv", "--allow-unjoined", 0.05)
    assert code == 0, said
    assert "48 of 2,400 samples are annotated" in said


def test_rows_without_an_embedding_are_left_out_and_whose_they_are_is_said(embeddings):
    dark = np.flatnonzero(embeddings["skin"] == "dark")
    names = [f"d{column}" for column in range(6)]
    lists = [None if row in dark[:9] else list(values)
             for row, values in enumerate(embeddings[names].to_numpy(float))]  # fmt: skip
    table = embeddings[["sample_id", "smiles", "skin"]].assign(face=lists, age=30.5)
    table.to_parquet("faces.parquet")
    code, said, _ = weigh("faces.parquet", "--label", "smiles", "--attributes", "skin",
                          "--out", "w.csv")  # fmt: skip
    assert code == 0, said
    assert "Dimensions: the 6 numbers in face, 1 of 2 columns. No dimensions: age (a label" in said
    assert (
        f"Left out: 9 of 2,400 rows of faces.parquet without an embedding (0.4%): face{dark[0]:04}"
        in said
    )
    assert f"more often than the others, beyond chance: dark (9 of {len(dark)})." in said
    kept = embeddings.drop(index=dark[:9])
    found = pd.read_csv("w.csv")
    assert found["sample_id"].tolist() == kept["sample_id"].tolist()
    weights = expected(kept, labels=kept["smiles"].to_numpy())
    np.testing.assert_allclose(found["probability"], weights, rtol=1e-6)
    table["face"] = [None] * 60 + lists[60:]
    table.to_parquet("faces.parquet")
    assert weigh("faces.parquet")[0] == 3
    code, said, _ = weigh("faces.parquet", "--allow-missing", 0.05)
    assert code == 0, said
    assert "beyond chance" not in said


@pytest.mark.parametrize("ending", [".npy", ".txt"])
def test_labels_in_a_plain_list_go_by_row(embeddings, ending):
    labels = embeddings["smiles"].to_numpy()
    path = Path(f"labels{ending}")
    if ending == ".npy":
        np.save(path, labels)
    else:
        path.write_text("\n".join(map(str, labels)))
    code, said, _ = weigh("z.npy", "--label", path)
    assert code == 0, said
    found = pd.read_parquet("weights.parquet")
    np.testing.assert_allclose(found["probability"], expected(embeddings, labels=labels), rtol=1e-6)


def test_a_reference_decides_what_is_wanted(embeddings):
    member = embeddings["skin"] == "dark"
    z = embeddings[[f"d{column}" for column in range(6)]].to_numpy()
    np.save("wanted.npy", np.concatenate([z[member], z[~member][: member.sum()]]))
    code, said, _ = weigh(
        "z.parquet", "--reference", "wanted.npy", "--attributes", "skin", "--density", "histogram"
    )
    assert code == 0, said
    found = pd.read_parquet("weights.parquet")
    assert found["probability"][member].sum() > 2.5 * member.mean()
    assert "The weights raise the share of dark" in said


def test_a_few_annotated_samples_are_enough_for_target_groups(embeddings):
    some = embeddings[["sample_id", "skin"]].groupby("skin").head(40)
    some.to_csv("some.csv", index=False)
    code, said, _ = weigh("z.parquet", "--attributes", "some.csv", "--target", "groups")
    assert code == 0, said
    found = pd.read_parquet("weights.parquet")
    member = embeddings["skin"] == "dark"
    assert found["probability"][member].sum() == pytest.approx(0.5, abs=0.12)
    assert "These annotations made the weights" in said


def test_ids_come_from_a_file_of_their_own(embeddings):
    Path("ids.txt").write_text("\n".join(embeddings["sample_id"]))
    code, said, _ = weigh("z.npy", "--ids", "ids.txt")
    assert code == 0, said
    assert pd.read_parquet("weights.parquet")["sample_id"][7] == "face0007"


def test_settings_are_passed_on_and_the_seed_repeats_the_file(embeddings):
    arguments = ("z.npy", "--ess", 0.8, "--alpha", 0.1, "--cap", 5, "--density", "mixture")
    weigh(*arguments, "--seed", 3, "--out", "a.csv")
    weigh(*arguments, "--seed", 3, "--out", "b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    probability = pd.read_csv("a.csv")["probability"]
    assert 1 / (ROWS * (probability**2).sum()) == pytest.approx(0.8, rel=0.01)
    assert probability.max() * ROWS <= 5 * (1 + 1e-9)


def test_the_published_formula_can_be_asked_for_and_old_spellings_go_on(embeddings):
    code, said, result = weigh(
        "z.csv", "--ess", "published", "--labels", "smiles", "--groups=skin", "--out", "w.csv"
    )
    assert code == 0, said
    labels = embeddings["smiles"].to_numpy()
    weights = expected(embeddings, labels=labels, ess="published")
    np.testing.assert_allclose(pd.read_csv("w.csv")["probability"], weights, rtol=1e-6)
    assert "--labels is now called --label" in result.stderr
    assert "--groups is now called --attributes" in result.stderr
    assert "now called" not in result.stdout


def test_the_picture_is_an_image_that_names_the_groups(embeddings):
    embeddings["skin"] = embeddings["skin"].replace("dark", "$x_1$ <b>&")
    embeddings.to_parquet("z.parquet")
    code, said, _ = weigh("z.parquet", "--attributes", "skin")
    assert code == 0, said
    root = ElementTree.parse("weights.svg").getroot()
    assert root.tag.endswith("svg")
    text = " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))
    for shown in ("$x_1$ <b>&", "light", "AUC", "The two directions that vary most"):
        assert shown in text


@pytest.mark.parametrize(
    "arguments", [("--ess", 1.0), ("--target", "groups", "--attributes", "coin")]
)
def test_a_single_direction_and_uniform_weights_can_be_drawn(embeddings, arguments):
    embeddings[["d0", "coin"]].to_parquet("narrow.parquet")
    code, said, _ = weigh("narrow.parquet", *arguments)
    assert code == 0, said
    assert Path("weights.svg").stat().st_size > 1000


def test_what_was_dropped_and_what_was_warned_about_is_said(embeddings):
    embeddings.insert(3, "d9", 1.5)
    embeddings.to_parquet("z.parquet")
    code, said, _ = weigh("z.parquet", "--ess", 0.1)
    assert code == 0, said
    assert "7 dimensions (1 constant, left out)" in said
    assert "Note: the weights are uneven" in said
    assert "Warning" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.npy"], 3, "none.npy do not exist"),
        (["z.parquet", "--label", "smile"], 3, "has no column 'smile'"),
        (["z.parquet", "--label", "none.csv"], 3, "none.csv"),
        (
            ["z.parquet", "--label", "z.csv"],
            3,
            "z.csv has the columns sample_id, d0, d1|say which one as z.csv:COLUMN",
        ),
        (["z.parquet", "--label", "z.csv:smile"], 3, "z.csv has no column 'smile'"),
        (
            ["z.npy", "--label", "z.csv:smiles"],
            3,
            "no names in common: the embeddings has no column of names",
        ),
        (
            ["z.parquet", "--label", "few.txt"],
            3,
            "with 2,400 and 2 rows they cannot be joined by order either",
        ),
        (
            ["z.parquet", "--label", "other.csv"],
            3,
            "no names in common: the embeddings has names such as 'face0000'",
        ),
        (
            ["z.parquet", "--label", "twice.csv"],
            3,
            "'face0001' stands for several rows of twice.csv",
        ),
        (["z.parquet", "--label", "one.csv"], 3, "2399 of 2400 labels are missing"),
        (["z.npy", "--ess", "1.5"], 2, "ess must lie in (0, 1]"),
        (["z.npy", "--density", "histgram"], 2, "did you mean 'histogram'?"),
        (["z.npy", "--density", "ratio"], 6, "needs|reference"),
        (["z.npy", "--target", "group"], 2, "did you mean 'groups'?"),
        (
            ["z.npy", "--target", "groups"],
            2,
            "--target groups needs its data: give --attributes COLUMN|FILE",
        ),
        (["z.npy", "--out", "w.txt"], 2, "weights are written as .parquet or .csv"),
        (["z.npy", "--reference", "narrow.npy"], 3, "both must come from the same encoder"),
        (["hole.npy"], 3, "1 of 9 latents are not finite, first sample id 4"),
        (["nan.npy"], 3, "1 of 9 rows of nan.npy without an embedding (11.1%): 4. At most 1%"),
        (["z.parquet", "--label", "strange.csv"], 3, "More than 1% of strange.csv belongs to no"),
        (["z.parquet", "--label", "objects.npy"], 3, "objects.npy holds pickled Python objects"),
        (["objects.npy"], 3, "objects.npy holds pickled Python objects"),
        (["constant.npy"], 6, "none of 3 latent dimensions varies"),
        (["z.npy", "--out", "z.npy/w.csv"], 4, "choose another place with --out"),
    ],
)
def test_wrong_input_is_explained_in_one_paragraph(embeddings, arguments, code, message):
    Path("few.txt").write_text("a\nb\n")
    Path("other.csv").write_text("sample_id,smiles\nx,1\n")
    Path("one.csv").write_text("sample_id,smiles\nface0001,1\n")
    Path("twice.csv").write_text("sample_id,smiles\nface0001,1\nface0001,0\n")
    np.save("narrow.npy", np.eye(5))
    np.save("constant.npy", np.ones((9, 3)))
    Path("strange.csv").write_text("sample_id,smiles\nface0001,1\nnobody,0\n")
    np.save("objects.npy", np.array([[1, 2], None], dtype=object), allow_pickle=True)
    np.save("hole.npy", np.where(np.arange(27).reshape(9, 3) == 13, np.nan, np.eye(9, 3)))
    np.save("nan.npy", np.where(np.arange(9)[:, None] == 4, np.nan, np.eye(9, 3)))
    found, said, result = weigh(*arguments)
    assert (found, "Traceback" in said) == (code, False), said
    assert any(part in said for part in message.split("|")), said
    assert not list(Path().glob("weights.*"))
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_groups_of_another_collection_are_learned_there(embeddings):
    there = embeddings.head(1500).assign(people=embeddings["skin"].head(1500))
    there.drop(columns=["skin", "smiles", "coin"]).to_csv("there.csv", index=False)
    given = ["z.csv", "--elsewhere", "there.csv", "--elsewhere-groups", "people"]
    code, said, _ = weigh(*given, "--attributes", "skin", "--out", "e.csv")
    assert code == 0, said
    assert "Estimated from 1,500 samples annotated elsewhere (95% intervals): dark " in said
    found = pd.read_csv("e.csv").merge(embeddings[["sample_id", "skin"]])
    assert found["probability"][found["skin"] == "dark"].sum() > 0.2  # of 0.08
    for wrong, words in (
        (given[:3], "give --elsewhere-groups COLUMN|FILE"),
        (["z.csv", *given[3:]], "give both"),
        ([*given, "--target", "uniform"], "leave out --target, or --elsewhere"),
        (["z.csv", "--target", "elsewhere"], "--elsewhere FILE --elsewhere-groups"),
    ):
        code, said, _ = weigh(*wrong)
        assert code == 2 or code == 6, said
        assert words in said


@pytest.mark.slow
def test_shards_become_shards_of_weights(embeddings):
    pytest.importorskip("distributed", reason="debias[workers] is not installed")
    Path("latents").mkdir()
    z = np.load("z.npy")
    for name, part in zip(("a", "b"), np.split(z, [700]), strict=True):
        np.save(f"latents/{name}.npy", part)
    code, said, _ = weigh("latents", "--workers", 2, "--out", "weights")
    assert code == 0, said
    found = np.concatenate([np.load(f"weights/{name}.npy") for name in ("a", "b")])
    np.testing.assert_allclose(found, expected(embeddings) * ROWS, rtol=1e-12)
    assert f"{ROWS:,} samples in 2 shards, 6 dimensions." in said
    assert "Effective sample size 50.0%" in said
    assert "Weights: weights (NAME.npy" in said


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("z.npy", "z.csv"), 2, "2 files of embeddings are given"),
        (("z.npy", "--workers", "2", "--label", "smiles"), 2, "--label: shards are weighed"),
        (("z.npy", "--workers", "none"), 2, "a number of workers"),
        (("z.npy", "--workers", "2", "--out", "z.csv"), 4, "is there already"),
        (("nothing", "--workers", "1"), 3, "do not exist"),
    ],
)
def test_what_shards_do_not_take_ends_in_one_paragraph(embeddings, arguments, status, words):
    code, said, _ = weigh(*arguments)
    assert code == status
    assert words in said
    assert not Path("weights").exists()
