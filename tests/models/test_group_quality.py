"""Who is served worse, who is found, and who is among the samples."""

import numpy as np
import pandas as pd
import pytest

from debias.density import HistogramDensity, NeighbourDensity
from debias.models.quality.groups import found, served, shares
from debias.statistics.areas import auc_by_group
from debias.types import Latents

DENSITY = {"histogram": HistogramDensity()}


def groups(*counts):
    return pd.DataFrame({"skin": np.repeat(["dark", "light", "rare"], counts)})


def test_each_measure_by_group_with_its_mean_and_how_often_members_are_worse():
    values = np.r_[np.full(20, 2.0), np.arange(20) % 2, [9.0] * 5]
    table = served({"error": values, "nats": -values}, groups(20, 20, 5), below=1)
    dark, light, rare = table[table["measure"] == "error"].to_dict("records")
    assert (dark["mean"], light["mean"], rare["mean"]) == (2, 0.5, 9)
    assert dark["worse"] == pytest.approx(20 / 25)  # above all light ones, below the rare ones
    assert dark["worse_low"] < 0.8 < dark["worse_high"]
    sd = np.std(values[20:40], ddof=1)
    assert light["mean_high"] == pytest.approx(0.5 + 2.093 * sd / np.sqrt(20), abs=1e-3)
    assert np.isnan(dark["mean_low"])  # all alike: nothing tells how much they would vary
    assert table[table["measure"] == "nats"]["worse"].tolist() == pytest.approx([0.2, 1, 0])


def test_small_groups_and_those_that_would_give_them_away_are_withheld():
    values = np.arange(45.0)
    table = served({"error": values}, groups(20, 20, 5)).set_index("group")
    assert table.loc["rare"].drop(["measure", "attribute"]).isna().all()
    assert table["n"].isna().sum() == 2  # the total less one group would be the other
    one = found(
        latents(values), np.zeros(45, np.int64), groups(20, 20, 5), {"h": HistogramDensity()}
    )
    assert one.set_index("group").loc["rare", ["auc", "low", "high", "n"]].isna().all()


def latents(values):
    ids = np.arange(len(values)).astype(str)
    return Latents(sample_ids=ids, mean=np.asarray(values, dtype=np.float32)[:, None])


def test_a_group_far_from_all_others_is_found_by_every_density_and_a_random_one_by_none():
    rng = np.random.default_rng(0)
    z = np.r_[rng.normal(0, 1, 300), np.linspace(20, 60, 20)]
    table = pd.DataFrame({
        "far": np.repeat(["no", "yes"], [300, 20]), "any": rng.permutation(["x", "y"] * 160)
    })  # fmt: skip
    densities = {"histogram": HistogramDensity(), "knn": NeighbourDensity()}
    result = found(latents(z), np.zeros(320, np.int64), table, densities)
    far = result[result["group"] == "yes"]
    assert far["density"].tolist() == ["histogram", "knn"]
    assert (far["auc"] > 0.95).all()
    assert (far["n"] == 20).all()
    x = result[result["group"] == "x"]
    assert ((x["low"] < 0.5) & (x["high"] > 0.5)).all()


def test_rarity_is_taken_within_classes():
    z = np.r_[np.zeros(50), np.linspace(-3, 3, 50)]
    labels = np.repeat([0, 1], 50)
    table = pd.DataFrame({"label": labels.astype(str)})
    result = found(latents(z), labels, table, DENSITY)
    assert result["auc"].isna().all()  # a group that is its class has nobody to compare with
    score = np.r_[np.zeros(50), np.ones(50)]
    assert auc_by_group(score, labels, table["label"].to_numpy())["auc"].isna().all()


def test_shares_of_samples_are_those_of_the_judge():
    judged = np.array(["dark"] * 1 + ["light"] * 19)
    table = shares(judged, np.array(["dark", "light", "rare"])).set_index("group")
    assert table["share"].tolist() == [0.05, 0.95, 0]
    assert table.loc["rare", "low"] == 0
    assert table.loc["rare", "high"] == pytest.approx(1 - 0.025 ** (1 / 20))
    assert shares(judged[:0], np.array(["dark"]))[["share", "low", "high"]].isna().all().all()


def test_without_annotation_there_is_nobody_to_speak_of():
    empty = pd.DataFrame(index=range(5))
    assert served({"error": np.ones(5)}, empty).empty
    assert found(
        latents(np.arange(5.0)), np.zeros(5, np.int64), empty, {"h": HistogramDensity()}
    ).empty
