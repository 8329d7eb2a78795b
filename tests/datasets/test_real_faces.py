"""On the real UTKFace, where it lies beside the project; otherwise skipped."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from debias.datasets import UTKFace

BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "utkface"
FACES = Path(os.environ.get("UTKFACE", BESIDE))

pytestmark = pytest.mark.skipif(
    not FACES.is_dir(), reason="UTKFace is not here; name its folder in the variable UTKFACE"
)


def test_every_real_file_name_is_read_and_a_sample_decodes():
    found = UTKFace(root=FACES).collect(0)
    samples, files = found.samples, sum(1 for path in FACES.iterdir() if path.suffix == ".jpg")
    assert len(samples) + len(found.rejected) == files
    assert len(found.rejected) < 0.001 * files
    assert samples["age"].between(0, 116).all()
    assert set(samples["perceived_gender"]) == {"male", "female"}
    for path in samples["path"].sample(50, random_state=0):
        with Image.open(path) as image:
            assert np.asarray(image).std() > 10  # a face, not a blank
