"""The one call for anybody's embeddings: laws of the weights, targets, and every wrong input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import debias
from debias.density import HistogramDensity, NeighbourDensity, RatioDensity
from debias.errors import (
    AllDimensionsInactiveError,
    ConfigError,
    DataError,
    EmptyDatasetError,
    LabelError,
    NonFiniteLatentError,
    WeightError,
)
from debias.statistics.areas import auc_by_group
from debias.types import Latents

# How uneven small samples come out, and that they are small, is said by warnings tested below.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


IDS = np.array([f"s{row}" for row in range(300)])
QUICK_RATIO = RatioDensity(features="linear", strength=0.1, repeats=1)


def normal(rows=300, columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def planted(rows=4000, columns=20, share=0.05, shift=2.0, seed=0):
    """Samples of which a part is shifted in three dimensions, and who they are."""
    generator = np.random.default_rng(seed)
    member = generator.random(rows) < share
    z = generator.normal(size=(rows, columns))
    z[member, :3] += shift
    return z, member


class TestLaws:
    @settings(max_examples=15, deadline=None)
    @given(
        rows=st.integers(2, 80),
        columns=st.sampled_from([1, 2, 17, 2048]),
        exponent=st.integers(-12, 12),
        classes=st.integers(1, 3),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_weights_are_probabilities_at_any_width_and_scale(
        self, rows, columns, exponent, classes, seed
    ):
        generator = np.random.default_rng(seed)
        z = generator.normal(size=(rows, columns)) * 10.0**exponent
        labels = generator.integers(0, classes, rows)
        if len(np.unique(labels)) == rows:
            labels[:] = 0
        found = debias.latent_weights(z, labels)
        assert np.isfinite(found.probability).all()
        assert (found.probability >= 0).all()
        assert abs(found.probability.sum() - 1) < 1e-9
        for label in np.unique(labels):
            here = labels == label
            assert found.probability[here].sum() == pytest.approx(here.mean(), abs=1e-9)

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-12, 12), offset=st.floats(-5, 5))
    def test_rescaling_and_shifting_a_dimension_changes_nothing(self, seed, exponent, offset):
        z = normal(seed=seed)
        other = z.copy()
        other[:, 1] = (z[:, 1] + offset) * 10.0**exponent
        expected = debias.latent_weights(z).probability
        np.testing.assert_allclose(
            debias.latent_weights(other).probability, expected, rtol=1e-6, atol=1e-12
        )

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_row_order_does_not_matter(self, seed):
        z, labels = normal(seed=seed), np.arange(300) % 2
        order = np.random.default_rng(seed).permutation(300)
        expected = debias.latent_weights(z, labels).probability[order]
        found = debias.latent_weights(z[order], labels[order]).probability
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)

    @pytest.mark.parametrize("density", ["histogram", "knn", "mixture", "aggregate"])
    def test_the_same_run_twice_is_identical_and_leaves_the_input_alone(self, density):
        z = normal()
        spread = np.full_like(z, -3.0) if density == "aggregate" else None
        latents = debias.Latents(sample_ids=np.arange(300), mean=z.copy(), log_var=spread)
        first = debias.latent_weights(latents, density=density, seed=5)
        second = debias.latent_weights(latents, density=density, seed=5)
        np.testing.assert_array_equal(first.probability, second.probability)
        np.testing.assert_array_equal(latents.mean, z)

    def test_endless_smoothing_gives_uniform_weights(self):
        found = debias.latent_weights(normal(), alpha=1e300)
        np.testing.assert_allclose(found.probability, 1 / 300)
        near = debias.latent_weights(normal(), alpha=1e6, ess="published")
        np.testing.assert_allclose(near.probability, 1 / 300, rtol=1e-4)

    @pytest.mark.parametrize("ess", [0.2, 0.5, 0.9])
    def test_the_effective_sample_size_is_the_one_asked_for(self, ess):
        found = debias.latent_weights(normal(2000), np.arange(2000) % 3, ess=ess)
        assert found.ess == pytest.approx(ess, rel=0.01)

    def test_no_weight_exceeds_the_cap(self):
        z = normal(2000)
        z[:5] += 50
        found = debias.latent_weights(z, cap=3.0, ess=0.6)
        assert found.probability.max() * 2000 <= 3 * (1 + 1e-9)


class TestTargets:
    def reference(self, rows=1000):
        return planted(rows, share=0.5, seed=1)[0]

    @pytest.mark.parametrize("density", ["histogram", QUICK_RATIO], ids=["histogram", "ratio"])
    def test_an_unlabelled_reference_says_what_is_wanted(self, density):
        z, member = planted()
        found = debias.latent_weights(
            z, target="reference", reference=self.reference(), density=density
        )
        areas = auc_by_group(found.probability, np.zeros(len(z), int), member.astype(str))
        assert areas.set_index("group").loc["True", "auc"] > 0.9
        assert found.origin["target"] == "reference"

    @pytest.mark.parametrize("empty", [None, np.nan, ""])
    def test_unknown_groups_are_estimated_from_the_latents(self, empty):
        z, member = planted(shift=3.0)
        groups = np.where(member, "few", "many").astype(object)
        known = np.zeros(len(z), bool)
        for name in ("few", "many"):
            known[np.flatnonzero(groups == name)[:50]] = True
        groups[~known] = empty
        found = debias.latent_weights(z, target="groups", groups=groups)
        assert found.probability[member].sum() == pytest.approx(0.5, abs=0.1)
        assert found.origin["annotated"] == 100

    def test_numbers_may_name_groups_and_text_may_name_classes(self):
        numbered = debias.latent_weights(
            normal(6), list("xxxxyy"), target="groups", groups=[0, 0, 0, 1, 0, 1]
        )
        np.testing.assert_allclose(numbered.probability[3], 1 / 3)

    def test_the_description_shows_what_becomes_of_groups(self):
        z, member = planted()
        figures = debias.latent_weights(z).describe(np.where(member, "few", "many"))
        rows = figures["by_group"].set_index("group")
        assert rows.loc["few", "after"] > rows.loc["few", "random_high"]
        assert figures["ess"] == pytest.approx(0.5, rel=0.01)


class TestInput:
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, ">f8"])
    def test_any_real_type_gives_the_weights_of_its_values(self, kind):
        z = normal().astype(kind)
        expected = debias.latent_weights(z.astype(np.float64)).probability
        np.testing.assert_allclose(
            debias.latent_weights(z).probability, expected, rtol=1e-3, atol=1e-6
        )

    @pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint8, bool])
    def test_whole_numbers_are_numbers(self, kind):
        z = np.random.default_rng(0).integers(0, 2 if kind is bool else 9, (300, 4)).astype(kind)
        expected = debias.latent_weights(z.astype(np.float64)).probability
        np.testing.assert_array_equal(debias.latent_weights(z).probability, expected)

    def test_lists_frames_and_files_mapped_into_memory_in_any_order_of_columns(self, tmp_path):
        z = normal().astype(np.float32)
        np.save(tmp_path / "z.npy", z)
        mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
        expected = debias.latent_weights(z).probability
        for same in (z.tolist(), pd.DataFrame(z), np.asfortranarray(z), z[::-1][::-1], mapped):
            np.testing.assert_allclose(debias.latent_weights(same).probability, expected, rtol=1e-6)

    def test_latents_keep_their_sample_ids(self):
        found = debias.latent_weights(debias.Latents(sample_ids=IDS, mean=normal()))
        np.testing.assert_array_equal(found.sample_ids, IDS)
        np.testing.assert_array_equal(debias.latent_weights(normal()).sample_ids, np.arange(300))

    def test_constant_columns_are_left_out_and_listed(self):
        z = normal()
        wide = np.insert(z, 2, 7.0, axis=1)
        found = debias.latent_weights(wide)
        np.testing.assert_allclose(found.probability, debias.latent_weights(z).probability)
        assert found.origin["dropped_dimensions"] == [2]

    def test_a_class_of_one_keeps_its_share_and_two_samples_are_enough(self):
        found = debias.latent_weights(normal(50), ["lonely"] + ["many"] * 49)
        assert found.probability[0] == pytest.approx(1 / 50)
        np.testing.assert_allclose(debias.latent_weights([[1.0], [2.0]]).probability, [0.5, 0.5])

    def test_settings_and_names_mean_the_same(self):
        z = normal()
        by_name = debias.latent_weights(z, density="knn").probability
        by_settings = debias.latent_weights(z, density=NeighbourDensity()).probability
        np.testing.assert_array_equal(by_name, by_settings)
        other = debias.latent_weights(z, density=HistogramDensity(bins=3)).probability
        assert not np.array_equal(other, debias.latent_weights(z).probability)

    @pytest.mark.parametrize(
        ("z", "error", "message"),
        [
            (np.ones(5), DataError, r"two dimensions.*got shape \(5,\).*z\[:, None\]"),
            (np.ones((2, 3, 4)), DataError, "two dimensions"),
            (np.ones((0, 4)), EmptyDatasetError, r"there are no latents: the shape is \(0, 4\)"),
            (np.ones((4, 0)), EmptyDatasetError, r"there are no latents: the shape is \(4, 0\)"),
            (
                Latents(sample_ids=np.arange(0), mean=np.zeros((0, 3))),
                EmptyDatasetError,
                "no latents",
            ),
            (np.ones((1, 4)), DataError, "1 row of latents.*at least 2"),
            (np.ones((5, 4)), AllDimensionsInactiveError, "none of 4 latent dimensions varies"),
            (np.array([["a", "b"]] * 3), DataError, "must be real numbers, got values of type <U1"),
            (np.ones((3, 2)) + 1j, DataError, "got values of type complex128"),
            ([[1.0, np.nan], [2, 3], [4, 5]], NonFiniteLatentError, "1 of 3 .*first sample id 0"),
            ([[1.0, 2], [2, np.inf], [4, 5]], NonFiniteLatentError, "1 of 3 .*first sample id 1"),
        ],
        ids=lambda value: getattr(value, "__name__", None),
    )
    def test_latents_that_cannot_be_used_are_refused(self, z, error, message):
        with pytest.raises(error, match=message):
            debias.latent_weights(z)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"labels": [0, 1]}, DataError, r"labels have shape \(2,\), expected \(300,\)"),
            ({"labels": np.zeros((300, 2))}, DataError, "labels have shape"),
            ({"labels": [None] + [1] * 299}, LabelError, "1 of 300 labels are missing"),
            ({"labels": np.arange(300)}, AllDimensionsInactiveError, "each of the 300 classes"),
            ({"ess": 0.0}, ConfigError, r"ess must lie in \(0, 1\].*got 0"),
            ({"ess": 1.01}, ConfigError, r"ess must lie in \(0, 1\].*got 1.01"),
            ({"ess": float("nan")}, ConfigError, "ess: Input should be a finite number, got nan"),
            ({"alpha": 0.0}, ConfigError, "alpha.*greater than 0, got 0"),
            ({"alpha": np.inf}, ConfigError, "alpha: Input should be a finite number, got inf"),
            ({"cap": 1.0}, ConfigError, "cap.*greater than 1, got 1"),
            ({"cap": np.inf}, ConfigError, "cap.*a finite number, got inf"),
            ({"seed": -1}, ConfigError, "seed must be 0 or more, got -1"),
            ({"density": "histgram"}, ConfigError, "did you mean 'histogram'.*known: .*knn"),
            ({"density": "ratio"}, WeightError, "needs? a reference|reference set and got none"),
            ({"target": "unifrom"}, ConfigError, "did you mean 'uniform'.*known: elsewhere"),
            ({"target": "reference"}, ConfigError, "needs its data: give reference="),
            ({"target": "groups"}, ConfigError, "needs its data: give groups="),
            ({"reference": normal()}, ConfigError, "set target='reference', or leave it out"),
            ({"groups": ["a"] * 300}, ConfigError, "set target='groups', or leave it out"),
        ],
    )
    def test_arguments_that_cannot_be_used_are_refused(self, arguments, error, message):
        with pytest.raises(error, match=message):
            debias.latent_weights(normal(), **arguments)

    @pytest.mark.parametrize(
        ("reference", "error", "message"),
        [
            (normal(50, 3), DataError, "reference has 3 dimensions, the samples have 4"),
            (normal(1), DataError, "1 row of reference samples"),
            (normal(0), EmptyDatasetError, "no reference samples"),
            (np.full((5, 4), np.nan), NonFiniteLatentError, "5 of 5"),
        ],
    )
    def test_references_that_cannot_be_used_are_refused(self, reference, error, message):
        with pytest.raises(error, match=message):
            debias.latent_weights(normal(), target="reference", reference=reference)

    @pytest.mark.parametrize(
        ("groups", "error", "message"),
        [
            (["a"] * 300, DataError, r"1 distinct value\(s\) \['a'\]"),
            ([None] * 300, DataError, "0 distinct"),
            (["a", "b"], DataError, r"groups have shape \(2,\)"),
            (["a"] * 3 + ["b"] + [""] * 296, WeightError, "'b' has a single annotated sample"),
        ],
    )
    def test_groups_that_cannot_be_used_are_refused(self, groups, error, message):
        with pytest.raises(error, match=message):
            debias.latent_weights(normal(), target="groups", groups=groups)


class TestWarnings:
    pytestmark = pytest.mark.filterwarnings("default::UserWarning")

    def test_uneven_weights_and_few_effective_samples_are_said_not_refused(self):
        with pytest.warns(UserWarning, match="the weights are uneven"):
            debias.latent_weights(normal(), ess=0.1)
        with pytest.warns(UserWarning, match="count for 600 samples of 2000, fewer than 1000"):
            debias.latent_weights(normal(2000), ess=0.3)

    def test_a_reference_like_the_data_has_nothing_to_ask_for(self):
        z, like = planted(500)[0], planted(500, seed=2)[0]
        with pytest.warns(UserWarning, match="the reference hardly differs from the samples"):
            debias.latent_weights(
                z,
                target="reference",
                reference=like,
                density=RatioDensity(features="linear", strength=1e-4, repeats=1),
            )

    def test_a_small_array_at_the_default_is_nothing_to_warn_about(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            debias.latent_weights(normal(900))


class TestDoor:
    def test_every_public_name_is_there_and_others_are_not(self):
        assert set(debias.__all__) <= set(dir(debias))
        for name in debias.__all__:
            assert getattr(debias, name) is not None
        with pytest.raises(AttributeError, match="no attribute 'latent_weight'"):
            debias.latent_weight  # noqa: B018 (looking is the test)

    def test_the_sampler_draws_what_the_weights_say(self):
        z, member = planted()
        weights = debias.latent_weights(z)
        sampler = debias.WeightedSampler(weights, 40_000, seed=0)
        drawn = member[np.fromiter(sampler, dtype=np.int64)].mean()
        assert drawn == pytest.approx(weights.probability[member].sum(), abs=0.01)


def test_a_list_of_text_and_nothing_is_partly_known():
    """NumPy would make text of None and NaN."""
    z = np.random.default_rng(0).normal(size=(200, 4))
    listed = [("a" if row % 2 else "b") if row < 60 else (None, float("nan"))[row % 2]
              for row in range(200)]  # fmt: skip
    weights = debias.latent_weights(z, target="groups", groups=listed)
    assert weights.origin["annotated"] == 60
    with pytest.raises(LabelError, match="100 of 200 labels are missing"):
        debias.latent_weights(z, ["a", None] * 100)


def test_describe_takes_groups_of_any_kind():
    weights = debias.latent_weights(np.random.default_rng(0).normal(size=(90, 3)))
    for groups in (list(range(3)) * 30, np.arange(90) % 3, ["a", None, "c"] * 30):
        rows = weights.describe(groups)["by_group"]
        assert rows["count"].tolist() == [30, 30, 30]
    assert "unknown" in set(rows["group"])
