"""Whether an audit tells an uneven set of real faces from an even one, and ranks who is missing.

    python benchmarks/audit_reference.py path/to/UTKFace [--epochs 12]

The recipe is configs/utkface.yaml: 4,000 White adults and 150 each of three others, against an
unlabelled reference of 1,200 drawn evenly. Annotated race is read only to score the answer. Then
the same set is divided at random a hundred times: halves that are told apart are false alarms.
Writes audit_reference.json.
"""

import argparse
import json
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from debias.auditing.audit import Placed, Question
from debias.auditing.rules import AuditRules
from debias.auditing.shortfall import shortfall
from debias.auditing.two_samples import two_samples
from debias.pipeline import open_job
from debias.pipeline.faces import SPLIT, make_audited_faces, make_reference
from debias.pipeline.recipe import SpaceRecipe, load
from debias.pipeline.representation import REPRESENTATION, encode_store
from debias.storage.artifacts import load_faces

ROOT = Path(__file__).parents[1]
SPLITS, SPLITS_BY_REGION = 100, 20
MANY = "White"
FIRST = 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        question = _question(given.root, given.epochs, Path(folder))
    rules = AuditRules()
    assert question.reference is not None
    data, reference = question.points(question.data), question.points(question.reference)
    start = time.monotonic()
    test = two_samples(data, reference, level=rules.difference_level)
    found = shortfall(question.features("data"), question.features("reference"), level=rules.level)
    seconds = time.monotonic() - start
    own, theirs = (_minority(one) for one in (question.data, question.reference))
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "images": len(data),
        "reference": len(reference),
        "epochs": given.epochs,
        "distance": test.distance,
        "null": test.null,
        "p": test.p,
        "verdict": test.verdict,
        "separability": found.contrast.separability,
        "minority_share": {"data": own.mean(), "reference": theirs.mean()},
        "precision_at_100": {
            "data": own[np.argsort(-found.contrast.data)[:FIRST]].mean(),
            "reference": theirs[np.argsort(-found.contrast.reference)[:FIRST]].mean(),
        },
        "regions": [
            {
                "found": one.found, "missing": one.missing.count,
                "minority_among_typical": theirs[one.typical].mean(),
            }
            for one in found.regions
        ],
        "missing_total": found.total.count,
        "seconds": seconds,
        "false_alarms": _false_alarms(data, rules),
        "regions_in_halves": _regions_in_halves(question.features("data"), rules),
    }  # fmt: skip
    text = json.dumps(result, indent=1, default=float)
    Path(__file__).with_suffix(".json").write_text(text + "\n")
    print(text)


def _question(root: Path, epochs: int, folder: Path) -> Question:
    """Faces, reference and latents, as the command makes them."""
    config = load(SpaceRecipe, 
        ROOT / "configs" / "utkface.yaml",
        [
            f"data.root={root}", f"reference.data.root={root}", "tracking.enabled=false",
            f"representation.training.epochs={epochs}",
        ],
    )  # fmt: skip
    job = open_job(config, folder / "audit")
    faces = make_audited_faces(job)
    reference = make_reference(job, faces)
    latents = REPRESENTATION.make(job, faces=faces)
    placed = []
    for artifact, split in ((faces, "train"), (reference, SPLIT)):
        store = load_faces(artifact)
        place = encode_store(job, latents, store, store.rows(split))
        placed.append(Placed(store=store, latents=place))
    question = Question(data=placed[0], reference=placed[1])
    _ = question.views  # read while the folder is there
    return question


def _minority(placed: Placed) -> np.ndarray:
    race = placed.column("annotated_race")
    assert race is not None
    return race != MANY


def _false_alarms(data: np.ndarray, rules: AuditRules) -> dict[str, float]:
    generator = np.random.default_rng(0)
    alarms = 0
    for split in range(SPLITS):
        half = generator.permutation(len(data)) < len(data) // 2
        test = two_samples(data[half], data[~half], level=rules.difference_level, seed=split)
        alarms += test.verdict == "told_apart"
        print(f"split {split + 1}: {alarms} told apart", flush=True)
    return _rate(alarms, SPLITS)


def _regions_in_halves(features: np.ndarray, rules: AuditRules) -> dict[str, float]:
    generator = np.random.default_rng(1)
    alarms = 0
    for split in range(SPLITS_BY_REGION):
        half = generator.permutation(len(features)) < len(features) // 2
        found = shortfall(features[half], features[~half], level=rules.level, seed=split)
        alarms += bool(found.found)
    return _rate(alarms, SPLITS_BY_REGION)


def _rate(count: int, total: int) -> dict[str, float]:
    limits = binomtest(count, total).proportion_ci(0.95, method="exact")
    return {"of": total, "rate": count / total, "low": limits.low, "high": limits.high}


if __name__ == "__main__":
    main()
