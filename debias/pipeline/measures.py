"""A step of a study: one representation, asked everything; figures, tables and pictures."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64

from debias.datasets.synthetic import render
from debias.density import sized
from debias.errors import PipelineError
from debias.models import Generates, encoding
from debias.models.quality import bounds, disentanglement, groups, pictures, samples, tasks
from debias.models.quality.gradients import gradients
from debias.pipeline.job import Study
from debias.pipeline.judge import load_judge
from debias.pipeline.representation import batches_for, spread
from debias.pipeline.step import Shown, Step, Work, arrays, named
from debias.pipeline.study_pictures import drawn, tried
from debias.pipeline.subject import Subject, annotation
from debias.plugins import dump
from debias.report.study_document import Figure
from debias.seeding import torch_generator
from debias.statistics.intervals import Share, mean_limits, share_of
from debias.storage.artifacts import Artifact, Files
from debias.tracking.tracker import Tracker
from debias.training.batches import of_pictures

GRADIENTS = 5  # images at which gradients are compared
STAGE, MEASURED = "measures", "measures.json"
Figures = dict[str, Figure]


def _settings(work: Work[Study]) -> dict[str, Any]:
    config, size = work.job.config, len(work.faces.samples)
    return {
        "looks": dump(config.looks),
        "densities": {name: dump(sized(one, size)) for name, one in config.densities.items()},
        "factors": config.factors,
        "columns": config.columns,
        "features": config.features and config.features.identity(),
        "seed": config.seed,
        "data": dump(config.data) if config.factors else None,  # draws more of the same
        **work.job.compute.identity(),
    }


def _build(work: Work[Study], tracker: Tracker) -> Files:
    subject, figures = Subject.of(work), Figures()
    judges = {name.partition("/")[2]: one for name, one in work.inputs.items() if "/" in name}
    parts: list[Callable[[], Figures]] = [partial(_reached, subject)]
    trials = tried(subject) if subject.draws else {}
    if subject.draws:
        parts += [partial(_redrawn, subject), partial(_sampled, subject, judges)]
        parts += [partial(_tried, subject, trials)]
    if isinstance(subject.network, Generates):
        parts.append(partial(_bounded, subject))
    if work.job.config.factors and not hasattr(subject.network, "condition"):
        parts.append(partial(_disentangled, subject))
    advance = work.start(len(parts) + 2)
    for part in parts:
        figures |= part()
        advance(part.func.__name__.strip("_"))  # type: ignore[attr-defined]
    found, left_out = _found(subject)
    tables = {"found": found, "served": _served(subject), "shares": _shares(subject, judges)}
    advance("who is found")
    measured = {
        "figures": figures,
        "left_out": left_out,
        "draws": subject.draws,
        "drawn_from": subject.drawn_from if subject.draws else "",
        "latent_dim": subject.known.mean.shape[1],
        **{name: _records(table) for name, table in tables.items()},
    }
    sheets = drawn(subject, trials) if work.seed == 0 else {}
    advance("pictures")
    return {MEASURED: measured, **arrays(**sheets)}


def _reached(subject: Subject) -> Figures:
    """What the places alone say: active dimensions, and how well classes lie apart."""
    found = {"active_units": _plain(float(subject.active.sum()))}
    columns = subject.job.config.columns
    if not columns or not subject.active.any():
        return found
    from sklearn.neighbors import NearestCentroid

    train = subject.store.rows("train")
    truth = annotation(subject.store, columns[0], subject.rows)
    near = NearestCentroid().fit(
        subject.known.mean[:, subject.active], annotation(subject.store, columns[0], train)
    )
    right = near.predict(subject.placed.mean[:, subject.active]) == truth
    return found | {"nearest_centroid": _share(share_of(int(right.sum()), len(right)))}


def _redrawn(subject: Subject) -> Figures:
    found = {"psnr": pictures.psnr, "ssim": pictures.ssim}
    return {
        name: _mean(measure(subject.originals, subject.again)) for name, measure in found.items()
    }


def _bounded(subject: Subject) -> Figures:
    network, job, looks = subject.network, subject.job, subject.job.config.looks
    assert isinstance(network, Generates)
    batches = batches_for(job, network, subject.store)
    rows = spread(subject.rows, looks.bound_images)
    generator = torch_generator(job.config.seed, "study/bound", job.compute.device)
    plain = bounds.evidence(network, batches.evaluate(subject.rows), generator)
    weighted = bounds.importance_weighted(
        network, batches.evaluate(rows), generator, looks.bound_samples
    )
    per_value = partial(
        bounds.bits_per_dimension, pixels=network.values, continuous=network.continuous
    )
    assert subject.gaps is not None  # as of everything that is bounded
    drawn_evenly = subject.job.config.looks.gap_images  # behind these are more of small groups
    slopes = gradients(network, batches.evaluate(rows[:GRADIENTS]), generator)
    noise = {name: float(one.variance.mean()) for name, one in slopes.items()}
    return {
        "inference_gap": _mean(subject.gaps.inference[:drawn_evenly]),
        "amortisation_gap": _mean(subject.gaps.amortisation[:drawn_evenly]),
        "gradient_noise": _plain(noise["score_with_baseline"] / noise["reparameterised"]),
        "elbo": _mean(plain.bound),
        "reconstruction": _mean(-plain.reconstruction),
        "kl": _mean(plain.kl),
        "weighted_bound": _mean(weighted.bound),
        "bits_per_dimension": _plain(per_value(-float(weighted.bound.mean()))),
    }


def _sampled(subject: Subject, judges: Mapping[str, Artifact]) -> Figures:
    """Samples beside training images, as many, in the features of a declared encoder or judge."""
    features = _features(subject.job, judges)
    if features is None:
        return {}
    count = min(subject.job.config.looks.samples, len(subject.store.rows("train")))
    real = subject.store.images[spread(subject.store.rows("train"), count)]
    seen, made = map(features, (real, subject.samples(count)))
    scored = samples.with_intervals(samples.all_scores, seen, made, subject.generator("halves"))
    return {name: _figure(*score) for name, score in scored.items()}


def _features(job: Study, judges: Mapping[str, Artifact]) -> Callable[[np.ndarray], Any] | None:
    """What describes pictures (n, H, W, C) by (n, d); None where nothing can."""
    device, compute, declared = job.compute.device, job.compute, job.config.features
    if declared is not None:
        encoder = declared.open(device)
        return lambda some: encoding.posterior(encoder, of_pictures(some, device), compute)[0]
    if not judges:
        return None
    judge, _ = load_judge(job, next(iter(judges.values())))
    return lambda some: encoding.features(judge, of_pictures(some, device), compute)


def _disentangled(subject: Subject) -> Figures:
    config, data = subject.job.config, subject.job.config.data

    def encode(factors: pd.DataFrame) -> Float[np.ndarray, "n k"]:
        batches = of_pictures(render(factors, config.image_size), subject.job.compute.device)
        mean, _ = encoding.posterior(subject.network, batches, subject.job.compute)  # type: ignore[arg-type]
        return mean[:, subject.active]

    world = disentanglement.World(config.factors, data.independent, encode)  # type: ignore[attr-defined]
    looks = config.looks
    scored = disentanglement.all_scores(
        world, subject.generator("factors"), samples=looks.known, votes=looks.votes
    )
    return {name: _plain(value) for name, value in scored.items()}


def _tried(subject: Subject, trials: Mapping[str, tasks.Trial]) -> Figures:
    found: Figures = {}
    for name, trial in trials.items():
        for key, value in trial.figures().items():
            found[f"{name}/{key}"] = _plain(value)
        found[f"{name}/closer"] = _share(trial.closer())
    usual = subject.originals[: subject.job.config.looks.trials]
    known = subject.store.images[spread(subject.store.rows("train"), 5000)]
    odd = tasks.swapped_quarters(usual)
    spotted = tasks.spot_anomalies(subject.costs, known, usual, odd)
    areas = {"anomalies/auc": spotted.own, "anomalies/plain_auc": spotted.plain}
    return found | {name: _plain(area.value) for name, area in areas.items()}


def _found(subject: Subject) -> tuple[pd.DataFrame, list[str]]:
    """Whom rarity finds under each density; and why one of them says nothing."""
    train = subject.store.rows("train")
    labels, annotated = subject.store.labels(train), subject.store.groups(train)
    tables, left_out = [], []
    for name, density in subject.job.config.densities.items():
        try:
            tables.append(groups.found(subject.known, labels, annotated, {name: density}))
        except PipelineError as error:
            left_out.append(str(error))
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), left_out


def _served(subject: Subject) -> pd.DataFrame:
    if not subject.draws:
        return pd.DataFrame()
    measures = {"squared_error": pictures.squared_error(subject.originals, subject.again)}
    if isinstance(subject.network, Generates):
        measures["nats"] = subject.costs(subject.originals)
    tables = [groups.served(measures, subject.store.groups(subject.rows))]
    if subject.gaps is not None:
        lost = {f"{name}_gap": gap for name, gap in subject.gaps._asdict().items()}
        tables.append(groups.served(lost, subject.store.groups(subject.gap_rows)))
    return pd.concat(tables, ignore_index=True)


def _shares(subject: Subject, judges: Mapping[str, Artifact]) -> pd.DataFrame:
    """Who is among the samples, as the judges see it."""
    if not subject.draws or not judges:
        return pd.DataFrame()
    job, tables = subject.job, []
    made = subject.samples(job.config.looks.samples)
    for column, artifact in judges.items():
        network, classes = load_judge(job, artifact)
        codes = encoding.predicted(network, of_pictures(made, job.compute.device), job.compute)
        tables.append(groups.shares(classes[codes], classes).assign(attribute=column))
    return pd.concat(tables, ignore_index=True)


def _mean(values: Float64[np.ndarray, " n"]) -> Figure:
    """Mean over images with Student's t interval."""
    return _figure(*mean_limits(values))


