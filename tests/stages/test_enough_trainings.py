"""Trainings that are added until the primary questions are answered, in the walk and in a run."""

import json

import pytest
from counting import Counting
from documents import misfits
from interruption import Killed
from recording_tracking import RecordingTracking

from debias.pipeline import classifier, mitigate, open_run, plans
from debias.pipeline.fairness import all_answered
from debias.pipeline.plans import Stop, walk
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.reports import compare_places
from debias.report.documents import About
from debias.report.opening import _more_trainings
from debias.statistics.looks import Looks

TRAINING = "{epochs: 1, batch_size: 16, learning_rate: 0.003}"
SETTINGS = [
    "image_size=16", "seeds={name: auto, least: 2, most: 3}", "data.n_train=80",
    "data.n_validation=24", "data.n_test=80", "data.population.dark_share=0.4",
    "arms={uniform: uniform, groups: {name: group_balance, allow_degenerate: true}}",
    "representation.model={name: pca, latent_dim: 2}", "density={name: histogram, components: 1}",
    f"classifier.training={TRAINING}", "classifier.model={name: conv, width: 2}",
    "device=cpu", "precision=float32",
]  # fmt: skip


@pytest.mark.parametrize(("answered_after", "trainings"), [(2, 2), (3, 3), (9, 4)])
def test_a_plan_adds_a_training_of_every_arm_until_all_is_answered(
    monkeypatch, answered_after, trainings
):
    config, looked = load(RunConfig, None, ["seeds={name: auto, least: 2, most: 4}"]), []

    def enough(config, stages):
        looked.append(stages.trainings)
        assert {len(found) for found in stages.classifiers.values()} == {stages.trainings}
        return stages.trainings >= answered_after

    monkeypatch.setattr(plans, "enough_trainings", enough)
    weigh = Stop("weights", None, each=plans._arms)
    train = Stop("classifier", None, each=plans._arms_and_seeds)
    made = []
    walk((weigh, train), config, lambda stop, which, inputs: made.append((stop.name, *which)))
    seeds = [which[2] for which in made if which[0] == "classifier"]
    assert seeds == [str(seed) for seed in range(trainings) for _ in config.arms]
    assert looked == list(range(2, min(trainings, 3) + 1))


def test_a_run_goes_on_where_it_was_killed_and_says_why_it_stopped(tmp_path, monkeypatch):
    config, task = load(RunConfig, None, SETTINGS), classifier.ClassifierTask

    def killed(work, *given):
        if work.seed == 2:
            raise Killed
        return task(work, *given)

    def run(tracking=None):
        progress = Counting()
        opened = open_run(config, tmp_path, progress=progress)
        return mitigate(opened.with_tracking(tracking) if tracking else opened), progress

    monkeypatch.setattr(classifier, "ClassifierTask", killed)
    with pytest.raises(Killed):
        run()
    monkeypatch.setattr(classifier, "ClassifierTask", task)
    tracking = RecordingTracking()
    document, progress = run(tracking)
    assert [one for one in progress.started if "lassifier" in one] == [
        "Classifier uniform, seed 2", "Classifier groups, seed 2",
    ]  # fmt: skip
    assert misfits(json.loads(json.dumps(document["run"])), About) == []
    stopping, level = document["run"]["stopping"], Looks(2, 3).level(3, 0.05)
    assert (document["run"]["seeds"], stopping["trainings"], stopping["answered"]) == (3, 3, False)
    assert stopping["level"] == pytest.approx(level)
    asked = document["comparisons"]["groups"]["primary"]
    assert asked[0]["level"] == pytest.approx(1 - level)
    assert {one["reading"] for one in asked} == {"cannot_tell"}
    assert stopping["sentence"] in (tmp_path / "report.html").read_text()
    (compared,) = (one for one in tracking.runs.values() if "methods" in one.logged_tables)
    assert compared.logged_params["trainings"] == 3
    found = compare_places(str(tmp_path), None, {})["groups"].primary
    assert [one["level"] for one in found] == [one["level"] for one in asked]
    again, progress = run()
    assert again["key"] == document["key"]
    assert progress.started == []


def test_more_trainings_are_advised_where_more_are_allowed():
    for most, advised in ((10, 20), (20, 30)):
        auto = {"seeds": {"name": "auto", "least": 3, "most": most}}
        assert _more_trainings(auto, most) == f"seeds.most={advised}"
    assert _more_trainings({"seeds": 5}, 5) == "seeds=10"
    assert all_answered([])
