import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm

from debias.auditing.shortfall import (
    Region,
    comparison,
    images_missing,
    missing,
    share_of,
    shortfall,
    standard_errors,
    total_missing,
)
from debias.auditing.two_samples import two_samples

FEATURES = 6


def faces(seed: int, common: int, rare: int) -> np.ndarray:
    """One heap of points, and a second one far off in two directions."""
    points = np.random.default_rng(seed).normal(size=(common + rare, FEATURES))
    points[common:, :2] += 6
    return points


@pytest.fixture(scope="module")
def planted():
    """2% here, 20% in the reference: (400 - 40) / 0.8 = 450 are missing."""
    return shortfall(faces(0, 1960, 40), faces(1, 800, 200))


def region(here: tuple[int, int], there: tuple[int, int], **known) -> Region:
    here, there = share_of(*here), share_of(*there)
    nothing = np.zeros(0, dtype=np.int64)
    about = {"number": 1, "together": np.nan, "p": 0.001, "p_adjusted": 0.001, "found": True}
    about |= {"missing": missing(here, there), "typical": nothing, "nearest": nothing}
    return Region(here=here, there=there, **(about | known))


def test_images_missing_by_hand():
    assert images_missing(10, 100, 0.25) == 20  # (10 + 20) / (100 + 20) = 0.25
    assert images_missing(265, 4450, 184 / 1200) == 493
    assert images_missing(25, 100, 0.25) == images_missing(90, 100, 0.25) == 0
    assert np.isnan(images_missing(99, 100, 1.0))


@given(st.integers(1, 5000), st.floats(0, 1), st.floats(0, 0.99))
def test_as_many_as_needed_and_no_more(size, part, share):
    count = int(part * size)
    x = images_missing(count, size, share)
    assert x == int(x) >= 0
    assert count + x >= share * (size + x) - 1e-6
    if x:
        assert count + x - 1 < share * (size + x - 1) + 1e-6


def test_interval_of_a_share_is_clopper_and_pearson():
    share = share_of(7, 40)
    assert (share.count, share.size, share.value) == (7, 40, 0.175)
    assert share.low == pytest.approx(beta.ppf(0.025, 7, 34))
    assert share.high == pytest.approx(beta.ppf(0.975, 8, 33))
    assert share_of(0, 40).low == 0
    assert share_of(40, 40).high == 1


def test_the_interval_of_the_missing_comes_from_the_reference_alone():
    here, there = share_of(10, 100), share_of(50, 200)
    lacking = missing(here, there)
    assert lacking.count == 20
    assert lacking.low == images_missing(10, 100, there.low)
    assert lacking.high == images_missing(10, 100, there.high)
    assert lacking.low < 20 < lacking.high


def test_standard_errors_by_hand():
    # Pooled share 0.2; variance 2 * 0.16 * (1/100 + 1/100) = 0.0064; difference 0.2.
    assert standard_errors(share_of(10, 100), share_of(30, 100)) == pytest.approx(2.5)
    assert standard_errors(share_of(0, 100), share_of(0, 50)) == 0


def test_regions_together_are_one_part_of_the_data():
    # 100 * 0.5 - 20 = 30 are lacking, / 0.5 = 60: (20 + 60) / 160 = 0.5.
    regions = [region((10, 100), (60, 200)), region((10, 100), (40, 200))]
    other = region((0, 100), (100, 200), found=False)
    assert total_missing([*regions, other]).count == 60
    assert np.isnan(total_missing([other]).count)  # nothing found: no number, not none
    most = region((0, 100), (185, 200))
    assert np.isnan(total_missing([most]).count)  # 92% of the reference


def test_what_was_planted_is_found_and_counted(planted):
    found = planted.found
    assert found
    rare = np.arange(800, 1000)
    for one in found:
        assert np.isin(one.typical, rare).all()
    inside = np.isin(planted.reference_region, [one.number for one in found])
    assert inside[rare].mean() > 0.9
    assert inside[:800].mean() < 0.02
    assert planted.total.low < 450 < planted.total.high
    assert planted.total.count == pytest.approx(450, abs=30)


def test_counts_are_conserved(planted):
    for rows, counts in [
        (planted.region, [one.here.count for one in planted.regions]),
        (planted.reference_region, [one.there.count for one in planted.regions]),
    ]:
        assert np.bincount(rows, minlength=len(counts) + 1)[1:].tolist() == counts
    for one in planted.regions:
        assert (planted.reference_region[one.typical] == one.number).all()
        assert (planted.region[one.nearest] == one.number).all()
        assert len(one.typical) <= 24
        assert len(one.nearest) <= 12


