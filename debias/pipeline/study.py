"""The steps of a study: several representations of one data set, side by side on a page."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from debias import __version__
from debias.errors import DatasetSmallerThanBatchError
from debias.ingesting.build import ingest_faces
from debias.pipeline.delivery import deliver
from debias.pipeline.faces import remarks, require_trainable
from debias.pipeline.job import Study
from debias.pipeline.judge import ABOUT
from debias.pipeline.measures import MEASURED, MEASURES
from debias.pipeline.representation import REPRESENTATION, faces_may_be_shown
from debias.pipeline.step import named
from debias.pipeline.study_pictures import difference
from debias.plugins import dump
from debias.report import study_document as doc
from debias.report.study_page import TEXTS, write_study_page
from debias.statistics.intervals import mean_limits
from debias.storage.artifacts import Artifact, load_array, load_faces
from debias.storage.files import shown
from debias.types import SPLITS, FaceStore

STAGE, PAGE, NUMBERS = "study", "study.html", "study.json"
RARE = 0.5  # of an even share
SHARES = {
    name for part in TEXTS["parts"] for name, _, kind, *_ in part["figures"] if kind == "percent"
} | {"anomalies/auc"}


def make_studied_faces(job: Study) -> Artifact:
    """The store of the data set; DataError says why it cannot be used or trained on."""
    faces = ingest_faces(job.config, job.folder, job.progress, about=job.compute.describe())
    store = load_faces(faces)
    if job.config.features is not None:
        job.config.features.identity()  # its file is there
    for name, recipe in job.config.spaces.items():
        recipe.model.require_size(job.config.image_size)
        require_trainable(job.of(name, 0), store)
    size = job.config.judge.training.batch_size
    if job.config.columns and len(store.rows("train")) < size:
        raise DatasetSmallerThanBatchError(
            f"there are {len(store.rows('train'))} training images, fewer than one batch of {size} "
            "of the judge; set judge.training.batch_size to less"
        )
    for sentence in remarks(faces):
        job.progress.note(sentence)
    return faces


def make_space(job: Study, name: str, seed: str, *, faces: Artifact) -> Artifact:
    """One representation and seed, as a run or an audit of the same recipe would train it."""
    return REPRESENTATION.make(job.of(name, int(seed)), name, seed, faces=faces)


def make_measures(job: Study, name: str, seed: str, **inputs: Artifact) -> Artifact:
    return MEASURES.make(job.of(name, int(seed)), name, seed, **inputs)


def make_study(job: Study, *, faces: Artifact, **made: Artifact) -> doc.Study:
    """Put everything side by side, write page and numbers, publish; returns the document."""
    store = load_faces(faces)
    document: doc.Study = {
        "schema": 1,
        "name": job.config.name,
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": _data(job, store),
        "spaces": [_space(job, name, made) for name in job.config.spaces],
        **_tables(job, store, made),  # type: ignore[typeddict-item]
        "judges": [one.read_json(ABOUT) for _, one in _of(made, "judge")],
        "features": _features(job),
        "run": _run(job),
    }
    key = "-".join(one.key for _, one in _of(made, "measures"))

    def draw(page: Path) -> Mapping[str, bytes]:
        write_study_page(document, _pictures(job, made), page)
        return {}

    def tell(charts: Mapping[str, bytes]) -> None:
        with job.tracked(STAGE, key, STAGE) as tracker:
            tracker.params({"spaces": ", ".join(job.config.spaces), "seeds": job.config.seeds})
            for space in document["spaces"]:
                known = {key: one["value"] for key, one in space["figures"].items()}
                defined = {key: value for key, value in known.items() if value is not None}
                tracker.metrics(named(space["name"], defined))
            for file in (PAGE, NUMBERS):
                tracker.artifact(job.folder.path / file)

    deliver(job, STAGE, document, draw, tell)
    return document


def _of(made: Mapping[str, Artifact], stop: str, *which: str) -> Iterator[tuple[str, Artifact]]:
    start = "/".join((stop, *which, ""))
    yield from ((name, one) for name, one in made.items() if name.startswith(start))


def _space(job: Study, name: str, made: Mapping[str, Artifact]) -> doc.Space:
    measured = [one.read_json(MEASURED) for _, one in _of(made, "measures", name)]
    trained = [one.seconds for _, one in _of(made, "space", name)]
    keys = list(dict.fromkeys(key for one in measured for key in one["figures"]))
    figures = {
        key: _over_seeds([one["figures"].get(key) for one in measured], is_share=key in SHARES)
        for key in keys
    }
    figures["seconds"] = {"value": float(np.mean(trained)), "low": None, "high": None}
    return {
        "name": name,
        "model": dump(job.config.spaces[name].model),
        "latent_dim": measured[0]["latent_dim"],
        "draws": measured[0]["draws"],
        "drawn_from": measured[0]["drawn_from"],
        "figures": figures,
        "left_out": list(dict.fromkeys(said for one in measured for said in one["left_out"])),
    }


def _over_seeds(figures: list[doc.Figure | None], *, is_share: bool) -> doc.Figure:
    """That of one training as it is; of several the mean, with Student's t interval."""
    if len(figures) == 1 and figures[0] is not None:
        return figures[0]
    values = [None if one is None else one["value"] for one in figures]
    return _mean(values, is_share)


