"""The network of the DB-VAE, and each fault that its public versions are known for."""

from itertools import product

import numpy as np
import pytest
import torch
from small_store import make_store
from test_training import CPU, train
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from debias.errors import ConfigError
from debias.models import encoding
from debias.models.convolutions import _doubled
from debias.models.db_vae import DBVAENetwork
from debias.seeding import torch_stream
from debias.training.batches import Batch, Batches
from debias.training.loop import Training
from debias.training.objectives.db_vae import DBVAE

SMALL = {"latent_dim": 3, "width": 4, "hidden": 16}


def built(classes=2, side=32, seed=0, **settings):
    with torch_stream(seed, "test"):
        return DBVAENetwork(DBVAE(**SMALL | settings), classes, side)


def batch(*labels, side=32):
    """Positives bright, negatives dark: their reconstructions cost differently."""
    label = torch.tensor(labels)
    with torch_stream(0, "batch"):
        image = 0.3 * torch.rand(len(label), 3, side, side) + 0.6 * label[:, None, None, None]
    return Batch(image=image, label=label, index=torch.arange(len(label)))


def with_posterior(network, mean, log_var):
    """The same posterior for every image."""
    k = network.settings.latent_dim
    with torch.no_grad():
        network.encoder[-1].weight[-2 * k :] = 0
        network.encoder[-1].bias[-2 * k :] = torch.tensor([mean] * k + [log_var] * k)
    return network


def by_hand(network, images, seed):
    """Reconstruction and KL of each image, by torch's distributions; the same noise as a loss."""
    mean, log_var = network.encode(images)
    posterior = Normal(mean, (log_var / 2).exp())
    with torch_stream(seed, "noise"):
        z = mean + posterior.stddev * torch.randn_like(mean)
    pixels = Normal(network.decode(z), network.sigma2.sqrt())
    kl = kl_divergence(posterior, Normal(torch.zeros(()), torch.ones(())))
    return -pixels.log_prob(images).sum(dim=(1, 2, 3)), kl.sum(1)


def losses(network, given, seed=0):
    with torch_stream(seed, "noise"):
        return network.loss(given)


@pytest.mark.parametrize(("latent_of", "rows"), [("positives", [1, 3, 4]), ("all", range(6))])
def test_the_loss_is_a_mean_over_the_batch_of_sums_over_pixels_and_dimensions(latent_of, rows):
    network = built(latent_of=latent_of, c1=2.0, c2=0.5, c3=3.0).eval()
    given = batch(0, 1, 0, 1, 1, 0)
    found = losses(network, given)
    parts = by_hand(network, given.image[list(rows)], seed=0)
    # Over six images, though three are explained; a mask (6, 1) against (6,) would mix them all.
    reconstruction, kl = (part.sum() / 6 for part in parts)
    torch.testing.assert_close(found["reconstruction"], reconstruction)
    torch.testing.assert_close(found["kl"], kl)
    logit = network(given.image)[:, 1]
    classification = binary_cross_entropy_with_logits(logit, given.label.float())
    expected = 2 * classification + 0.5 * reconstruction + 3 * kl
    torch.testing.assert_close(found["loss"], expected)
    assert float(found["accuracy"]) == pytest.approx(
        float(((logit > 0) == given.label).float().mean())
    )


def test_the_mask_leaves_the_classification_of_negatives_alone():
    network = built(c2=0, c3=0).eval()
    given = batch(0, 0, 0, 1)
    expected = cross_entropy(network(given.image), given.label)
    torch.testing.assert_close(losses(network, given)["loss"], expected)
    assert losses(network, batch(0, 0))["loss"] > 0.1  # of negatives alone, too


def test_what_is_drawn_has_the_variance_that_the_divergence_reads():
    """exp(s) drawn as a standard deviation of which KL thinks that s is the log-variance."""
    network = with_posterior(built(side=8).train(), 0.5, float(np.log(9)))
    seen, plain = [], network.decode
    network.decode = lambda z: seen.append(z.detach()) or plain(z)
    given = batch(*[1] * 2000, side=8)
    found = losses(network, given)
    drawn = torch.cat(seen)
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.1)
    assert float(drawn.std()) == pytest.approx(3, rel=0.03)
    expected = 3 * kl_divergence(Normal(0.5, 3.0), Normal(0.0, 1.0))
    torch.testing.assert_close(found["kl"], expected)


