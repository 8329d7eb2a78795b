"""Which images of an audited data set an export holds, and how much each counts.

Weights are worked out anew from the latents of the images to choose from. Those of the audit are
fitted to everything that it looked at, which may include the validation and test images: what is
common there would make training images count less.

``n`` images that could be chosen, ``m`` lines, ``k`` latent dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from debias.auditing.audit import rarity_weights
from debias.auditing.resampling import resample
from debias.auditing.subsets import even_subset
from debias.errors import ConfigError
from debias.pipeline.finished_audit import FinishedAudit
from debias.pipeline.manifests import require_ending
from debias.seeding import numpy_generator
from debias.types import Latents

MOST_LINES = 100_000_000  # of one file, which is put together in memory


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command was asked for.

    Attributes:
        folder: Of a finished audit.
        kind: ``weights``, ``resampled`` or ``subset``.
        size: Lines of a resampled manifest (None: as many as there are images) or images of a
            subset.
        seed: Of every draw.
        splits: Parts of the data set to choose from: train, validation. Test images never leave
            the test set.
        out: File to write; its ending says as what.
    """

    folder: Path
    out: Path
    kind: str
    size: int | None = None
    seed: int = 0
    splits: tuple[str, ...] = ("train",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """Which of the n images that could be chosen stand in the manifest.

    Attributes:
        place: (m,) among them, in the order of the lines.
        counts: (n,) how much each counts.
        columns: What the manifest says beyond which image it is.
        method: One sentence.
    """

    place: Int64[np.ndarray, " m"]
    counts: Float64[np.ndarray, " n"]
    columns: Mapping[str, np.ndarray]
    method: str


def check(request: Request) -> None:
    """Refuse what cannot be done, before anything is read.

    Raises:
        ConfigError: A setting is not possible.
    """
    if request.kind not in KINDS:
        raise ConfigError(f"--as {request.kind!r} is not known; choose {', '.join(KINDS)}")
    require_ending(request.out)
    wrong = [name for name in request.splits if name not in ("train", "validation")]
    if wrong or not request.splits:
        raise ConfigError(
            f"images are chosen from train and validation, got --splits {','.join(request.splits)}"
            "; test images stay in the test set, or nothing could be measured any more"
        )
    _check_size(request.kind, request.size)


def _check_size(kind: str, size: int | None) -> None:
    if kind == "subset" and size is None:
        raise ConfigError("a subset needs the number of its images: --size N")
    if kind == "weights" and size is not None:
        raise ConfigError("weights are of all images; leave out --size, or ask for --as resampled")
    if kind == "resampled" and size is not None and size > MOST_LINES:
        raise ConfigError(
            f"--size {size:,} lines are more than one file can hold; choose {MOST_LINES:,} or "
            "fewer, or ask for --as weights"
        )


def choose(audit: FinishedAudit, able: Int64[np.ndarray, " n"], request: Request) -> Chosen:
    """Choose among the audited images in these places.

    Raises:
        ConfigError: The size is not possible.
        WeightError: The latents of these images give no weights.
    """
    return KINDS[request.kind](audit, able, request)


def _weights(audit: FinishedAudit, able: Int64[np.ndarray, " n"], _: Request) -> Chosen:
    share = _shares(audit, able)
    counts = share * len(able)
    return Chosen(
        place=np.arange(len(able)),
        counts=counts,
        columns={"weight": counts, "probability": share},
        method=(
            "Every image, with the weight that it has among these images by the rule of the "
            "audit: rare ones count more."
        ),
    )


def _resampled(audit: FinishedAudit, able: Int64[np.ndarray, " n"], request: Request) -> Chosen:
    size = len(able) if request.size is None else request.size
    place = resample(_shares(audit, able), size, numpy_generator(request.seed, "export"))
    counts = np.bincount(place, minlength=len(able)).astype(np.float64)
    return Chosen(
        place=place,
        counts=counts,
        columns={"draw": np.arange(size)},
        method=(
            f"{size:,} draws with replacement by the weights of --as weights, in random order: "
            f"{int((counts > 0).sum()):,} different images, one up to {int(counts.max()):,} times. "
            "Train without weights: they are in the lines already."
        ),
    )


def _subset(audit: FinishedAudit, able: Int64[np.ndarray, " n"], request: Request) -> Chosen:
    assert request.size is not None  # checked before anything was opened
    points = _latents(audit, able).mean
    place = even_subset(points, request.size, numpy_generator(request.seed, "export"))
    counts = np.zeros(len(able))
    counts[place] = 1
    return Chosen(
        place=place,
        counts=counts,
        columns={},
        method=(
            f"{request.size:,} of {len(able):,} images, as evenly as possible from cells of equal "
            "reach in the latent space; no annotation was used."
        ),
    )


KINDS: dict[str, Callable[[FinishedAudit, Int64[np.ndarray, " n"], Request], Chosen]] = {
    "weights": _weights,
    "resampled": _resampled,
    "subset": _subset,
}


def _shares(audit: FinishedAudit, able: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Chance of each image at a draw: the rule of the audit, fitted to these images alone."""
    return rarity_weights(audit.density, _latents(audit, able))[1].probability


def _latents(audit: FinishedAudit, able: Int64[np.ndarray, " n"]) -> Latents:
    every = audit.latents
    if len(able) == len(every.mean):
        return every  # stays on disk
    return Latents(
        sample_ids=every.sample_ids[able],
        mean=every.mean[able],
        log_var=None if every.log_var is None else every.log_var[able],
    )
