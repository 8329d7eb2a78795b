"""On the real UTKFace, where it lies beside the project; otherwise skipped."""

import os
from pathlib import Path

import numpy as np
import pytest

from debias import ingest
from debias.datasets import UTKFace

BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "utkface"
FACES = Path(os.environ.get("UTKFACE", BESIDE))

pytestmark = pytest.mark.skipif(
    not FACES.is_dir(), reason="UTKFace is not here; name its folder in the variable UTKFACE"
)


def test_every_real_file_name_is_read_and_a_sample_decodes(tmp_path):
    found = UTKFace(root=FACES).collect(0)
    samples, files = found.samples, sum(1 for path in FACES.iterdir() if path.suffix == ".jpg")
    assert len(samples) + len(found.rejected) == files
    assert len(found.rejected) < 0.001 * files
    assert samples["age"].between(0, 116).all()
    assert set(samples["perceived_gender"]) == {"male", "female"}
    some, unreadable = ingest.hash_files(samples.sample(200, random_state=0))
    assert not unreadable
    done = ingest.write_shards(tmp_path, some, ingest.read_files, 64)
    assert not done.rejected
    images = np.load(tmp_path / "images-00000.npy")
    assert images.shape == (200, 64, 64, 3)
    assert images.std() > 30  # faces, not blanks
