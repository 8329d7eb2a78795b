"""Rarity and correlation without annotation, by the errors of a plain model."""

import numpy as np
import pytest

from debias.auditing.unannotated import against_the_label, diagnose_unannotated, explained

N = 1600


def asked(latents, labels, seed=0):
    """Beside latents pixels that say nothing."""
    pixels = np.random.default_rng(1).integers(0, 256, (len(labels), 2, 2, 3)).astype(np.uint8)
    return diagnose_unannotated(latents, pixels, labels, seed)


def points(look, sign=1.0, seed=0):
    """A look, the label with noise (or its opposite), and four directions that say nothing."""
    generator = np.random.default_rng(seed)
    label = np.arange(N) % 2
    signal = np.broadcast_to(sign, N) * (2 * label - 1) + 0.6 * generator.standard_normal(N)
    noise = generator.standard_normal((N, 4))
    spread = 0.5 * generator.standard_normal(N)
    return np.column_stack([look + spread, signal, noise]), label.astype(np.int64)


LABEL, ROW = np.arange(N) % 2, np.arange(N) // 2
FEW = ROW % 20 == 0  # a twentieth of each class
AGAINST = ROW % 10 == 0


@pytest.mark.parametrize(
    ("look", "sign", "reading"),
    [
        (np.where(ROW % 2, 4, -4), 1.0, "neither"),
        (np.where(FEW, 6, -2), np.where(FEW, -1, 1), "rarity"),  # few, and otherwise labelled
        (np.where((LABEL == 1) ^ AGAINST, 4, -4), 0.2, "correlation"),  # nine of ten go with it
    ],
)
@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_readings(look, sign, reading, seed):
    found = asked(*points(look, sign), seed)
    assert (found.reading, found.reason) == (reading, "")
    assert found.errors.images < 0.12
    assert found.errors.chance < 0.15
    assert (found.errors.against > 0.5) == (reading == "correlation")
    assert found == asked(*points(look, sign), seed)


def test_what_latents_do_not_show_is_not_found():
    """The same rare part without its look, and latents that know nothing of the label."""
    hidden = asked(*points(np.zeros(N), np.where(FEW, -1, 1)))
    assert hidden.reading == "neither"
    latents, labels = points(np.where(FEW, 6, -2), 0.0)
    assert asked(latents, labels).reason == "errs_too_often"
    assert asked(latents[:, :0], labels).reason == "no_latents"


def test_guessing_the_larger_class_is_no_knowledge():
    latents, labels = points(np.zeros(N), 0.0)
    few = np.where(ROW % 10 == 0, labels, 0)
    assert asked(latents, few).reason == "errs_too_often"


def test_too_little_cannot_tell():
    latents, labels = points(np.zeros(N))
    assert asked(latents, 0 * labels).reason == "single"
    assert asked(latents[:30], labels[:30]).reason == "too_few"
    assert asked(latents[:60], labels[:60]).reason == "too_few_errors"
    assert asked(np.ones((60, 2)), labels[:60]).reason == "errs_too_often"
    sure = np.column_stack([5.0 * labels, latents])
    assert asked(sure, labels).reason == "too_few_errors"


def test_pixels_are_seen_where_latents_know_nothing_of_the_label():
    """The look is in the latents, the label in one pixel."""
    latents, labels = points(np.where(FEW, 6, -2), 0.0)
    pixels = np.random.default_rng(1).integers(0, 60, (N, 2, 2, 3)).astype(np.uint8)
    pixels[:, 0, 0, 0] += (150 * (labels ^ FEW)).astype(np.uint8)
    assert diagnose_unannotated(latents[:, :1], pixels, labels, 0).reading == "rarity"


def test_errors_are_counted_on_the_half_that_did_not_choose():
    """Twenty cells of a hundred images; every error lies in one of them, or on chance rows."""
    clusters, codes = np.arange(2000) // 200, np.arange(2000) % 2
    wrong = (clusters == 3) & (codes == 1) & (np.arange(2000) % 4 == 1)
    found = explained(clusters, codes, wrong, np.random.default_rng(0))
    assert (found.share.count, found.share.size) == (50, 50)
    assert found.rate == 0.025
    assert 0.05 <= found.images < 0.12
    scattered = np.random.default_rng(1).random(2000) < 0.1
    found = explained(clusters, codes, scattered, np.random.default_rng(0))
    assert found.share.value == pytest.approx(found.chance, abs=0.06)


def test_a_class_is_uncommon_in_a_cluster_whatever_the_size_of_the_classes():
    """Cluster 0 holds 30 of 300 against 50 of 50: a tenth of one class, all of the other."""
    codes = np.repeat([0, 0, 1], [30, 270, 50])
    clusters = np.repeat([0, 1, 0], [30, 270, 50])
    assert against_the_label(clusters, codes).tolist() == [True] * 30 + [False] * 320
