"""Games of two networks: what the best discriminator knows, what the generator learns from it."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal

from debias.errors import ConfigError, DivergedLossError
from debias.models.gan import (
    GAN,
    GANNetwork,
    check_game,
    discriminator_loss,
    generator_loss,
    held,
    slope,
)
from debias.pipeline.recipe import RepresentationRecipe
from debias.seeding import torch_stream
from debias.training.batches import Batch
from debias.training.device import choose
from debias.training.loop import Training, fit

CPU = choose("cpu", "float32")


def dense(*sizes):
    layers = [
        layer for pair in pairwise(sizes)
        for layer in (nn.Linear(*pair), nn.LeakyReLU(0.2))
    ]  # fmt: skip
    return nn.Sequential(*layers[:-1])


def batch(images):
    rows = torch.arange(len(images))
    return Batch(image=images, label=rows % 2, index=rows)


def trained_judge(p, q, steps=600):
    """A discriminator that has seen many draws of both."""
    judge = dense(1, 32, 32, 1)
    optimizer = torch.optim.Adam(judge.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        drawn = [judge(one.sample((1024, 1)))[:, 0] for one in (p, q)]
        optimizer.zero_grad()
        discriminator_loss(*drawn).backward()
        optimizer.step()
        schedule.step()
    return judge


def test_the_best_discriminator_is_p_over_p_plus_q_and_its_value_at_equal_densities_is_known():
    p, q = Normal(-0.5, 1.0), Normal(1.0, 0.7)
    x = torch.linspace(-4, 4, 201)[:, None]
    with torch_stream(0, "densities"):
        judge, blind = trained_judge(p, q), trained_judge(p, p, steps=100)
        same = [blind(p.sample((20_000, 1)))[:, 0] for _ in range(2)]
    both = [one.log_prob(x).exp() for one in (p, q)]
    known = (both[0] > 0.1 * both[0].max()) | (both[1] > 0.1 * both[1].max())
    off = (judge(x).sigmoid() - both[0] / sum(both))[known].abs()
    assert off.max() < 0.05
    assert -discriminator_loss(*same).item() == pytest.approx(-2 * math.log(2), abs=0.02)


def test_a_confident_discriminator_teaches_the_minimax_generator_nothing():
    # At log-odds l the slopes are sigmoid(l) and sigmoid(-l): their ratio is e^l.
    generator, z = dense(2, 8, 2), torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    norms = {}
    for objective in ("minimax", "non_saturating"):
        generator.zero_grad()
        drawn = generator(z)
        on_drawn = drawn.sum(1) - drawn.sum(1).detach() - 6  # everywhere at -6
        generator_loss(on_drawn, objective).backward()
        norms[objective] = torch.cat([p.grad.flatten() for p in generator.parameters()]).norm()
    ratio = float(norms["minimax"] / norms["non_saturating"])
    assert ratio == pytest.approx(math.exp(-6), rel=1e-3)


def test_the_penalty_is_half_the_squared_slope_at_images():
    judge = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    expected = judge[1].weight.square().sum()
    torch.testing.assert_close(slope(judge, torch.rand(5, 3, 2, 2)), expected)


def test_neither_side_moves_the_other_and_the_generator_waits_for_its_turn():
    with torch_stream(0, "test"):
        network = GAN(latent_dim=3, width=2, hidden=8, steps=3).build(8)
    given = batch(torch.rand(6, 3, 8, 8))
    moved = []
    for _ in range(3):
        network.zero_grad(set_to_none=True)
        network.loss(given)["loss"].backward()
        moved.append([p.grad is not None for p in network.decoder.parameters()])
        assert all(p.grad is not None for p in network.discriminator.parameters())
    assert [all(one) for one in moved] == [any(one) for one in moved] == [False, False, True]
    network.zero_grad(set_to_none=True)
    with held(network.discriminator):
        generator_loss(
            network.discriminator(network.decode(torch.zeros(2, 3))), "minimax"
        ).backward()
    assert all(p.grad is None for p in network.discriminator.parameters())
    assert all(p.requires_grad for p in network.discriminator.parameters())


def test_spectral_normalisation_keeps_the_gain_of_every_layer_at_one():
    with torch_stream(0, "test"):
        network = GAN(latent_dim=3, width=2, hidden=8, spectral_norm=True).build(8)
    for _ in range(30):
        network.discriminator(torch.rand(4, 3, 8, 8))
    for layer in network.discriminator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
            assert gain.item() == pytest.approx(1, abs=0.02)


def ring(size):
    angle = 2 * math.pi * torch.randint(8, (size,)) / 8
    return torch.stack([angle.cos(), angle.sin()], dim=1) * 2 + 0.05 * torch.randn(size, 2)


def modes(points):
    """How many of the eight have a hundredth of the points nearby."""
    centres = torch.tensor([[math.cos(a), math.sin(a)] for a in np.arange(8) * math.pi / 4]) * 2
    near = torch.cdist(points, centres.float()) < 0.3
    return int((near.float().mean(0) > 0.01).sum())


def ring_game(objective, seed, epochs=8, r1=0.1):
    """A game about points of the plane, as pictures of one pixel and two channels."""
    settings = GAN(latent_dim=4, objective=objective, r1=r1, rate=1.0)
    with torch_stream(seed, "ring"):
        generator = nn.Sequential(dense(4, 64, 64, 2), nn.Unflatten(1, (2, 1, 1)))
        judge = nn.Sequential(nn.Flatten(), dense(2, 64, 64, 1), nn.Flatten(0))
        network = GANNetwork(settings, nn.Identity(), generator, judge)
        given = [batch(ring(256)[:, :, None, None]) for _ in range(100)]
        recipe = Training(epochs=epochs, learning_rate=2e-3, weight_decay=0.0)
        fit(network, lambda _: given, recipe, len(given), CPU)
        with torch.no_grad():
            return network, network.eval().decode(torch.randn(2000, 4)).flatten(1)


def test_most_modes_of_a_ring_are_found():
    network, drawn = ring_game("non_saturating", seed=0)
    assert modes(drawn) >= 6
    with torch.no_grad(), torch_stream(0, "judged"):
        losses = network.loss(batch(ring(500)[:, :, None, None]))
    check_game({name: float(value) for name, value in losses.items()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spread": 0.01}, r"vary by 2.0% of what images do \(limit 5%\).*has collapsed"),
        ({"right": 1.0}, r"tells 100.0% of images and samples apart \(limit 99.9%\)"),
    ],
)
def test_a_game_that_is_over_is_refused(changes, message):
    losses = {"spread": 0.3, "spread_of_images": 0.5, "right": 0.9} | changes
    with pytest.raises(DivergedLossError, match=message):
        check_game(losses)


def test_without_an_encoder_nothing_can_be_asked_of_its_places():
    wanted = "gan draws images and has no encoder, so it gives no latents: set"
    with pytest.raises(ConfigError, match=wanted):
        GAN(latent_dim=3, width=2, hidden=8).build(8).encode(torch.rand(2, 3, 8, 8))
    with pytest.raises(ConfigError, match=wanted):
        RepresentationRecipe(model={"name": "gan"})
    RepresentationRecipe(model={"name": "gan", "encoder": "inverted"})
