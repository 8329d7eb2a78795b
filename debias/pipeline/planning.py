"""``debias plan``: how many test images and trainings find a change, by a recipe or a pilot run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from debias import __version__
from debias.errors import DataError, EvaluationError
from debias.metrics.changes import paired_outcomes
from debias.metrics.primary import answers
from debias.pipeline.fairness import read_run
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.reports import no_reports
from debias.report import write_plan
from debias.report.documents import PlanDocument, Planned
from debias.statistics.looks import Looks
from debias.statistics.planning import MOST, Parts, detectable, images_needed, parts_of
from debias.storage.files import storage_error
from debias.storage.sealed import read_checked, write_json
from debias.types import BASELINE

PAGE, NUMBERS = "plan.html", "plan.json"
TRAININGS = (3, 5, 10, 20)
IMAGES = (100, 200, 500, 1000, 2000)
CURVE = tuple(np.unique(np.geomspace(30, 5000, 24).round().astype(int)).tolist())
# Medians over 17 ways to train on UTKFace, accuracy of the worst group, five trainings of each.
TYPICAL = Parts(trainings=0.024**2, images=0.05, both=0.32)


def recipe_of(folder: Path, changes: Sequence[str] = ()) -> RunConfig:
    """The recipe of a finished run, with settings changed; DataError if it is none."""
    if not (folder / "report.json").exists():
        raise DataError(no_reports(folder.absolute()))
    document = read_checked(folder / "report.json")
    return load(RunConfig, document["run"]["config"], changes, called=str(folder))


def plan(
    config: RunConfig, pilot: Path | None = None, *, change: float = 0.05, power: float = 0.8
) -> PlanDocument:
    """What the first primary question of each arm takes to be answered.

    Args:
        config: Recipe: its arms share the error, its looks lower the level.
        pilot: Folder of a finished run from which variances are estimated; None takes typical ones.
        change: That should be found, in (0, 1).
        power: Probability with which it should be, in (0, 1).

    Raises:
        EvaluationError: A value is out of range, or the pilot has a single training or no arm to
            compare.
    """
    for name, value in (("change", change), ("power", power)):
        if not 0 < value < 1:
            raise EvaluationError(f"{name} = {value:g}: must lie between 0 and 1, both excluded")
    arms, error = [arm for arm in config.arms if arm != BASELINE], 1 - config.evaluation.level
    share, looks = error / max(len(arms), 1), config.looks
    usual = looks.most if looks else config.seeds
    numbers = sorted({*TRAININGS, usual} - {1}) if isinstance(usual, int) else list(TRAININGS)
    levels = {s: 1 - (_at_last(looks, s).level(s, share) if looks else share) for s in numbers}
    found = _typical() if pilot is None else list(_of_pilot(pilot, config))
    planned: list[Planned] = [
        {
            "arm": arm, "quantity": quantity, "images": images, "trainings": trainings,
            "sd_trainings": parts.trainings**0.5, "variance_images": parts.images,
            "variance_both": parts.both,
            "rows": [
                {
                    "trainings": s, "level": levels[s],
                    "needed": images_needed(parts, change, s, levels[s], power),
                    "found": [detectable(parts, n, s, levels[s], power) for n in IMAGES],
                    "curve": [detectable(parts, n, s, levels[s], power) for n in CURVE],
                }
                for s in numbers
            ],
        }
        for arm, quantity, images, trainings, parts in found
    ]  # fmt: skip
    return {
        "kind": "plan", "schema": 1, "version": __version__, "name": config.name,
        "pilot": None if pilot is None else str(pilot), "change": change, "power": power,
        "error": error, "arms": len(arms), "looks": looks is not None, "most_images": MOST,
        "images": list(IMAGES), "curve_images": list(CURVE), "planned": planned,
    }  # fmt: skip


def _at_last(looks: Looks, trainings: int) -> Looks:
    """The looks of a recipe whose most trainings are so many."""
    return Looks(min(looks.least, trainings - 1), trainings)


Found = tuple[str, str, int | None, int | None, Parts]


def _typical() -> list[Found]:
    return [("", "worst_group_accuracy", None, None, TYPICAL)]


def _of_pilot(folder: Path, config: RunConfig) -> Iterator[Found]:
    reports = read_run(folder)
    plain = reports.pop(BASELINE, None)
    if plain is None or not reports or len(plain.seeds) < 2:
        raise EvaluationError(
            f"{folder} cannot serve as a pilot: that takes the arm {BASELINE!r} and another, and 2 "
            "trainings of each or more, so that it shows by how much trainings differ"
        )
    for arm, report in reports.items():
        pair = paired_outcomes(plain, report)
        for one in answers((plain, report), pair, config.evaluation)[:1]:
            images = int((one.before.counted | one.after.counted).sum())
            yield arm, one.quantity, images, one.change.trainings, parts_of(one.change, images)


def write(document: PlanDocument, out: Path) -> Sequence[Path]:
    """Write ``plan.html`` and ``plan.json`` into a folder; StorageError if it takes no files."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_plan(out / PAGE, document)
        write_json(out / NUMBERS, document)
    except OSError as error:
        raise storage_error(error, out) from error
    return out / PAGE, out / NUMBERS