def _share(share: Share) -> Figure:
    return _figure(share.value, share.low, share.high)


def _plain(value: float) -> Figure:
    return _figure(value, np.nan, np.nan)


def _figure(value: float, low: float, high: float) -> Figure:
    """What is not a number is not there: undefined is never zero."""
    numbers = {"value": value, "low": low, "high": high}
    known = {name: float(one) if np.isfinite(one) else None for name, one in numbers.items()}
    return cast(Figure, known)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return cast(list[dict[str, Any]], plain.to_dict("records"))


def _shown(work: Work[Study]) -> Shown:
    space, seed = work.which
    tags = {"space": space, "seed": seed}
    return Shown(f"{STAGE} {space} {seed}", f"{space}, seed {seed}, measured", tags)


def _tell(work: Work[Study], artifact: Artifact, tracker: Tracker) -> None:
    measured = artifact.read_json(MEASURED)
    tracker.params({"model": dump(work.job.config.representation.model), "space": work.arm})
    figures: dict[str, Figure] = measured["figures"]
    known = {key: one["value"] for key, one in figures.items() if one["value"] is not None}
    tracker.metrics(named("quality", known))
    areas = {
        f"{row['density']}/{row['group']}": row["auc"]
        for row in measured["found"] if row["auc"] is not None
    }  # fmt: skip
    tracker.metrics(named("found", areas))


MEASURES = Step(STAGE, settings=_settings, build=_build, tell=_tell, shown=_shown)
