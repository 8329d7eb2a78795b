"""IDX files, in which MNIST, Fashion-MNIST, KMNIST and EMNIST are distributed, packed or not.

Images: ``train-images-idx3-ubyte`` and ``t10k-images-idx3-ubyte``, uint8 (n, H, W), also with .gz
    or with a dot before ``idx3``.
Labels: ``train-labels-idx1-ubyte`` and so on, one number an image.
Splits: train and t10k, which is the test set.
Source: http://yann.lecun.com/exdb/mnist (MNIST and the format), github.com/zalandoresearch/
    fashion-mnist, github.com/rois-codh/kmnist, nist.gov/itl/products-and-services/emnist-dataset.
Citation: MNIST: LeCun, Bottou, Bengio, Haffner 1998; Fashion-MNIST: Xiao, Rasul, Vollgraf 2017.
Licence: MNIST CC BY-SA 3.0, Fashion-MNIST MIT, KMNIST CC BY-SA 4.0, EMNIST none stated.
Known problems: images of EMNIST lie on their side, rows and columns exchanged.
"""

import gzip
import hashlib
import re
import struct
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from debias.datasets.arrays import MOST_BYTES, OfArrays
from debias.datasets.listing import require_folder
from debias.datasets.owners_lists import SPLIT_NAMES
from debias.errors import DataError
from debias.storage.files import shown
from debias.types import Collection

WHERE = "its owner, for example http://yann.lecun.com/exdb/mnist"
Bytes = UInt8[np.ndarray, "..."]
NAME = re.compile(r"(?P<part>.+?)[-._](?P<what>images|labels)[-._]idx[13][-._]ubyte(\.gz)?")
UNSIGNED_BYTES = 8  # the only kind of numbers that images and labels come in


class Idx(OfArrays):
    """A folder of IDX files, one data set.

    Columns: ``class``, or as ``label_name`` says.
    """

    name: Literal["idx"] = "idx"
    root: Path = Field(description="Folder with train-images-idx3-ubyte and the like, or .gz.")

    def collect(self, seed: int) -> Collection:
        """One row an image.

        Raises:
            FileNotFoundError: The folder does not exist.
            DataError: It holds no such file, two data sets, or a file that is cut off.
        """
        require_folder(self.root, WHERE)
        files = idx_files(self.root)
        parts: dict[str, dict[str, Bytes]] = {}
        for file in files:
            said = NAME.fullmatch(file.name)
            assert said is not None  # they were found by it
            column = "images" if said["what"] == "images" else self.label_name
            arrays = parts.setdefault(_split(said["part"]), {})
            if column in arrays:
                raise DataError(
                    f"{shown(self.root)} holds several data sets, or one packed and unpacked: "
                    f"{shown(file.name)} is the second file of its kind; move the others away"
                )
            arrays[column] = read_idx(file)
        without = [split for split, arrays in parts.items() if "images" not in arrays]
        if without or not parts:
            raise DataError(
                f"{shown(self.root.absolute())} holds no file such as train-images-idx3-ubyte"
                f"{f' beside the labels of {without[0]!r}' if without else ''}; get it from {WHERE}"
            )
        content = hashlib.sha256()
        for part in parts.values():
            for array in part.values():
                content.update(hashlib.sha256(array.tobytes()).digest())
        others = sorted({path.name for path in self.root.iterdir()} - {file.name for file in files})
        return self.collection(parts, content.hexdigest(), seed, [*map(shown, others)])


def idx_files(folder: Path) -> list[Path]:
    """Files named as IDX files of images and labels are, sorted."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file())


def _split(part: str) -> str:
    """Of a name such as train, t10k or emnist-letters-test."""
    words = re.split(r"[-._]", part.lower())
    return next(
        (SPLIT_NAMES.get(word, "test") for word in words if word in {*SPLIT_NAMES, "t10k"}), ""
    )


def read_idx(file: Path) -> Bytes:
    """The array in a file.

    Raises:
        DataError: It is no IDX file of unsigned bytes, or its length is not what it says.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
            head = content.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] != UNSIGNED_BYTES:
                raise DataError(
                    f"{shown(file)} is no IDX file of unsigned bytes: it begins with {head.hex()}, "
                    f"expected 0000{UNSIGNED_BYTES:02x}01 for labels or 03 for images"
                )
            shape = struct.unpack(f">{head[3]}I", content.read(4 * head[3]))
            size = int(np.prod(shape, dtype=object))
            values = content.read(min(size, MOST_BYTES) + 1)
    except (OSError, EOFError, struct.error) as error:
        raise DataError(f"{shown(file)} cannot be read ({shown(str(error))})") from error
    if len(values) != size:
        rest = "more" if len(values) > size else f"{len(values):,}"
        raise DataError(
            f"{shown(file)} should hold {size:,} values of the shape {shape} and holds {rest}; "
            f"get it again from {WHERE}"
        )
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
