"""``debias export``: an audited data set for any other training code.

Beside the manifest ``NAME.csv`` or ``NAME.parquet``, one line an image to train with, lie
``NAME.held-out.csv`` or ``.parquet`` (the images of the other splits, as they are, for testing) and
``NAME.csv.audit.json`` (how the manifest came about, and a short audit before and after). Names,
paths and annotations are written as they are: training code must find them again.

Weights are worked out anew from the latents of the images to choose from. Those of the audit are
fitted to everything that it looked at, which may include the validation and test images: what is
common there would make training images count less.

``n`` images that could be chosen, ``m`` lines, ``k`` latent dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from pydantic import TypeAdapter, ValidationError

from debias import __version__
from debias.auditing import AuditRules
from debias.auditing.audit import rarity_weights
from debias.auditing.before_after import (
    Coverage,
    Groups,
    compare_coverage,
    compare_groups,
    sentences,
)
from debias.auditing.subsets import even_subset, resample
from debias.density import DENSITIES, DensityEstimator, HistogramDensity
from debias.errors import ArtifactCorruptError, ConfigError, DataError
from debias.plugins import OneOf
from debias.report.audit_document import every_row
from debias.report.documents import Fidelity
from debias.report.opening import BLURRED
from debias.report.readings import is_blurred
from debias.seeding import numpy_generator
from debias.statistics.groupings import group_names
from debias.storage.artifacts import Artifact, RunFolder, load_latents
from debias.storage.files import replace_file, storage_error
from debias.storage.sealed import fingerprint, read_checked, sealed_in, write_json
from debias.types import Latents

STAGE, FACES, NUMBERS = "audit", "faces", "audit.json"
PLACES = ("path", "offset", "length")  # the file of an image, and the part of it that counts
SCHEMA = 1
MOST_LINES = 100_000_000  # of one file, which is put together in memory
PRIVATE = 0o600  # names and annotations of people
UNLABELLED = "none"  # what a store without a label calls it
COLUMNS = {
    "draw": "number of the draw; an image that counts more is drawn several times",
    "sample_id": "name of the image in the audit",
    "path": "file of the image, absolute on the machine of the audit; empty if it has none",
    "offset": "first byte of the image in its file; empty: the whole file",
    "length": "bytes of the image in its file",
    "row": "position of the image in the decoded shards, put one behind another",
    "split": "part of the data set",
    "label": "number of the class, from 0",
    "weight": "how much the image counts, 1 on average",
    "probability": "chance of the image at each draw; adds up to 1",
}


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
        doubt: Why nothing can rest on the latents, and what to do; empty: nothing is known.
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
    doubt: str


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
        withheld=frozenset(
            row["group"] for row in every_row(document.get("groups"))
            if row["state"] == "suppressed"
        ),
        doubt=_doubt(document.get("fidelity")),
    )  # fmt: skip


def _doubt(found: Fidelity | None) -> str:
    """What an audit says of a model that draws one face for everybody."""
    if found is None or not is_blurred(found):
        return ""
    return f"{BLURRED}, so this choice cannot be relied on. Audit again: {found['action']}"


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
        return read_checked(path)
    except (OSError, ArtifactCorruptError) as error:
        said = getattr(error, "what", error)
        raise DataError(
            f"{path.absolute()} cannot be read ({said}); run the same debias audit command again"
        ) from error


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


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}

Rows = Int64[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command was asked for.

    Attributes:
        folder: Of a finished audit.
        out: File to write; its ending says as what.
        kind: ``weights``, ``resampled`` or ``subset``.
        size: Lines of a resampled manifest (None: as many as there are images) or images of a
            subset.
        splits: Parts of the data set to choose from: train, validation. Test images never leave
            the test set.
    """

    folder: Path
    out: Path
    kind: str
    size: int | None = None
    seed: int = 0
    splits: tuple[str, ...] = ("train",)


class Images(TypedDict):
    lines: int
    different: int
    chosen_from: int
    shards: list[str]


# How a manifest came about ("as" is no name in a class).
About = TypedDict(
    "About",
    {
        "kind": str, "schema": int, "created": str, "version": str, "as": str, "method": str,
        "seed": int, "splits": list[str], "audit": dict[str, str], "density": str,
        "classes": list[str], "images": Images,
    },
)  # fmt: skip


