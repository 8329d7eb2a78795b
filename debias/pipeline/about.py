"""What a run was made of: its parts, its data and its representation, as plain values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from debias.ingesting.build import ACCOUNT, QUARANTINE
from debias.ingesting.planting import Planting
from debias.ingesting.quarantine import read_quarantine
from debias.pipeline.job import Job, Run
from debias.pipeline.step import curves
from debias.plugins import dump
from debias.report.documents import About, Data, GroupCounts, Representation, SetAside, Stopping
from debias.storage.artifacts import Artifact
from debias.types import SPLITS, FaceStore


@dataclass(frozen=True)
class Stages:
    """The finished artifacts of a run, by what they are; why arms were refused, by their name."""

    faces: Artifact
    representation: Artifact
    reference: Artifact | None
    elsewhere: Artifact | None
    weights: Mapping[str, Artifact]
    classifiers: Mapping[str, Sequence[Artifact]]
    generated: Mapping[str, Artifact] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def trainings(self) -> int:
        """Of every arm."""
        return max(map(len, self.classifiers.values()), default=0)

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> "Stages":
        """What the steps of a run made, by stop, arm and seed: "weights/latent"."""
        weights: dict[str, Artifact] = {}
        generated: dict[str, Artifact] = {}
        refused: dict[str, str] = {}
        trained: dict[str, list[Artifact]] = {}
        for name, one in made.items():
            stop, *which = name.split("/")
            if stop == "weights":
                (refused if isinstance(one, str) else weights)[which[0]] = one
            elif stop == "generated":
                generated[which[0]] = one
            elif stop == "classifier":
                trained.setdefault(which[0], []).append(one)
        parts: dict[str, Any] = {
            name: made.get(name) for name in ("faces", "representation", "reference", "elsewhere")
        }
        return cls(
            **parts, weights=weights, generated=generated, refused=refused, classifiers=trained
        )


def about_run(run: Run, stages: Stages, stopping: Stopping | None) -> About:
    made = {
        "faces": [stages.faces],
        "representation": [stages.representation],
        "reference": [stages.reference] if stages.reference else [],
        "elsewhere": [stages.elsewhere] if stages.elsewhere else [],
        "weights": list(stages.weights.values()),
        "generated": list(stages.generated.values()),
        "classifiers": [one for found in stages.classifiers.values() for one in found],
    }
    seconds = {name: round(sum(one.seconds for one in found), 2) for name, found in made.items()}
    found: Any = {
        "config": dump(run.config),
        **run.compute.describe(),
        "seconds": seconds,
        "artifacts": {
            "faces": stages.faces.key,
            "representation": stages.representation.key,
            "reference": stages.reference.key if stages.reference else None,
            "elsewhere": stages.elsewhere.key if stages.elsewhere else None,
            "weights": {arm: one.key for arm, one in stages.weights.items()},
            "generated": {arm: one.key for arm, one in stages.generated.items()},
            "classifiers": {
                arm: [one.key for one in found] for arm, found in stages.classifiers.items()
            },
        },
        "seeds": stages.trainings,
        "stopping": stopping,
        "folder": str(run.folder.path),
        "command": run.command,
        "mlflow": run.tracking.link(),
        "unpublished": run.unpublished(),
    }
    return found


def about_data(
    run: Run, stages: Stages, faces: FaceStore, small: frozenset[str], few: frozenset[str]
) -> Data:
    """The data of a run; ``small`` and ``few`` name the groups of which counts are withheld.

    ``small`` are groups among the training faces, ``few`` among the test faces.
    """
    counts = {split: len(faces.rows(split)) for split in SPLITS}
    groups: list[GroupCounts] = []
    for attribute in faces.attributes:
        train, test = (
            faces.groups(faces.rows(split))[attribute].value_counts() for split in ("train", "test")
        )
        for value in sorted(set(train.index) | set(test.index)):
            name, size = f"{attribute}:{value}", int(train.get(value, 0))
            withheld = name in small
            groups.append(
                {
                    "attribute": attribute,
                    "group": name,
                    "train": None if withheld else size,
                    "train_share": None if withheld else size / counts["train"],
                    "test": None if name in few else int(test.get(value, 0)),
                }
            )
    tie = run.config.selection.tie
    return {
        "name": run.config.data.name,
        "planted": Planting(tie=tie, label=run.config.label).sentence if tie else "",
        "label": faces.label,
        "classes": list(faces.classes),
        "attributes": list(faces.attributes),
        "image_size": run.config.image_size,
        "n": counts,
        "annotation": run.config.data.annotation,
        "source": run.config.data.source,
        "groups": groups,
        "set_aside": about_set_aside(stages.faces),
    }


def about_set_aside(faces: Artifact) -> SetAside:
    """How many items are not in a store, and why; the list of them stays in it."""
    rejected, account = read_quarantine(faces.path / QUARANTINE), faces.read_json(ACCOUNT)
    # The records name files and people: their number does not tell who.
    reasons = Counter(record["reason"] for record in rejected)
    return {
        "count": len(rejected),
        "reasons": [{"reason": name, "count": count} for name, count in reasons.most_common()],
        "list": str(faces.path / QUARANTINE),
        "seen": account["seen"]["line"] if "seen" in account else "",
    }


def about_representation(job: Job, representation: Artifact) -> Representation:
    """What places the faces, whether it was trained here, and its figures."""
    figures: Representation = representation.read_json("figures.json")
    recipe = job.config.representation
    about: Representation = {"name": recipe.model.name, "trained": recipe.model.trained}
    if recipe.model.told_column:
        about["told"] = recipe.model.told_column
    if curves(representation):
        about["epochs"] = recipe.training.epochs
    elif not recipe.model.trained:
        file = getattr(recipe.model, "file", None)
        about["file"] = file.name if file else recipe.model.name
    return {**about, **figures}
