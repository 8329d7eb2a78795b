import hashlib

import numpy as np
import pandas as pd
import pytest

from debias.ingesting import parts
from debias.ingesting.parts import Listing, Source, decode_parts, known, write_shards
from debias.types import ReadBlock, Rejected

SIZE = 16


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "ROWS_MULTIPLE", 4)
    monkeypatch.setattr(parts, "PART_BYTES", 4 * SIZE * SIZE * 3)


def listed(count: int, **columns) -> pd.DataFrame:
    ids = [f"s{row:03d}" for row in range(count)]
    return pd.DataFrame({"sample_id": ids, "path": [f"/{name}.jpg" for name in ids], **columns})


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class Reader:
    """Reads blocks of three, so that blocks and parts (of four) never agree."""

    def __init__(self, broken=(), stop_after=None):
        self.broken, self.stop_after = set(broken), stop_after
        self.read: list[str] = []

    def __call__(self, samples, size):
        ids = samples["sample_id"].tolist()
        for start in range(0, len(ids), 3):
            block = ids[start : start + 3]
            if self.stop_after is not None and len(self.read) >= self.stop_after:
                raise KeyboardInterrupt
            self.read += block
            good = [name for name in block if name not in self.broken]
            numbers = [int(name[1:]) for name in good]
            images = np.full((len(good), size, size, 3), 0, dtype=np.uint8)
            images += np.array(numbers, dtype=np.uint8)[:, None, None, None]
            found = pd.DataFrame({"sample_id": good, "sha256": [sha(n) for n in good], "notes": ""})
            yield ReadBlock(
                images=images,
                found=found.astype(object),
                perceptual=np.array(numbers, dtype=np.uint64)[:, None].repeat(4, axis=1),
                rejected=tuple(
                    Rejected(
                        sample_id=name, path="", reason="not decodable", detail="", sha256=sha(name)
                    )
                    for name in block
                    if name in self.broken
                ),
            )


def source_of(decoded) -> Source:
    samples = decoded.samples.rename(columns={"decode_notes": "notes"})
    return Source(samples, decoded.images.shards, decoded.perceptual)


def contents(decoded) -> list[int]:
    return decoded.images[np.arange(len(decoded.images))][:, 0, 0, 0].tolist()


def test_images_and_rows_stay_together_whatever_the_blocks_and_parts_are(tmp_path):
    decoded = decode_parts(
        tmp_path, Listing(samples=listed(11), size=SIZE), Reader(broken=["s002", "s004", "s010"])
    )
    expected = [0, 1, 3, 5, 6, 7, 8, 9]
    assert contents(decoded) == expected
    assert decoded.samples["sample_id"].tolist() == [f"s{row:03d}" for row in expected]
    assert decoded.perceptual[:, 0].tolist() == expected
    assert decoded.samples["sha256"].tolist() == [sha(f"s{row:03d}") for row in expected]
    assert [item.sample_id for item in decoded.rejected] == ["s002", "s004", "s010"]


def test_a_part_in_which_nothing_could_be_read_is_a_part_too(tmp_path):
    decoded = decode_parts(
        tmp_path, Listing(samples=listed(9), size=SIZE), Reader(broken=listed(4)["sample_id"])
    )
    assert contents(decoded) == [4, 5, 6, 7, 8]
    assert len(decoded.rejected) == 4


def test_an_interrupted_build_goes_on_with_the_same_result(tmp_path):
    undisturbed = decode_parts(tmp_path / "a", Listing(samples=listed(30), size=SIZE), Reader())
    with pytest.raises(KeyboardInterrupt):
        decode_parts(tmp_path / "b", Listing(samples=listed(30), size=SIZE), Reader(stop_after=18))
    hashed = listed(30, sha256=[sha(name) for name in listed(30)["sample_id"]])
    again = Reader()
    decoded = decode_parts(tmp_path / "b", Listing(samples=hashed, size=SIZE), again)
    assert 0 < len(again.read) < 20
    for one, other in zip(undisturbed.parts, decoded.parts, strict=True):
        for file in one.iterdir():
            assert file.read_bytes() == (other / file.name).read_bytes(), file


def test_without_hashes_nothing_that_is_there_is_trusted(tmp_path):
    decode_parts(tmp_path, Listing(samples=listed(9), size=SIZE), Reader())
    again = Reader()
    decode_parts(tmp_path, Listing(samples=listed(9), size=SIZE), again)
    assert len(again.read) == 9


