"""A finished audit, opened again: its images with their weights and cells, latents, and the store.

``n`` audited images, ``s`` images of the store, ``k`` latent dimensions.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from debias.auditing import AuditRules
from debias.density import DENSITIES, DensityEstimator, HistogramDensity
from debias.errors import DataError
from debias.plugins import OneOf
from debias.storage.artifacts import Artifact, RunFolder, load_latents
from debias.storage.sealed import sealed_in
from debias.types import Latents

STAGE, FACES, NUMBERS = "audit", "faces", "audit.json"
PLACES = ("path", "offset", "length")  # the file of an image, and the part of it that counts


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedAudit:
    """What an audit left on disk; everything but its folder is of its sealed artifacts.

    Attributes:
        folder: Of the audit.
        key: Of its artifact.
        images: One row an audited image: ``sample_id``, ``split``, ``cell``, ...
        cells: Into which the audit divided the latent space.
        latents: (n, k) where each lies in the latent space; memory-mapped.
        density: How the audit measured rarity.
        samples: (s) rows of the store, in its order: ``row`` in its shards, ``path`` (absolute, or
            empty), ``split``, ``label``, annotated columns.
        store: Folder of the decoded images.
        about: What the store says of its ``classes``, ``attributes`` and ``label``.
        below: Counts of annotated groups from 1 to below this are withheld.
        withheld: Groups and crossings whose numbers the audit does not show.
    """

    folder: Path
    key: str
    images: pd.DataFrame
    cells: int
    latents: Latents
    density: DensityEstimator
    samples: pd.DataFrame
    store: Path
    about: dict[str, Any]
    below: int
    withheld: frozenset[str]


def open_audit(folder: Path) -> FinishedAudit:
    """Open what ``debias audit`` wrote into a folder.

    Raises:
        DataError: It is no audit folder, or its parts do not belong together.
        ArtifactCorruptError: A file differs from its manifest.
    """
    pointer = _json(folder / NUMBERS)
    audit = _artifact(folder, STAGE, pointer.get("key"))
    faces = _artifact(folder, FACES, pointer.get(FACES))
    # Not from run.json: a later audit into this folder rewrites it, even one that fails.
    document = audit.read_json(NUMBERS)
    images, latents = pd.read_parquet(audit.path / "images.parquet"), load_latents(audit)
    data = document.get("data", {})
    samples = _samples(faces, data)
    row = pd.Index(samples["sample_id"]).get_indexer(pd.Index(images["sample_id"]))
    if (row < 0).any() or list(latents.sample_ids) != images["sample_id"].tolist():
        raise DataError(
            f"the audit {audit.path.absolute()} speaks of other images than the store "
            f"{faces.path.absolute()}; run debias audit again into another folder"
        )
    return FinishedAudit(
        folder=folder.absolute(), key=audit.key, latents=latents, samples=samples,
        images=images.assign(row=row.astype(np.int64)),
        cells=int(document["coverage"]["cells"]),
        density=_density(document.get("density")),
        store=faces.path.absolute(), about=faces.read_json("faces.json"),
        below=int(data.get("suppress_below", AuditRules().suppress_below)),
        withheld=_withheld(document.get("groups")),
    )  # fmt: skip


def _density(settings: dict[str, Any] | None) -> DensityEstimator:
    """As the audit had it, which takes a histogram where the settings only compare two sets."""
    if settings is None or settings.get("name") == "ratio":
        return HistogramDensity()
    known: TypeAdapter[DensityEstimator] = TypeAdapter(Annotated[Any, OneOf("density", DENSITIES)])
    try:
        return known.validate_python(settings)
    except ValidationError as error:
        raise DataError(
            f"the audit names a density that is not known here ({settings.get('name')!r}); run "
            "debias audit again with this version"
        ) from error


def _withheld(groups: dict[str, Any] | None) -> frozenset[str]:
    """Names of all groups and crossings that the audit shows without their numbers."""
    if groups is None:
        return frozenset()
    rows = [row for one in groups["attributes"] for row in one["rows"]] + groups["crossings"]
    return frozenset(row["group"] for row in rows if row["state"] == "suppressed")


def _artifact(folder: Path, stage: str, key: str | None) -> Artifact:
    """The one that is named, else the only one there."""
    place = folder.absolute()
    keys = [key] if key else [one.name for one in sealed_in(folder / stage)]
    if len(keys) > 1:
        raise DataError(
            f"{place} holds {len(keys)} finished stages {stage!r} and does not say "
            "which one counts; run the same debias audit command again, which writes "
            f"{NUMBERS}, or audit into a folder of its own"
        )
    found = RunFolder(folder).find(stage, keys[0]) if keys else None
    if found is None:
        raise DataError(
            f"{place} holds no finished audit (no {stage}/{keys[0] if keys else 'KEY'}); make one "
            f"with: debias audit IMAGES --out {folder}"
        )
    return found


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path.absolute()} cannot be read ({error}); run the same debias audit command again"
        ) from error
    return value if isinstance(value, dict) else {}


def _samples(faces: Artifact, data: dict[str, Any]) -> pd.DataFrame:
    samples = pd.read_parquet(faces.path / "samples.parquet")
    if "path" not in samples and data.get("name") == "store":
        samples = samples.join(_places(Path(data["place"])), on="sample_id")
    paths = samples["path"] if "path" in samples else pd.Series("", index=samples.index)
    # A root may have been given relative to the current directory; a manifest goes anywhere.
    absolute = [str(Path(path).absolute()) if path else "" for path in paths.fillna("")]
    return samples.assign(path=absolute, row=np.arange(len(samples)))


def _places(store: Path) -> pd.DataFrame:
    """Files from which an ingested store was made, by sample; nothing if they are not known."""
    key = _json(store / "store.json").get(FACES)
    table = store / FACES / str(key) / "samples.parquet"
    found = pd.read_parquet(table) if table.is_file() else pd.DataFrame({"sample_id": []})
    return found.set_index("sample_id")[[name for name in PLACES if name in found]]
