"""DRAW: filters that cut out and put back, and a bound that is summed over steps."""

import numpy as np
import pytest
import torch
from torch import nn

from debias.models import galleries
from debias.models.draw import DRAW, Attention, Grid
from debias.models.quality import bounds
from debias.models.quality.bounds import kl_to_standard_normal
from debias.seeding import torch_stream
from debias.training.batches import Batch
from debias.training.device import choose

SIDE, CPU = 9, choose("cpu", "float32")


def grid(first_row, first_column, size, variance, stride=1.0):
    steps = stride * torch.arange(size)
    rows, columns = (torch.tensor([[first]]) + steps for first in (first_row, first_column))
    return Grid(rows, columns, torch.tensor([variance]), SIDE)


def images(size=1, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(size, channels, SIDE, SIDE, generator=generator)


def built(**changes):
    small = {"latent_dim": 2, "steps": 3, "hidden": 8, "read": 3, "write": 4}
    with torch_stream(0, "test"):
        return DRAW(**small | changes).build(SIDE).eval()


def batch(size=5):
    rows = torch.arange(size)
    return Batch(image=images(size), label=rows % 2, index=rows)


def test_filters_without_variance_and_with_stride_one_cut_out_the_patch_and_put_it_back():
    whole, cut = images(), grid(2.0, 3.0, 4, 1e-12)
    patch = cut.read(whole)
    assert torch.equal(patch, whole[:, :, 2:6, 3:7])
    put = torch.zeros_like(whole)
    put[:, :, 2:6, 3:7] = patch
    assert torch.equal(cut.write(patch), put)
    assert cut.box().tolist() == [[2, 3, 5, 6]]


@pytest.mark.parametrize("variance", [0.01, 1.0, 30.0])
def test_writing_is_the_transpose_of_reading(variance):
    some, generator = grid(-1.3, 2.4, 5, variance, stride=1.7), torch.Generator().manual_seed(1)
    whole, patch = images(), torch.randn(1, 3, 5, 5, generator=generator)
    assert some.read(whole).shape == (1, 3, 5, 5)
    one, other = (some.read(whole) * patch).sum(), (whole * some.write(patch)).sum()
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    # A mean of pixels: of an image that is one colour, that colour.
    torch.testing.assert_close(
        some.read(torch.full_like(whole, 0.3)), torch.full((1, 3, 5, 5), 0.3)
    )


def test_attention_at_rest_spans_the_image_and_moves_by_half_a_side():
    head = Attention(2, 3, SIDE)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        found, intensity = head(torch.zeros(1, 2))
        assert found.rows.tolist() == found.columns.tolist() == [[0, 4, 8]]
        assert (found.variance.item(), intensity.item()) == (1, 1)
        # Row at the last pixel, half the stride, twice the intensity.
        head.parameters_of.bias.copy_(torch.tensor([1, 0, 0, 0.5, 2]).log().nan_to_num(neginf=0))
        head.parameters_of.bias[0] = 1
        found, intensity = head(torch.zeros(1, 2))
    assert found.rows[0].tolist() == pytest.approx([6, 8, 10])
    assert found.columns[0].tolist() == pytest.approx([2, 4, 6])
    assert intensity.item() == pytest.approx(2)


class Plain(nn.Module):
    """A network as the bounds see any other: one encoder, asked once."""

    def __init__(self, network):
        super().__init__()
        self.network, self.values, self.continuous = network, network.values, network.continuous
        self.encode, self.decode = network.encode, network.decode
        self.reconstruction = network.reconstruction


def test_one_step_without_attention_has_the_bound_of_a_plain_vae():
    network, data = built(steps=1, attention=False), batch()
    for bound in (bounds.evidence, bounds.importance_weighted):
        own, plain = (
            bound(one, [data], torch.Generator().manual_seed(2), samples=3)
            for one in (network, Plain(network).eval())
        )
        np.testing.assert_allclose(own.bound, plain.bound, rtol=1e-6)
    assert own.error == pytest.approx(plain.error)


def test_the_bound_adds_up_the_divergence_of_every_step_given_the_draws_before_it():
    network, data = built(), batch()
    found = bounds.evidence(network, [data], torch.Generator().manual_seed(2))
    noise = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    mean, log_var = network.unfold(data.image, noise)
    steps = [kl_to_standard_normal(mean[:, t : t + 2], log_var[:, t : t + 2]) for t in (0, 2, 4)]
    np.testing.assert_allclose(found.kl, sum(steps).detach(), rtol=1e-5)
    z = mean + (log_var / 2).exp() * noise
    expected = network.reconstruction(data.image, network.decode(z)).detach()
    np.testing.assert_allclose(found.reconstruction, expected, rtol=1e-5)
    # Later steps know what was drawn, the first one cannot.
    calm = network.encode(data.image).mean
    torch.testing.assert_close(mean[:, :2], calm[:, :2])
    assert (mean[:, 2:] - calm[:, 2:]).abs().max() > 1e-4


@pytest.mark.parametrize("changes", [{}, {"attention": False}, {"grey": True}])
def test_the_canvas_grows_step_by_step_into_what_is_decoded(changes):
    network, data = built(**changes), batch()
    with torch.no_grad():
        canvases, boxes = network.course(data.image)
        z = network.encode(data.image).mean
        assert z.shape == (5, 6)
        torch.testing.assert_close(canvases[-1], network.decode(z))
    assert canvases.shape == (3, 5, 3, SIDE, SIDE)
    if changes.get("attention", True):
        assert [one.shape for one in boxes] == [(3, 5, 4)] * 2
    else:
        assert boxes is None
    sheet = galleries.course(network, data, CPU)
    assert sheet.shape == (10, 3, SIDE, SIDE, 3)
    red = (sheet == galleries.FRAME).all(axis=-1).any(axis=(2, 3))
    assert (red == changes.get("attention", True)).all()
