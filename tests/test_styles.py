"""Random styles: nothing at strength zero in the mean, one camera for all, and repeatable."""

import torch

from debias.training.styles import SHARP, restyled, through


def images(count=6, side=16):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def styled(strength, seed=1, **kind):
    return restyled(images(), strength, torch.Generator().manual_seed(seed), **kind)


def test_views_stay_in_range_differ_and_come_again():
    found = styled(1.0)
    assert found.shape == (6, 3, 16, 16)
    assert ((found >= 0) & (found <= 1)).all()
    assert torch.equal(found, styled(1.0))
    assert not torch.equal(found, styled(1.0, seed=2))


def test_a_vanishing_strength_changes_next_to_nothing():
    assert (styled(1e-6) - images()).abs().max() < 0.02


def test_one_camera_treats_equal_images_alike_and_many_do_not():
    same = images()[:1].expand(4, -1, -1, -1)
    for together in (True, False):
        generator = torch.Generator().manual_seed(3)
        found = restyled(same, 0.5, generator, together=together)
        smooth = found.mean(dim=(2, 3))  # noise is each image's own
        assert (smooth.std(dim=0).max().item() < 0.01) is together


def test_a_window_of_the_middle_by_hand():
    """At zoom 1 and no width an image stays; at 1/2 the middle half fills the whole."""
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    width = torch.full((1, 1, 1), SHARP)
    torch.testing.assert_close(through(ramp, torch.ones(1, 1, 1), width), ramp, atol=0.02, rtol=0)
    found = through(ramp, torch.full((1, 1, 1), 0.5), width)[0, 0, 8]
    torch.testing.assert_close(found[[0, -1]], torch.tensor([3.75, 11.25]), atol=0.3, rtol=0)
