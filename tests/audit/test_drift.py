import json

import numpy as np
import pytest

from debias.auditing.shortfall import Version, drift

RARE = 5.0


def pool(common: int, rare: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(common + rare, 5))
    points[common:, :2] += RARE
    return points


def version(points: np.ndarray, rows: np.ndarray, prefix: str = "") -> Version:
    """Rows of one pool of images, so that the same row is the same image."""
    content = np.array([f"sha-{row}" for row in rows], dtype=str)
    ids = np.array([f"{prefix}{row}" for row in rows], dtype=str)
    return Version(sample_ids=ids, content=content, latents=points[rows], features=points[rows])


def test_a_version_beside_itself_has_no_drift():
    points = pool(100, 0)
    same = version(points, np.arange(100))
    found = drift("v1", same, version(points, np.arange(100)[::-1], "old/"))
    assert (found["added"], found["removed"], found["kept"]) == (0, 0, 100)
    assert found["verdict"] == "too_few"
    assert (found["distance"], found["missing_total"], found["regions"]) == (None, None, [])
    assert "no telling" in found["sentence"]


@pytest.mark.parametrize(("added", "removed"), [(19, 0), (0, 19), (19, 19)])
def test_fewer_than_twenty_are_too_few(added, removed):
    points = pool(200, 0)
    found = drift(
        "v1", version(points, np.arange(removed, 100 + added)), version(points, np.arange(100))
    )
    assert (found["added"], found["removed"]) == (added, removed)
    assert found["verdict"] == "too_few"


def test_additions_of_one_kind_thin_out_the_other():
    points = pool(900, 100)  # rows from 900 on are of the rare kind
    earlier = np.r_[np.arange(300), np.arange(900, 1000)]
    now = np.r_[earlier, np.arange(300, 700)]
    found = drift("v1", version(points, now), version(points, earlier, "old/"))
    assert (found["added"], found["removed"], found["kept"]) == (400, 0, 400)
    assert (found["images"], found["against"], found["verdict"]) == (400, 800, "told_apart")
    fell = [row for row in found["regions"] if row["found"] and row["missing"] > 0]
    assert sum(row["reference_count"] for row in fell) == pytest.approx(100, abs=10)
    rare = {f"old/{row}" for row in range(900, 1000)}
    assert all(set(row["typical"]) <= rare for row in fell)
    # A quarter before: (0.25 * 800 - 100) / 0.75 = 134 more of them would bring it back.
    assert found["missing_total"] == pytest.approx(134, abs=20)
    assert "fell: " in fell[0]["sentence"]
    rose = [row for row in found["regions"] if row["found"] and row["missing"] == 0]
    assert all("rose: " in row["sentence"] for row in rose)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_kind_that_was_removed_is_missed():
    points = pool(400, 100)
    found = drift("v1", version(points, np.arange(400)), version(points, np.arange(500), "old/"))
    assert (found["added"], found["removed"], found["kept"]) == (0, 100, 400)
    assert found["verdict"] == "told_apart"
    fell = [row for row in found["regions"] if row["found"] and row["missing"] != 0]
    assert sum(row["count"] for row in fell) <= 8
    assert sum(row["reference_count"] for row in fell) == pytest.approx(100, abs=15)
    assert {row["missing"] for row in fell} == {found["missing_total"]} == {None}
    for row in fell:
        assert set(row["typical"]) <= {f"old/{row}" for row in range(400, 500)}
        assert "of what was removed" in row["sentence"]


@pytest.mark.parametrize(("last", "larger", "other"), [(600, "added", "removed"),
                                                       (430, "removed", "added")])  # fmt: skip
def test_the_larger_change_is_compared_and_the_other_named(last, larger, other):
    points = pool(300, 300)
    earlier, now = np.r_[0:200, 300:400], np.r_[100:200, 300:last]
    found = drift("v1", version(points, now), version(points, earlier))
    assert (found["added"], found["removed"], found["kept"]) == (last - 400, 100, 200)
    assert f"What was {other} was not compared" in found["sentence"]
    sizes = {(round(row["count"] / row["share"]), round(row["reference_count"] /
              row["reference_share"])) for row in found["regions"]
             if row["count"] and row["reference_count"]}  # fmt: skip
    assert sizes <= {(200, 300) if larger == "added" else (200, 100)}
    for row in found["regions"]:
        down = row["share"] < row["reference_share"]
        assert not row["found"] or ("fell" if down else "rose") in row["sentence"]


def test_more_of_the_same_is_not_drift():
    alarms = 0
    for seed in range(12):
        points = pool(300, 0, seed)
        found = drift(
            "v1",
            version(points, np.arange(300)),
            version(points, np.arange(200)),
            permutations=199,
            seed=seed,
        )
        alarms += any(row["found"] for row in found["regions"])
        assert found["verdict"] == "not_told_apart"
    assert alarms <= 3
