"""Hashes without pixels: the same bytes, and the same refusals, as when decoding."""

import hashlib
import os

import pandas as pd
from encoded_images import encoded, picture

from debias.decoding.pool import hash_files, read_files
from debias.decoding.rules import Limits


def test_the_same_hashes_as_when_decoding(tmp_path):
    contents = {"a": encoded(picture()), "b": encoded(picture(seed=1), "JPEG"), "c": b"text"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    names = ["pipe", "c", "b", "missing", "a", "b"]
    samples = pd.DataFrame(
        {"sample_id": list("uvwxyz"), "path": [str(tmp_path / name) for name in names], "age": 7}
    )
    found, rejected = hash_files(samples)
    assert found.columns.tolist() == ["sample_id", "path", "age", "sha256"]
    assert "sha256" not in samples
    expected = {"v": "c", "w": "b", "y": "a", "z": "b"}
    assert dict(zip(found["sample_id"], found["sha256"], strict=True)) == {
        sample: hashlib.sha256(contents[name]).hexdigest() for sample, name in expected.items()
    }
    assert {item.sample_id: item.reason for item in rejected} == {
        "u": "not a regular file",
        "x": "file missing",
    }
    decoded = {}
    for block in read_files(samples, 16):
        decoded |= dict(zip(block.found["sample_id"], block.found["sha256"], strict=True))
        decoded |= {item.sample_id: item.sha256 for item in block.rejected if item.sha256}
    assert decoded == dict(zip(found["sample_id"], found["sha256"], strict=True))


def test_slices_and_limits(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    samples = pd.DataFrame({"sample_id": ["x", "y"], "path": str(tmp_path / "a"),
                            "offset": [2, 0], "length": [3, 8]})  # fmt: skip
    found, rejected = hash_files(samples, Limits(most_bytes=5))
    assert found["sha256"].tolist() == [hashlib.sha256(b"234").hexdigest()]
    assert [(item.reason, item.size) for item in rejected] == [("file too large", 8)]


def test_nothing_to_hash():
    samples = pd.DataFrame({"sample_id": [], "path": []}, dtype=str)
    found, rejected = hash_files(samples)
    assert (len(found), rejected) == (0, [])
    assert "sha256" in found
