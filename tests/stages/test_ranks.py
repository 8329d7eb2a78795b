"""What two processes train together is what one trains, up to rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from led import both, led
from safetensors.numpy import load_file
from test_interrupted import JUDGED, run_of

from debias.models import ConvClassifier, ConvVAE
from debias.models.autoencoder import Autoencoder
from debias.models.classifiers import PooledClassifier
from debias.models.db_vae import DBVAENetwork
from debias.models.gan import GAN
from debias.pipeline import open_study
from debias.pipeline.classifier import CLASSIFIER
from debias.pipeline.faces import make_faces
from debias.pipeline.judge import JUDGE
from debias.pipeline.recipe import load
from debias.pipeline.representation import REPRESENTATION
from debias.pipeline.step import load_predictions
from debias.pipeline.study import make_studied_faces
from debias.pipeline.study_recipe import StudyConfig
from debias.pipeline.weights import make_arm
from debias.storage.artifacts import RunFolder
from debias.training import parallel
from debias.training.batches import Batch
from debias.training.objectives import OBJECTIVES
from debias.training.objectives.db_vae import DBVAE

NETWORKS = {
    "vae": lambda: ConvVAE(latent_dim=3, width=2, hidden=8).build(16),
    "autoencoder": lambda: Autoencoder(latent_dim=3, width=2, hidden=8).build(16),
    "db_vae": lambda: DBVAENetwork(DBVAE(latent_dim=2, width=2, hidden=8), 2, 16),
    "conv": lambda: ConvClassifier(width=2, dropout=0.5).build(2),
    "pooled": lambda: PooledClassifier(width=2).build(3),
    "gan": lambda: GAN(latent_dim=2, width=2, hidden=8).build(16),  # every process has all of it
}  # fmt: skip


def gradients(name, size, positives=2):
    """Of one batch, what a network's loss asks for; what it remembers; the noise that is next."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    network, image = NETWORKS[name](), torch.rand(size, 3, 16, 16)
    label = (torch.arange(size) < positives).long()
    with pytest.MonkeyPatch.context() as patch:  # in double precision all through
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        losses = network.loss(Batch(image, label, torch.arange(size)))
        losses["loss"].backward()
    torch.set_default_dtype(torch.float32)
    values = torch.stack([one.detach().double() for one in losses.values()])
    values = parallel.averaged(network.parameters(), values)
    found = {name: one.grad for name, one in network.named_parameters()}
    return found | dict(network.named_buffers()) | {"losses": values, "next": torch.rand(3)}


@pytest.fixture(scope="module")
def helped():
    with led() as helper:
        yield helper


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [8, 7])
def test_gradients_of_two_processes_are_those_of_one(name, size, helped):
    alone = gradients(name, size)
    torch.testing.assert_close(both(gradients, name, size), alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("positives", [0, 1])
def test_a_batch_of_too_few_images_for_all_processes(positives, helped):
    """Of the DB-VAE's decoder, which sees the positive class alone."""
    alone = gradients("db_vae", 6, positives)
    torch.testing.assert_close(both(gradients, "db_vae", 6, positives), alone, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Folders in which one and in which two processes train, and what they train on."""
    return tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")


def classifier(folder, objective):
    run = run_of(folder, objective)
    faces = make_faces(run)
    places = REPRESENTATION.make(run, faces=faces)
    weights = make_arm(run, "it", faces=faces, representation=places)
    return CLASSIFIER.make(run, "it", "0", faces=faces, weights=weights)


def require_alike(one, other):
    first, second = (load_file(made.path / "network.safetensors") for made in (one, other))
    assert one.key == other.key
    for name in first:
        np.testing.assert_allclose(second[name], first[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_a_classifier_of_every_objective(objective, prepared, helped):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("debias.pipeline.ranks._At.team", None)
        alone = classifier(prepared[0], objective)
    together = classifier(prepared[1], objective)
    require_alike(alone, together)
    first, second = (load_predictions(made).score for made in (alone, together))
    np.testing.assert_allclose(second, first, atol=1e-5)


@pytest.mark.parametrize("more", [(), ("representation.model={name: pca, latent_dim: 2}",)])
def test_a_representation(more, tmp_path, helped, prepared):
    """That of what is not descended to is computed by every process, and sealed by one."""
    run = run_of(tmp_path, "erm", *more)
    faces = make_faces(run)
    together = REPRESENTATION.make(run, faces=faces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("debias.pipeline.ranks._At.team", None)
        alone = REPRESENTATION.make(run_of(prepared[0], "erm", *more), faces=faces)
    require_alike(alone, together)


def test_a_judge_of_a_study(tmp_path, helped):
    job = open_study(load(StudyConfig, JUDGED), tmp_path / "together")
    faces = make_studied_faces(job)
    together = JUDGE.make(job, "smiling", faces=faces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("debias.pipeline.ranks._At.team", None)
        alone = JUDGE.make(
            replace(job, folder=RunFolder(tmp_path / "alone")), "smiling", faces=faces
        )
    require_alike(alone, together)