class Document(About):
    coverage: Coverage
    groups: Groups
    sentences: list[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Export:
    """The files written (``held_out`` is None without other splits), and the short audit."""

    manifest: Path
    held_out: Path | None
    numbers: Path
    document: Document = field(repr=False)


class Chosen(NamedTuple):
    """Which of the n images that could be chosen stand in the manifest.

    ``place`` (m,) among them, by line; ``counts`` (n,) how much each counts; ``columns`` of the
    manifest beyond which image it is; a sentence about the ``method``.
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
        WeightError: The latents of the images to choose from give no weights.
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
    manifest = _manifest(audit, rows[chosen.place], chosen.columns)
    others = np.flatnonzero(~audit.samples["split"].isin(request.splits)).astype(np.int64)
    held_out = _manifest(audit, others, {})
    coverage, groups = _measured(audit, able, chosen, request.seed)
    document: Document = {
        **_described(audit, request, chosen),
        "coverage": coverage,
        "groups": groups,
        "sentences": [
            *filter(None, [audit.doubt]),
            *_remarks(manifest, held_out),
            *sentences(groups, coverage),
        ],
    }
    return _write(request.out, manifest, held_out, document)


def _check(request: Request) -> None:
    kind, size, out = request.kind, request.size, request.out
    if kind not in KINDS:
        raise ConfigError(f"--as {kind!r} is not known; choose {', '.join(KINDS)}")
    if out.suffix.lower() not in WRITERS:
        raise ConfigError(
            f"a manifest is written as {' or '.join(WRITERS)}, got --out {out}; change its ending"
        )
    if not request.splits or not {"train", "validation"}.issuperset(request.splits):
        raise ConfigError(
            f"images are chosen from train and validation, got --splits {','.join(request.splits)}"
            "; test images stay in the test set, or nothing could be measured any more"
        )
    if kind == "subset" and size is None:
        raise ConfigError("a subset needs the number of its images: --size N")
    if kind == "weights" and size is not None:
        raise ConfigError("weights are of all images; leave out --size, or ask for --as resampled")
    if kind == "resampled" and size is not None and size > MOST_LINES:
        raise ConfigError(
            f"--size {size:,} lines are more than one file can hold; choose {MOST_LINES:,} or "
            "fewer, or ask for --as weights"
        )


def _weights(audit: FinishedAudit, able: Rows, _: Request) -> Chosen:
    share = _shares(audit, able)
    counts = share * len(able)
    method = (
        "Every image, with the weight that it has among these images by the rule of the audit: "
        "rare ones count more."
    )
    every = np.arange(len(able))
    return Chosen(every, counts, {"weight": counts, "probability": share}, method)


def _resampled(audit: FinishedAudit, able: Rows, request: Request) -> Chosen:
    size = len(able) if request.size is None else request.size
    place = resample(_shares(audit, able), size, numpy_generator(request.seed, "export"))
    counts = np.bincount(place, minlength=len(able)).astype(np.float64)
    method = (
        f"{size:,} draws with replacement by the weights of --as weights, in random order: "
        f"{int((counts > 0).sum()):,} different images, one up to {int(counts.max()):,} times. "
        "Train without weights: they are in the lines already."
    )
    return Chosen(place, counts, {"draw": np.arange(size)}, method)


def _subset(audit: FinishedAudit, able: Rows, request: Request) -> Chosen:
    assert request.size is not None  # checked before anything was opened
    generator = numpy_generator(request.seed, "export")
    place = even_subset(_latents(audit, able).mean, request.size, generator)
    counts = np.bincount(place, minlength=len(able)).astype(np.float64)
    method = (
        f"{request.size:,} of {len(able):,} images, as evenly as possible from cells of "
        "equal reach in the latent space; no annotation was used."
    )
    return Chosen(place, counts, {}, method)


KINDS: dict[str, Callable[[FinishedAudit, Rows, Request], Chosen]] = {
    "weights": _weights, "resampled": _resampled, "subset": _subset,
}  # fmt: skip


def _shares(audit: FinishedAudit, able: Rows) -> Float64[np.ndarray, " n"]:
    """Chance of each image at a draw: the rule of the audit, fitted to these images alone."""
    return rarity_weights(audit.density, _latents(audit, able))[1].probability


def _latents(audit: FinishedAudit, able: Rows) -> Latents:
    every = audit.latents
    if len(able) == len(every.mean):
        return every  # stays on disk
    log_var = None if every.log_var is None else every.log_var[able]
    return Latents(sample_ids=every.sample_ids[able], mean=every.mean[able], log_var=log_var)


def _described(audit: FinishedAudit, request: Request, chosen: Chosen) -> About:
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
    audit: FinishedAudit, able: Rows, chosen: Chosen, seed: int
) -> tuple[Coverage, Groups]:
    """How evenly the images fill the cells, and the groups, before and after."""
    samples = audit.samples.iloc[audit.images["row"].to_numpy()]
    names = [name for name in audit.about["attributes"] if name in samples]
    groups = pd.DataFrame({name: group_names(samples[name]) for name in names})
    cell = audit.images["cell"].to_numpy(dtype=np.int64)[able]
    generator = numpy_generator(seed, "export/at random")
    return (
        compare_coverage(cell, audit.cells, chosen.counts, generator),
        compare_groups(groups, able, chosen.counts, audit.below, audit.withheld),
    )


def _manifest(
    audit: FinishedAudit, rows: Int64[np.ndarray, " m"], columns: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Lines of a file, under our names first; an annotation of one of these names is renamed."""
    samples, about = audit.samples.iloc[rows].reset_index(drop=True), audit.about
    ours = ("sample_id", *PLACES, "row", "split")
    found = {name: samples[name] for name in ours if name in samples}
    annotated = {name: samples[name] for name in about["attributes"] if name in samples}
    if about["label"] != UNLABELLED:
        found["label"] = samples["label"]
        names = pd.Index(about["classes"]).take(samples["label"].to_numpy())
        annotated = {about["label"]: names.to_numpy()} | annotated
    renamed = {f"{x}_annotated" if x in COLUMNS else x: y for x, y in annotated.items()}
    first = {name: columns[name] for name in columns if name == "draw"}
    return pd.DataFrame({**first, **found, **renamed, **columns})


def _remarks(manifest: pd.DataFrame, held_out: pd.DataFrame) -> list[str]:
    paths = [path for path in manifest["path"].unique() if path]
    gone = [path for path in paths if not Path(path).is_file()]
    told = {
        "No image is held out: a classifier has to be tested on other data.": not len(held_out),
        "Some images have no file of their own: take them from the decoded shards by 'row' "
        "(numpy.load each of images.shards, put one behind another).": (
            (manifest["path"] == "").any()
        ),
        "Images lie inside larger files: read 'length' bytes of 'path' from 'offset', or take "
        "the decoded ones by 'row'.": "offset" in manifest and manifest["offset"].notna().any(),
        f"{len(gone):,} of {len(paths):,} files are not where the audit read them, first "
        f"{gone[0] if gone else ''}; run debias export where the audit ran, or take the images by "
        "'row'.": bool(gone),
    }
    return [sentence for sentence, holds in told.items() if holds]


def _write(out: Path, manifest: pd.DataFrame, held_out: pd.DataFrame, document: Document) -> Export:
    """The manifest, what is held out, and last what describes them; whole or not at all each."""
    other = out.with_name(f"{out.stem}.held-out{out.suffix}")
    numbers = out.with_name(f"{out.name}.audit.json")
    tables = {out: manifest, other: held_out} if len(held_out) else {out: manifest}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files = {}
        for path, table in tables.items():
            replace_file(path, partial(WRITERS[out.suffix.lower()], table), mode=PRIVATE)
            columns = {name: COLUMNS.get(name, "annotated") for name in map(str, table)}
            files[path.name] = {"content": fingerprint(path), "columns": columns}
        if other not in tables:
            other.unlink(missing_ok=True)  # of an earlier export, which held out what is chosen now
        write_json(numbers, document | {"files": files}, mode=PRIVATE)
    except OSError as error:
        raise storage_error(error, out.parent) from error
    held = other if other in tables else None
    return Export(manifest=out, held_out=held, numbers=numbers, document=document)
