"""Stage 5: the numbers of all arms in one document, the page, and the comparison in the tracker."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pandas as pd

from debias import __version__, metrics, report
from debias.density import active_dimensions
from debias.errors import WeightError
from debias.metrics.documents import FairnessDocument
from debias.pipeline import findings
from debias.pipeline.about import Stages, about_data, about_representation, about_run
from debias.pipeline.classifier import classifier_name
from debias.pipeline.delivery import deliver, delivered
from debias.pipeline.diagnoses import diagnoses
from debias.pipeline.faces import SPLIT as REFERENCE
from debias.pipeline.fairness import (
    arm_comparisons,
    arm_reports,
    arm_trainings,
    small_training_groups,
    stopping_of,
    without,
)
from debias.pipeline.film import film, wanted, warned
from debias.pipeline.generated import families
from debias.pipeline.job import REPORT, Run
from debias.pipeline.legible import legible
from debias.pipeline.representation import drew, faces_may_be_shown, fidelity_of, spread
from debias.pipeline.step import curves
from debias.pipeline.weights import load_multiples
from debias.plugins import dump
from debias.report import for_whom
from debias.report.documents import Findings, Method, RunDocument, Weights
from debias.report.readings import of
from debias.report.words import arm_name
from debias.seeding import numpy_generator, stream_seed
from debias.storage.artifacts import Artifact, content_key, load_array, load_faces, load_latents
from debias.types import BASELINE, FaceStore

STAGE = "comparison"
SHOWN = 24  # faces per contact sheet
EPOCHS_SHOWN = 12
REVISION = 12  # raised whenever a report of the same artifacts says something else


def make_report(run: Run, **made: Artifact | str) -> RunDocument:
    """Write ``report.json`` and ``report.html`` into the run folder; returns the document.

    A report of the same artifacts that is already there is left as it is.

    Raises:
        WeightError: Every arm was refused.
    """
    stages = Stages.of(made)
    if not stages.weights:
        reasons = "; ".join(f"{arm}: {reason}" for arm, reason in stages.refused.items())
        raise WeightError(f"every arm was refused, so there is nothing to train ({reasons})")
    key = _key(run, stages)
    _arrange(run, key, stages)
    written = _written(run, key)
    if written is not None:
        run.progress.reused("Report")
        return written
    advance = run.progress.start("Report", 1)
    faces = load_faces(stages.faces)
    found = _findings(run, key, stages, faces)
    methods = report.methods(found, _seconds(stages))
    document: RunDocument = {**found, "opening": report.opening(found), "methods": methods}
    pictures = _pictures(run, stages, faces)
    deliver(
        run, REPORT, document, partial(report.write_report, document=document, pictures=pictures),
        partial(_publish, run, key, document),
    )  # fmt: skip
    document["run"]["mlflow"] = _link(run, key)
    advance("")
    return document


def _key(run: Run, stages: Stages) -> str:
    inputs = {arm: artifact.key for arm, artifact in stages.weights.items()}
    inputs |= {f"{arm}/{seed}": one.key for arm, seed, one in _trained(stages)}
    inputs |= {"reference": stages.reference.key} if stages.reference else {}
    inputs |= {"faces": stages.faces.key, "representation": stages.representation.key}
    settings = {"config": dump(run.config), "version": __version__, "revision": REVISION}
    return content_key(STAGE, settings, inputs)


def _arrange(run: Run, key: str, stages: Stages) -> None:
    """Let the saved views show the classifiers of this report, reused ones included."""
    names = [
        run.tracking_key("classifier", one.key, classifier_name(arm, seed))
        for arm, seed, one in _trained(stages)
    ]
    run.tracking.provision_views(key, names)


def _seconds(stages: Stages) -> dict[str, float]:
    """Of one training of every arm, the mean over its trainings."""
    return {
        arm: float(np.mean([one.seconds for one in made]))
        for arm, made in stages.classifiers.items()
    }


def _trained(stages: Stages) -> list[tuple[str, int, Artifact]]:
    return [
        (arm, seed, artifact)
        for arm, artifacts in stages.classifiers.items()
        for seed, artifact in enumerate(artifacts)
    ]


def _written(run: Run, key: str) -> RunDocument | None:
    """The finished report of this content, if the tracker has it as well."""
    found = delivered(run.folder.path, REPORT)
    if found is None or found["key"] != key or not run.published(STAGE, key, "comparison"):
        return None
    found["run"].update({"folder": str(run.folder.path), "mlflow": _link(run, key)})
    return cast(RunDocument, found)


def _link(run: Run, key: str) -> str | None:
    return run.tracking.link(run.tracking_key(STAGE, key, "comparison"))


def _findings(run: Run, key: str, stages: Stages, faces: FaceStore) -> Findings:
    """How every arm treats each group, what changed, and what may be said of it."""
    rules = run.config.evaluation
    fairness = arm_reports(run, faces, stages.classifiers)
    comparisons = arm_comparisons(fairness, rules, run.config.looks)
    stopping = stopping_of(run.config, stages.trainings, comparisons)
    compared = {arm: one.to_dict() for arm, one in comparisons.items()}
    trainings = arm_trainings(run, fairness)
    skill = {arm: metrics.skill_of(one.outcomes, arm_name(arm)) for arm, one in fairness.items()}
    failed = [arm for arm, one in skill.items() if one is not None and not one["learned"]]
    small = small_training_groups(faces, rules.suppress_below)
    weights = {arm: without(_figures(one), small) for arm, one in stages.weights.items()}
    for arm, figures in weights.items():
        figures["objective"] = run.config.objective(arm).name
        figures["group_labels"] = run.config.group_labels(arm)
        figures["uses_groups"] |= figures["group_labels"] != "no"
        figures["lowered"] = findings.lowered(figures)
        if epochs := film(stages.classifiers.get(arm, ()), small):
            figures["by_epoch"] = epochs
            figures["warnings"] = [*figures["warnings"], *warned(stages.classifiers[arm][0])]
        if made := stages.generated.get(arm):
            plain = stages.classifiers.get(BASELINE, ())
            figures["generated"]["legible"] = legible(run, faces, made, plain)
        inputs = stages.weights[arm].about.get("inputs", {})
        figures["uses_latents"] = stages.representation.key in inputs.values()
    return {
        "key": key,
        "schema": 1,
        "name": run.config.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "run": about_run(run, stages, stopping),
        "data": about_data(run, stages, faces, small, next(iter(fairness.values())).unsized),
        "representation": about_representation(run, stages.representation),
        "fidelity": fidelity_of(run, stages.representation, faces),
        "weights": weights,
        "refused": dict(stages.refused),
        "diagnoses": diagnoses(
            faces,
            load_latents(stages.representation),
            weights,
            compared,
            below=rules.suppress_below,
            seed=stream_seed(run.config.seed, "report/diagnoses"),
        ),
        "arms": {
            arm: {"seeds": [one.to_dict() for one in found], "mean": metrics.summarise(found)}
            for arm, found in trainings.items()
        },
        "skill": skill,
        "fairness": {arm: one.to_dict() for arm, one in fairness.items()},
        "comparisons": compared,
        "concluded": findings.concluded(weights, fairness, comparisons, failed),
        "not_concluded": [
            *findings.left_out(stages.refused),
            *findings.not_concluded(stages.trainings, comparisons, failed),
        ],
    }


def _figures(weights: Artifact) -> Weights:
    found: Weights = weights.read_json("figures.json")
    return found


def _pictures(run: Run, stages: Stages, faces: FaceStore) -> report.Pictures:
    shown = faces_may_be_shown(run)
    latents = load_latents(stages.representation)
    weights, drawn = stages.weights, run.config.drawn
    multiples = {
        arm: load_multiples(weights[arm]) for arm in weights if drawn(arm).name != BASELINE
    }
    return report.Pictures(
        faces_shown=shown, latent_mean=latents.mean, active=active_dimensions(latents),
        weights=multiples, training_curves=_training_curves(run, stages),
        **(_faces(run, stages, faces) if shown else {}),
    )  # fmt: skip


def _faces(run: Run, stages: Stages, faces: FaceStore) -> dict[str, Any]:
    """Pictures of faces, for a run that may show them."""
    train = faces.rows("train")
    generator = numpy_generator(run.config.seed, "report/samples")
    some = np.sort(generator.choice(train, min(SHOWN, len(train)), replace=False))
    found: dict[str, Any] = {"samples": faces.images[some]}
    if drew(stages.representation):
        found |= _drawn_by_the_model(stages.representation, faces.seen(run.config.seen_side))
    rarity = next((arm for arm in stages.weights if "density" in run.config.drawn(arm).needs), None)
    if rarity is not None:
        order = np.argsort(-load_multiples(stages.weights[rarity]), kind="stable")
        found["least_represented"] = faces.images[train[order[:SHOWN]]]
        found["most_represented"] = faces.images[train[order[::-1][:SHOWN]]]
    found["generated"] = {
        arm: families(made, faces, EPOCHS_SHOWN) for arm, made in stages.generated.items()
    }
    return found | _wanted(run, stages, faces) | {"film": _film(stages, faces)}


def _film(stages: Stages, faces: FaceStore) -> dict[str, dict[int, np.ndarray]]:
    """What the first training of each arm drew most, for arms that weigh anew every epoch."""
    ids = pd.Index(faces.samples["sample_id"])
    found: dict[str, dict[int, np.ndarray]] = {}
    for arm, (first, *_) in stages.classifiers.items():
        most = wanted(first)
        weighed = np.flatnonzero([bool(epoch) for epoch in most])
        for epoch in spread(weighed, EPOCHS_SHOWN).tolist():
            rows = ids.get_indexer(most[epoch])
            found.setdefault(arm, {})[epoch + 1] = faces.images[rows]
    return found


def _wanted(run: Run, stages: Stages, faces: FaceStore) -> dict[str, Any]:
    """What arms that aim at something other than rarity draw most and least."""
    train, found = faces.rows("train"), {}
    for arm, weights in stages.weights.items():
        rule = run.config.arms[arm]
        if {"reference", "elsewhere"} & rule.needs or weights.read_json("figures.json").get(
            "estimated"
        ):
            order = np.argsort(-load_multiples(weights), kind="stable")
            ends = order[:SHOWN], order[::-1][:SHOWN]
            found[arm] = tuple(faces.images[train[end]] for end in ends)
    recipe = run.config.reference
    drawn = recipe is not None and recipe.data.name == "synthetic"
    if stages.reference is None or not (drawn or run.config.report.show_faces):
        return {"wanted": found}
    reference = load_faces(stages.reference)
    rows = reference.rows(REFERENCE)
    generator = numpy_generator(run.config.seed, "report/reference")
    some = np.sort(generator.choice(rows, min(SHOWN, len(rows)), replace=False))
    return {"wanted": found, "reference": reference.images[some]}


def _drawn_by_the_model(representation: Artifact, faces: FaceStore) -> dict[str, Any]:
    """Faces redrawn from their latents, and single dimensions moved."""
    reconstructions = load_array(representation, "reconstructions")[-1]
    return {
        "originals": faces.images[faces.rows("validation")[: len(reconstructions)]],
        "reconstructions": reconstructions,
        "traversals": load_array(representation, "traversals"),
        "traversed_dimensions": tuple(load_array(representation, "traversed").tolist()),
    }


def _training_curves(run: Run, stages: Stages) -> dict[str, dict[str, list[float]]]:
    """Of everything that was trained in this run."""
    trained = {"representation": [stages.representation]} if curves(stages.representation) else {}
    trained |= {f"classifier {arm}": list(made) for arm, made in stages.classifiers.items()}
    return {name: _curves(found) for name, found in trained.items()}


def _curves(artifacts: Sequence[Artifact]) -> dict[str, list[float]]:
    histories = [curves(artifact) for artifact in artifacts]
    epochs = {
        name: [[epoch[name] for epoch in history] for history in histories]
        for name in histories[0][0]
    }
    return {name: np.mean(values, axis=0).tolist() for name, values in epochs.items()}


def _publish_method(run: Run, key: str, row: Method) -> None:
    """An arm as a run of its own: one row of the view of methods."""
    tags = {"arm": row["arm"], "comparison": key, "method": row["method"],
            "group_labels": row["group_labels"], "verdict": row["verdict"]}  # fmt: skip
    with run.tracked(
        "method", key, row["arm"], title=for_whom.arm_title(row["arm"]), **tags
    ) as tracker:
        values = {
            "accuracy/overall": row["accuracy"],
            "accuracy/worst_group": row["worst_group"],
            "accuracy/gap": row["gap"],
            "time/seconds": row["seconds"],
            "time/relative_to_plain": row["relative_seconds"],
        }
        tracker.metrics({name: value for name, value in values.items() if value is not None})


def _publish(run: Run, key: str, document: RunDocument, charts: Mapping[str, bytes]) -> None:
    for row in document["methods"]:
        _publish_method(run, key, row)
    with run.tracked(STAGE, key, "comparison") as tracker:
        tracker.note(for_whom.note(document))
        stopping = document["run"]["stopping"]
        tracker.params({"trainings": document["run"]["seeds"], "stopping": stopping or "fixed"})
        tracker.dataset(document["data"]["name"], document["run"]["artifacts"]["faces"])
        for arm, found in document["arms"].items():
            values: dict[str, Any] = dict(found["mean"]["accuracy"])
            tracker.metrics({f"{arm}/{k}": v for k, v in values.items() if v is not None})
            tracker.metrics(_counted(arm, document))
            tracker.metrics(_accuracies(arm, document["fairness"][arm]))
        tracker.table("methods", pd.DataFrame(document["methods"]))
        for name, table in _side_by_side(document).items():
            tracker.table(name, table)
        for name in ("report.html", "report.json"):
            tracker.artifact(run.folder.path / name)
        with TemporaryDirectory() as scratch:
            page = Path(scratch) / "for_whom.html"
            page.write_text(for_whom.page(document), encoding="utf-8")
            tracker.artifact(page)
        for name, svg in charts.items():
            tracker.figure(name, svg)


def _counted(arm: str, document: RunDocument) -> dict[str, float]:
    gaps = document["fairness"][arm]["gaps"]
    found = {f"{arm}/gaps_found": float(sum(g["verdict"] == "difference_found" for g in gaps))}
    if primary := document["fairness"][arm]["primary"]:
        found[f"{arm}/primary_gap_p"] = primary[0]["p_value"]
    if arm in document["comparisons"]:
        verdict = document["comparisons"][arm]["verdict"]
        found[f"{arm}/harms"] = float(len(verdict["harms"]))
    return found


def _accuracies(arm: str, fairness: FairnessDocument) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in of(fairness["by_group"], "accuracy"):
        ends = {"": row["value"], "_low": row["low"], "_high": row["high"]}
        found |= {f"{arm}/accuracy {row['group']}{end}": n for end, n in ends.items()}
    return {name: value for name, value in found.items() if value is not None}


def _side_by_side(document: RunDocument) -> dict[str, pd.DataFrame]:
    """For whom, then groups, gaps and changes of all arms with the arm in the first column."""
    fairness, compared = document["fairness"], document["comparisons"]
    parts: dict[str, Iterator[tuple[str, Sequence[Mapping[str, object]]]]] = {
        "groups_by_arm": ((arm, one["by_group"]) for arm, one in fairness.items()),
        "gaps_by_arm": ((arm, one["gaps"]) for arm, one in fairness.items()),
        "changes_by_arm": ((arm, one["groups"]) for arm, one in compared.items()),
    }
    tables = {
        name: pd.DataFrame([{"arm": arm, **row} for arm, rows in part for row in rows])
        for name, part in parts.items()
    }
    measures = next(iter(fairness.values()))["metrics"]
    whom = pd.DataFrame([row for metric in measures for row in for_whom.rates(document, metric)])
    return {name: table for name, table in {"for_whom": whom, **tables}.items() if len(table)}
