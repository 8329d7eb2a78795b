"""A whole audit from values: what it finds, what it refuses, and that nothing is withheld twice."""

import json

import numpy as np
import pandas as pd
import pytest

import debias
from debias.auditing import AuditRules
from debias.auditing import audit as auditing
from debias.auditing.audit import PARTS, Placed, Question, answer
from debias.auditing.audit_report import explains
from debias.density.descriptors import colour
from debias.errors import DataError, GroupSchemaError
from debias.types import FaceStore, Latents, ShardedImages

SIZE = 480
QUICK = AuditRules(map_method="PCA", permutations=199, clusters=4)


def faces(size=SIZE, rare=0.08, seed=0, prefix="s", attributes=("tone",)):
    """Noise, brighter for a rare group, and latents in which it stands apart; four images each."""
    generator = np.random.default_rng(seed)
    member = np.arange(size) < rare * size
    images = generator.integers(0, 90, (size, 16, 16, 3)) + 120 * member[:, None, None, None]
    latents = generator.standard_normal((size, 4)).astype(np.float32)
    latents[member, 0] += 7
    samples = pd.DataFrame(
        {
            "sample_id": [f"{prefix}{row:04d}" for row in range(size)],
            "split": "train",
            "label": 0,
            "sha256": [f"{prefix}-{seed}-{row}" for row in range(size)],
            "tone": np.where(member, "bright", "dim"),
            "age": np.where(np.arange(size) < 5, "few", "many"),
        }
    )
    if "age" in attributes:
        samples["subject_id"] = [f"p{row // 4}" for row in range(size)]
    store = FaceStore(
        images=ShardedImages([images.astype(np.uint8)]), samples=samples,
        classes=("unlabelled",), attributes=attributes, label="none",
    )  # fmt: skip
    ids = samples["sample_id"].to_numpy(dtype=str)
    return store, Latents(sample_ids=ids, mean=latents, log_var=np.full_like(latents, -2))


def placed(found, name="the reference"):
    store, latents = found
    return Placed(store=store, latents=latents, name=name)


