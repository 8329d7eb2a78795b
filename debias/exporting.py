"""``debias export``: an audited data set for any other training code.

Beside the manifest ``NAME.csv`` or ``NAME.parquet``, one line an image to train with, lie
``NAME.held-out.*`` (the images of the other splits, as they are, for testing) and
``NAME.audit.json`` (how the manifest came about, and a short audit before and after).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from debias import __version__
from debias.audit.even_subset import even_subset
from debias.audit.resampling import resample
from debias.before_after import compare_coverage, compare_groups, sentences
from debias.errors import ConfigError, DataError, WeightError
from debias.files import storage_error
from debias.finished_audit import FinishedAudit, open_audit
from debias.manifests import (
    COLUMNS,
    PRIVATE,
    UNLABELLED,
    manifest_of,
    remarks,
    require_ending,
    write_manifest,
)
from debias.sealed import fingerprint, write_json
from debias.seeding import numpy_generator
from debias.types import group_names

SCHEMA = 1


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
class Export:
    """The files written (``held_out`` is None without other splits), and the short audit."""

    manifest: Path
    held_out: Path | None
    numbers: Path
    document: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chosen:
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


def export(request: Request) -> Export:
    """Choose, write the manifest and what is held out, and measure before and after.

    Raises:
        ConfigError: A setting is not possible; nothing is written.
        DataError: The folder is no finished audit.
        StorageError: The files cannot be written.
    """
    _check(request)
    audit = open_audit(request.folder)
    able = np.flatnonzero(audit.images["split"].isin(request.splits)).astype(np.int64)
    if len(able) < 2:
        there = ", ".join(sorted(audit.images["split"].unique()))
        raise DataError(
            f"{len(able)} audited images lie in {', '.join(request.splits)}; the audit looked at: "
            f"{there}; choose other --splits"
        )
    chosen = KINDS[request.kind](audit, able, request)
    rows = audit.images["row"].to_numpy()[able]
    manifest = manifest_of(audit, rows[chosen.place], chosen.columns)
    held_out = manifest_of(audit, _others(audit, request), {})
    document = _described(audit, request, chosen) | _measured(audit, able, chosen)
    document["sentences"] = [*remarks(manifest, held_out), *sentences(document)]
    return _write(request.out, manifest, held_out, document)


def _check(request: Request) -> None:
    if request.kind not in KINDS:
        raise ConfigError(f"--as {request.kind!r} is not known; choose {', '.join(KINDS)}")
    require_ending(request.out)
    wrong = [name for name in request.splits if name not in ("train", "validation")]
    if wrong or not request.splits:
        raise ConfigError(
            f"images are chosen from train and validation, got --splits {','.join(request.splits)}"
            "; test images stay in the test set, or nothing could be measured any more"
        )
    if request.kind == "subset" and request.size is None:
        raise ConfigError("a subset needs the number of its images: --size N")
    if request.kind == "weights" and request.size is not None:
        raise ConfigError("weights are of all images; leave out --size, or ask for --as resampled")


def _weights(audit: FinishedAudit, able: Int64[np.ndarray, " n"], _: Request) -> _Chosen:
    share = _shares(audit, able)
    counts = share * len(able)
    return _Chosen(
        place=np.arange(len(able)),
        counts=counts,
        columns={"weight": counts, "probability": share},
        method="Every image, with the weight that the audit gave it: rare ones count more.",
    )


def _resampled(audit: FinishedAudit, able: Int64[np.ndarray, " n"], request: Request) -> _Chosen:
    size = len(able) if request.size is None else request.size
    place = resample(_shares(audit, able), size, numpy_generator(request.seed, "export"))
    counts = np.bincount(place, minlength=len(able)).astype(np.float64)
    return _Chosen(
        place=place,
        counts=counts,
        columns={"draw": np.arange(size)},
        method=(
            f"{size:,} draws with replacement by the weights of the audit, in random order: "
            f"{int((counts > 0).sum()):,} different images, one up to {int(counts.max()):,} times. "
            "Train without weights: they are in the lines already."
        ),
    )


def _subset(audit: FinishedAudit, able: Int64[np.ndarray, " n"], request: Request) -> _Chosen:
    assert request.size is not None  # checked before anything was opened
    points = audit.points if len(able) == len(audit.points) else audit.points[able]
    place = even_subset(points, request.size, numpy_generator(request.seed, "export"))
    counts = np.zeros(len(able))
    counts[place] = 1
    return _Chosen(
        place=place,
        counts=counts,
        columns={},
        method=(
            f"{request.size:,} of {len(able):,} images, as evenly as possible from cells of equal "
            "reach in the latent space; no annotation was used."
        ),
    )


KINDS: dict[str, Callable[[FinishedAudit, Int64[np.ndarray, " n"], Request], _Chosen]] = {
    "weights": _weights,
    "resampled": _resampled,
    "subset": _subset,
}


def _shares(audit: FinishedAudit, able: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    weight = audit.images["weight"].to_numpy(dtype=np.float64)[able]
    if not np.isfinite(weight).all() or weight.min() < 0 or weight.sum() <= 0:
        raise WeightError(
            f"the audit {audit.key} gave no usable weights (they must be finite, at least 0 and "
            "not all 0); ask for --as subset, or run debias audit again"
        )
    return np.asarray(weight / weight.sum())


def _others(audit: FinishedAudit, request: Request) -> Int64[np.ndarray, " h"]:
    """Rows of the store in no split that was chosen from."""
    return np.flatnonzero(~audit.samples["split"].isin(request.splits)).astype(np.int64)


def _described(audit: FinishedAudit, request: Request, chosen: _Chosen) -> dict[str, Any]:
    return {
        "kind": "export",
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "as": request.kind,
        "method": chosen.method,
        "seed": request.seed,
        "splits": list(request.splits),
        "audit": {"folder": str(audit.folder), "key": audit.key},
        "classes": list(audit.about["classes"]) if audit.about["label"] != UNLABELLED else [],
        "images": {
            "lines": len(chosen.place),
            "different": int((chosen.counts > 0).sum()),
            "chosen_from": len(chosen.counts),
            "shards": [str(path) for path in sorted(audit.store.glob("images-*.npy"))],
        },
    }


def _measured(
    audit: FinishedAudit, able: Int64[np.ndarray, " n"], chosen: _Chosen
) -> dict[str, Any]:
    images = audit.images.iloc[able]
    samples = audit.samples.iloc[images["row"].to_numpy()]
    names = [name for name in audit.about["attributes"] if name in samples]
    groups = pd.DataFrame({name: group_names(samples[name], "unknown") for name in names})
    cell = images["cell"].to_numpy(dtype=np.int64)
    return {
        "coverage": compare_coverage(cell, audit.cells, chosen.counts),
        "groups": compare_groups(groups, chosen.counts, audit.below),
    }


def _write(
    out: Path, manifest: pd.DataFrame, held_out: pd.DataFrame, document: dict[str, Any]
) -> Export:
    """The manifest, what is held out, and last what describes them."""
    other = out.with_name(f"{out.stem}.held-out{out.suffix}") if len(held_out) else None
    numbers = out.with_name(f"{out.stem}.audit.json")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files = {}
        for path, table in ((out, manifest), (other, held_out)):
            if path is not None:
                write_manifest(table, path)
                columns = {name: COLUMNS.get(name, "annotated") for name in map(str, table)}
                files[path.name] = {"content": fingerprint(path), "columns": columns}
        write_json(numbers, document | {"files": files}, mode=PRIVATE)
    except OSError as error:
        raise storage_error(error, out.parent) from error
    return Export(manifest=out, held_out=other, numbers=numbers, document=document)
