"""Every representation that is trained here obeys the same laws; and each its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from small_store import make_store
from torch import nn
from torch.distributions import Bernoulli, Normal

from debias.errors import ConfigError, DataError
from debias.models import (
    REPRESENTATIONS,
    ConvVAE,
    Decodes,
    Generates,
    KMeans,
    LectureAutoencoder,
    LinearAutoencoder,
    galleries,
)
from debias.models.autoencoder import squared_error
from debias.models.gan import GANNetwork
from debias.models.pca import PCA
from debias.models.quality.bounds import kl_to_standard_normal
from debias.seeding import torch_stream
from debias.storage.artifacts import Artifact, load_network, save
from debias.training.batches import Batch, Batches
from debias.training.condition import Condition
from debias.training.device import choose
from debias.training.loop import Training, fit, settle

SIDE, B = 28, 12
CPU = choose("cpu", "float32")
SMALL = {
    "conv_vae": {"latent_dim": 6},
    "conditional_vae": {"latent_dim": 6, "condition": "group"},
    "draw": {"latent_dim": 2, "steps": 3, "hidden": 64, "read": 5, "write": 7},
    "gan": {"latent_dim": 6, "hidden": 64, "encoder": "inverted", "rate": 0.1},
    "vae_gan": {"latent_dim": 6, "hidden": 64},
    "autoencoder": {"latent_dim": 6},
    "linear_autoencoder": {"latent_dim": 6},
    "pca": {"latent_dim": 6},
    "kmeans": {"clusters": 6},
}
GROUPS = Condition("group", ("a", "b"))
TRAINED = [name for name, model in REPRESENTATIONS.items() if model.trained]


def settings(name, **more):
    return REPRESENTATIONS[name](**SMALL.get(name, {}) | more)


def smooth(size=B, side=SIDE, seed=0) -> torch.Tensor:
    """Coarse random pictures, which a small network can learn."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(size, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, side, mode="bilinear")


def batch(model, images=None) -> Batch:
    images = smooth() if images is None else images
    rows = torch.arange(len(images))
    told = nn.functional.one_hot(rows % 2, 2).float() if model.told_column else None
    return Batch(image=images, label=rows % 2, index=rows, condition=told)


def built(model, side=SIDE, seed=0):
    with torch_stream(seed, "test"):
        return model.build(side, *([GROUPS] if model.told_column else []))


def learned(model, given, steps=150, side=SIDE):
    """Trained on one batch, as a run does it."""
    network = built(model, side)
    if any(True for _ in network.parameters()):
        recipe = Training(epochs=steps, batch_size=len(given.image), learning_rate=5e-3)
        with torch_stream(0, "noise"):
            fit(network, lambda _: [given], recipe, 1, CPU)
    settle(network, lambda _: [given], 0, CPU)
    return network


@pytest.mark.parametrize("model", [settings(name) for name in TRAINED], ids=TRAINED)
class TestTrainedRepresentationContract:
    def test_every_parameter_receives_a_gradient_and_losses_are_finite(self, model):
        network = built(model)
        losses = network.loss(batch(model))
        assert all(value.ndim == 0 and value.isfinite() for value in losses.values())
        if any(True for _ in network.parameters()):
            losses["loss"].backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name

    def test_the_same_seed_builds_the_same_network(self, model):
        one, same, other = built(model, seed=1), built(model, seed=1), built(model, seed=2)
        pairs = [zip(one.parameters(), two.parameters(), strict=True) for two in (same, other)]
        assert all(torch.equal(a, b) for a, b in pairs[0])
        assert not list(one.parameters()) or not all(torch.equal(a, b) for a, b in pairs[1])

    def test_one_batch_is_learned_by_heart_and_every_image_encoded_for_itself(
        self, model, tmp_path
    ):
        given = batch(model)
        network = learned(model, given)
        mean, log_var = network.encode(given.image, *given.told)
        assert mean.shape == (B, 32 if isinstance(model, LectureAutoencoder) else 6)
        assert mean.dtype == torch.float32
        assert log_var is None or log_var.shape == mean.shape
        again, _ = network.encode(given.image, *given.told)
        assert torch.equal(again, mean)
        rows = [slice(row, row + 1) for row in range(B)]
        alone = [network.encode(given.image[r], *(t[r] for t in given.told))[0] for r in rows]
        torch.testing.assert_close(torch.cat(alone), mean, atol=1e-4, rtol=1e-3)
        deviation = torch.square(given.image - given.image.mean(0)).flatten(1).sum(1).mean()
        if isinstance(network, Decodes):
            drawn = network.decode(mean, *given.told).detach()
            assert drawn.shape == (B, 3, SIDE, SIDE)
            assert -1 < float(drawn.min()) < float(drawn.max()) < 2
            seen = given.image
            if isinstance(model, LectureAutoencoder):  # it sees grey
                seen = seen.mean(1, keepdim=True).expand(-1, 3, -1, -1)
                deviation = torch.square(seen - seen.mean(0)).flatten(1).sum(1).mean()
            if isinstance(network, GANNetwork):  # it never sees an image: places are its own
                z = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
                found = network.encode(network.decode(z)).mean
                assert (found - z).square().sum() < 0.7 * z.square().sum()
            else:
                assert squared_error(seen, drawn).mean() < 0.7 * deviation
        else:
            assert network.loss(given)["loss"] < 0.8 * deviation
        save(tmp_path, {"network.safetensors": network})
        loaded = load_network(Artifact("representation", "k", tmp_path), built(model, seed=9))
        assert torch.equal(loaded.encode(given.image, *given.told)[0], mean)

    def test_a_likelihood_agrees_with_torch_distributions(self, model):
        network, given = built(model).eval(), batch(model)
        if not isinstance(network, Generates):
            assert not hasattr(network, "nats")
            return
        posterior = network.encode(given.image, *given.told)
        mean_image = network.decode(posterior.mean, *given.told)
        expected = Normal(mean_image, network.sigma2.sqrt()).log_prob(given.image).flatten(1).sum(1)
        torch.testing.assert_close(network.reconstruction(given.image, mean_image), -expected)
        nats = network.nats(given.image, *given.told)
        torch.testing.assert_close(nats, kl_to_standard_normal(*posterior) - expected)
        assert network.values == 3 * SIDE**2
        assert network.continuous


