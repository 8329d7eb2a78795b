import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from debias.models import CLASSIFIERS, ConvVAE
from debias.models.quality.bounds import kl_to_standard_normal
from debias.models.vae import LOG_VAR_LIMIT, Posterior
from debias.seeding import torch_stream
from debias.training.batches import Batch


def batch(size=4, side=32, seed=0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(size, 3, side, side, generator=generator)
    return Batch(image=image, label=torch.arange(size) % 2, index=torch.arange(size))


def built(settings, side=32, seed=0):
    with torch_stream(seed, "test"):
        return settings.build(side)


@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
class TestClassifierContract:
    def test_every_parameter_receives_a_gradient(self, model):
        network = model().build(2)
        losses = network.loss(batch(8))
        losses["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        assert 0 <= float(losses["accuracy"]) <= 1

    def test_one_logit_per_class(self, model):
        assert model().build(3).eval()(batch().image).shape == (4, 3)


def test_kl_agrees_with_torch_distributions():
    mean, log_var = torch.randn(5, 7), torch.randn(5, 7)
    posterior = Normal(mean, (0.5 * log_var).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(7), torch.ones(7))).sum(1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), expected)


def test_kl_by_hand():
    # One dimension, mean 1, variance 1: half a nat.
    found = kl_to_standard_normal(torch.ones(1, 1), torch.zeros(1, 1))
    assert float(found) == pytest.approx(0.5)


def test_gaussian_reconstruction_agrees_with_torch_distributions():
    network = built(ConvVAE(likelihood="gaussian_fixed", sigma=0.3)).eval()
    images, mean = batch().image, batch(seed=1).image
    expected = -Normal(mean, 0.3).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(network.reconstruction(images, mean), expected)


def test_bernoulli_reconstruction_by_hand():
    network = built(ConvVAE(likelihood="bernoulli")).eval()
    images, mean = torch.ones(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    expected = 3 * 32 * 32 * math.log(2)
    assert float(network.reconstruction(images, mean)) == pytest.approx(expected, rel=1e-5)


def test_learned_sigma_approaches_the_root_mean_squared_error():
    network = built(ConvVAE()).train()
    images = batch().image
    for _ in range(100):
        network.reconstruction(images, (images + 0.2).clamp(max=2))
    assert float(network.sigma2) == pytest.approx(0.04, rel=0.01)
    before = network.sigma2.clone()
    network.eval().reconstruction(images, images)
    assert torch.equal(network.sigma2, before)  # evaluation uses sigma, it does not move it


def test_beta_weighs_the_divergence_alone():
    losses = {}
    for beta in (0.0, 4.0):
        network = built(ConvVAE(beta=beta, likelihood="bernoulli")).eval()
        with torch_stream(0, "noise"):
            losses[beta] = network.loss(batch())
    assert float(losses[0.0]["loss"]) == pytest.approx(float(losses[0.0]["reconstruction"]))
    expected = losses[4.0]["reconstruction"] + 4 * losses[4.0]["kl"]
    torch.testing.assert_close(losses[4.0]["loss"], expected)


def test_saturated_log_variances_are_counted():
    network = built(ConvVAE(latent_dim=2)).eval()
    with torch.no_grad():
        network.encoder[-1].bias[2:] = torch.tensor([1e3, 0.0])
    assert network.encode(batch().image).log_var.max() == LOG_VAR_LIMIT
    assert float(network.loss(batch())["saturated"]) == pytest.approx(0.5)


def test_samples_of_the_posterior_have_its_moments():
    posterior = Posterior(torch.full((200_000, 1), 2.0), torch.full((200_000, 1), math.log(9.0)))
    with torch_stream(0, "moments"):
        drawn = posterior.sample().numpy()
    assert np.mean(drawn) == pytest.approx(2, abs=0.03)
    assert np.std(drawn) == pytest.approx(3, abs=0.03)
