"""What arms are trained for: the recipe, the network that is kept, and what the report says."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_store import make_store
from test_mitigate import small_run
from torch import nn

from debias.errors import ConfigError, DataError
from debias.pipeline import mitigate
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.step import load_predictions
from debias.pipeline.task import ClassifierTask
from debias.statistics.groupings import UNKNOWN
from debias.storage.artifacts import Artifact
from debias.training.objectives.erm import ERM
from debias.training.objectives.objective import Supervised


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


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("worst_class", "of 24 validation images none has brightness = 'bright': give"),
        ("worst_group", "of 18 validation images with known groups none has brightness"),
    ],
)
def test_an_epoch_is_chosen_by_every_class_or_not_at_all(keep, said):
    store = make_store()
    held_out = store.samples["split"] == "validation"
    group = np.where(held_out & (store.samples["group"] == "b"), UNKNOWN, store.samples["group"])
    label = np.where(held_out, 0, store.samples["label"])
    store = replace(store, samples=store.samples.assign(label=label, group=group))
    config = load(RunConfig, None, [f"classifier.keep={keep}"])
    work = SimpleNamespace(faces=store, job=SimpleNamespace(config=config, compute=None))
    task = ClassifierTask(work, ERM(), tracker=None, advance=None)
    with pytest.raises(DataError, match=said):
        task.fit(Supervised(nn.Linear(2, 2)))


def test_an_objective_that_is_no_arm_draws_every_image_alike():
    recipe = load(RunConfig, None, ["objectives.hard=focal", "objectives.latent=cvar_dro"])
    assert recipe.arms["hard"].name == "uniform"
    assert recipe.arms["latent"].name == "latent_rarity"
    assert list(recipe.arms) == ["uniform", "latent", "groups", "hard"]