def test_a_grey_network_explains_one_channel_and_draws_three_equal_ones():
    network = built(ConvVAE(latent_dim=4, grey=True, likelihood="bernoulli")).eval()
    images = (smooth() > 0.5).float()[:, :1].expand(-1, 3, -1, -1)
    z = network.encode(images).mean
    drawn = network.decode(z)
    assert torch.equal(drawn[:, 0], drawn[:, 2])
    expected = Bernoulli(drawn[:, :1]).log_prob(images[:, :1]).flatten(1).sum(1)
    found = network.reconstruction(images, drawn)
    torch.testing.assert_close(found, -expected, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(network.encode(images[:, :1]).mean, z)
    assert network.values == SIDE**2
    assert not network.continuous


@pytest.mark.parametrize(("side", "least"), [(64, 4), (40, 5), (36, 9), (28, 7), (20, 5)])
def test_any_side_divisible_by_four_is_halved_as_often_as_it_goes(side, least):
    network = built(ConvVAE(width=2, hidden=8), side).eval()
    found = network.decode(network.encode(smooth(2, side)).mean)
    assert found.shape == (2, 3, side, side)
    (unflatten,) = (layer for layer in network.decoder if isinstance(layer, nn.Unflatten))
    assert unflatten.unflattened_size[1:] == (least, least)


def test_the_weight_of_the_divergence_rises_in_training_and_is_whole_in_evaluation():
    model = ConvVAE(latent_dim=4, beta=4.0, warm_up=4)
    network, given = built(model), batch(model)
    weights = []
    for _ in range(5):
        losses = network.loss(given)
        weights.append(float((losses["loss"] - losses["reconstruction"]) / losses["kl"]))
    assert weights == pytest.approx([1, 2, 3, 4, 4], rel=0.02)
    losses = built(model).eval().loss(given)
    assert float((losses["loss"] - losses["reconstruction"]) / losses["kl"]) == pytest.approx(
        4, 0.02
    )


@pytest.mark.parametrize(
    ("objective", "part"), [("reconstruction", "reconstruction"), ("kl", "kl")]
)
def test_either_part_of_the_bound_can_be_the_objective(objective, part):
    model = ConvVAE(latent_dim=4, objective=objective)
    network, given = built(model), batch(model)
    losses = network.loss(given)
    assert losses["loss"] == losses[part]
    losses["loss"].backward()
    unused = [p.grad is None for p in network.decoder.parameters()]
    assert all(unused) == any(unused) == (objective == "kl")


def test_points_are_no_divergence_where_nothing_holds_their_spread():
    losses = {"reconstruction": 1.0, "kl": 5e3, "saturated": 0.9}
    mean = np.ones((3, 4), dtype=np.float32)
    assert built(ConvVAE(latent_dim=4, beta=0)).figures(losses, mean)["saturated_log_var"] == 0.9
    assert built(ConvVAE(latent_dim=4, objective="reconstruction")).figures(losses, mean)


def test_sizes_after_every_layer_of_the_lecture_network():
    network = built(LectureAutoencoder()).eval()
    sides = {"encoder": [], "decoder": []}
    layers = (nn.Conv2d, nn.MaxPool2d, nn.ConvTranspose2d)
    for part, found in sides.items():
        for layer in getattr(network, part):
            if isinstance(layer, layers):
                layer.register_forward_hook(lambda *_, out=found: out.append(_[2].shape[-1]))
    drawn = network.decode(network.encode(torch.zeros(1, 1, 28, 28))[0])
    assert sides == {"encoder": [10, 5, 3, 2], "decoder": [5, 15, 28]}
    assert drawn.shape == (1, 3, 28, 28)
    assert network.encode(torch.zeros(1, 3, 28, 28))[0].shape == (1, 8 * 2 * 2)
    filters = [layer.out_channels for layer in network.encoder if isinstance(layer, nn.Conv2d)]
    assert filters == [16, 8]


def flat_images(size) -> tuple[torch.Tensor, np.ndarray]:
    """Images (size, 3, 4, 4) near a plane of three dimensions, whose columns (48, 3) are returned.

    They may leave [0, 1]: what is linear does not mind.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(48, 48, generator=generator))[0]
    spread = torch.tensor([0.6, 0.5, 0.4] + [0.03] * 45)
    values = 0.5 + (torch.randn(size, 48, generator=generator) * spread) @ directions
    return values.unflatten(1, (3, 4, 4)), directions[:3].T.numpy()


def angle(one, other) -> float:
    """Largest principal angle between two spaces of columns, degrees."""
    return float(np.degrees(subspace_angles(one, other).max()))


def linear_against_pca(images, k, epochs, rate) -> tuple[float, float]:
    """Angle of the encoder's and the decoder's plane to the principal one."""
    side = images.shape[-1]
    network, model = built(LinearAutoencoder(latent_dim=k), side), PCA(latent_dim=k)
    given = [batch(model, part) for part in torch.split(images, 128)]
    recipe = Training(epochs=epochs, batch_size=128, learning_rate=rate, weight_decay=0.0)
    fit(network, lambda _: given, recipe, len(given), CPU)
    principal = built(model, side)
    settle(principal, lambda _: given, 0, CPU)
    plane = principal.components.T.numpy()
    encoder, decoder = network.encoder[-1].weight, network.decoder[0].weight
    return angle(encoder.detach().numpy().T, plane), angle(decoder.detach().numpy(), plane)


def test_a_linear_autoencoder_spans_the_principal_subspace():
    images, plane = flat_images(512)
    found = linear_against_pca(images, 3, 90, 0.05)
    assert max(found) < 5
    principal = built(PCA(latent_dim=3), 4)
    settle(principal, lambda _: [batch(PCA(), images)], 0, CPU)
    assert angle(principal.components.T.numpy(), plane) < 5


def test_components_agree_with_a_decomposition_of_all_images_at_once():
    images, _ = flat_images(300)
    network = built(PCA(latent_dim=3), 4)
    parts = [batch(PCA(), part) for part in torch.split(images, 64)]  # the last has 44
    settle(network, lambda _: parts, 0, CPU)
    centred = images.flatten(1) - images.flatten(1).mean(0)
    expected = torch.linalg.svd(centred, full_matrices=False)[2][:3]
    assert angle(network.components.T.numpy(), expected.T.numpy()) < 5
    torch.testing.assert_close(network.mean, images.flatten(1).mean(0), atol=1e-5, rtol=1e-5)
    with pytest.raises(DataError, match="pca looks for 32 components, more than there are"):
        settle(built(PCA(), 4), lambda _: [batch(PCA(), images[:20])], 0, CPU)


def test_the_last_components_hardly_depend_on_the_order_of_the_images():
    images, k = smooth(512, 8), 6
    centred = images.flatten(1) - images.flatten(1).mean(0)
    expected = torch.linalg.svd(centred, full_matrices=False)[2][:k].T.numpy()
    for order in (torch.arange(512), torch.arange(512).flip(0)):
        network = built(PCA(latent_dim=k), 8)
        parts = [batch(PCA(), part) for part in torch.split(images[order], 64)]
        settle(network, lambda _, parts=parts: parts, 0, CPU)
        assert angle(network.components.T.numpy(), expected) < 20  # 70 and more without spare ones


def test_distances_lead_to_the_centres_of_what_is_apart():
    dark, light = 0.2 + 0.01 * smooth(40, 8), 0.8 + 0.01 * smooth(24, 8, seed=1)
    given = batch(KMeans(), torch.cat([dark, light]))
    network = built(KMeans(clusters=2), 8)
    settle(network, lambda _: [given], 0, CPU)
    distances, spread = network.encode(given.image)
    assert spread is None
    nearest = distances.argmin(1)
    assert len(set(nearest[:40].tolist())) == len(set(nearest[40:].tolist())) == 1
    assert nearest[0] != nearest[-1]
    centre = given.image[:40].flatten(1).mean(0)
    far = torch.linalg.vector_norm(given.image[-1].flatten() - centre)
    assert float(distances[-1, nearest[0]]) == pytest.approx(float(far), rel=0.02)
    with pytest.raises(DataError, match="kmeans looks for 32 clusters among 12 training images"):
        settle(built(KMeans(), 8), lambda _: [batch(KMeans(), smooth(12, 8))], 0, CPU)
    with pytest.raises(ConfigError, match="KMeansNetwork has no decoder, so it draws no images"):
        galleries.decode(network, distances.numpy(), CPU)


class TestConditionalVAE:
    model = settings("conditional_vae")

    def given(self):
        """Images whose brightness is the condition's doing; three in four of ``b``."""
        images, values = smooth(64), torch.arange(64) % 4 > 0
        told = nn.functional.one_hot(values.long(), 2).float()
        lit = 0.5 * images + 0.5 * values[:, None, None, None]
        return replace(batch(self.model, lit), condition=told)

    def test_the_share_of_the_condition_is_taken_out_and_the_bound_is_no_worse(self):
        given = self.given()
        network = built(self.model)
        fit(network, lambda _: [given], Training(epochs=40, batch_size=64), 1, CPU)
        network.eval()
        before = network.encode(given.image, *given.told)
        drawn = network.decode(before.mean, *given.told)
        settle(network, lambda _: [given], 0, CPU)
        after = network.encode(given.image, *given.told)
        for value in given.condition.T.bool():
            torch.testing.assert_close(after.mean[value].mean(0), torch.zeros(6), atol=1e-5, rtol=0)
            assert before.mean[value].mean(0).abs().max() > 1e-3
        kl = [float(kl_to_standard_normal(*one).mean()) for one in (before, after)]
        assert kl[1] < kl[0]
        torch.testing.assert_close(network.decode(after.mean, *given.told), drawn)

    def test_one_place_is_drawn_under_every_condition_and_under_the_commonest(self):
        given = self.given()
        network = learned(self.model, given)
        z = torch.zeros(1, 6)
        dark, light = (network.decode(z, torch.eye(2)[[value]]) for value in (0, 1))
        assert light.mean() > dark.mean() + 0.2
        assert torch.equal(network.decode(z), light)
        sheet = galleries.under_conditions(network, np.zeros((2, 6)), CPU)
        assert sheet.shape == (2, 2, SIDE, SIDE, 3)
        expected = [galleries.decode(network, z.numpy(), CPU, np.eye(2)[[v]])[0] for v in (0, 1)]
        np.testing.assert_array_equal(sheet[1], np.stack(expected))

    def test_it_uses_groups_unless_it_is_told_the_label(self):
        assert self.model.uses_groups("smiling")
        assert not self.model.uses_groups("group")
        assert not ConvVAE().uses_groups("smiling")


def test_a_condition_is_a_one_among_the_values_of_the_training_images():
    store = make_store()
    rows = np.array([0, 3])
    group = Condition.among(store, "group")
    assert group == GROUPS
    assert group.of(store, rows).tolist() == [[1, 0], [0, 1]]
    label = Condition.among(store, "brightness")
    assert label.values == ("dark", "bright")
    assert label.of(store, rows).tolist() == [[1, 0], [0, 1]]
    given = next(Batches(store, 4, CPU.device, condition=group).evaluate(rows))
    assert given.condition.tolist() == [[1, 0], [0, 1]]
    assert Batches(store, 4, CPU.device).evaluate(rows).__next__().told == ()


def test_a_condition_that_is_none_is_refused():
    store = make_store(size=2000)
    with pytest.raises(
        DataError, match=r"no column 'age' .* they have 'brightness', 'group': name"
    ):
        Condition.among(store, "age")
    many = store.samples.assign(group=[f"g{row % 500:03d}" for row in range(2000)])
    with pytest.raises(DataError, match=r"500 different values among 1000 .* needs 2 to 100"):
        Condition.among(replace(store, samples=many), "group")
    one = replace(store, samples=store.samples.assign(group="a"))
    with pytest.raises(DataError, match="has 1 different values"):
        Condition.among(one, "group")
    with pytest.raises(DataError, match="values that the model was not trained with: 'g000'"):
        GROUPS.of(replace(store, samples=many), np.arange(1000, 2000))


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("conv_vae", 30, "conv_vae needs an image size divisible by 4, got 30; set image_size to"),
        ("conditional_vae", 30, "conditional_vae needs an image size divisible by 4, got 30"),
        ("autoencoder", 34, "autoencoder needs .* got 34; set image_size to 32 or 36"),
        ("lecture_autoencoder", 64, "lecture_autoencoder needs an image size of 28, got 64"),
    ],
)
def test_a_side_that_does_not_fit_is_refused(name, side, message):
    with pytest.raises(ConfigError, match=message):
        settings(name).require_size(side)
