import hashlib
import io
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from debias import ingest
from debias.errors import (
    DataError,
    EmptyDatasetError,
    GroupSchemaError,
    LabelError,
    QuarantineLimitExceededError,
    SingleClassError,
    SplitLeakageError,
)
from debias.ingest.decode import decode
from debias.ingest.selection import Caps, Range, Selection, drawn_evenly
from debias.types import Rejected, ShardedImages


def encoded_image(colour=(200, 100, 50), size=(40, 30), kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    mode = options.pop("mode", "RGB")
    Image.new("RGB", size, colour).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def listed(tmp_path, contents: dict[str, bytes]) -> pd.DataFrame:
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in contents]
    return pd.DataFrame({"sample_id": list(contents), "path": paths})


class TestDecode:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
    def test_allowed_formats_become_rgb_squares(self, kind):
        pixels = decode(encoded_image(kind=kind), 16)
        assert pixels.shape == (16, 16, 3)
        assert pixels.dtype == np.uint8
        np.testing.assert_allclose(pixels.mean(axis=(0, 1)), [200, 100, 50], atol=4)

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
    def test_other_colour_modes_become_rgb(self, mode):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        assert decode(encoded_image(mode=mode, kind=kind), 16).shape == (16, 16, 3)

    @pytest.mark.parametrize("kind", ["GIF", "TIFF"])
    def test_other_formats_are_refused(self, kind):
        with pytest.raises(Exception, match="cannot identify"):
            decode(encoded_image(kind=kind), 16)

    def test_exif_orientation_is_applied(self):
        image = Image.new("RGB", (32, 32))
        image.paste((255, 0, 0), (0, 0, 32, 16))  # red above black
        exif = Image.Exif()
        exif[0x0112] = 6  # shown turned by 90 degrees clockwise
        buffer = io.BytesIO()
        image.save(buffer, "PNG", exif=exif)
        pixels = decode(buffer.getvalue(), 32)
        assert pixels[:, 20:, 0].mean() > 250  # red on the right
        assert pixels[:, :12, 0].mean() < 5

    def test_a_bomb_is_refused_by_its_header(self):
        bomb = encoded_image(size=(9000, 9000), mode="1")
        with pytest.raises(ValueError, match="9000 x 9000 pixels"):
            decode(bomb, 16)


class TestFiles:
    def test_a_broken_file_is_set_aside_and_the_rest_goes_on(self, tmp_path):
        good = encoded_image()
        samples = listed(
            tmp_path,
            {"a.png": good, "cut.png": good[:60], "text.png": b"hello", "b.png": good + b"\0"},
        )
        samples, rejected = ingest.hash_files(samples)
        assert not rejected
        done = ingest.write_shards(tmp_path, samples, ingest.read_files, 16)
        assert done.samples["sample_id"].tolist() == ["a.png", "b.png"]
        assert [(item.sample_id, item.reason) for item in done.rejected] == [
            ("cut.png", "not decodable"),
            ("text.png", "not decodable"),
        ]
        assert np.load(tmp_path / "images-00000.npy").shape == (2, 16, 16, 3)

    def test_missing_files_folders_and_pipes_are_set_aside(self, tmp_path):
        samples = listed(tmp_path, {"a.png": encoded_image()})
        (tmp_path / "folder.png").mkdir()
        os.mkfifo(tmp_path / "pipe.png")
        names = ["a.png", "gone.png", "folder.png", "pipe.png"]
        samples = pd.DataFrame({"sample_id": names, "path": [str(tmp_path / n) for n in names]})
        kept, rejected = ingest.hash_files(samples)
        assert kept["sample_id"].tolist() == ["a.png"]
        assert {item.reason for item in rejected} == {"unreadable"}
        assert len(rejected) == 3
        assert kept["sha256"][0] == hashlib.sha256(encoded_image()).hexdigest()

    def test_equal_content_is_kept_once(self, tmp_path):
        samples = listed(
            tmp_path, {"a.png": encoded_image(), "b.png": encoded_image((0, 0, 0)),
                       "again.png": encoded_image()}
        )  # fmt: skip
        kept, repeated = ingest.without_duplicates(ingest.hash_files(samples)[0])
        assert kept["sample_id"].tolist() == ["a.png", "b.png"]
        assert repeated[0].detail == "same content as a.png"

    def test_too_many_broken_files_stop_the_run(self, tmp_path):
        samples = pd.DataFrame({"sample_id": [f"s{i}" for i in range(100)]})

        def read(rows, size):
            for row, name in enumerate(rows["sample_id"]):
                failed = Rejected(sample_id=name, path=f"/{name}", reason="r", detail="d")
                yield failed if row % 5 == 0 else np.zeros((size, size, 3), np.uint8)

        with pytest.raises(QuarantineLimitExceededError, match=r"20 of 100.*first: /s0: d"):
            ingest.write_shards(tmp_path, samples, read, 8)
        with pytest.raises(EmptyDatasetError, match="none of 2 files"):
            ingest.write_shards(
                tmp_path,
                samples[:2],
                lambda rows, size: iter(
                    Rejected(sample_id=n, path=n, reason="r", detail="d") for n in rows["sample_id"]
                ),
                8,
            )


