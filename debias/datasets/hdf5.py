"""One HDF5 file of images and labels: that of the teaching lab on DB-VAE, and its like.

Images: ``images``, uint8 (n, 64, 64, 3); other sizes work. The lab's file stores blue first, as
    OpenCV does, and its own loader turns the colours round.
Labels: ``labels``, (n, 1), 1 for a face and 0 for none. In the lab's file the faces come from
    CelebA and the others from ImageNet: nobody looked at each image for this label.
Splits: none.
Source: the second lab of MIT 6.S191, introtodeeplearning.com, github.com/aamini/introtodeeplearning
    (train_face.h5).
Citation: Amini, Soleimany, Schwarting, Bhatia, Rus 2019, Uncovering and Mitigating Algorithmic Bias
    through Learned Latent Structure; CelebA: Liu et al. 2015; ImageNet: Deng et al. 2009.
Licence: the lab's code is MIT; the images remain under the terms of CelebA (non-commercial
    research) and ImageNet (non-commercial research and education).
Known problems: no attribute says who is shown or how people are perceived, so nothing can be
    broken down by group; no identities; a photograph without a label of its own may show a face;
    64 x 64 pixels.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Int64, UInt8
from pydantic import Field, field_validator

from debias.datasets.listing import require_regular
from debias.datasets.owners_lists import STATED, LabelName, Stated, annotated_as
from debias.datasets.store import fitted
from debias.errors import DataError
from debias.plugins import Settings
from debias.storage.files import mistaken_for, shown
from debias.types import Collection

WHERE = "https://github.com/aamini/introtodeeplearning (lab 2, train_face.h5)"
AGAIN = f"get it again from {WHERE}, or write it again"
PROBE = Path(__file__).with_name("hdf5_probe.py")
LONGEST_PROBE = 30.0  # seconds
BLOCK = 64 << 20  # bytes of pixels read at once
SPREAD = 4  # rows read for one wanted before single rows are picked out, which is slow


class Hdf5Faces(Settings):
    """One HDF5 file with ``images`` and ``labels``, 0 or 1.

    Columns: one named by ``label_name``, with the two values of ``classes``.
    """

    name: Literal["hdf5"] = "hdf5"
    file: Path = Field(description="HDF5 file with the datasets images and labels.")
    order: Literal["bgr", "rgb"] = Field(
        default="bgr",
        description="Order of the colours in the file: 'bgr' (blue first) in the lab's, which was "
        "written with OpenCV; faces that look blue were read in the wrong order.",
    )
    label_name: LabelName = "face"
    classes: tuple[str, str] = Field(
        default=("no", "yes"), description="What 0 and 1 mean, in this order."
    )
    annotation: str = annotated_as(
        "The file does not say who annotated the labels or how. In the teaching lab's file "
        "a label says where an image was taken from: faces from CelebA, the others from ImageNet.",
        "labels",
    )
    source: Stated = STATED

    @field_validator("classes")
    @classmethod
    def _different(cls, classes: tuple[str, str]) -> tuple[str, str]:
        if classes[0] == classes[1]:
            raise ValueError(f"both classes are called {classes[0]!r}; give them different names")
        return classes

    def collect(self, seed: int) -> Collection:
        """One row per image; only labels are read, in a process that may die of a damaged file.

        Raises:
            FileNotFoundError: The file does not exist.
            DataError: It cannot be opened, or does not hold what is expected; says which.
        """
        require_regular(self.file, WHERE)
        identity = _identity(self.file)
        with self.file.open("rb") as content:
            if other := mistaken_for(content.read(4096)):
                raise DataError(f"{shown(self.file)} is {other}")
            content.seek(0)
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        _probe(self.file)
        pixels = _Pixels(self.file, identity, self.order)
        with pixels.readable("the labels") as file:
            labels = file["labels"][...].reshape(-1).astype(np.int64)
            others = ", ".join(shown(str(name)) for name in sorted({*file} - {"images", "labels"}))
        ids = [f"row-{row:08d}" for row in range(len(labels))]
        names = np.array(self.classes, dtype=object)[labels]
        samples = pd.DataFrame({"sample_id": ids, self.label_name: names})
        # The order of colours changes the images, so it belongs to what identifies them.
        more = (f"Beside images and labels the file holds what is not read: {others}.",)
        return Collection(
            samples=samples, draw=pixels, fingerprint=f"{digest}-{self.order}",
            remarks=more if others else (),
        )  # fmt: skip


Identity = tuple[int, int, int]


@dataclass(frozen=True)
class _Pixels:
    """The images of a file, read by row."""

    file: Path
    identity: Identity
    order: str

    def __call__(self, samples: pd.DataFrame, size: int) -> UInt8[np.ndarray, "n size size 3"]:
        """Rows named by ``sample_id``, in this order, RGB, resized to ``size`` pixels a side.

        Raises:
            DataError: The file changed, or is damaged where these rows lie.
        """
        rows = samples["sample_id"].str.removeprefix("row-").astype(np.int64).to_numpy()
        with self.readable("the images") as file:
            images = file["images"]
        drawn = np.empty((len(rows), size, size, 3), dtype=np.uint8)
        step = max(1, BLOCK // (SPREAD * int(np.prod(images.shape[1:]))))
        for start in range(0, len(rows), step):
            wanted = rows[start : start + step]
            with self.readable(f"rows {wanted.min()} to {wanted.max()} of the images"):
                block = _read(images, wanted)
            block = block[..., ::-1] if self.order == "bgr" else block
            drawn[start : start + step] = fitted(block, size)
        return drawn

    @contextmanager
    def readable(self, what: str) -> Iterator[Any]:
        """The file; what the library raises if it is damaged becomes our error."""
        try:
            yield _opened(self.file, self.identity, os.getpid())
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{shown(self.file)}: {what} cannot be read ({shown(str(error))}); the file is "
                f"damaged: {AGAIN}"
            ) from error


def _read(images: Any, rows: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W 3"]:  # noqa: ANN401
    """Rows in any order; HDF5 wants each once, in increasing order."""
    unique, place = np.unique(rows, return_inverse=True)
    first, last = int(unique[0]), int(unique[-1]) + 1
    if last - first <= SPREAD * len(unique):
        return images[first:last][rows - first]
    return images[unique][place]


@lru_cache(maxsize=1)
def _opened(path: Path, identity: Identity, process: int) -> Any:  # noqa: ANN401 (h5py is untyped)
    """The file, opened once in each process, if it is the one that was looked at before."""
    import h5py  # type: ignore[import-untyped]

    if _identity(path) != identity:
        raise DataError(
            f"{shown(path)} changed while it was being read; run again when it is complete"
        )
    return h5py.File(path, "r", locking=False)  # nobody writes; some network disks cannot lock


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _probe(path: Path) -> None:
    """Have another process open the file first.

    Raises:
        DataError: It took too long, died, or found something that was not expected.
    """
    command = [sys.executable, "-P", str(PROBE), str(path.absolute())]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=LONGEST_PROBE, check=False, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"{shown(path)} could not be looked through within {LONGEST_PROBE:.0f} s, as damaged "
            f"HDF5 files cannot; {AGAIN}"
        ) from error
    if done.returncode:
        last = shown((done.stderr.strip().splitlines() or [""])[-1])
        raise DataError(
            f"the HDF5 library died of {shown(path)} (exit code {done.returncode}) {last}; {AGAIN}"
        )
    problem = shown(json.loads(done.stdout)["problem"])
    if problem:
        raise DataError(f"{shown(path)}: {problem}; {AGAIN}")