def _mean(values: list[doc.Number], is_share: bool) -> doc.Figure:
    """Not defined where one of the trainings gave no number; limits of a share lie in [0, 1]."""
    if None in values:
        return {"value": None, "low": None, "high": None}
    mean, *limits = mean_limits(np.array(values))
    known = [end if np.isfinite(end) else None for end in limits]
    low, high = (end if end is None or not is_share else min(max(end, 0.0), 1.0) for end in known)
    return {"value": mean, "low": low, "high": high}


def _tables(job: Study, store: FaceStore, made: Mapping[str, Artifact]) -> dict[str, Any]:
    """Rows of every representation; ``found`` over its seeds, the others of its first one."""
    found: dict[str, list[Any]] = {"found": [], "served": [], "shares": []}
    even = {name: 1 / max(store.samples[name].nunique(), 1) for name in store.attributes}
    size = len(store.rows("train"))
    for space in job.config.spaces:
        measured = [one.read_json(MEASURED) for _, one in _of(made, "measures", space)]
        for kind in ("served", "shares"):
            found[kind] += [{"space": space, **row} for row in measured[0][kind]]
        by_key = [{_key(row): row for row in one["found"]} for one in measured]
        for key, row in {key: row for rows in by_key for key, row in rows.items()}.items():
            areas = _over_seeds([_area(rows.get(key)) for rows in by_key], is_share=True)
            rare = row["n"] is not None and row["n"] / size < RARE * even[row["attribute"]]
            limits = {"auc": areas["value"], "low": areas["low"], "high": areas["high"]}
            found["found"].append({"space": space, **row, "rare": rare, **limits})
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["density"], row["attribute"], row["group"]


def _area(row: Mapping[str, Any] | None) -> doc.Figure | None:
    return row and {"value": row["auc"], "low": row["low"], "high": row["high"]}  # type: ignore[return-value]


def _data(job: Study, store: FaceStore) -> doc.Data:
    return {
        "name": job.config.data.name,
        "annotation": job.config.data.annotation,
        "images": {split: len(store.rows(split)) for split in SPLITS},
        "image_size": job.config.image_size,
        "columns": list(job.config.columns),
        "difference": difference(store, job.config.columns),
    }


def _features(job: Study) -> str:
    if job.config.features is not None:
        return f"the encoder {shown(job.config.features.file.name)}"
    if not job.config.columns:
        return ""
    judge = job.config.judge.model.name
    return f"the classifier of {job.config.columns[0]!r} ({judge}) that this study trained"


def _run(job: Study) -> doc.Run:
    described = job.compute.describe()
    return {
        "unpublished": job.unpublished(),
        "folder": str(job.folder.path),
        "config": dump(job.config),
        "device": str(described["device"]),
        "precision": str(described["precision"]),
        "seeds": job.config.seeds,
        "mlflow": job.tracking.link(),
        "command": job.command,
    }


def _pictures(job: Study, made: Mapping[str, Artifact]) -> dict[str, dict[str, np.ndarray]]:
    """Arrays by representation and name, those that may be shown: maps always."""
    shown = faces_may_be_shown(job)
    found: dict[str, dict[str, np.ndarray]] = {}
    for space in job.config.spaces:
        artifact = made[f"measures/{space}/0"]
        names = [file.stem for file in sorted(artifact.path.glob("*.npy"))]
        wanted = [name for name in names if shown or name.startswith("map")]
        found[space] = {name: load_array(artifact, name) for name in wanted}
    return found