def test_shards_read_like_one_array():
    whole = np.random.default_rng(0).integers(0, 256, (25, 4, 4, 3)).astype(np.uint8)
    images = ShardedImages([whole[:10], whole[10:20], whole[20:]])
    rows = np.array([24, 0, 10, 9, 9, 19], dtype=np.int64)
    np.testing.assert_array_equal(images[rows], whole[rows])
    assert images.shape == (25, 4, 4, 3)


def people(size=400, seed=0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"s{row:04d}" for row in range(size)],
            "race": generator.choice(["A", "B"], size, p=[0.8, 0.2]),
            "gender": generator.choice(["f", "m"], size),
            "age": generator.integers(1, 90, size).astype(str),
            "subject_id": generator.integers(0, 150, size).astype(str),
        }
    )


class TestSelection:
    def test_filters_keep_values_and_ranges(self):
        kept = ingest.keep(people(), {"race": ["B"], "age": Range(min=18, max=60)})
        assert set(kept["race"]) == {"B"}
        assert kept["age"].astype(int).between(18, 60).all()

    def test_filters_that_cannot_work_are_refused(self):
        with pytest.raises(GroupSchemaError, match=r"no column 'skin'; columns: race, gender"):
            ingest.keep(people(), {"skin": ["x"]})
        with pytest.raises(EmptyDatasetError, match="no sample of 400 passes"):
            ingest.keep(people(), {"race": ["Z"]})

    def split(self, samples=None, **settings):
        samples = people().drop(columns="subject_id") if samples is None else samples
        selection = Selection(**settings)
        generator = np.random.default_rng(1)
        return ingest.split(samples, selection, ["race", "gender"], generator)

    def test_equal_test_cells(self):
        chosen = self.split(test_per_group=20)
        test = chosen[chosen["split"] == "test"]
        assert test.groupby(["race", "gender"]).size().tolist() == [20] * 4
        assert len(chosen) == 400

    def test_a_cell_that_is_too_small_is_named(self):
        with pytest.raises(
            DataError, match=r"test_per_group is 100, but B x . has only \d+ images"
        ):
            self.split(test_per_group=100)

    def test_caps_plant_an_imbalance_and_validation_follows_it(self):
        caps = Caps(column="race", most={"A": 100, "B": 10})
        chosen = self.split(test_per_group=10, caps=caps, validation_fraction=0.2)
        counts = chosen.groupby(["split", "race"]).size()
        assert counts["train"].to_dict() == {"A": 100, "B": 10}
        assert counts["validation"].to_dict() == {"A": 20, "B": 2}

    def test_fractions_without_caps(self):
        sizes = self.split(test_fraction=0.25)["split"].value_counts()
        assert sizes["test"] == 100
        assert sizes["validation"] == pytest.approx(0.1 * sizes["train"], abs=1)
        assert sizes.sum() == 400

    def test_nobody_is_on_two_sides(self):
        chosen = self.split(people(), test_fraction=0.3)
        by_person = chosen.groupby("subject_id")["split"].nunique()
        assert by_person.max() == 1
        assert {"train", "validation", "test"} == set(chosen["split"])

    def test_the_same_seed_gives_the_same_split(self):
        pd.testing.assert_frame_equal(self.split(), self.split())

    def test_a_given_split_is_respected(self):
        samples = people().assign(split="train")
        assert self.split(samples) is samples

    def test_a_given_split_must_not_divide_a_person_or_meet_settings_that_draw_one(self):
        samples = people().assign(split=["train", "test"] * 200)
        with pytest.raises(SplitLeakageError, match=r"\d+ people stand on more than one side"):
            self.split(samples)
        with pytest.raises(DataError, match="bring their own split"):
            self.split(samples, test_per_group=5)


