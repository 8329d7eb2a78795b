import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from debias.datasets import drawing
from debias.datasets.portrait import FACTORS
from debias.datasets.synthetic import (
    Population,
    SyntheticFaces,
    annotations,
    counterfactual,
    render,
)


@pytest.fixture(scope="module")
def faces():
    return Population().sample(80, np.random.default_rng(0))


@pytest.fixture(scope="module")
def images(faces):
    return render(faces)


def upright(faces, **changes):
    """Faces in the middle of the image, so that a feature's place is known."""
    pose = dict.fromkeys(("yaw", "roll", "shift_x", "shift_y"), 0.0)
    return counterfactual(faces, **{**pose, "scale": 1.0, **changes})


def changed_rows(before, after):
    """First and last image row that differs, as heights on the face, v down."""
    rows = np.flatnonzero((before != after).any(axis=(0, 2, 3)))
    return (rows[[0, -1]] + 0.5) * 2 / before.shape[1] - 1


def test_images_fill_the_range_of_eight_bits(images):
    assert images.shape == (80, 64, 64, 3)
    assert images.dtype == np.uint8
    assert images.min() < 40
    assert images.max() > 215
    assert (images.reshape(80, -1).std(axis=1) > 10).all()


@pytest.mark.parametrize("size", [32, 96])
def test_other_sizes_show_the_same_face(faces, images, size):
    quiet = counterfactual(faces.head(8), noise_level=0.0)
    small, large = (render(quiet, side).astype(float) for side in (32, size))
    assert large.shape == (8, size, size, 3)
    thumbnails = large.reshape(8, 32, size // 32, 32, size // 32, 3).mean(axis=(2, 4))
    assert np.abs(thumbnails - small).mean() < 4


def test_an_image_depends_on_its_row_alone(faces, images):
    order = np.random.default_rng(1).permutation(len(faces))
    assert (render(faces.iloc[order]) == images[order]).all()
    assert (render(faces.iloc[37:38]) == images[37:38]).all()
    assert (render(faces) == images).all()


def test_windows_cut_nothing_off(monkeypatch):
    faces = Population().sample(40, np.random.default_rng(3))
    steps = np.linspace(-1, 1, 40)
    extreme = counterfactual(
        faces, yaw=0.5 * steps, roll=0.4 * steps[::-1], shift_x=0.3 * steps, scale=1 + 0.4 * steps
    )
    windowed = render(extreme)
    monkeypatch.setattr(drawing.Canvas, "around", lambda canvas, across, v: canvas)
    assert (render(extreme) == windowed).all()


def test_render_leaves_the_table_alone(faces):
    before = faces.copy()
    render(faces.head(3))
    pd.testing.assert_frame_equal(faces, before)


def test_grain_has_unit_variance_and_differs_between_faces():
    noise = drawing.grain(np.array([1, 2, 1]), 64)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert (noise[:, 0] == noise[:, 2]).all()
    pixels = noise[0].reshape(3, -1)
    assert np.corrcoef(pixels)[0, 1] == pytest.approx(0, abs=0.05)
    assert np.corrcoef(noise[:, 0].reshape(3, -1))[0, 1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("hue", "display"),
    [(0.0, (1, 0, 0)), (1 / 3, (0, 1, 0)), (2 / 3, (0, 0, 1)), (1 / 6, (1, 1, 0))],
)
def test_hues_run_from_red_over_green_to_blue(hue, display):
    colour = drawing.hue_colour(np.array([hue]), np.array([1.0]), np.array([1.0]))
    assert colour[:, 0, 0, 0] == pytest.approx(display, abs=1e-6)


def test_a_smile_changes_the_mouth_only(faces):
    before = upright(faces, smile=-0.3)
    after = counterfactual(before, smile=0.9)
    top, bottom = changed_rows(render(before), render(after))
    assert 0.1 <= top < 0.3
    assert 0.35 < bottom <= 0.58


def test_glasses_leave_the_mouth_alone(faces):
    before = upright(faces, eyewear=0.0)
    after = counterfactual(before, eyewear=1.0)
    top, bottom = changed_rows(render(before), render(after))
    assert -0.3 <= top < -0.1
    assert -0.05 < bottom <= 0.1


def test_the_mouth_is_darker_than_light_skin_and_lighter_than_dark_skin(faces):
    look = {"beard": 0.0, "mouth_open": 0.0, "smile": 0.0, "noise_level": 0.0}
    for tone, sign in ((0.1, 1), (0.9, -1)):
        image = render(upright(faces, skin_tone=tone, **look)).astype(float)
        lips = image[:, 43:45, 30:34].mean(axis=(1, 2, 3))
        cheeks = image[:, 38:42, [22, 23, 40, 41]].mean(axis=(1, 2, 3))
        assert (sign * (lips - cheeks) > 0).mean() > 0.9


def test_light_falls_from_the_lamps_side(faces):
    face = {"hair_volume": 0.0, "noise_level": 0.0, "light_elevation": 0.2}
    left, right = (
        render(upright(faces, light_azimuth=side, **face)).astype(float) for side in (-0.8, 0.8)
    )
    brighter = (left - right)[:, 30:42].mean(axis=(1, 3))  # (n, W)
    assert (brighter[:, 22:28].mean(axis=1) > 0).all()
    assert (brighter[:, 36:42].mean(axis=1) < 0).all()


def test_counterfactuals_are_described_anew(faces):
    told = pd.concat([faces, annotations(faces)], axis=1)
    changed = counterfactual(told, skin_tone=0.9, smile=np.linspace(0.5, 1, len(told)))
    assert set(changed["skin_tone_group"]) == {"light"}
    assert set(changed["smiling"]) == {"smiling"}
    assert set(told["skin_tone_group"]) == {"dark", "light"}
    with pytest.raises(ValueError, match="no such factor: smiel"):
        counterfactual(told, smiel=1.0)


def test_faces_that_cannot_be_drawn_are_refused(faces):
    with pytest.raises(ValueError, match="without the factors smile"):
        render(faces.drop(columns="smile"))
    with pytest.raises(ValueError, match=r"80 values of yaw are not in \[-0.5, 0.5\], first 2.0"):
        render(counterfactual(faces, yaw=2.0))
    with pytest.raises(ValueError, match="values of smile"):
        render(counterfactual(faces, smile=np.nan))
    with pytest.raises(ValueError, match="at least 16 pixels"):
        render(faces, 8)


@pytest.mark.parametrize("background", ["studio", "loud"])
def test_every_population_can_be_drawn(background):
    population = Population(background=background)
    factors = population.sample(2000, np.random.default_rng(5))
    assert set(factors) == set(FACTORS)
    for name, (low, high, _) in FACTORS.items():
        assert factors[name].between(low, high).all(), name
    assert render(factors.head(4)).shape == (4, 64, 64, 3)


def test_shares_are_realised():
    population = Population(
        dark_share=0.05, feminine_share=0.3, beard_share=0.6, glasses_share=0.1, smile_share=0.8
    )
    n = 20_000
    factors = population.sample(n, np.random.default_rng(7))
    words = annotations(factors)
    found = {
        0.05: words["skin_tone_group"] == "dark",
        0.3: words["presentation"] == "feminine",
        0.1: words["glasses"] == "glasses",
        0.8: words["smiling"] == "smiling",
        0.6: factors["beard"][words["presentation"] == "masculine"] > 0,
    }
    for share, having in found.items():
        spread = np.sqrt(share * (1 - share) / len(having))
        assert having.mean() == pytest.approx(share, abs=4 * spread)
    assert (factors["beard"][words["presentation"] == "feminine"] == 0).all()


def test_faces_do_not_depend_on_the_number_of_threads():
    """Their content keys would, and nothing made before would be found."""
    made = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            made.append(Population().sample(5_000, np.random.default_rng(0)))
    pd.testing.assert_frame_equal(made[0], made[1], check_exact=True)
    pd.testing.assert_frame_equal(made[0], made[2], check_exact=True)


def test_correlations_are_realised():
    wanted = {"light_azimuth,yaw": 0.6, "hair_part, fringe": -0.5}
    factors = Population(correlations=wanted).sample(20_000, np.random.default_rng(8))
    ranks = factors.rank().corr()
    # Spearman's rank correlation under a Gaussian copula: 6 / pi * arcsin(rho / 2).
    expected = 6 / np.pi * np.arcsin(np.array([0.6, -0.5]) / 2)
    found = ranks.loc["light_azimuth", "yaw"], ranks.loc["hair_part", "fringe"]
    assert found == pytest.approx(expected, abs=0.03)
    assert ranks.loc["light_azimuth", "smile"] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("correlations", "reason"),
    [
        ({"smile": 0.5}, "must be two of"),
        ({"smile,height": 0.5}, "must be two of"),
        ({"smile,noise_seed": 0.5}, "must be two of"),
        ({"smile,yaw": 1.0}, "between -1 and 1"),
        ({"smile,yaw": 0.2, "yaw,smile": 0.2}, "given twice"),
        ({"smile,yaw": 0.9, "yaw,roll": 0.9, "smile,roll": -0.9}, "contradict"),
    ],
)
def test_impossible_correlations_are_refused(correlations, reason):
    with pytest.raises(ValidationError, match=reason):
        Population(correlations=correlations)


