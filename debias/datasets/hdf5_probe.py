"""Open an HDF5 file in a process of its own, and say what is wrong with it.

    python -P debias/datasets/hdf5_probe.py FILE

A damaged or crafted file can make the HDF5 library hang, crash or fill memory: whoever runs this
sets a time limit, memory is limited here. Prints one JSON object: ``problem`` (a sentence; empty if
the file can be used), ``rows``, ``height`` and ``width``. Imports nothing of this package, so that
the process starts quickly.
"""

import json
import resource
import sys
from contextlib import suppress

import h5py  # type: ignore[import-untyped]
import numpy as np

LARGEST_MEMORY = 4 << 30  # bytes of address space
LARGEST_SIDE = 4096  # pixels
MOST_ROWS = 100_000_000
MOST_LOOKED_AT = 64  # rows
MOST_BYTES = 1 << 30  # of pixels looked at: the time is limited


def problem_of(file: h5py.File) -> str:
    """Why a file cannot be used: names, kinds, shapes, labels, and some rows from end to end."""
    problem = _not_held(file, "images") or _not_held(file, "labels")
    return (
        problem or _odd_images(file["images"]) or _odd_labels(file["labels"], len(file["images"]))
    )


def _not_held(file: h5py.File, name: str) -> str:
    """Why a dataset of this name does not lie in the file itself."""
    link = file.get(name, getlink=True)
    if link is None:
        return f"there is no dataset {name!r}, only {sorted(file)[:8]}"
    if not isinstance(link, h5py.HardLink):
        return f"{name!r} is a link; expected a dataset in the file"
    held = file[name]
    if not isinstance(held, h5py.Dataset):
        return f"{name!r} is a {type(held).__name__.lower()}; expected a dataset"
    if held.is_virtual or held.external:
        return f"{name!r} lies in other files; expected a dataset in the file"
    return ""


def _odd_images(images: h5py.Dataset) -> str:
    shape, kind = images.shape, images.dtype
    if len(shape) != 4 or shape[3] != 3:
        first = ", colours first" if len(shape) == 4 and shape[1] == 3 else ""
        return f"images have the shape {shape}{first}; expected (n, height, width, 3)"
    if kind != np.uint8:
        return f"images are {kind}; expected uint8, 0 to 255"
    if not 0 < shape[0] <= MOST_ROWS:
        return f"there are {shape[0]} images; expected 1 to {MOST_ROWS}"
    if not all(1 < side <= LARGEST_SIDE for side in shape[1:3]):
        return f"images have {shape[1]} x {shape[2]} pixels; expected 2 to {LARGEST_SIDE} a side"
    for row in spread(images):
        images[row]  # what cannot be read raises
    return ""


def spread(images: h5py.Dataset) -> list[int]:
    """Rows to look at: one of every chunk where these are few, else evenly from first to last."""
    count, height, width, colours = images.shape
    rows = images.chunks[0] if images.chunks else 1  # that are read for the sake of one
    most = max(2, min(MOST_LOOKED_AT, MOST_BYTES // (rows * height * width * colours)))
    if len(range(0, count, rows)) <= most:
        return [*range(0, count, rows)]
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]


def _odd_labels(labels: h5py.Dataset, count: int) -> str:
    shape, kind = labels.shape, labels.dtype
    if kind.kind not in "fiub":
        return f"labels are {kind}; expected numbers, 0 or 1"
    if shape not in {(count,), (count, 1)}:
        return f"labels have the shape {shape}; expected ({count}, 1), one an image"
    values = labels[...].reshape(-1)
    odd = ~np.isin(values, (0, 1))  # NaN is odd, too
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        return (
            f"{odd.sum()} of {count} labels are neither 0 nor 1, first: {values[row]} in row {row}"
        )
    return ""


def probe(path: str) -> dict[str, object]:
    """What is printed."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            problem = problem_of(file)
            if problem:
                return {"problem": problem}
            rows, height, width, _ = file["images"].shape
            return {"problem": "", "rows": rows, "height": height, "width": width}
    except Exception as error:  # the library raises whatever its layers do
        return {"problem": f"it cannot be read as HDF5 ({type(error).__name__}: {error})"[:400]}


if __name__ == "__main__":
    with suppress(ValueError, OSError):  # not every system can limit it
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
    sys.stdout.write(json.dumps(probe(sys.argv[1])))