class TestLabels:
    samples = pd.DataFrame(
        {"sample_id": ["a", "b", "c"], "smile": ["yes", "no", "yes"], "n": [1, 2, 3]}
    )

    def test_the_positive_class_comes_last(self):
        assert ingest.classes_of(self.samples, "smile", None) == ("no", "yes")
        assert ingest.classes_of(self.samples, "smile", "no") == ("yes", "no")

    @pytest.mark.parametrize(
        ("label", "positive", "error", "message"),
        [
            ("smiles", None, LabelError, "no column 'smiles'; columns: smile, n"),
            ("n", None, LabelError, r"has 3 values \(1, 2, 3\)"),
            ("smile", "maybe", LabelError, r"positive is 'maybe', but smile holds \['no', 'yes'\]"),
        ],
    )
    def test_unusable_labels_are_explained(self, label, positive, error, message):
        with pytest.raises(error, match=message):
            ingest.classes_of(self.samples, label, positive)

    def test_a_single_class_and_missing_labels(self):
        with pytest.raises(SingleClassError, match="every one of 2 samples has smile = 'yes'"):
            ingest.classes_of(self.samples[self.samples["smile"] == "yes"], "smile", None)
        with pytest.raises(LabelError, match="1 samples have no 'smile', first: b"):
            ingest.classes_of(self.samples.replace({"no": None}), "smile", None)

    def test_attributes_become_text_and_gaps_say_unknown(self):
        samples = self.samples.assign(group=["x", None, 3])
        done = ingest.encoded(samples, "smile", ("no", "yes"), ["group"])
        assert done["group"].tolist() == ["x", "unknown", "3"]
        assert done["label"].tolist() == [1, 0, 1]
        with pytest.raises(GroupSchemaError, match="attributes: there is no column 'race'"):
            ingest.encoded(samples, "smile", ("no", "yes"), ["race"])


def test_drawing_evenly_without_a_number_takes_what_the_smallest_cell_has():
    samples = pd.DataFrame(
        {"sample_id": [f"s{row:03d}" for row in range(100)], "tone": ["a"] * 70 + ["b"] * 30}
    )
    generator = np.random.default_rng(0)
    assert drawn_evenly(samples, ["tone"], None, generator)["tone"].value_counts().to_dict() == {
        "a": 30, "b": 30,
    }  # fmt: skip
    assert len(drawn_evenly(samples, [], None, generator)) == 100
    assert len(drawn_evenly(samples, [], 40, generator)) == 40
    with pytest.raises(DataError, match="40 for each of 2 cells, but b has only 30"):
        drawn_evenly(samples, ["tone"], 80, generator)
    with pytest.raises(DataError, match="fewer than the 100 cells"):
        drawn_evenly(samples, ["sample_id"], 20, generator)
