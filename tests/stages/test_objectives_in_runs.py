"""What arms are trained for: the recipe, the network that is kept, and what the report says."""

import numpy as np
import pytest
from test_mitigate import small_run

from debias.errors import ConfigError
from debias.pipeline import mitigate
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.step import load_predictions
from debias.storage.artifacts import Artifact


def scores(folder, arm):
    """Of every seed, in the order of the test images."""
    found = {}
    for path in sorted((folder / "classifier").iterdir()):
        one = load_predictions(Artifact("classifier", path.name, path))
        if one.arm == arm:
            found[one.seed] = one.score
    return [found[seed] for seed in sorted(found)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run, _ = small_run(
        folder, "tracking.enabled=false", "seeds=1", "arms={uniform: uniform}",
        "objectives={again: erm, worst: group_dro, halves: tab, pair: lff, held: dfr}",
    )  # fmt: skip
    return folder, mitigate(run)


def test_the_objective_is_the_only_difference_between_arms(finished):
    folder, _ = finished
    assert np.array_equal(*(scores(folder, arm)[0] for arm in ("uniform", "again")))
    for other in ("worst", "halves", "pair", "held"):
        assert not np.array_equal(*(scores(folder, arm)[0] for arm in ("uniform", other)))


def test_the_report_says_what_arms_are_trained_for_and_who_reads_groups(finished):
    folder, document = finished
    said = {arm: (one["objective"], one["group_labels"], one["uses_groups"])
            for arm, one in document["weights"].items()}  # fmt: skip
    assert said == {
        "uniform": ("erm", "no", False),
        "again": ("erm", "no", False),
        "worst": ("group_dro", "training", True),
        "halves": ("tab", "no", False),
        "pair": ("lff", "no", False),
        "held": ("dfr", "selection", True),
    }
    page = (folder / "report.html").read_text()
    assert "trained by group_dro; uses the group annotations" in page


def test_the_best_epoch_is_kept(finished, tmp_path):
    run, _ = small_run(
        tmp_path, "tracking.enabled=false", "seeds=1", "arms={uniform: uniform}",
        "classifier.keep=worst_group", "classifier.training.epochs=4",
    )  # fmt: skip
    document = mitigate(run)
    assert document["weights"]["uniform"]["group_labels"] == "selection"
    assert not np.array_equal(scores(tmp_path, "uniform")[0], scores(finished[0], "uniform")[0])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["objectives.uniform=focal"], "name that by another arm"),
        (["objectives.worst=group_dro", "attributes=[]"], "attributes names no column"),
        (["classifier.keep=worst_group", "attributes=[]"], "attributes names no column"),
        (["objectives.worst=group_drop"], "group_dro"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(overrides, said):
    with pytest.raises(ConfigError, match=said):
        load(RunConfig, None, [*overrides, "arms={uniform: uniform}"])


def test_an_objective_that_is_no_arm_draws_every_image_alike():
    recipe = load(RunConfig, None, ["objectives.hard=focal", "objectives.latent=cvar_dro"])
    assert recipe.arms["hard"].name == "uniform"
    assert recipe.arms["latent"].name == "latent_rarity"
    assert list(recipe.arms) == ["uniform", "latent", "groups", "hard"]