@pytest.mark.parametrize("settings", [Population, SyntheticFaces])
def test_settings_describe_themselves_and_refuse_unknown_keys(settings):
    with pytest.raises(ValidationError, match="drak_share"):
        settings(drak_share=0.1)
    described = settings.model_json_schema()["properties"]
    assert [key for key, field in described.items() if "description" not in field] in ([], ["name"])
    assert settings.model_validate_json(settings().model_dump_json()) == settings()


def test_the_test_set_is_exactly_balanced():
    data = SyntheticFaces(population=Population(dark_share=0.05), n_train=400, n_test=200)
    samples = data.collect(0).samples
    test = samples[samples["split"] == "test"]
    assert set(test.groupby(["skin_tone_group", "smiling"]).size()) == {50}
    train = samples[samples["split"] == "train"]
    assert (train["skin_tone_group"] == "dark").mean() == pytest.approx(0.05, abs=0.04)


def test_cells_of_a_test_population_have_their_exact_shares():
    population = Population(dark_share=0.25, smile_share=1.0)
    words = annotations(population.sample_cells(40, np.random.default_rng(0)))
    assert words.value_counts(["skin_tone_group", "smiling"]).to_dict() == {
        ("light", "smiling"): 30,
        ("dark", "smiling"): 10,
    }