def test_a_part_with_a_changed_file_is_read_again(tmp_path):
    decode_parts(tmp_path, Listing(samples=listed(9), size=SIZE), Reader())
    hashed = listed(9, sha256=[sha(name) for name in listed(9)["sample_id"]])
    hashed.loc[5, "sha256"] = sha("changed")
    again = Reader()
    decode_parts(tmp_path, Listing(samples=hashed, size=SIZE), again)
    assert again.read == ["s004", "s005", "s006", "s007"]


@pytest.mark.parametrize("damage", ["flip", "cut", "no manifest", "bad manifest"])
def test_a_damaged_part_is_read_again(tmp_path, damage):
    hashed = listed(9, sha256=[sha(name) for name in listed(9)["sample_id"]])
    whole = decode_parts(tmp_path, Listing(samples=hashed, size=SIZE), Reader())
    name = "manifest.json" if "manifest" in damage else "images.npy"
    file = whole.parts[1] / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    if damage == "no manifest":
        file.unlink()
    else:
        file.write_bytes(content[:100] if damage in {"cut", "bad manifest"} else content)
    again = Reader()
    decoded = decode_parts(tmp_path, Listing(samples=hashed, size=SIZE), again)
    assert again.read == ["s004", "s005", "s006", "s007"]
    assert contents(decoded) == list(range(9))


def test_what_failed_by_bad_luck_is_read_again_when_asked(tmp_path):
    hashed = listed(9, sha256=[sha(name) for name in listed(9)["sample_id"]])
    decode_parts(tmp_path, Listing(samples=hashed, size=SIZE), Reader(broken=["s001"]))
    again = Reader()
    decode_parts(tmp_path, Listing(samples=hashed, size=SIZE, retry=True), again)
    assert again.read == []  # a broken file stays broken
    file = tmp_path / "part-00000"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "BAD_LUCK", frozenset({"not decodable"}))
        assert file.exists()
        decoded = decode_parts(tmp_path, Listing(samples=hashed, size=SIZE, retry=True), again)
    assert again.read == ["s000", "s001", "s002", "s003"]
    assert contents(decoded) == list(range(9))


def test_images_that_are_known_are_copied_and_not_decoded(tmp_path):
    hashed = listed(9, sha256=[sha(name) for name in listed(9)["sample_id"]])
    first = decode_parts(tmp_path / "a", Listing(samples=hashed, size=SIZE), Reader())
    source = source_of(first)
    more = listed(12, sha256=[sha(name) for name in listed(12)["sample_id"]])
    more = more[more["sample_id"] != "s003"]
    again = Reader()
    decoded = decode_parts(
        tmp_path / "b", Listing(samples=more, size=SIZE, known=known([source])), again
    )
    assert again.read == ["s009", "s010", "s011"]
    assert contents(decoded) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert decoded.perceptual[:, 3].tolist() == contents(decoded)


def test_the_same_file_cut_at_another_place_is_not_known(tmp_path):
    square = dict.fromkeys(("crop_x", "crop_y", "crop_angle"), 1.0)
    hashed = listed(4, sha256=[sha(name) for name in listed(4)["sample_id"]], **square)
    first = decode_parts(
        tmp_path / "a", Listing(samples=hashed.assign(crop_side=8.0), size=SIZE), Reader()
    )
    source = source_of(first)
    seen = known([source])
    assert (seen.rows(hashed.assign(crop_side=8.0)) >= 0).all()
    assert (seen.rows(hashed.assign(crop_side=9.0)) < 0).all()


def test_drawn_images_are_found_again_by_their_fingerprint(tmp_path):
    listing = Listing(samples=listed(9), size=SIZE, fingerprint="one")
    decode_parts(tmp_path, listing, Reader())
    again = Reader()
    decode_parts(tmp_path, listing, again)
    assert again.read == []
    decode_parts(tmp_path, Listing(samples=listed(9), size=SIZE, fingerprint="two"), again)
    assert len(again.read) == 9


def test_shards_hold_the_chosen_rows_in_order(tmp_path):
    decoded = decode_parts(tmp_path / "parts", Listing(samples=listed(13), size=SIZE), Reader())
    store = tmp_path / "store"
    store.mkdir()
    rows = np.array([0, 1, 2, 3, 6, 12])
    write_shards(store, decoded, rows)
    shards = [np.load(path) for path in sorted(store.glob("images-*.npy"))]
    assert [len(shard) for shard in shards] == [4, 1, 1]
    assert np.concatenate(shards)[:, 0, 0, 0].tolist() == rows.tolist()
    assert np.load(store / "perceptual.npy")[:, 0].tolist() == rows.tolist()
    whole = store / "images-00000.npy"
    assert whole.stat().st_ino == (decoded.parts[0] / "images.npy").stat().st_ino
