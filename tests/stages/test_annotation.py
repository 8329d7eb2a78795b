"""Annotated attributes enter the breakdown and nothing else: everything before it is the same."""

import numpy as np
import pandas as pd
import pytest
from small_store import folder, picture

from debias.pipeline import examine, open_job, open_run
from debias.pipeline.faces import make_faces
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load
from debias.pipeline.representation import REPRESENTATION
from debias.pipeline.step import load_weights
from debias.pipeline.weights import make_weights
from debias.storage.artifacts import load_faces, load_latents

COUNT, SIZE = 90, 16
ANNOTATED = ("group", "hat")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Photographs that bring no split, beside a table of a label, people and two attributes."""
    root, row = tmp_path_factory.mktemp("annotation"), np.arange(COUNT)
    folder(
        root, [picture(number, SIZE) for number in row],
        smiling=np.where(row % 2, "yes", "no"), who=row // 2,
        group=np.random.default_rng(0).choice(["a", "b", "c"], COUNT),
        hat=np.where(row < 20, "", "none"),
    )  # fmt: skip
    return {
        "data": {
            "name": "folder", "root": str(root), "table": str(root / "table.csv"),
            "subject_column": "who",
        },
        "image_size": SIZE,
        "device": "cpu",
        "tracking": {"enabled": False},
        "representation": {
            "model": {"name": "conv_vae", "latent_dim": 4, "width": 4, "hidden": 16, "beta": 0.01},
            "training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.005},
        },
    }  # fmt: skip


def test_split_latents_and_weights_are_the_same_bit_for_bit(recipe, tmp_path):
    arms = {"latent": {"name": "latent_rarity", "allow_degenerate": True}}
    training = {"classifier": {"training": {"batch_size": 8}}}
    tree = recipe | training | {"label": "smiling", "arms": arms}
    found = []
    for attributes in ((), ANNOTATED):
        config = load(RunConfig, {**tree, "attributes": attributes})
        run = open_run(config, tmp_path / str(len(attributes)))
        faces = make_faces(run)
        latents = REPRESENTATION.make(run, faces=faces)
        weights = load_weights(make_weights(run, "latent", faces=faces, representation=latents))
        samples = load_faces(faces).samples[["sample_id", "split", "label"]]
        found.append((samples, load_latents(latents), weights))
    (bare, placed, weighed), (named, placed_too, weighed_too) = found
    pd.testing.assert_frame_equal(bare, named)
    assert np.array_equal(placed.mean, placed_too.mean)
    assert np.array_equal(placed.log_var, placed_too.log_var)
    assert np.array_equal(weighed.probability, weighed_too.probability)


def test_an_audit_says_the_same_of_everybody(recipe, tmp_path):
    audit = {"splits": ["train", "validation", "test"], "permutations": 199, "clusters": 3}
    tree = recipe | {"audit": audit | {"map_method": "PCA"}}
    bare, named = (
        examine(
            open_job(
                load(SpaceRecipe, {**tree, "attributes": attributes}),
                tmp_path / str(len(attributes)),
            )
        )
        for attributes in ((), ANNOTATED)
    )
    assert bare["groups"] is None
    assert {one["attribute"] for one in named["groups"]["attributes"]} == set(ANNOTATED)
    for part in ("coverage", "directions", "map", "extremes", "anomalies"):
        assert bare[part] == named[part], part
    for document in (bare, named):  # what annotations tell of a region or a cluster is of them
        for region in document["regions"]["list"]:
            region.pop("explains", None)
    assert bare["regions"] == named["regions"]
    assert bare["clusters"] == named["clusters"]
