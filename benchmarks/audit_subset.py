"""Whether an exported subset is closer to even shares of annotated groups than a random one.

    debias audit --data path/to/UTKFace --attributes annotated_race,perceived_gender --out runs/utk
    python benchmarks/audit_subset.py runs/utk

Annotation takes no part in the choice; it is read to score it: the share of the images of a subset
that would have to belong to another crossing of all attributes for equal shares. Twenty seeds of
both. Writes audit_subset.json.
"""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from debias.auditing.subsets import even_subset
from debias.storage.artifacts import RunFolder, load_faces, load_latents

SIZE, SEEDS = 2000, 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    pointer = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    run = RunFolder(folder)
    audit, faces = run.find("audit", pointer["key"]), run.find("faces", pointer["faces"])
    assert audit is not None
    assert faces is not None
    latents, store = load_latents(audit), load_faces(faces)
    samples = store.samples.set_index("sample_id").loc[latents.sample_ids]
    train = samples["split"].to_numpy() == "train"
    cells = samples.loc[train, list(store.attributes)].agg(" x ".join, axis=1)
    codes = pd.factorize(cells)[0]
    points, start = np.asarray(latents.mean)[train], time.monotonic()
    chosen = [even_subset(points, SIZE, np.random.default_rng(seed)) for seed in range(SEEDS)]
    seconds = (time.monotonic() - start) / SEEDS
    drawn = [np.random.default_rng(seed).permutation(len(points))[:SIZE] for seed in range(SEEDS)]
    even, random = (np.array([uneven(codes[rows]) for rows in one]) for one in (chosen, drawn))
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "images": len(points),
        "size": SIZE,
        "groups": int(codes.max() + 1),
        "even_subset": interval(even),
        "random_subset": interval(random),
        "closer_to_even": int((even < random).sum()),
        "seeds": SEEDS,
        "seconds_a_subset": seconds,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def uneven(codes: np.ndarray) -> float:
    """Total variation distance of the shares of groups to equal shares."""
    shares = np.bincount(codes) / len(codes)
    return float(0.5 * np.abs(shares - 1 / len(shares)).sum())


def interval(values: np.ndarray) -> dict[str, float]:
    """Mean over seeds and its 95 % interval."""
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half}


if __name__ == "__main__":
    main()
