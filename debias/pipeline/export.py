"""``debias export``: an audited data set for any other training code.

Beside the manifest ``NAME.csv`` or ``NAME.parquet``, one line an image to train with, lie
``NAME.held-out.csv`` or ``.parquet`` (the images of the other splits, as they are, for testing) and
``NAME.csv.audit.json`` (how the manifest came about, and a short audit before and after).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias import __version__
from debias.auditing.before_after import compare_coverage, compare_groups
from debias.auditing.export_sentences import sentences
from debias.errors import DataError
from debias.pipeline.choosing import Chosen, Request, check, choose
from debias.pipeline.finished_audit import FinishedAudit, open_audit
from debias.pipeline.manifests import (
    COLUMNS,
    PRIVATE,
    UNLABELLED,
    formulas,
    manifest_of,
    remarks,
    write_manifest,
)
from debias.seeding import numpy_generator
from debias.statistics.groupings import group_names
from debias.storage.files import storage_error
from debias.storage.sealed import fingerprint, write_json

SCHEMA = 1

__all__ = ["Export", "Request", "export"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Export:
    """The files written (``held_out`` is None without other splits), and the short audit."""

    manifest: Path
    held_out: Path | None
    numbers: Path
    document: dict[str, Any] = field(repr=False)


def export(request: Request) -> Export:
    """Choose, write the manifest and what is held out, and measure before and after.

    Raises:
        ConfigError: A setting is not possible; nothing is written.
        DataError: The folder is no finished audit.
        WeightError: The latents of the images to choose from give no weights.
        StorageError: The files cannot be written.
    """
    check(request)
    audit = open_audit(request.folder)
    able = np.flatnonzero(audit.images["split"].isin(request.splits)).astype(np.int64)
    if len(able) < 2:
        there = ", ".join(sorted(audit.images["split"].unique()))
        raise DataError(
            f"{len(able)} audited images lie in {', '.join(request.splits)}; the audit looked at: "
            f"{there}; choose other --splits"
        )
    chosen = choose(audit, able, request)
    rows = audit.images["row"].to_numpy()[able]
    manifest = manifest_of(audit, rows[chosen.place], chosen.columns)
    held_out = manifest_of(audit, _others(audit, request), {})
    document = _described(audit, request, chosen) | _measured(audit, able, chosen, request.seed)
    document["sentences"] = [*remarks(manifest, held_out), *sentences(document)]
    if request.out.suffix.lower() == ".csv":
        document["sentences"] += formulas(manifest) or formulas(held_out)
    return _write(request.out, manifest, held_out, document)


def _others(audit: FinishedAudit, request: Request) -> Int64[np.ndarray, " h"]:
    """Rows of the store in no split that was chosen from."""
    return np.flatnonzero(~audit.samples["split"].isin(request.splits)).astype(np.int64)


def _described(audit: FinishedAudit, request: Request, chosen: Chosen) -> dict[str, Any]:
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
        "density": audit.density.name,
        "classes": list(audit.about["classes"]) if audit.about["label"] != UNLABELLED else [],
        "images": {
            "lines": len(chosen.place),
            "different": int((chosen.counts > 0).sum()),
            "chosen_from": len(chosen.counts),
            "shards": [str(path) for path in sorted(audit.store.glob("images-*.npy"))],
        },
    }


def _measured(
    audit: FinishedAudit, able: Int64[np.ndarray, " n"], chosen: Chosen, seed: int
) -> dict[str, Any]:
    samples = audit.samples.iloc[audit.images["row"].to_numpy()]
    names = [name for name in audit.about["attributes"] if name in samples]
    groups = pd.DataFrame({name: group_names(samples[name]) for name in names})
    cell = audit.images["cell"].to_numpy(dtype=np.int64)[able]
    generator = numpy_generator(seed, "export/at random")
    return {
        "coverage": compare_coverage(cell, audit.cells, chosen.counts, generator),
        "groups": compare_groups(groups, able, chosen.counts, audit.below, audit.withheld),
    }


def _write(
    out: Path, manifest: pd.DataFrame, held_out: pd.DataFrame, document: dict[str, Any]
) -> Export:
    """The manifest, what is held out, and last what describes them."""
    other = out.with_name(f"{out.stem}.held-out{out.suffix}")
    numbers = out.with_name(f"{out.name}.audit.json")
    tables = {out: manifest, other: held_out} if len(held_out) else {out: manifest}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files = {}
        for path, table in tables.items():
            write_manifest(table, path)
            columns = {name: COLUMNS.get(name, "annotated") for name in map(str, table)}
            files[path.name] = {"content": fingerprint(path), "columns": columns}
        if other not in tables:
            other.unlink(missing_ok=True)  # of an earlier export, which held out what is chosen now
        write_json(numbers, document | {"files": files}, mode=PRIVATE)
    except OSError as error:
        raise storage_error(error, out.parent) from error
    held = other if other in tables else None
    return Export(manifest=out, held_out=held, numbers=numbers, document=document)
