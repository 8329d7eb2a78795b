"""The weights in scikit-learn and imbalanced-learn: their own checks, real pipelines, laws."""

import sys

import numpy as np
import pytest
import sklearn
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from imblearn.utils.estimator_checks import estimator_checks_generator as imblearn_checks
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import debias
from debias.errors import ConfigError
from debias.weighting.estimators import LatentWeights
from debias.weighting.imblearn_sampler import LatentResampler

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def checks():
    """Every public check of both libraries, each with the name it is listed by."""
    found = [
        ("sklearn", *pair)
        for estimator in (LatentWeights(), LatentResampler(random_state=0))
        for pair in estimator_checks_generator(estimator)
    ]
    found += [("imblearn", *pair) for pair in imblearn_checks(LatentResampler(random_state=0))]
    for library, estimator, check in found:
        name = f"{type(estimator).__name__}-{library}-{check.func.__name__}"
        yield pytest.param(estimator, check, id=name)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_the_libraries_own_checks_pass(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def faces():
    """Embeddings with a minority of 5%, a label that follows the first feature, and who is who."""
    generator = np.random.default_rng(0)
    member = generator.random(1500) < 0.05
    X = generator.normal(size=(1500, 10))
    X[member, :3] += 3
    y = np.where(X[:, 0] + 0.5 * generator.normal(size=1500) > member * 3, "yes", "no")
    return X, y, member


class TestWeights:
    def test_they_are_those_of_the_one_call(self, faces):
        X, y, member = faces
        fitted = LatentWeights(ess=0.4).fit(X, y)
        expected = debias.latent_weights(X, y, ess=0.4).probability
        np.testing.assert_array_equal(fitted.weights_.probability, expected)
        np.testing.assert_array_equal(fitted.sample_weight_, expected * 1500)
        assert fitted.sample_weight_.mean() == pytest.approx(1)
        assert fitted.sample_weight_[member].mean() > 1.5
        assert fitted.n_features_in_ == 10

    def test_labels_are_optional_and_features_pass_unchanged(self, faces):
        X, _, _ = faces
        fitted = LatentWeights().fit(X)
        np.testing.assert_array_equal(fitted.transform(X[:7]), X[:7])
        assert len(fitted.sample_weight_) == 1500

    def test_they_see_what_the_steps_before_made(self, faces):
        X, y, _ = faces
        steps = make_pipeline(StandardScaler(), PCA(3), LatentWeights()).fit(X, y)
        expected = debias.latent_weights(steps[:-1].transform(X), y).probability
        np.testing.assert_array_equal(steps[-1].weights_.probability, expected)

    def test_a_classifier_behind_them_in_a_pipeline_learns_from_plain_rows(self, faces):
        X, y, _ = faces
        through = make_pipeline(LatentWeights(), LogisticRegression()).fit(X, y)
        plain = LogisticRegression().fit(X, y)
        np.testing.assert_allclose(through[-1].coef_, plain.coef_)

    def test_their_sample_weight_reaches_a_pipeline_by_metadata_routing(self, faces):
        X, y, _ = faces
        weight = LatentWeights().fit(X, y).sample_weight_
        with sklearn.config_context(enable_metadata_routing=True):
            classifier = LogisticRegression().set_fit_request(sample_weight=True)
            scaler = StandardScaler().set_fit_request(sample_weight=False)
            routed = make_pipeline(scaler, classifier).fit(X, y, sample_weight=weight)
        scaled = StandardScaler().fit_transform(X)
        expected = LogisticRegression().fit(scaled, y, sample_weight=weight)
        np.testing.assert_allclose(routed[-1].coef_, expected.coef_)

    def test_groups_come_with_the_data_and_may_be_routed(self, faces):
        X, y, member = faces
        groups = np.where(member, "few", "many")
        direct = LatentWeights(target="groups").fit(X, y, groups=groups)
        for label in ("yes", "no"):
            few, many = (direct.sample_weight_[(y == label) & (groups == g)] for g in set(groups))
            assert few.sum() == pytest.approx(many.sum())
        with sklearn.config_context(enable_metadata_routing=True):
            step = LatentWeights(target="groups").set_fit_request(groups=True)
            routed = make_pipeline(StandardScaler(), step).fit(X, y, groups=groups)
        np.testing.assert_allclose(routed[-1].sample_weight_, direct.sample_weight_)

    def test_a_reference_survives_cloning(self, faces):
        X, y, member = faces
        step = clone(LatentWeights(target="reference", reference=X[member]))
        assert step.fit(X, y).sample_weight_[member].mean() > 2

    def test_a_wrong_setting_is_found_when_fitting(self, faces):
        step = LatentWeights(ess=2.0)
        with pytest.raises(ConfigError, match="ess must lie"):
            step.fit(*faces[:2])


class TestResampler:
    def test_rows_are_rows_of_the_input_drawn_by_weight(self, faces):
        X, y, member = faces
        sampler = LatentResampler(random_state=0)
        drawn, labels = sampler.fit_resample(X, y)
        rows = sampler.sample_indices_
        np.testing.assert_array_equal(drawn, X[rows])
        np.testing.assert_array_equal(labels, y[rows])
        assert len(rows) == 1500
        expected = sampler.weights_.probability[member].sum()
        assert member[rows].mean() == pytest.approx(expected, abs=0.03)
        assert expected > 1.5 * member.mean()

    def test_any_number_of_rows_and_the_share_of_each_class_is_kept(self, faces):
        X, y, _ = faces
        _, labels = LatentResampler(n_samples=60_000, random_state=0).fit_resample(X, y)
        assert len(labels) == 60_000
        assert (labels == "yes").mean() == pytest.approx((y == "yes").mean(), abs=0.01)

    def test_the_seed_decides_the_draw(self, faces):
        X, y, _ = faces
        rows = [LatentResampler(random_state=seed).fit_resample(X, y)[0] for seed in (0, 0, 1)]
        np.testing.assert_array_equal(rows[0], rows[1])
        assert not np.array_equal(rows[0], rows[2])

    def test_groups_are_balanced(self, faces):
        X, y, member = faces
        sampler = LatentResampler(target="groups", random_state=0)
        sampler.fit_resample(X, y, groups=np.where(member, "few", "many"))
        assert member[sampler.sample_indices_].mean() == pytest.approx(0.5, abs=0.05)

    def test_a_classifier_behind_it_in_a_pipeline_learns_from_the_drawn_rows(self, faces):
        X, y, member = faces
        weighted = make_sampling_pipeline(
            StandardScaler(), LatentResampler(ess=0.3, random_state=0), LogisticRegression()
        )
        plain = make_pipeline(StandardScaler(), LogisticRegression())
        gain = weighted.fit(X, y).score(X[member], y[member])
        assert gain > plain.fit(X, y).score(X[member], y[member]) + 0.02
        assert cross_val_score(weighted, X, y, cv=3).min() > 0.7

    def test_without_imbalanced_learn_the_error_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "imblearn.base", None)
        monkeypatch.delitem(sys.modules, "debias.weighting.imblearn_sampler")
        with pytest.raises(ImportError, match=r"pip install 'debias\[imblearn\]'"):
            debias.LatentResampler  # noqa: B018 (looking is the test)
