"""Who is found on real faces, and what it buys: the table of the README on UTKFace.

    python benchmarks/utkface.py PATH/TO/UTKFACE [--seeds 3] [--accuracy-seeds 5]

Training set: 4,000 annotated White and 150 each of Black, Asian, Indian adults; test: 200 of each
race x gender; reference: 1,200 others, 150 of each race x gender, unlabelled. For every seed the
sets are drawn anew and everything is trained anew. Part 1: area under the ROC curve of the weight
against "belongs to this minority", within class, mean over the three minorities, with a 95 %
interval over seeds (Student's t). Part 2: accuracy of the classifiers trained with five of these
weights, on the sets of the first seed. Writes utkface.json beside this file.
"""

import argparse
import json
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from debias.pipeline import Run, mitigate, open_run
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
CONFIG = HERE.parent / "configs" / "utkface.yaml"
MINORITIES = ("Black", "Asian", "Indian")
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
    "50 annotated a group, on latents": "{name: group_balance, by: [annotated_race], "
    "annotated_per_group: 50, estimate_on: latents, allow_degenerate: true}",
    "50 annotated a group, on images": "{name: group_balance, by: [annotated_race], "
    "annotated_per_group: 50, estimate_on: images, allow_degenerate: true}",
}


class Lines:
    """Prints what begins."""

    def start(self, title: str, total: int) -> Advance:
        print(f"  {title} ({total})", flush=True)
        return lambda note: None

    def reused(self, title: str) -> None: ...
    def note(self, text: str) -> None: ...


def rows(root: str, seed: int, out: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Areas of every row of the table for one seed."""
    arms = ", ".join(f'"{number}": {text}' for number, text in enumerate(TARGETS.values()))
    run = opened(root, seed, out, f"arms={{latent: latent_rarity, {arms}}}")
    faces = make_faces(run)
    parts = {
        "faces": faces,
        "representation": REPRESENTATION.make(run, faces=faces),
        "reference": make_reference(run, faces),
    }
    for name, (density, views) in RARITY.items():
        arm = f"arms={{latent: {{name: latent_rarity, views: {views}}}}}"
        rarity = opened(root, seed, out, arm, f"density={density}")
        yield name, areas(run, faces, make_weights(rarity, "latent", **parts))
    for number, name in enumerate(TARGETS):
        found = make_weights(run, str(number), **parts)
        yield name, areas(run, faces, found)
        if name.startswith("50"):
            yield f"{name}, others only", areas(run, faces, found, unannotated=True)


def opened(root: str, seed: int, out: Path, *overrides: str) -> Run:
    settings = [
        f"seed={seed}",
        f"data.root={root}",
        f"reference.data.root={root}",
        "tracking.enabled=false",
    ]
    config = load(RunConfig, CONFIG, [*settings, *overrides])
    return open_run(config, out / f"seed-{seed}", progress=Lines())


def areas(
    run: Run, faces: Artifact, weights: Artifact, *, unannotated: bool = False
) -> dict[str, float]:
    store = load_faces(faces)
    train = store.rows("train")
    groups = crossed(store, ("annotated_race",))
    keep = np.ones(len(groups), dtype=bool)
    if unannotated:
        keep = annotated(run.config.seed, groups, 50) == ""
    probability = load_weights(weights).probability
    table = auc_by_group(probability[keep], store.labels(train)[keep], groups[keep])
    found = table.set_index("group")["auc"]
    values = {race: float(found[race]) for race in MINORITIES}
    return values | {"mean": float(np.mean(list(values.values())))}


def summary(values: list[float]) -> dict[str, float | list[float]]:
    """Mean and 95 % interval over seeds."""
    mean, size = float(np.mean(values)), len(values)
    half = float(student.ppf(0.975, size - 1) * np.std(values, ddof=1) / size**0.5)
    return {"mean": mean, "low": mean - half, "high": mean + half, "seeds": values}


def accuracy(root: str, seeds: int, out: Path) -> dict[str, object]:
    """Arms of the config trained with ``seeds`` seeds; mean, worst group, Black women."""
    run = opened(root, 0, out, f"seeds={seeds}")
    document = mitigate(run)
    found: dict[str, object] = {
        "concluded": document["concluded"],
        "primary": {arm: one["primary"] for arm, one in document["comparisons"].items()},
    }
    for arm, figures in document["arms"].items():
        per_seed = [one["accuracy"]["overall"] for one in figures["seeds"]]
        worst = [one["accuracy"]["worst_group"] for one in figures["seeds"]]
        cell = "annotated_race:Black x perceived_gender:female"
        black_women = [
            next(
                row["value"]
                for row in one["by_group"]
                if row["metric"] == "accuracy" and row["group"] == cell
            )
            for one in figures["seeds"]
        ]
        found[arm] = {
            "mean": summary(per_seed),
            "worst_group": summary(worst),
            "black_women": summary(black_women),
        }
    return found


def seconds_of_work(out: Path) -> float:
    """Sum over all stages in the folder, those of earlier, interrupted runs included."""
    manifests = (json.loads(path.read_text()) for path in out.glob("*/*/*/manifest.json"))
    return sum(manifest.get("seconds", 0.0) for manifest in manifests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", help="folder of the aligned and cropped UTKFace images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--accuracy-seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-utkface"))
    given = parser.parse_args()
    collected: dict[str, list[dict[str, float]]] = {}
    for seed in range(given.seeds):
        print(f"seed {seed}", flush=True)
        for name, found in rows(given.root, seed, given.out):
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
    }
    if given.accuracy_seeds > 1:
        result["accuracy"] = accuracy(given.root, given.accuracy_seeds, given.out)
    result["minutes_of_work"] = round(seconds_of_work(given.out) / 60, 1)
    (HERE / "utkface.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"results: {HERE / 'utkface.json'}")


if __name__ == "__main__":
    main()
