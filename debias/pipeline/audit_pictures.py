"""Pictures of an audit: what the model draws, kept with the audit, and faces that may be shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from debias.auditing.audit import EARLIER, REFERENCE, Placed
from debias.auditing.audit_report import AuditReport, listed
from debias.auditing.galleries import LatentPages
from debias.auditing.subsets import farthest_first
from debias.models import Decodes
from debias.models import galleries as generation
from debias.pipeline.job import Job
from debias.pipeline.representation import faces_may_be_shown
from debias.pipeline.step import Work
from debias.report import audit_document as doc
from debias.report.pictures import AuditMap, AuditPictures, shrink
from debias.storage.artifacts import Artifact, load_array, load_faces
from debias.types import FaceStore

STEPS = 7  # of a walk into a thin region
THUMBNAILS = 60
THUMBNAIL_SIDE = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """What the trained model draws, and a sentence for every page that is missing.

    Arrays by file name: ``page-NAME``, ``region-N``, ``direction-N``.
    """

    section: doc.LatentPages
    arrays: dict[str, np.ndarray]
    left_out: tuple[str, ...]


def drawn_by_the_model(
    job: Job, network: Decodes, placed: Placed, report: AuditReport, nats: np.ndarray | None
) -> Drawn:
    """Every page, and walks along uneven directions and into thin regions."""
    compute, mean = job.compute, placed.latents.mean
    source = LatentPages(
        network=network, faces=placed.store.seen(job.config.seen_side), rows=placed.rows,
        latents=placed.latents, compute=compute, seed=job.config.seed, nats=nats,
    )  # fmt: skip
    pages = source.pages()
    arrays = {f"page-{text['name']}": picture for text, picture in pages}
    for number, region in enumerate(listed(report.regions), 1):
        strip = generation.walk_into(network, mean, region.members, STEPS, compute)
        arrays[f"region-{number}"] = strip
    for one in report.directions:
        whole = np.zeros(mean.shape[1])
        whole[report.active] = one.vector
        arrays[f"direction-{one.number}"] = generation.along(network, mean, whole, compute, STEPS)
    texts, left_out = [text for text, _ in pages], tuple(source.left_out)
    return Drawn(section={"pages": texts}, arrays=arrays, left_out=left_out)


def pictures_of(work: Work[Job], found: Artifact, document: doc.Document) -> AuditPictures:
    """Everything that the page of the audit ``found`` may show; without leave, the map alone."""
    images = pd.read_parquet(found.path / "images.parquet")
    job, store = work.job, work.faces
    wanted, allowed = set(_ids(document)), faces_may_be_shown(job)
    paths: dict[str, str] = {}
    shown: dict[str, UInt8[np.ndarray, "_ _ 3"]] = {}
    for name, prefix in {"faces": "", "reference": REFERENCE, "earlier": EARLIER}.items():
        if name in work.inputs:
            opened = load_faces(work.inputs[name])
            paths |= _paths(opened, prefix, wanted, f"{document['data']['place']}/")
            if allowed and (name == "faces" or _may_be_shown(job, name)):
                shown |= _faces(opened, prefix, wanted)
    if not allowed:
        return AuditPictures(map=_map(images, store, thumbnails=False), paths=paths)
    return AuditPictures(
        faces=shown,
        map=_map(images, store, thumbnails=True),
        pages={str(name): picture for name, picture in _arrays(found, "page-")},
        regions={int(name): picture for name, picture in _arrays(found, "region-")},
        directions={int(name): picture for name, picture in _arrays(found, "direction-")},
        paths=paths,
    )


def _may_be_shown(job: Job, name: str) -> bool:
    """A drawn data set can have a reference of real people."""
    recipe = job.config.reference if name == "reference" else job.config.earlier
    drawn = recipe is not None and recipe.data.name == "synthetic"
    return drawn or job.config.report.show_faces


def _arrays(found: Artifact, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for path in sorted(found.path.glob(f"{prefix}*.npy")):
        yield path.stem.removeprefix(prefix), load_array(found, path.stem)


def _ids(value: Any) -> Iterator[str]:  # noqa: ANN401 (any part of a document)
    """Every text in a document: those that name an image are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _ids(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _ids(item)


def _faces(
    store: FaceStore, prefix: str, wanted: set[str]
) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    ids = prefix + store.samples["sample_id"].astype(str)
    rows = np.flatnonzero(ids.isin(wanted).to_numpy()).astype(np.int64)
    return dict(zip(ids.iloc[rows].tolist(), shrink(store.images[rows]), strict=True))


def _paths(store: FaceStore, prefix: str, wanted: set[str], root: str) -> dict[str, str]:
    """Where the files of images lie, below the root of the data if they do."""
    if "path" not in store.samples:
        return {}
    ids = prefix + store.samples["sample_id"].astype(str)
    named = ids.isin(wanted)
    paths = store.samples["path"][named].astype(str).str.removeprefix(root)
    return dict(zip(ids[named], paths, strict=True))


def _map(images: pd.DataFrame, store: FaceStore, *, thumbnails: bool) -> AuditMap:
    drawn = images[images["x"].notna()].reset_index(drop=True)
    rows = pd.Index(store.samples["sample_id"]).get_indexer(drawn["sample_id"]).astype(np.int64)
    plain = AuditMap.of(drawn, store.groups(rows))
    if not thumbnails:
        return plain
    # Far from each other, so that thumbnails do not overlap.
    some = farthest_first(plain.xy, THUMBNAILS, 0)
    pixels = shrink(store.images[rows[some]], THUMBNAIL_SIDE)
    return replace(plain, thumbnail_rows=some, thumbnails=pixels)