def test_a_collection_holds_different_faces_in_each_split():
    collection = SyntheticFaces(n_train=300, n_validation=40, n_test=60).collect(3)
    samples = collection.samples
    assert samples["split"].value_counts().to_dict() == {"train": 300, "test": 60, "validation": 40}
    assert samples["sample_id"].iloc[[0, -1]].tolist() == ["synthetic-000000", "synthetic-000399"]
    assert not samples.duplicated(list(FACTORS)).any()
    assert not samples["skin_tone"].duplicated().any()
    assert collection.draw is not None
    assert collection.draw(samples.head(2), 32).shape == (2, 32, 32, 3)


def test_the_fingerprint_follows_settings_and_seed():
    data = SyntheticFaces(n_train=20, n_validation=8, n_test=8)
    again, other = data.collect(1), data.collect(2)
    pd.testing.assert_frame_equal(data.collect(1).samples, again.samples)
    assert data.collect(1).fingerprint == again.fingerprint
    assert again.fingerprint != other.fingerprint
    ways = {"smile,yaw": 0.2, "skin_tone,roll": 0.1}
    turned = dict(reversed(ways.items()))
    one, same = (
        data.model_copy(update={"population": Population(correlations=each)}).collect(1)
        for each in (ways, turned)
    )
    assert one.fingerprint == same.fingerprint != again.fingerprint
    pd.testing.assert_frame_equal(one.samples, same.samples)
    larger = data.model_copy(update={"n_train": 24})
    assert larger.collect(1).fingerprint != again.fingerprint
    # The other splits stay as they are when one grows.
    pd.testing.assert_frame_equal(
        larger.collect(1).samples.tail(16).drop(columns="sample_id").reset_index(drop=True),
        again.samples.tail(16).drop(columns="sample_id").reset_index(drop=True),
    )
