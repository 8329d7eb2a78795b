"""The last stage of an audit: what the stores and their latents say, kept, drawn and published."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from debias import __version__
from debias.auditing.audit import PARTS, Placed, Question, answer, declared_shares
from debias.auditing.galleries import anomalies
from debias.datasets.recognition import known_groups
from debias.density import DensityEstimator, HistogramDensity, compares, sized
from debias.ingesting.build import ACCOUNT
from debias.models import Decodes, Explains, encoding
from debias.pipeline.about import about_representation, about_set_aside
from debias.pipeline.audit_pictures import drawn_by_the_model, pictures_of
from debias.pipeline.delivery import deliver
from debias.pipeline.faces import SPLIT as REFERENCE
from debias.pipeline.faces import audited_rows
from debias.pipeline.job import Job
from debias.pipeline.representation import (
    batches_for,
    encode_store,
    faces_may_be_shown,
    fidelity_of,
    load_representation,
)
from debias.pipeline.step import Step, Work, arrays, latents_files, named
from debias.plugins import dump
from debias.report import audit_document as doc
from debias.report.audit_page import write_audit_page
from debias.storage.artifacts import Artifact, Files, load_faces
from debias.tracking.tracker import Tracker
from debias.types import FaceStore

STAGE = "audit"
PAGE, NUMBERS, IMAGES = "audit.html", "audit.json", "images.parquet"
SECOND = {"reference": "the reference", "earlier": "the earlier version"}


def make_audit(job: Job, **parts: Artifact | None) -> doc.Document:
    """Audit the faces, or find them audited, write the page and publish; returns the document.

    Raises:
        DataError: There are too few images, or shares that do not fit the annotation.
    """
    found = NUMBERS_OF_AUDIT.make(job, **parts)
    work = Work(job, inputs={name: one for name, one in parts.items() if one is not None})
    # What was sealed may have been found from another place or under another name.
    sealed: dict[str, Any] = found.read_json(NUMBERS)
    document = cast(doc.Document, sealed | _about(work) | {"run": _about_run(work, found)})
    pictures = pictures_of(work, found, document)
    shown = "audit" if faces_may_be_shown(job) else "audit, no faces"

    def tell(charts: Mapping[str, bytes]) -> None:
        if not job.published(STAGE, found.key, shown):
            with job.tracked(STAGE, found.key, shown) as tracker:
                _tell(job, document, charts, tracker)

    keys = {"key": found.key, "faces": work.inputs["faces"].key}
    deliver(job, STAGE, {**document, **keys}, partial(write_audit_page, document, pictures), tell)
    return document


def _settings(work: Work[Job]) -> dict[str, Any]:
    job = work.job
    rules = job.config.audit
    return {
        "rules": dump(rules) | {"shares_file": None, "shares": declared_shares(rules)},
        "density": dump(sized(_density(job), len(work.faces.samples))),
        "seed": job.config.seed,
    }


def _build(work: Work[Job], tracker: Tracker) -> Files:
    job, store = work.job, work.faces
    advance = job.progress.start("Audit", PARTS + 2)
    representation = work.inputs["representation"]
    rows = audited_rows(job, store)
    latents = encode_store(job, representation, store, rows)
    network = _network(work)
    question = _question(work, Placed(store=store, latents=latents))
    if network is not None:
        nats = _nats(job, network, store, rows)
        kept = fidelity_of(job, representation, store)
        question = replace(question, nats=nats, fidelity=kept)
    advance("encoded")
    report = answer(question, advance)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = report.to_dict()
    drawn: dict[str, np.ndarray] = {}
    if network is not None:
        pages = drawn_by_the_model(job, network, Placed(store=store, latents=latents), report, nats)
        drawn = pages.arrays
        found["latent_pages"] = pages.section
        if nats is not None:
            found["anomalies"] = anomalies(store.ids(rows), nats)
        found["limits"] = [*found["limits"], *pages.left_out]
    document = {**found, **_about(work), "created": now}
    advance("pictures")
    return {IMAGES: report.images, NUMBERS: document, **latents_files(latents), **arrays(**drawn)}


def _network(work: Work[Job]) -> Decodes | None:
    """The trained network; None where latents come from elsewhere, or it draws nothing."""
    if not work.job.config.representation.model.trained:
        return None
    opened = load_representation(work.job, work.inputs["representation"])
    return opened if isinstance(opened, Decodes) else None


def _nats(
    job: Job, network: Decodes, store: FaceStore, rows: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"] | None:
    if not isinstance(network, Explains):
        return None
    return encoding.nats(network, batches_for(job, network, store).evaluate(rows), job.compute)


def _question(work: Work[Job], data: Placed) -> Question:
    job, config = work.job, work.job.config
    return Question(
        data=data,
        reference=_second(work, "reference"),
        earlier=_second(work, "earlier"),
        density=_density(job),
        rules=config.audit,
        set_aside=_set_aside(work.inputs["faces"]),
        source=config.data.source,
        seed=config.seed,
    )


def _density(job: Job) -> DensityEstimator:
    """That of the recipe; a ratio says nothing about one set alone."""
    return HistogramDensity() if compares(job.config.density) else job.config.density


def _second(work: Work[Job], part: str) -> Placed | None:
    if part not in work.inputs:
        return None
    store = load_faces(work.inputs[part])
    rows = store.rows(REFERENCE)
    rows = rows if len(rows) else np.arange(len(store.samples), dtype=np.int64)
    representation, again = work.inputs["representation"], part == "earlier"
    latents = encode_store(work.job, representation, store, rows, may_repeat=again)
    return Placed(store=store, latents=latents, name=SECOND[part])


def _set_aside(faces: Artifact) -> pd.DataFrame | None:
    """Whose images were lost on the way into the store; None where no group is annotated."""
    groups = faces.read_json(ACCOUNT)["groups"]
    if not groups:
        return None
    table = pd.DataFrame(groups)[["attribute", "group", "listed", "rejected"]]
    return table.dropna().astype({"listed": np.int64, "rejected": np.int64})


def _about(work: Work[Job]) -> doc.About:
    job, store, data = work.job, work.faces, work.job.config.data
    rows, representation = audited_rows(job, store), work.inputs["representation"]
    splits = store.samples["split"].iloc[rows].value_counts()
    return {
        "schema": 1,
        "name": job.config.name,
        "version": __version__,
        "data": {
            "name": data.name,
            "known": list(known_groups(data)),
            "place": str(getattr(data, "root", getattr(data, "file", ""))),
            "annotation": data.annotation,
            "source": data.source,
            "images": len(rows),
            "splits": {str(name): int(count) for name, count in splits.items()},
            "image_size": job.config.image_size,
            "attributes": list(store.attributes),
            "suppress_below": job.config.audit.suppress_below,
            "set_aside": about_set_aside(work.inputs["faces"]),
        },
        "representation": about_representation(job, representation),
        "density": dump(_density(job)),
    }


def _about_run(work: Work[Job], found: Artifact) -> doc.Run:
    job, made = work.job, {**work.inputs, STAGE: found}
    about = {
        "folder": str(job.folder.path),
        "artifacts": {name: one.key for name, one in made.items()},
        "seconds": {name: one.seconds for name, one in made.items()},
        **job.compute.describe(),
        "config": dump(job.config),
        "mlflow": job.tracking.link(),
        "unpublished": job.unpublished(),
    }
    return cast(doc.Run, about)


def _tell(job: Job, document: doc.Document, charts: Mapping[str, bytes], tracker: Tracker) -> None:
    tracker.params({"audit": dump(job.config.audit), "density": dump(_density(job))})
    tracker.metrics(named(STAGE, figures_of(document)))
    for name, table in tables_of(document).items():
        tracker.table(name, table)
    for file in (PAGE, NUMBERS):
        tracker.artifact(job.folder.path / file)
    for name, svg in charts.items():
        tracker.figure(name, svg)


def figures_of(document: doc.Document) -> dict[str, float]:
    """The figures by which audits are compared, those that are defined."""
    coverage, kept = document["coverage"], document.get("fidelity")
    found: dict[str, float | None] = {
        "images": document["data"]["images"],
        "effective_cells": coverage["effective_cells"],
        "densest_tenth": coverage["densest_tenth"],
        "thin_regions": sum(one["found"] for one in document["regions"]["list"]),
    }
    if kept is not None:
        found["explained"], found["explained_detail"] = kept["explained"], kept["explained_detail"]
        found["neighbours_kept"] = kept["neighbours_kept"]
        found["neighbours_by_chance"] = kept["neighbours_by_chance"]
    for name, section in (("reference", document["reference"]), ("drift", document["drift"])):
        if section is not None:
            found[f"{name}_distance"], found[f"{name}_p"] = section["distance"], section["p"]
            found[f"{name}_separability"] = section["separability"]
            found[f"{name}_missing_total"] = section["missing_total"]
    for row in doc.every_row(document["groups"], crossed=False):
        found[f"share/{row['group']}"] = row["share"]
        found[f"rarity_auc/{row['group']}"] = row["auc"]
    return {name: float(value) for name, value in found.items() if value is not None}


def tables_of(document: doc.Document) -> dict[str, pd.DataFrame]:
    """Tables of an audit without the ids of images."""
    reference = document["reference"]
    parts: dict[str, Sequence[Mapping[str, object]]] = {
        "audit_groups": list(doc.every_row(document["groups"])),
        "audit_thin_regions": document["regions"]["list"],
        "audit_shortfall": reference["regions"] if reference else [],
        "audit_clusters": document["clusters"],
        "audit_verdicts": document["verdicts"],
    }
    plain = {name: [_plain(row) for row in found] for name, found in parts.items() if found}
    return {name: pd.DataFrame(found) for name, found in plain.items()}


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    kept = {name: value for name, value in row.items() if not isinstance(value, list)}
    kept.pop("attribute", None)  # the group's name says it
    return kept


NUMBERS_OF_AUDIT = Step("audit", settings=_settings, build=_build)
