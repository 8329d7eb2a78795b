"""Rarity and correlation without annotation, by the errors of a plain model."""

import numpy as np
import pytest

from debias.auditing.unannotated import (
    against_the_label,
    diagnose_unannotated,
    explained,
    matched,
)

N = 1600


def asked(look, sign=1.0, seed=0):
    """The look is in the latents, and the label (or its opposite) in one noisy pixel."""
    generator = np.random.default_rng(1)
    latents = np.column_stack([look + 0.5 * generator.standard_normal(N), *NOISE])
    pixels = generator.integers(100, 140, (N, 2, 2, 3))
    signal = sign * (2 * LABEL - 1) + 0.6 * generator.standard_normal(N)
    pixels[:, 0, 0, 0] = (120 + 40 * signal).clip(0, 255)
    return diagnose_unannotated(latents, pixels.astype(np.uint8), LABEL, seed)


LABEL, ROW = np.arange(N) % 2, np.arange(N) // 2
FEW = ROW % 20 == 0  # a twentieth of each class
AGAINST = ROW % 10 == 0
NOISE = np.random.default_rng(0).standard_normal((4, N))
PLAIN = np.random.default_rng(2).integers(0, 256, (N, 2, 2, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("look", "sign", "reading"),
    [
        (np.where(ROW % 2, 4, -4), 1.0, "cannot_tell"),
        (np.where(FEW, 6, -2), np.where(FEW, -1, 1), "rarity"),  # few, and otherwise labelled
        (np.where((LABEL == 1) ^ AGAINST, 4, -4), 0.2, "correlation"),  # nine of ten go with it
    ],
)
def test_readings(look, sign, reading):
    found = asked(look, sign)
    reason = "nothing_stands_out" if reading == "cannot_tell" else ""
    assert (found.reading, found.reason) == (reading, reason)
    assert found.errors.images < 0.12
    assert found.errors.chance < 0.15
    assert (found.errors.against > 0.5) == (reading == "correlation")
    assert found == asked(look, sign)
    assert asked(look, sign, seed=2**63 - 1).reading == reading


def test_what_latents_do_not_show_is_not_found():
    """The same rare part without its look."""
    assert asked(np.zeros(N), np.where(FEW, -1, 1)).reason == "nothing_stands_out"


def test_latents_that_show_the_label_cannot_tell_it_from_a_look():
    """Two classes that lie apart and overlap: what errs lies with the other class, and no more."""
    latents = np.column_stack([2.0 * LABEL + 0.6 * NOISE[0], *NOISE[1:]])
    found = diagnose_unannotated(latents, PLAIN, LABEL, 0)
    assert (found.reading, found.reason) == ("cannot_tell", "shows_the_label")
    assert found.errors.told.value > 0.6


def test_too_little_cannot_tell():
    latents = np.stack(NOISE, axis=1)

    def reason(latents, labels=LABEL):
        found = diagnose_unannotated(latents, PLAIN[: len(labels)], labels, 0)
        assert found.reading == "cannot_tell"
        return found.reason

    assert reason(latents, 0 * LABEL) == "single"
    assert reason(latents[:30], LABEL[:30]) == "too_few"
    assert reason(latents[:, :0]) == "no_latents"
    assert reason(latents) == "errs_too_often"
    assert reason(latents, np.where(ROW % 10 == 0, LABEL, 0)) == "errs_too_often"  # it guesses 0
    assert reason(np.ones((60, 2)), LABEL[:60]) == "errs_too_often"
    assert reason(np.column_stack([5.0 * LABEL, latents])) == "too_few_errors"


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


def test_images_are_matched_with_as_many_of_their_cluster():
    clusters = np.repeat([0, 1, 2], [10, 4, 6])
    codes = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    against = np.isin(np.arange(20), [0, 1, 10, 11, 12])
    rows = matched(clusters, codes, against, np.random.default_rng(0))
    assert sorted(rows[against[rows]]) == sorted([0, 1, *rows[(rows >= 10) & (rows < 13)]])
    assert np.bincount(clusters[rows]).tolist() == [4, 2]  # one other in the second cluster
    assert len(set(rows)) == len(rows)
