"""Rarity in several views at once."""

import numpy as np

from debias.density import HistogramDensity, combined, rarity
from debias.statistics.areas import area_under_curve
from debias.types import Latents, Rarity

IDS = np.arange(400).astype(str)


def test_ranks_by_hand_within_classes():
    labels = np.array([0, 0, 0, 1])
    views = {
        "one": Rarity(sample_ids=IDS[:4], score=np.array([1.0, 5.0, 5.0, 0.0])),
        "two": Rarity(sample_ids=IDS[:4], score=np.array([30.0, 10.0, 20.0, 9.0])),
    }
    expected = [1 / 3 + 1, 2.5 / 3 + 1 / 3, 2.5 / 3 + 2 / 3, 2.0]
    np.testing.assert_allclose(combined(views, labels).score, expected)
    everywhere = combined(views, labels, "all").score
    np.testing.assert_allclose(everywhere[3], 1 / 4 + 1 / 4)


def test_a_single_view_keeps_its_score():
    only = Rarity(sample_ids=IDS, score=np.random.default_rng(0).normal(size=400))
    assert combined({"one": only}, np.zeros(400, dtype=np.int64)) is only


def test_a_part_that_is_rare_in_both_views_stands_out_more():
    generator = np.random.default_rng(0)
    rare = np.arange(400) < 40
    labels = np.zeros(400, dtype=np.int64)
    views = {}
    for name in ("one", "two"):
        z = generator.normal(size=(400, 3)) + 2.5 * rare[:, None]
        views[name] = rarity(
            HistogramDensity(components=1), Latents(sample_ids=IDS, mean=z), labels, alpha=0.01
        )
    found = combined(views, labels)

    def area(score) -> float:
        return area_under_curve(score[rare], score[~rare]).value

    assert area(found.score) > max(area(view.score) for view in views.values())
    assert {"one outside", "two outside", "dropped_dimensions"} <= set(found.about)