def test_negatives_reach_neither_the_decoder_nor_the_latent_part():
    network = built(c1=1e-30)  # what is left of the gradient is that of the latent part
    given = batch(0, 1, 0, 1)
    images = given.image.clone().requires_grad_()
    network.eval()  # in training batch norm passes a little of every image to every other
    losses(network, Batch(image=images, label=given.label, index=given.index))["loss"].backward()
    size = images.grad.flatten(1).abs().sum(1)
    assert size[[0, 2]].max() < 1e-20
    assert size[[1, 3]].min() > 1e-6

    network = built().train()
    losses(network, batch(0, 0, 0, 0))["loss"].backward()
    assert all(parameter.grad is None for parameter in network.decoder.parameters())
    head = network.encoder[-1].weight.grad
    assert head[0].abs().sum() > 0  # the logit learns
    assert torch.equal(head[1:], torch.zeros_like(head[1:]))
    assert float(network.sigma2) == 1.0
    counted = [one for name, one in network.decoder.named_buffers() if "tracked" in name]
    assert counted
    assert not any(counted)  # no batch norm of the decoder has seen a negative


def test_sigma_is_learned_from_positives_alone():
    network, given = built().train(), batch(0, 1, 0, 1)
    decoded, plain = [], network.decode
    network.decode = lambda z: decoded.append(plain(z)) or decoded[-1]
    losses(network, given)
    error = (given.image[[1, 3]] - decoded[0]).square().mean().detach()
    assert float(network.sigma2) == pytest.approx(0.9 + 0.1 * float(error), rel=1e-5)


def test_every_parameter_receives_a_gradient_and_both_ways_have_their_shapes():
    network, given = built(), batch(0, 1, 0, 1, 1)
    losses(network, given)["loss"].backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in network.parameters())
    logits, places = network(given.image), network.encode(given.image)
    assert logits.shape == (5, 2)
    assert torch.equal(logits[:, 0], torch.zeros(5))
    assert [part.shape for part in places] == [(5, 3), (5, 3)]
    assert network.features(given.image).shape == (5, 16)
    drawn = network.decode(places.mean).detach()
    assert drawn.shape == given.image.shape
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
    kernels = [layer.kernel_size for layer in network.encoder if isinstance(layer, torch.nn.Conv2d)]
    assert kernels == [(5, 5)] * 4


def test_three_classes_have_their_logits_and_are_all_explained():
    network = built(classes=3, latent_of="all").eval()
    given = batch(0, 1, 2, 1)
    assert network(given.image).shape == (4, 3)
    torch.testing.assert_close(
        losses(network, given)["reconstruction"], by_hand(network, given.image, 0)[0].mean()
    )


def test_what_does_not_suit_is_refused():
    with pytest.raises(ConfigError, match=r"3 classes .* none of them .* set latent_of: all"):
        built(classes=3)
    with pytest.raises(ConfigError, match="db_vae needs an image size divisible by 4, got 30"):
        built(side=30)


def test_reweighting_sees_the_same_intensities_and_colours_as_training():
    """Images in 0..255 at one place and 0..1 at the other, or RGB here and BGR there."""
    store = make_store()
    store.images.shards[0][:] = (255, 0, 51)
    network, seen = built(), []
    network.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batches, rows = Batches(store, 16, CPU.device), store.rows("train")
    network.loss(next(iter(batches.train(rows, torch.Generator()))))
    encoding.posterior(network.eval(), batches.evaluate(rows[:16]), CPU)
    encoding.scores(network, batches.evaluate(rows[:16]), CPU)
    colours = torch.tensor([2.0, -2.0, -1.2])  # (intensity - 0.5) / 0.25
    assert len(seen) == 3
    for images in seen:
        torch.testing.assert_close(images, colours[None, :, None, None].expand(16, 3, 32, 32))


def test_it_learns_the_class_and_a_space_in_which_positives_differ(store):
    network = built(width=4, hidden=32, c2=1e-3, c3=1e-3)
    with torch_stream(0, "fit"):
        train(network, store, Training(epochs=20, batch_size=16, learning_rate=3e-3))
    network.eval()
    batches = Batches(store, 8, CPU.device)
    found = encoding.mean_losses(network, batches.evaluate(store.rows("test")), CPU)
    assert found["accuracy"] == 1
    assert found["reconstruction"] < -500  # of noise below 60 grey levels; nats, half are explained
    assert float(network.sigma2) ** 0.5 == pytest.approx(60 / 255 / 12**0.5, rel=0.25)


def test_pixels_shuffled_after_a_convolution_of_3_are_those_of_one_of_6_transposed():
    shuffled, _ = _doubled(4, 3, 3, bias=False)
    (transposed,) = _doubled(4, 3, 6, bias=False)
    with torch.no_grad():
        for out, a, b, dy, dx in product(range(3), *[range(2)] * 2, *[(-1, 0, 1)] * 2):
            # Of output (2 y + a, 2 x + b), the part that comes from input (y + dy, x + dx).
            found = transposed.weight[:, out, a + 2 - 2 * dy, b + 2 - 2 * dx]
            shuffled.weight[4 * out + 2 * a + b, :, dy + 1, dx + 1] = found
    images = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(torch.pixel_shuffle(shuffled(images), 2), transposed(images))