@pytest.fixture(scope="module", autouse=True)
def _one_description():
    """What is tested here does not depend on how many descriptions there are; the time does."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(auditing, "VIEWS", {"colour": colour})
        patched.setattr(auditing, "DESCRIPTORS", {"colour": colour})
        yield


@pytest.fixture(scope="module")
def alone():
    return debias.audit(*faces(), rules=QUICK)


@pytest.fixture(scope="module")
def beside():
    """With declared shares, people who repeat, a reference and an earlier version."""
    store, latents = faces(attributes=("tone", "age"))
    before = Latents(sample_ids=latents.sample_ids[200:], mean=latents.mean[200:])
    return debias.audit(
        store, latents, rules=declaring("tone"), earlier=placed((store, before), "before"),
        reference=placed(faces(size=200, rare=0.5, seed=1, prefix="r")),
    )  # fmt: skip


def declaring(attribute):
    return QUICK.model_copy(update={"shares": {attribute: {"bright": 0.5, "dim": 0.5}}})


def test_the_package_is_called_and_holds_the_parts():
    assert callable(debias.audit)
    from debias.auditing.coverage import Cells

    assert debias.audit.__name__ == "audit"
    assert Cells.__module__ == "debias.auditing.coverage"


def test_a_rare_part_is_found_and_named_where_it_is_annotated(alone):
    first = alone.document["regions"]["list"][0]
    assert first["found"]
    assert first["count"] == pytest.approx(0.08 * SIZE, abs=3)
    assert first["explains"][0]["group"] == "tone:bright"
    assert first["explains"][0]["inside"] > 0.9
    kinds = [one["kind"] for one in alone.document["verdicts"]]
    assert kinds[:3] == ["who", "undeclared", "thin"]
    assert alone.verdicts[0].startswith("Tone: fewest bright, 8")
    assert kinds[-1] in ("coverage", "nothing")


def test_every_image_has_one_row_in_the_order_of_the_latents(alone):
    table = alone.images
    assert table["sample_id"].tolist() == alone.latents.sample_ids.tolist()
    assert table["weight"].mean() == pytest.approx(1)
    assert table["weight"][:38].mean() > 1.5  # rare ones are drawn more often
    assert table["region"][:38].eq(1).mean() > 0.9
    assert table[["nats", "log_ratio"]].isna().all().all()
    assert set(table["cluster"]) == {1, 2, 3, 4}


def test_the_document_is_plain_and_complete(alone, tmp_path):
    alone.to_json(tmp_path / "audit.json")
    document = json.loads((tmp_path / "audit.json").read_text())
    assert document == json.loads(json.dumps(alone.to_dict()))
    assert document["reference"] is None
    assert document["drift"] is None
    assert sum(one["count"] for one in document["clusters"]) == SIZE
    assert any("reference" in sentence for sentence in document["limits"])


def test_the_same_seed_gives_the_same_audit_and_progress_is_told_as_often_as_promised(alone):
    told = []
    question = Question(data=placed(faces()), rules=QUICK)
    again = answer(question, lambda note, *_: told.append(note))
    assert len(told) == PARTS
    assert again.to_dict() == alone.to_dict()
    pd.testing.assert_frame_equal(again.images, alone.images)


def test_against_a_reference_with_more_of_the_rare_part(beside):
    section = beside.document["reference"]
    assert section["verdict"] == "told_apart"
    worst = section["regions"][0]
    assert worst["found"]
    assert all(name.startswith("reference/r") for name in worst["typical"])
    bright = {f"reference/r{row:04d}" for row in range(100)}
    assert np.mean([name in bright for name in worst["typical"]]) > 0.9
    kinds = [one["kind"] for one in beside.document["verdicts"]]
    assert kinds[0] == "who"
    assert kinds[1] in ("shortfall", "caution")
    wanted = beside.images.nlargest(20, "log_ratio")["sample_id"]
    assert (wanted < "s0038").mean() > 0.7


def test_an_earlier_version_says_what_was_added(beside):
    section = beside.document["drift"]
    assert (section["added"], section["removed"], section["kept"]) == (200, 0, 280)
    assert section["verdict"] == "told_apart"  # all of the rare part was added


def test_declared_shares_are_compared(beside):
    tone = beside.document["groups"]["attributes"][0]
    row = next(one for one in tone["rows"] if "bright" in one["group"])
    assert row["verdict"] == "below"
    assert row["missing"] == SIZE - 2 * row["count"]


def test_small_counts_of_a_region_are_withheld_and_people_are_known(beside):
    for region in beside.document["regions"]["list"]:
        few = next(row for row in region["explains"] if row["group"] == "age:few")
        assert few["inside"] is None
    assert not any("Nobody says who is shown" in said for said in beside.document["limits"])


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="in both"):
        debias.audit(*faces(), reference=placed(faces()), rules=QUICK)
    with pytest.raises(GroupSchemaError, match="height"):
        debias.audit(*faces(), rules=declaring("height"))
    with pytest.raises(GroupSchemaError, match="no attribute is annotated"):
        debias.audit(*faces(attributes=()), rules=declaring("tone"))


def test_embeddings_without_a_spread_are_standardised_and_need_no_annotation():
    store, latents = faces(attributes=())
    scale = np.array([1e-3, 1.0, 1e3, 10.0], dtype=np.float32)
    points = Latents(sample_ids=latents.sample_ids, mean=latents.mean * scale)
    report = debias.audit(store, points, rules=QUICK)
    assert report.document["regions"]["list"][0]["found"]
    assert report.document["groups"] is None


def test_latents_of_other_images_are_refused():
    store, latents = faces()
    strange = Latents(sample_ids=np.array([f"x{n}" for n in range(SIZE)]), mean=latents.mean)
    with pytest.raises(DataError, match="480 of 480 latents belong to no image"):
        debias.audit(store, strange, rules=QUICK)


def test_latents_of_another_network_are_refused():
    store, latents = faces(size=200, seed=1, prefix="r")
    other = Latents(sample_ids=latents.sample_ids, mean=latents.mean[:, :3])
    reference = Placed(store=store, latents=other)
    with pytest.raises(DataError, match="have 4 dimensions and the reference 3: place both"):
        debias.audit(*faces(), reference=reference, rules=QUICK)


def test_too_few_images_and_constant_latents_are_refused():
    with pytest.raises(DataError, match="49 images"):
        debias.audit(*faces(size=49), rules=QUICK)
    store, latents = faces()
    flat = Latents(sample_ids=latents.sample_ids, mean=np.ones_like(latents.mean))
    with pytest.raises(DataError, match="say nothing"):
        debias.audit(store, flat, rules=QUICK)


def test_a_group_may_be_called_like_a_sum_and_small_counts_are_not_told():
    members = np.arange(70) < 35
    groups = pd.DataFrame({"a": ["All"] * 30 + ["b"] * 40, "c": ["few"] * 5 + ["many"] * 65})
    found = {row["group"]: row for row in explains(groups, members, below=6)}
    assert found["a:All"]["outside"] is None  # 5 of b lie inside
    assert found["a:All"]["most"]
    assert found["c:few"]["inside"] is None
    shown = {row["group"]: row for row in explains(groups, members, below=1)}
    assert shown["a:All"]["inside"] == pytest.approx(30 / 35)
    assert shown["a:All"]["outside"] == 0.0
