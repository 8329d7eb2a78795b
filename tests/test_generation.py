"""Pictures from latents, checked by a decoder whose every pixel can be computed by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import make_store
from torch import nn

from debias.models import ConvVAE, encoding
from debias.models import galleries as generation
from debias.training.batches import Batch, Batches
from debias.training.device import choose
from debias.training.loop import Training, fit
from debias.types import FaceStore, Latents, ShardedImages

CPU = choose("cpu", "float32")
SIDE = 16
GREY = 0.5


def linear(slopes, sigma=0.1):
    """Every pixel is 0.5 + slopes @ z; every posterior is N(0.25, 0.5) in every dimension."""
    k = len(slopes)
    model = ConvVAE(latent_dim=k, width=2, hidden=8, likelihood="gaussian_fixed", sigma=sigma)
    network = model.build(SIDE)
    out = nn.Linear(k, 3 * SIDE * SIDE)
    network.decoder = nn.Sequential(out, nn.Unflatten(1, (3, SIDE, SIDE)))
    last = network.encoder[-1]
    with torch.no_grad():
        out.weight.copy_(torch.tensor(slopes).expand(3 * SIDE * SIDE, k))
        out.bias.fill_(GREY)
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.25] * k + [math.log(0.5)] * k))
    return network.eval()


def level(*slopes_times_z):
    return 255 * min(max(GREY + sum(slopes_times_z), 0), 1)


def levels(expected):
    """Grey levels up to rounding."""
    return pytest.approx(np.array(expected), abs=0.51)


def flat(picture):
    """The one grey level of each picture; refuses pictures that are not flat."""
    values = picture.reshape(*picture.shape[:-3], -1)
    assert (values == values[..., :1]).all()
    return values[..., 0].astype(float)


def batch(values):
    image = torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE)
    count = torch.zeros(len(values), dtype=torch.int64)
    return Batch(image=image, label=count, index=count)


def test_decoding_gives_the_expected_grey_level_in_every_block_and_clips():
    z = np.array([[0.0], [1.0], [-10.0], [10.0]])
    assert flat(generation.decode(linear([0.2]), z, CPU)) == levels([level(), level(0.2), 0, 255])
    many = np.linspace(-1, 1, 2 * generation.AT_ONCE + 3)[:, None]
    drawn = flat(generation.decode(linear([0.2]), many, CPU))
    assert drawn == levels([level(0.2 * z) for z in many[:, 0]])


def test_a_reconstruction_is_the_decoded_posterior_mean():
    found = generation.reconstruct(linear([0.2]), batch([0.1, 0.9]), CPU)
    assert flat(found) == levels([level(0.05)] * 2)


def test_a_walk_goes_in_equal_steps_and_beyond_by_a_share_of_the_way():
    network = linear([0.2, 0.0])
    start, end = np.array([-1.0, 5.0]), np.array([1.0, -5.0])
    there = flat(generation.walk(network, start, end, 3, CPU))
    assert there == levels([level(-0.2), level(), level(0.2)])
    beyond = flat(generation.walk(network, start, end, 4, CPU, beyond=0.5))
    assert beyond == levels([level(-0.2), level(), level(0.2), level(0.4)])


def test_a_walk_into_a_region_leads_from_the_others_mean_through_its_own():
    mean = np.array([[0.0], [0.2], [1.0], [1.2]])
    inside = np.array([False, False, True, True])
    drawn = flat(generation.walk_into(linear([0.2]), mean, inside, 4, CPU))
    assert drawn == levels([level(0.2 * z) for z in (0.1, 0.6, 1.1, 1.6)])


@pytest.mark.parametrize("inside", [[True, True], [False, False]])
def test_a_region_of_all_or_of_nothing_has_no_way_into_it(inside):
    with pytest.raises(ValueError, match="of 2 images are inside"):
        generation.walk_into(linear([0.2]), np.zeros((2, 1)), np.array(inside), 3, CPU)


def test_a_line_along_a_direction_runs_between_percentiles_whatever_its_length_is():
    mean = np.array([[-1.0, 7.0], [0.0, 7.0], [1.0, 7.0]])
    low, high = np.percentile([-1, 0, 1], [1, 99])
    expected = [level(0.2 * low, 0.07), level(0.07), level(0.2 * high, 0.07)]
    for length in (1.0, 30.0):
        direction = np.array([length, 0.0])
        drawn = generation.along(linear([0.2, 0.01]), mean, direction, CPU, steps=3)
        assert flat(drawn) == levels(expected)


def test_a_direction_without_length_is_refused():
    with pytest.raises(ValueError, match="length 0"):
        generation.along(linear([0.2]), np.ones((3, 1)), np.zeros(1), CPU)


def test_a_traversal_moves_one_dimension_and_a_constant_one_stays_where_it_is():
    mean = np.array([[-1.0, 2.0], [1.0, 2.0]], np.float32)
    drawn = flat(generation.traverse(linear([0.2, 0.05]), mean, [1, 0], CPU, steps=3))
    still, moved = drawn
    assert still == levels([level(0.1)] * 3)
    reach = 0.98
    assert moved == levels([level(0.1 - 0.2 * reach), level(0.1), level(0.1 + 0.2 * reach)])


def test_the_sheet_of_two_dimensions_is_the_gaussian_quantile_grid_with_the_second_upwards():
    mean = np.random.default_rng(0).normal(3, 9, (50, 2))  # where the images lie plays no part
    tick = 1.6448536  # 95% quantile of N(0, 1)
    drawn = flat(generation.manifold(linear([0.1, 0.03]), mean, 3, CPU))
    assert drawn == levels(
        [[level(0.1 * x, 0.03 * y) for x in (-tick, 0, tick)] for y in (tick, 0, -tick)]
    )


def test_the_sheet_of_one_dimension_is_one_row():
    drawn = flat(generation.manifold(linear([0.1]), np.zeros((4, 1)), 3, CPU))
    assert drawn == levels([[level(-0.16448536), level(), level(0.16448536)]])


def test_the_sheet_of_more_dimensions_lies_in_the_plane_of_largest_spread():
    wide, narrow = np.linspace(-3, 3, 20), np.linspace(-1, 1, 20)
    mean = np.zeros((400, 4))
    mean[:, 2], mean[:, 0] = np.repeat(wide, 20) + 1, np.tile(narrow, 20)
    mean[:, 3] = 1.0
    drawn = flat(generation.manifold(linear([0.2, 0.5, 0.02, 0.04]), mean, 5, CPU))
    ticks = np.linspace(0.05, 0.95, 5)
    across = np.quantile(mean[:, 2], ticks)
    upwards = np.quantile(mean[:, 0], ticks)[::-1]
    assert drawn == levels([[level(0.2 * y, 0.02 * x, 0.04) for x in across] for y in upwards])


def test_principal_directions_are_sorted_unit_vectors_with_a_sign_that_is_theirs():
    mean = np.array([[-2.0, 0, 0], [2, 0, 0], [0, -1, 0], [0, 1, 0]]) - 5
    axes, variance = generation.principal_directions(mean)
    assert axes == pytest.approx(np.eye(3))
    assert variance == pytest.approx([2, 0.5, 0])
    flipped, _ = generation.principal_directions(-mean)
    assert flipped == pytest.approx(np.eye(3))


def test_directions_and_sheet_exist_where_all_images_lie_in_one_place():
    network, mean = linear([0.2, 0.2, 0.2]), np.full((1, 3), 0.1)
    assert np.isfinite(generation.principal_directions(mean)[0]).all()
    assert flat(generation.manifold(network, mean, 2, CPU)) == levels(np.full((2, 2), level(0.06)))


def test_an_attribute_vector_is_the_difference_of_means_and_ignores_everyone_else():
    mean = np.array([[1.0, 0], [3.0, 0], [0, 4.0], [99, 99]], np.float32)
    has, lacks = np.array([1, 1, 0, 0], bool), np.array([0, 0, 1, 0], bool)
    vector = generation.attribute_vector(mean, has, lacks)
    assert vector.tolist() == [2.0, -4.0]
    drawn = generation.shifted(linear([0.1, 0.01]), mean[:2], vector, (0.0, 0.5, 1.0), CPU)
    assert flat(drawn) == levels(
        [[level(0.1 * (x + s * 2), -0.01 * s * 4) for s in (0, 0.5, 1)] for x in (1, 3)]
    )


def test_prior_samples_are_the_generators_normal_numbers():
    network = linear([0.01, 0.02])
    z = np.random.default_rng(7).standard_normal((6, 2))
    drawn = generation.prior_samples(network, (6, 2), np.random.default_rng(7), CPU)
    assert np.array_equal(drawn, generation.decode(network, z, CPU))


def test_posterior_samples_lie_around_the_images_as_widely_as_the_posterior_says():
    mean = np.array([[-1.0], [1.0]], np.float32)

    def draw(log_var):
        latents = Latents(sample_ids=np.array(["a", "b"]), mean=mean, log_var=log_var)
        generator = np.random.default_rng(3)
        return np.array(
            flat(generation.posterior_samples(linear([0.1]), latents, 2000, generator, CPU))
        )

    assert set(draw(None)) == {round(level(-0.1)), round(level(0.1))}
    spread = draw(np.full((2, 1), math.log(0.25), np.float32)) / 255 - GREY
    assert spread.mean() == pytest.approx(0, abs=0.01)
    assert spread.var() == pytest.approx(0.01 * (1 + 0.25), rel=0.1)


@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5),
    sigma=st.floats(0.05, 1.0),
)
@settings(max_examples=25, deadline=None)
def test_nats_are_the_negative_elbo_by_hand(values, sigma):
    pixels = 3 * SIDE * SIDE
    drawn = GREY + 0.2 * 0.25
    kl = 0.5 * (0.25**2 + 0.5 - 1 - math.log(0.5))
    expected = [
        pixels * ((x - drawn) ** 2 / (2 * sigma**2) + 0.5 * math.log(2 * math.pi * sigma**2)) + kl
        for x in values
    ]
    found = encoding.nats(linear([0.2], sigma), [batch(values)], CPU)
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=0.05)


def test_nats_do_not_depend_on_order_batches_or_the_state_of_torch(store):
    network = ConvVAE(latent_dim=3, width=2, hidden=8).build(32).eval()
    rows = np.arange(40)
    whole = encoding.nats(network, Batches(store, 40, CPU.device).evaluate(rows), CPU)
    torch.manual_seed(99)
    parts = encoding.nats(network, Batches(store, 7, CPU.device).evaluate(rows[::-1].copy()), CPU)
    assert whole == pytest.approx(parts[::-1], rel=1e-6)


def test_the_image_unlike_all_others_is_explained_best_before_training_and_worst_after():
    plain, odd = make_store(64, SIDE), 37
    light = np.random.default_rng(0).uniform(-15, 15, 64)
    images = np.full((64, SIDE, SIDE, 3), 128.0) + light[:, None, None, None]
    images[:, :, : SIDE // 2] -= 60  # every face has a dark and a light side
    images[:, :, SIDE // 2 :] += 60
    images[odd] = 128  # which is what a network that has learned nothing draws
    store = FaceStore(
        images=ShardedImages([images.astype(np.uint8)]),
        samples=plain.samples,
        classes=plain.classes,
        attributes=(),
        label=plain.label,
    )
    torch.manual_seed(0)
    network = ConvVAE(latent_dim=2, width=2, hidden=16).build(SIDE)
    batches, order = Batches(store, 16, CPU.device), np.random.default_rng(0)
    rows, views = np.arange(64), torch.Generator()
    assert encoding.nats(network.eval(), batches.evaluate(rows), CPU).argmin() == odd
    recipe = Training(epochs=15, batch_size=16, learning_rate=0.01)
    fit(network.train(), lambda _: batches.train(order.permutation(64), views), recipe, 4, CPU)
    found = encoding.nats(network.eval(), batches.evaluate(rows), CPU)
    assert found.argmax() == odd
    assert found[odd] > np.sort(found)[-2] + 500


def test_a_network_in_training_mode_is_refused_by_everything_that_runs_it():
    network = linear([0.2]).train()
    images = batch([0.5])
    for run in (
        lambda: generation.decode(network, np.zeros((1, 1)), CPU),
        lambda: generation.reconstruct(network, images, CPU),
        lambda: encoding.nats(network, [images], CPU),
        lambda: encoding.posterior(network, [images], CPU),
        lambda: encoding.scores(network, [images], CPU),
    ):
        with pytest.raises(ValueError, match="training mode"):
            run()
