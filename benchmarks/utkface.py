"""Who is found on real faces: the table of areas in docs/method.md.

    python benchmarks/utkface.py PATH/TO/UTKFACE [--setting race] [--seeds 3]

Setting ``race`` (configs/utkface.yaml): training set of 4,000 annotated White and 150 each of
Black, Asian, Indian adults; ``age`` (configs/utkface-age.yaml): 4,000 of 20 to 45 years, 150 of
up to 12 and 150 of 60 and over, on which nothing was chosen. For every seed the sets are drawn
anew and everything is trained anew: area under the ROC curve of the weight against "belongs to
this minority", within class, mean over the minorities, with a 95 % interval over seeds (Student's
t). What the weights buy is a table of finished runs of the two recipes (benchmarks/methods.py).
"""

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from debias.pipeline import Run, open_run
from debias.pipeline.faces import make_faces, make_reference
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.representation import REPRESENTATION
from debias.pipeline.step import load_weights
from debias.pipeline.weights import make_weights
from debias.statistics.areas import auc_by_group
from debias.storage.artifacts import Artifact, load_faces
from debias.tracking.tracker import Advance
from debias.weighting.group_balance import annotated
from debias.weighting.rule import crossed

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "configs"


@dataclass(frozen=True)
class Setting:
    """A recipe and who is rare in it."""

    recipe: str
    column: str
    minorities: tuple[str, ...]


SETTINGS = {
    "race": Setting("utkface.yaml", "annotated_race", ("Black", "Asian", "Indian")),
    "age": Setting("utkface-age.yaml", "age", ("0-12", "60-")),
}
# Rows of the table: name, arm of the config with what it changes.
VIEWS = "[latents, colour, structure]"
RARITY = {
    "histogram, every dimension": ("{name: histogram, components: null}", "[latents]"),
    "histogram, principal components": ("{name: histogram, components: auto}", "[latents]"),
    "aggregated posterior": ("aggregate", "[latents]"),
    "Gaussian mixture": ("mixture", "[latents]"),
    "nearest neighbours": ("knn", "[latents]"),
    "nearest neighbours, colour": ("knn", "[colour]"),
    "nearest neighbours, structure": ("knn", "[structure]"),
    "histogram, three views": ("{name: histogram, components: auto}", VIEWS),
    "nearest neighbours, three views": ("knn", VIEWS),
}
TARGETS = {
    "reference, ratio of densities": "{name: reference_ratio, estimate_on: density}",
    "reference, logistic regression on latents": "{name: reference_ratio, estimate_on: latents}",
    "reference, networks on images": "{name: reference_ratio, estimate_on: images}",
    "50 annotated a group, on latents": "{name: group_balance, by: [COLUMN], "
    "annotated_per_group: 50, estimate_on: latents, allow_degenerate: true}",
    "50 annotated a group, on images": "{name: group_balance, by: [COLUMN], "
    "annotated_per_group: 50, estimate_on: images, allow_degenerate: true}",
}


class Lines:
    """Prints what begins."""

    def start(self, title: str, total: int) -> Advance:
        print(f"  {title} ({total})", flush=True)
        return lambda note, steps=1: None

    def reused(self, title: str) -> None: ...
    def note(self, text: str) -> None: ...


def rows(
    setting: Setting, root: str, seed: int, out: Path
) -> Iterator[tuple[str, dict[str, float]]]:
    """Areas of every row of the table for one seed."""
    arms = ", ".join(f'"{number}": {text}' for number, text in enumerate(TARGETS.values()))
    arms = arms.replace("COLUMN", setting.column)
    run = opened(setting, root, seed, out, f"arms={{latent: latent_rarity, {arms}}}")
    faces = make_faces(run)
    parts = {
        "faces": faces,
        "representation": REPRESENTATION.make(run, faces=faces),
        "reference": make_reference(run, faces),
    }
    for name, (density, views) in RARITY.items():
        arm = f"arms={{latent: {{name: latent_rarity, views: {views}}}}}"
        rarity = opened(setting, root, seed, out, arm, f"density={density}")
        yield name, areas(setting, run, faces, make_weights(rarity, "latent", **parts))
    for number, name in enumerate(TARGETS):
        found = make_weights(run, str(number), **parts)
        yield name, areas(setting, run, faces, found)
        if name.startswith("50"):
            yield f"{name}, others only", areas(setting, run, faces, found, unannotated=True)


def opened(setting: Setting, root: str, seed: int, out: Path, *overrides: str) -> Run:
    settings = [
        f"seed={seed}",
        f"data.root={root}",
        f"reference.data.root={root}",
        "tracking.enabled=false",
    ]
    config = load(RunConfig, CONFIGS / setting.recipe, [*settings, *overrides])
    return open_run(config, out / f"seed-{seed}", progress=Lines())


def areas(
    setting: Setting, run: Run, faces: Artifact, weights: Artifact, *, unannotated: bool = False
) -> dict[str, float]:
    store = load_faces(faces)
    train = store.rows("train")
    groups = crossed(store, (setting.column,))
    keep = np.ones(len(groups), dtype=bool)
    if unannotated:
        keep = annotated(run.config.seed, groups, 50) == ""
    probability = load_weights(weights).probability
    table = auc_by_group(probability[keep], store.labels(train)[keep], groups[keep])
    found = table.set_index("group")["auc"]
    values = {race: float(found[race]) for race in setting.minorities}
    return values | {"mean": float(np.mean(list(values.values())))}


def summary(values: list[float]) -> dict[str, float | list[float]]:
    """Mean and 95 % interval over seeds."""
    mean, size = float(np.mean(values)), len(values)
    half = float(student.ppf(0.975, size - 1) * np.std(values, ddof=1) / size**0.5)
    return {"mean": mean, "low": mean - half, "high": mean + half, "seeds": values}


def seconds_of_work(out: Path) -> float:
    """Sum over all stages in the folder, those of earlier, interrupted runs included."""
    manifests = (json.loads(path.read_text()) for path in out.glob("*/*/*/manifest.json"))
    return sum(manifest.get("seconds", 0.0) for manifest in manifests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", help="folder of the aligned and cropped UTKFace images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--setting", choices=SETTINGS, default="race")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-utkface"))
    given = parser.parse_args()
    out = given.out / given.setting
    collected: dict[str, list[dict[str, float]]] = {}
    for seed in range(given.seeds):
        print(f"seed {seed}", flush=True)
        for name, found in rows(SETTINGS[given.setting], given.root, seed, out):
            collected.setdefault(name, []).append(found)
            print(f"    {name:48} {found['mean']:.3f}", flush=True)
    table = {
        name: {key: summary([one[key] for one in found]) for key in found[0]}
        for name, found in collected.items()
    }
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
        "torch": torch.__version__,
        "auc": table,
        "minutes_of_work": round(seconds_of_work(out) / 60, 1),
    }
    place = HERE / "utkface.json"
    known = json.loads(place.read_text()) if place.is_file() else {}
    known[given.setting] = result
    place.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    print(f"results: {place}")


if __name__ == "__main__":
    main()
