import numpy as np
import pytest
import torch
from small_store import make_store
from torch import nn

from debias.errors import (
    ConfigError,
    DivergedLossError,
    NonFiniteLossError,
)
from debias.models import ConvClassifier, ConvVAE, encoding
from debias.models.vae import check_vae, vae_figures
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.training.batches import Augmentation, Batches
from debias.training.device import Compute, choose
from debias.training.loop import LossGuard, Training, fit, learning_rate
from debias.weighting.sampling import shuffled

CPU = Compute(torch.device("cpu"), torch.float32)


def train(network, store, training, compute=CPU, augmentation=None):
    """Fit to the training split; returns the mean loss of every epoch."""
    batches = Batches(store, training.batch_size, compute.device, augmentation)
    rows, views = store.rows("train"), torch_generator(0, "views")
    losses = []
    fit(
        compute.place(network),
        lambda epoch: batches.train(rows[shuffled(len(rows), numpy_generator(epoch, "o"))], views),
        training,
        len(rows) // training.batch_size,
        compute,
        lambda epoch, metrics: losses.append(metrics["loss"]),
    )
    return losses


def network(settings, *arguments, seed=0):
    with torch_stream(seed, "network"):
        return settings.build(*arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_classifier_learns_an_easy_task(store, dtype):
    compute = Compute(torch.device("cpu"), dtype)
    model = network(ConvClassifier(width=4), 2)
    with torch_stream(0, "fit"):
        losses = train(model, store, Training(epochs=12, batch_size=16), compute)
    assert losses[-1] < 0.3 * losses[0]
    found = encoding.mean_losses(
        model.eval(), Batches(store, 8, CPU.device).evaluate(store.rows("test")), CPU
    )
    assert found["accuracy"] == 1


def test_the_vae_learns_and_keeps_active_dimensions(store):
    model = network(ConvVAE(latent_dim=4, width=4, hidden=32), 32)
    with torch_stream(0, "fit"):
        losses = train(model, store, Training(epochs=20, batch_size=16, learning_rate=3e-3))
    assert losses[-1] < losses[0] - 1000  # nats
    mean, log_var = encoding.posterior(
        model.eval(), Batches(store, 8, CPU.device).evaluate(store.rows("train")), CPU
    )
    assert mean.shape == log_var.shape == (48, 4)
    figures = vae_figures(
        encoding.mean_losses(
            model, Batches(store, 8, CPU.device).evaluate(store.rows("validation")), CPU
        ),
        mean,
        3 * 32 * 32,
        0.1,
    )
    assert figures["active_units"] >= 1
    assert figures["elbo"] == pytest.approx(-(figures["reconstruction"] + figures["kl"]))
    check_vae(figures)


def test_the_same_seed_gives_the_same_weights_bit_by_bit(store):
    def once():
        with torch_stream(5, "run"):
            model = ConvClassifier(width=4).build(2)
            view = Augmentation(flip=True, shift=0.1, rotation=10, brightness=0.2)
            train(model, store, Training(epochs=2, batch_size=16), augmentation=view)
        return model.state_dict()

    first, second = once(), once()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_loss_that_is_not_finite_stops_training(store):
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def loss(self, batch):
            return {"loss": self.weight.sum() * float("nan")}

    with pytest.raises(NonFiniteLossError, match="loss is nan at step 0"):
        train(Broken(), store, Training(epochs=1, batch_size=16))


def test_a_finite_loss_far_above_the_first_epoch_has_diverged():
    guard = LossGuard()
    for loss in (-900.0, -1000.0, -1100.0):
        guard.check(0, loss, {})
    guard.end_epoch()
    guard.check(3, 90_000.0, {})
    with pytest.raises(
        DivergedLossError, match=r"loss is 1e\+05 at step 4, but -1000 in the first"
    ):
        guard.check(4, 100_000.0, {})


def test_saturation_is_refused_and_a_collapsed_posterior_is_counted():
    losses = {"reconstruction": 10.0, "kl": 0.0, "saturated": 0.0}
    dead = vae_figures(losses, np.zeros((50, 8), np.float32), 100, None)
    check_vae(dead)
    assert dead["active_units"] == 0
    alive = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    saturated = vae_figures(losses | {"saturated": 0.06}, alive, 100, None)
    with pytest.raises(DivergedLossError, match=r"6\.0% of the log-variances"):
        check_vae(saturated)


def test_collapse_is_noticed_on_images_without_content():
    """Identical images: there is nothing for the latents to say."""
    same = make_store()
    same.images.shards[0][:] = 128
    model = network(ConvVAE(latent_dim=4, width=4, hidden=32), 32)
    with torch_stream(0, "fit"):
        train(model, same, Training(epochs=3, batch_size=16))
    batches = Batches(same, 8, CPU.device)
    mean, _ = encoding.posterior(model.eval(), batches.evaluate(same.rows("train")), CPU)
    losses = encoding.mean_losses(model, batches.evaluate(same.rows("validation")), CPU)
    assert vae_figures(losses, mean, 3072, 0.1)["active_units"] == 0


def test_bits_per_dimension_by_hand():
    # A Bernoulli image at one bit per pixel, and a density of 1 per unit: 8 bits of 256 levels.
    losses = {"reconstruction": 100 * np.log(2), "kl": 0.0, "saturated": 0.0}
    mean = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    assert vae_figures(losses, mean, 100, None)["bits_per_dimension"] == pytest.approx(1)
    even = losses | {"reconstruction": 0.0}
    assert vae_figures(even, mean, 100, 0.1)["bits_per_dimension"] == pytest.approx(8)


def test_order_and_batch_size_do_not_matter_to_the_scores(store):
    model = network(ConvClassifier(width=4), 2).eval()
    rows = store.rows("test")
    _, whole = encoding.scores(model, Batches(store, 64, CPU.device).evaluate(rows), CPU)
    _, turned = encoding.scores(
        model, Batches(store, 5, CPU.device).evaluate(rows[::-1].copy()), CPU
    )
    np.testing.assert_allclose(whole, turned[::-1], atol=1e-5)


def test_learning_rate_warms_up_and_falls_to_zero():
    rates = [learning_rate(step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(rates) == 1.0
    assert rates[-1] < 0.001
    assert np.all(np.diff(rates[5:]) < 0)


class TestAugmentation:
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def test_off_changes_nothing(self):
        view = Augmentation().apply(self.images, torch_generator(0, "a"))
        assert torch.equal(view, self.images)

    def test_a_flip_mirrors_some_images_exactly(self):
        view = Augmentation(flip=True).apply(self.images, torch_generator(0, "a"))
        for shown, image in zip(view, self.images, strict=True):
            same = torch.allclose(shown, image, atol=1e-5)
            mirrored = torch.allclose(shown, image.flip(-1), atol=1e-5)
            assert same != mirrored
        assert not torch.allclose(view, self.images, atol=1e-3)

    def test_a_shift_moves_no_further_than_declared(self):
        spot = torch.zeros(64, 3, 33, 33)
        spot[:, :, 16, 16] = 1
        view = Augmentation(shift=0.1).apply(spot, torch_generator(0, "a"))
        mass = view[:, 0] / view[:, 0].sum(dim=(1, 2), keepdim=True)
        places = torch.arange(33.0)
        moved = torch.stack([(mass.sum(1) * places).sum(1), (mass.sum(2) * places).sum(1)]) - 16
        assert moved.abs().max() <= 0.1 * 33 + 0.1
        assert moved.abs().max() > 0.05 * 33

    def test_brightness_stays_in_range(self):
        view = Augmentation(brightness=0.9).apply(self.images, torch_generator(0, "a"))
        assert view.min() >= 0
        assert view.max() <= 1
        assert not torch.allclose(view, self.images)


def test_an_absent_device_is_refused_by_name():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="'cuda' is not available"):
        choose("cuda")
    assert choose("auto").device.type in {"cpu", "mps"}
    assert choose("cpu", "float32").dtype == torch.float32