def test_most_missing_comes_first_and_shares_of_the_total_add_up(planted):
    counts = [one.missing.count for one in planted.regions]
    assert counts == sorted(counts, reverse=True)
    assert [one.number for one in planted.regions] == list(range(1, len(counts) + 1))
    together = sum(one.together for one in planted.found)
    assert planted.total.count <= together <= planted.total.count + len(planted.found)


def test_p_values_are_one_sided_and_adjusted(planted):
    for one in planted.regions:
        assert one.p == pytest.approx(norm.sf(standard_errors(one.here, one.there)))
        assert one.p <= one.p_adjusted <= 1
        assert one.found == (one.p_adjusted < 0.05)


def test_two_halves_of_one_set_rarely_differ():
    alarms = looked = 0
    for seed in range(30):
        points = np.random.default_rng(seed).normal(size=(240, 8))
        found = shortfall(points[:160], points[160:], seed=seed)
        alarms += bool(found.found)
        looked += len(found.regions)
    assert alarms <= 5  # 5% of 30 are 1.5; more than 5 in one of 300 such tests
    assert looked <= 30  # what is not there is not split into many kinds


def test_the_order_of_the_rows_does_not_matter(planted):
    data, reference = faces(0, 1960, 40), faces(1, 800, 200)
    order = np.random.default_rng(3).permutation(len(data))
    turned = shortfall(data[order], reference[::-1])
    assert (turned.region == planted.region[order]).all()
    assert turned.total == planted.total


def test_input_is_left_as_it_was():
    data, reference = faces(0, 50, 5).astype(np.float32), faces(1, 40, 10).astype(np.float32)
    before = data.copy(), reference.copy()
    shortfall(data, reference)
    assert (data == before[0]).all()
    assert (reference == before[1]).all()


def test_few_distinct_images_and_telltale_sets():
    data = np.repeat([[0.0, 1.0], [1.0, 1.0]], [95, 5], axis=0)
    reference = np.repeat([[0.0, 1.0], [1.0, 1.0]], [20, 80], axis=0)
    found = shortfall(data, reference)
    assert [one.there.count for one in found.found] == [80]
    assert found.total.count == 375  # (0.8 * 100 - 5) / 0.2
    same = shortfall(np.ones((60, 2)), np.ones((40, 2)))
    assert same.regions == ()
    assert np.isnan(same.total.count)
    apart = shortfall(np.zeros((60, 1)), np.ones((40, 1)))
    assert apart.contrast.telltale
    assert "kind of photograph" in apart.action()
    assert np.isnan(apart.total.count)  # all of the reference: no number would do
    assert apart.regions[0].sentence().startswith("No number")


def test_sentence_of_a_region():
    one = region((265, 4450), (184, 1200), together=1404.0)
    assert one.sentence() == (
        "Collect 493 more like these (95% interval 380 to 623), or 1,404 when every region found "
        "is filled at once: they make up 15.3% (184 of 1,200) of the reference and 6% "
        "(265 of 4,450) here."
    )
    assert replace(one, found=False).sentence().startswith("Cannot tell")


def test_the_document_holds_plain_values(planted):
    data, reference = faces(0, 1960, 40), faces(1, 800, 200)
    ids = np.array([f"a{row}" for row in range(len(data))])
    others = np.array([f"r{row}" for row in range(len(reference))])
    test = two_samples(data, reference, most=200)
    plain = comparison("even", test, planted, ids, others)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["images"], plain["against"]) == (1000, 2000)
    assert plain["wanted"][0] == ids[planted.contrast.data.argmax()]
    assert plain["unwanted"][0] == ids[planted.contrast.data.argmin()]
    first = plain["regions"][0]
    assert set(first["typical"]) <= set(others[800:])
    assert first["missing_low"] <= first["missing"] <= first["missing_high"]
    assert plain["missing_total"] == int(planted.total.count)


def test_too_few_images_is_not_nothing_missing():
    few, ids = shortfall(faces(0, 10, 5), faces(1, 30, 10)), np.array(["a"] * 40)
    assert few.regions == ()
    assert (few.region == 0).all()
    test = two_samples(faces(0, 10, 5), faces(1, 30, 10))
    plain = comparison("few", test, few, ids[:15], ids)
    unknown = ("missing_total", "separability", "distance", "null", "p")
    assert [plain[name] for name in unknown] == [None] * 5
    assert (plain["telltale"], plain["wanted"]) == (False, [])
    assert (few.sentence(), few.action()) == ("", None)
