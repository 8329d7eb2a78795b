"""Every step that trains, interrupted twice and made again, gives the files of the undisturbed."""

import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from counting import Counting
from interruption import Killed, save_at_every_batch
from recording_tracking import RecordingTracking

from debias.pipeline import open_run, open_study
from debias.pipeline.classifier import CLASSIFIER
from debias.pipeline.discriminator import make_reference_ratio
from debias.pipeline.faces import make_faces, make_reference
from debias.pipeline.job import Job
from debias.pipeline.judge import JUDGE
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.representation import REPRESENTATION
from debias.pipeline.study import make_studied_faces
from debias.pipeline.study_recipe import StudyConfig
from debias.pipeline.weights import make_arm
from debias.training import loop
from debias.training.objectives import OBJECTIVES

TRAINING = "{epochs: 2, batch_size: 16, learning_rate: 0.003}"
SETTINGS = [
    "image_size=16", "seeds=1", "data.n_train=80", "data.n_validation=48", "data.n_test=24",
    "data.population.dark_share=0.4", "density={name: histogram, components: 1}",
    "attributes=[skin_tone_group]", "arms={uniform: uniform}",
    "representation.model={name: conv_vae, latent_dim: 2, width: 2, hidden: 8, warm_up: 6}",
    f"representation.training={TRAINING}", f"classifier.training={TRAINING}",
    "classifier.model={name: conv, width: 2}", "classifier.keep=mean",
    "reference={data: {name: synthetic, n_train: 60, n_validation: 8, n_test: 8}}",
    f"discriminator={{folds: 2, repeats: 1, side: 16, training: {TRAINING}}}",
    "device=cpu", "precision=float32",
]  # fmt: skip
OWN = {"george": ", most: 3", "db_vae": ", latent_dim: 2, width: 2, hidden: 8"}
JUDGED = {
    "name": "judged", "image_size": 16, "device": "cpu", "precision": "float32",
    "label": "smiling", "attributes": ["skin_tone_group"],
    "data": {"name": "synthetic", "n_train": 80, "n_validation": 24, "n_test": 24},
    "spaces": {"pca": {"model": {"name": "pca", "latent_dim": 2}}}, "factors": ["yaw"],
    "judge": {"model": {"name": "conv", "width": 2}, "training": {"epochs": 2, "batch_size": 16}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _at_every_batch(monkeypatch):
    save_at_every_batch(monkeypatch)


@contextmanager
def counted(limit=10**9):
    """Count the batches that are trained, and be killed before one of them."""
    count, before = [], loop._step

    def step(*given):
        if len(count) == limit:
            raise Killed
        count.append(1)
        return before(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_step", step)
        yield count


def contents(folder):
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    found.pop("manifest.json")  # says how long it took
    return found


def told(tracking):
    """What a tracker was told, each point once: one that is sent again is stored once."""
    every = {str(point) for one in tracking.runs.values() for point in one.logged_metrics}
    return {point for point in every if "time/" not in point}


def require_resumed(opened, make):
    """``opened(progress)`` as a process that begins, and ``make(job)`` of a step that trains."""

    def once(limit=10**9):
        job, progress = opened(), Counting()
        tracking = RecordingTracking()
        job = replace(job, progress=progress, tracking=tracking)
        with counted(limit) as count:
            try:
                made = make(job)
            except Killed:
                return len(count), progress.notes, None, None
        return len(count), progress.notes, made, told(tracking)

    total, _, made, metrics = once()
    expected = contents(made.path)
    shutil.rmtree(made.path)
    kept = made.path.with_suffix(".checkpoint")
    for part in (3, 2):  # killed after a third of the batches, then of half of the others
        assert once(total // 3)[2] is None
        assert kept.exists(), part
    done, notes, again, heard = once()
    assert 0 < done == total - 2 * (total // 3)
    assert "An interrupted training goes on from its last checkpoint." in notes
    assert contents(again.path) == expected
    assert heard == metrics
    assert not kept.exists()


def run_of(folder, objective="erm", *more):
    own = f"objectives={{it: {{name: {objective}{OWN.get(objective, '')}}}}}"
    return open_run(load(RunConfig, None, [*SETTINGS, own, *more]), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_a_classifier_of_every_objective(objective, folder):
    run = run_of(folder, objective)
    faces = make_faces(run)
    places = REPRESENTATION.make(run, faces=faces)
    weights = make_arm(run, "it", faces=faces, representation=places)
    require_resumed(
        lambda: run_of(folder, objective),
        lambda job: CLASSIFIER.make(job, "it", "0", faces=faces, weights=weights),
    )


GAME = "{name: vae_gan, latent_dim: 2, width: 2, hidden: 8, steps: 2}"  # of two who take turns


@pytest.mark.parametrize("more", [(), (f"representation.model={GAME}",)], ids=["vae", "game"])
def test_a_representation(more, tmp_path, monkeypatch):
    # Ten steps are no game yet, and would be refused as one that is over.
    monkeypatch.setattr("debias.models.gan.check_game", lambda losses: None)
    faces = make_faces(run_of(tmp_path))
    require_resumed(
        lambda: run_of(tmp_path, "erm", *more), lambda job: REPRESENTATION.make(job, faces=faces)
    )


def test_networks_that_tell_two_sets_apart(folder):
    run = run_of(folder)
    sets = {"faces": make_faces(run)}
    sets["reference"] = make_reference(run, faces=sets["faces"])
    require_resumed(lambda: run_of(folder), lambda job: make_reference_ratio(job, **sets))


def test_a_judge(tmp_path):
    def opened() -> Job:
        return open_study(load(StudyConfig, JUDGED), tmp_path)

    faces = make_studied_faces(opened())
    require_resumed(opened, lambda job: JUDGE.make(job, "smiling", faces=faces))
