"""Every registered density obeys the same laws; a new one is covered by being registered."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from debias.density import (
    DENSITIES,
    DensityEstimator,
    FittedDensity,
    Points,
    RatioDensity,
    active_dimensions,
    log_ratio,
    rarity,
)
from debias.errors import AllDimensionsInactiveError, DataError, WeightError
from debias.types import Latents

Z = np.random.default_rng(0).normal(size=(500, 5))
QUICK = {"ratio": {"repeats": 1, "features": "squares", "strength": 1.0}}
WEIGHTED = {"histogram", "aggregate"}
FITTED = [name for name in DENSITIES if name != "ratio"]


def settings(name):
    return DENSITIES[name](**QUICK.get(name, {}))


def points(z, **more) -> Points:
    """Points with a posterior as wide as a tenth of each column."""
    z = np.asarray(z, dtype=float)
    log_var = np.broadcast_to(2 * np.log(0.1 * z.std(axis=0) + 1e-300), z.shape)
    return Points(mean=z, log_var=log_var, **more)


def latents(z) -> Latents:
    known = points(z)
    ids = np.array([f"s{row}" for row in range(len(known))])
    return Latents(sample_ids=ids, mean=known.mean, log_var=known.log_var, encoder="test")


def scores(name, z) -> np.ndarray:
    """Log-rarity of the fitted points; for the ratio, how much a broad reference wants them."""
    z = z if isinstance(z, Points) else points(z)
    estimator = settings(name)
    if isinstance(estimator, RatioDensity):
        columns = z.array()
        noise = np.random.default_rng(7).normal(size=(300, z.width))
        broad = columns.mean(axis=0) + 2 * columns.std(axis=0) * noise
        return estimator.log_ratio(z, Points(mean=broad))
    return estimator.fit(z).log_rarity(z, alpha=0.01)


def awkward(kind) -> np.ndarray:
    generator = np.random.default_rng(3)
    return {
        "two points": lambda: Z[:2],
        "one dimension": lambda: Z[:, :1],
        "a constant column": lambda: np.column_stack([Z, np.full(len(Z), 3.0)]),
        "duplicates": lambda: np.repeat(Z[:25], 20, axis=0),
        "two places": lambda: np.repeat([[0.0, 0.0], [1.0, 1.0]], [90, 10], axis=0),
        "one far outlier": lambda: np.vstack([Z, np.full((1, 5), 1e9)]),
        "tiny": lambda: 1e-12 * Z + 3e-12,
        "huge": lambda: 1e12 * Z + 3e12,
        "mixed scales": lambda: Z * 10.0 ** np.array([-12, -6, 0, 6, 12]),
        "more dimensions than samples": lambda: generator.normal(size=(500, 2048)),
    }[kind]()


AWKWARD = (
    "two points",
    "one dimension",
    "a constant column",
    "duplicates",
    "two places",
    "one far outlier",
    "tiny",
    "huge",
    "mixed scales",
    "more dimensions than samples",
)


@pytest.mark.parametrize("name", DENSITIES)
class TestContract:
    def test_settings_survive_a_round_trip_and_cannot_be_changed(self, name):
        chosen = settings(name)
        assert type(chosen).model_validate(json.loads(chosen.model_dump_json())) == chosen
        assert chosen.name == name
        assert isinstance(chosen, DensityEstimator)
        with pytest.raises(ValidationError):
            chosen.name = "other"
        with pytest.raises(ValidationError):
            type(chosen)(unknown=1)

    def test_row_order_does_not_matter(self, name):
        order = np.random.default_rng(1).permutation(len(Z))
        expected = scores(name, Z)[order]
        np.testing.assert_allclose(scores(name, Z[order]), expected, rtol=1e-9, atol=1e-9)

    def test_the_same_input_gives_the_same_answer(self, name):
        np.testing.assert_array_equal(scores(name, Z), scores(name, Z))

    def test_input_is_left_alone(self, name):
        mean, log_var = Z.copy(), np.full(Z.shape, -4.0)
        lent = Points(mean=mean, log_var=log_var)
        scores(name, lent)
        np.testing.assert_array_equal(mean, Z)
        np.testing.assert_array_equal(log_var, -4.0)

    def test_a_far_region_is_rarer_than_a_common_one(self, name):
        crowd = np.vstack([np.zeros((1, 5)), Z, np.full((1, 5), 6.0)])
        found = scores(name, crowd)
        assert found[-1] > found[0]
        assert found[-1] > np.quantile(found, 0.99)

    @pytest.mark.parametrize("kind", AWKWARD)
    def test_scores_are_finite(self, name, kind):
        z = awkward(kind)
        found = scores(name, z)
        assert found.shape == (len(z),)
        assert found.dtype == np.float64
        assert np.isfinite(found).all()

    @pytest.mark.parametrize("power", [[-12] * 5, [12] * 5, [-12, -6, 0, 6, 12]])
    def test_scale_and_offset_do_not_matter(self, name, power):
        scaled = (Z + 3) * 10.0 ** np.array(power)
        # A posterior comes with the unit of its prior: only without one is the scale free.
        known = [points(z) if name == "aggregate" else Points(mean=z) for z in (Z, scaled)]
        expected, found = (scores(name, part) for part in known)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("z", [np.ones((1, 3)), np.ones((50, 3)), np.full((7, 2), 0.1)])
    def test_one_row_and_constant_input_are_refused(self, name, z):
        with pytest.raises(WeightError):
            scores(name, z)

    def test_chosen_rows_and_columns_count_alone(self, name):
        rows, columns = np.arange(0, 400, 2), np.array([0, 2, 3])
        known = points(Z)
        chosen = Points(mean=known.mean, log_var=known.log_var, rows=rows, columns=columns)
        part = np.ix_(rows, columns)
        alone = Points(mean=known.mean[part], log_var=known.log_var[part])
        np.testing.assert_allclose(scores(name, chosen), scores(name, alone), atol=1e-9)

    def test_single_precision_is_enough(self, name):
        known = points(Z)
        single = Points(mean=Z.astype(np.float32), log_var=known.log_var.astype(np.float32))
        rounded = Z.astype(np.float32).astype(float)
        double = Points(mean=rounded, log_var=known.log_var)
        np.testing.assert_allclose(scores(name, single), scores(name, double), atol=1e-4)

    def test_integer_weights_equal_repeated_rows_or_are_refused(self, name):
        times = np.random.default_rng(2).integers(1, 4, size=len(Z))
        known = points(Z)
        weighted = Points(mean=Z, log_var=known.log_var, weight=times.astype(float))
        if name not in WEIGHTED:
            with pytest.raises(WeightError, match="counts every sample once"):
                scores(name, weighted)
            return
        repeated = np.repeat(np.arange(len(Z)), times)
        written_out = Points(mean=Z, log_var=known.log_var, rows=repeated)
        expected = settings(name).fit(written_out).log_factors(known)
        found = settings(name).fit(weighted).log_factors(known)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", FITTED)
class TestFitted:
    def test_it_is_a_fitted_density_with_plain_facts(self, name):
        fitted = settings(name).fit(points(Z))
        assert isinstance(fitted, FittedDensity)
        assert json.loads(json.dumps(fitted.about)) == fitted.about

    def test_rarity_falls_with_density(self, name):
        fitted = settings(name).fit(points(Z))
        factors = fitted.log_factors(points(Z))
        assert factors.shape[0] == len(Z)
        by_density = factors.sum(axis=1) if factors.shape[1] == 1 else factors.min(axis=1)
        combine = "product" if factors.shape[1] == 1 else "max"
        found = fitted.log_rarity(points(Z), alpha=0.01, combine=combine)
        order = np.argsort(by_density)
        assert (np.diff(found[order]) <= 1e-12).all()

    def test_more_smoothing_is_more_even(self, name):
        fitted = settings(name).fit(points(Z))
        spreads = [np.ptp(fitted.log_rarity(points(Z), alpha=a)) for a in (0.001, 0.1, 10.0, 1e9)]
        assert spreads == sorted(spreads, reverse=True)
        assert spreads[-1] < 1e-6

    def test_refit_to_the_same_points_changes_nothing(self, name):
        fitted = settings(name).fit(points(Z))
        again = fitted.refit(points(Z))
        np.testing.assert_allclose(
            again.log_factors(points(Z)), fitted.log_factors(points(Z)), rtol=1e-12
        )
        assert again.about == fitted.about

    def test_refit_moves_the_density_and_keeps_its_frame(self, name):
        fitted = settings(name).fit(points(Z))
        moved = fitted.refit(points(0.1 * Z[:100] + 2))
        there, here = points(np.full((1, 5), 2.0)), points(np.zeros((1, 5)))
        near = moved.log_rarity(there, alpha=0.01) - fitted.log_rarity(there, alpha=0.01)
        far = moved.log_rarity(here, alpha=0.01) - fitted.log_rarity(here, alpha=0.01)
        assert near < 0 < far
        assert moved.outside(points(Z)) == fitted.outside(points(Z)) == 0

    def test_values_beyond_the_fitted_range_are_counted(self, name):
        fitted = settings(name).fit(points(Z))
        beyond = fitted.outside(points(np.vstack([np.zeros((1, 5)), np.full((1, 5), 50.0)])))
        assert 1 <= beyond <= 5


def test_inactive_dimensions_are_dropped_and_named():
    known = latents(Z * np.array([1, 0.05, 1, 0, 1]))
    assert active_dimensions(known).tolist() == [True, False, True, False, True]
    labels = np.zeros(len(Z), dtype=np.int64)
    found = rarity(DENSITIES["histogram"](), known, labels, alpha=0.01)
    alone = rarity(DENSITIES["histogram"](), latents(Z[:, [0, 2, 4]]), labels, alpha=0.01)
    assert found.about["dropped_dimensions"] == [1, 3]
    np.testing.assert_allclose(found.score, alone.score)
    with pytest.raises(AllDimensionsInactiveError, match="none of 5 latent dimensions"):
        rarity(DENSITIES["histogram"](), latents(0 * Z), labels, alpha=0.01)


@pytest.mark.parametrize("name", FITTED)
def test_each_class_is_measured_by_itself(name):
    labels = (np.arange(len(Z)) % 2).astype(np.int64)
    known = latents(Z + 100 * labels[:, None])
    found = rarity(settings(name), known, labels, alpha=0.01)
    for label in (0, 1):
        part = Points(mean=known.mean, log_var=known.log_var, rows=np.flatnonzero(labels == label))
        np.testing.assert_allclose(found.score[labels == label], scores(name, part))
    together = rarity(settings(name), known, labels, alpha=0.01, across="all")
    assert not np.allclose(together.score, found.score)


def wanted(mean) -> Latents:
    return Latents(sample_ids=np.arange(len(mean)), mean=mean)


@pytest.mark.parametrize("name", [name for name in DENSITIES if name != "aggregate"])
def test_what_the_reference_has_more_of_is_wanted(name):
    generator = np.random.default_rng(5)
    labels = np.zeros(len(Z), dtype=np.int64)
    # One direction that stands out from noise, along which the reference lies further on.
    known = latents(Z + 2 * generator.normal(size=(len(Z), 1)))
    same = generator.normal(size=(300, 5)) + 2 * generator.normal(size=(300, 1))
    found = log_ratio(settings(name), known, wanted(same + 3), labels, alpha=0.01).score
    assert np.corrcoef(found, known.mean.mean(axis=1))[0, 1] > 0.6
    even = log_ratio(settings(name), known, wanted(same), labels, alpha=0.01).score
    assert np.std(even) < 0.5 * np.std(found)


def test_a_reference_without_spread_does_for_all_but_the_aggregate():
    labels = np.zeros(len(Z), dtype=np.int64)
    further = replace(latents(Z), mean=Z + 1)
    with_spread = log_ratio(DENSITIES["aggregate"](), latents(Z), further, labels, alpha=0.01)
    assert np.corrcoef(with_spread.score, Z.sum(axis=1))[0, 1] > 0.3
    with pytest.raises(WeightError, match="posterior variance"):
        log_ratio(DENSITIES["aggregate"](), latents(Z), wanted(Z), labels, alpha=0.01)


@pytest.mark.parametrize("name", ["histogram", "ratio"])
@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        (np.ones((9, 4)), DataError, "the reference has 4 dimensions, the samples have 5"),
        (np.ones((1, 5)), WeightError, "holds 1 samples"),
    ],
)
def test_unusable_references_are_refused(name, reference, error, words):
    labels = np.zeros(len(Z), dtype=np.int64)
    with pytest.raises(error, match=words):
        log_ratio(settings(name), latents(Z), wanted(reference), labels, alpha=0.01)
