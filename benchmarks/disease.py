"""Which disease? Planted rarity, planted correlation and even sets of drawn faces.

    .venv/bin/python benchmarks/disease.py [--plantings 10] [--faces 3000]

Rarity: 3 to 12 % dark-skinned faces. Correlation: the label smiling agrees with skin tone in 80 to
95 % of the faces, drawn from four times as many. Even: neither. What is asked is the column of skin
tones, and then, without any annotation, 16 principal components of the pixels, and 16 latents of a
VAE trained on the faces. Beside that the false alarms of both questions on drawn tables that stand
just at their limits. Writes disease.json beside this file.
"""

import argparse
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

# As `debias run` sets it, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from sklearn.decomposition import PCA

from debias.auditing.diagnosis import diagnose, prevalence
from debias.auditing.unannotated import diagnose_unannotated
from debias.datasets.synthetic import Population, annotations, render
from debias.models import ConvVAE, encoding
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.statistics.concentration import TIED, association
from debias.training.batches import Batches
from debias.training.device import choose
from debias.training.loop import Training, fit
from debias.types import FaceStore, ShardedImages

Pixels, Latents = UInt8[np.ndarray, "n H W 3"], Float[np.ndarray, "n k"]
HERE = Path(__file__).parent
NOTHING = "cannot_tell"  # without annotation nothing is denied
KINDS = {"even": "neither", "rarity": "rarity", "correlation": "correlation"}  # what is right
COLUMNS = (COLUMN := "skin_tone_group", "presentation", "glasses")
SIDE, DIMENSIONS, EPOCHS = 32, 16, 5
SIZES = {  # images of each group
    "2 groups of 100": [100, 100], "2 groups of 1,000": [1000, 1000], "1,900 and 100": [1900, 100],
    "5 groups of 200": [200] * 5, "2,000, 500, 100, 60, 30": [2000, 500, 100, 60, 30],
    "12 groups of 50": [50] * 12,
}  # fmt: skip


def planted(kind: str, number: int, n: int) -> tuple[pd.DataFrame, float]:
    """Factors of ``n`` faces, and how strongly the disease was planted."""
    generator = numpy_generator(number, f"disease/{kind}")
    if kind == "rarity":
        share = generator.uniform(0.03, 0.12)
        return Population(dark_share=share).sample(n, generator), share
    if kind == "even":
        return Population().sample(n, generator), 0.5
    tie = generator.uniform(0.8, 0.95)
    faces = Population().sample(4 * n, generator)
    said = annotations(faces)
    agrees = (said["smiling"] == "smiling") == (said[COLUMN] == "light")
    rows = [*np.flatnonzero(agrees)[: round(tie * n)],
            *np.flatnonzero(~agrees)[: n - round(tie * n)]]  # fmt: skip
    return faces.iloc[generator.permutation(rows)].reset_index(drop=True), tie


def calibration(times: int = 1000) -> dict[str, dict[str, float]]:
    """How often a label counts as tied where it is not: at a V of the limit, and of 0."""
    generator, found = numpy_generator(0, "disease/tables"), {}
    for name, sizes in SIZES.items():
        groups = np.repeat(np.arange(len(sizes)), sizes).astype(str)
        spread = np.linspace(-1, 1, len(sizes))
        spread *= TIED / 2 / np.sqrt(np.square(spread).mean())  # V^2 is 4 times their mean square
        found[name] = {}
        for v, moved in ((TIED, spread), (0.0, 0 * spread)):
            share = np.repeat(0.5 + moved, sizes)
            drawn = (generator.random((times, len(share))) < share).astype(np.int64)
            tied = [association(labels, groups).tied for labels in drawn]
            found[name][f"tied at V = {v}"] = float(np.mean([one is True for one in tied]))
            found[name][f"not tied at V = {v}"] = float(np.mean([one is False for one in tied]))
    return found


def boundary(times: int = 1000) -> dict[str, float]:
    """How often a group of just half an even share counts as rare, or as not, by its images."""
    generator, found = numpy_generator(0, "disease/shares"), {}
    for n in (100, 1000, 4000):
        labels = np.arange(n) % 2
        drawn = np.where(generator.random((times, n)) < 0.25, "few", "many")
        rare = [prevalence(labels, groups, None)[0][0].rare for groups in drawn]
        found[f"rare, of {n}"] = float(np.mean([one is True for one in rare]))
        found[f"not rare, of {n}"] = float(np.mean([one is False for one in rare]))
    return found


def asked(kind: str, number: int, n: int) -> dict[str, object]:
    """What is said of one set, with annotation and without."""
    faces, planted_at = planted(kind, number, n)
    said = annotations(faces)
    labels = (said["smiling"] == "smiling").to_numpy().astype(np.int64)
    columns = {name: diagnose(labels, said[name].to_numpy(str)) for name in COLUMNS}
    pixels = render(faces, SIDE)
    blind = {}
    for name, (described, most) in DESCRIBED.items():
        if number >= most:
            continue
        one = diagnose_unannotated(described(pixels), pixels, labels, number)
        errors = one.errors and {
            "rate": one.errors.rate, "share": one.errors.share.value,
            "chance": one.errors.chance, "against": one.errors.against,
            "told": one.errors.told and one.errors.told.value,
        }  # fmt: skip
        blind[name] = {"reading": one.reading, "reason": one.reason, "errors": errors}
    return {
        "kind": kind, "number": number, "planted": planted_at,
        "annotated": {name: one.reading for name, one in columns.items()}, "unannotated": blind,
    }  # fmt: skip


def components(pixels: Pixels) -> Latents:
    """Principal components of the pixels."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    return PCA(DIMENSIONS, svd_solver="randomized", random_state=0).fit_transform(flat)


def vae(pixels: Pixels) -> Latents:
    """Latents of ``conv_vae``, trained on these faces alone."""
    n, compute = len(pixels), choose("cpu", "float32")
    samples = pd.DataFrame({"sample_id": np.arange(n).astype(str), "split": "train", "label": 0})
    store = FaceStore(
        images=ShardedImages([pixels]), samples=samples, classes=("all",), attributes=(), label=""
    )
    batches, views = Batches(store, 64, compute.device), torch_generator(0, "views")
    recipe = Training(epochs=EPOCHS, batch_size=64, learning_rate=2e-3)
    with torch_stream(0, "disease/vae"):
        network = compute.place(ConvVAE(latent_dim=DIMENSIONS, width=8).build(SIDE))

        def epoch(number: int) -> object:
            order = numpy_generator(0, f"disease/order/{number}")
            return batches.train(order.permutation(n), views)

        fit(network, epoch, recipe, n // 64, compute, lambda number, means: None)
    mean, _ = encoding.posterior(network.eval(), batches.evaluate(np.arange(n)), compute)
    return mean[:, mean.var(axis=0) > 0.01]


# What describes the faces, and of how many plantings: a VAE takes most of the time.
DESCRIBED = {"principal components": (components, 100), "VAE": (vae, 3)}


def summary(
    rows: list[dict[str, object]], said: Callable[[dict[str, object]], object], even: str
) -> object:
    """Readings by what was planted, and how many of them are right."""
    read = {kind: Counter(said(row) for row in rows if row["kind"] == kind) for kind in KINDS}
    right = {kind: read[kind][wanted] for kind, wanted in (KINDS | {"even": even}).items()}
    return {"right": right, "read": read}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plantings", type=int, default=10)
    parser.add_argument("--faces", type=int, default=3000)
    given = parser.parse_args()
    start, rows = time.monotonic(), []
    for kind in KINDS:
        for number in range(given.plantings):
            rows.append(asked(kind, number, given.faces))
            print(rows[-1], flush=True)
    found = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(), "faces": given.faces, "plantings": given.plantings,
        "dimensions": DIMENSIONS, "epochs": EPOCHS, "side": SIDE,
        "annotated": summary(rows, lambda row: row["annotated"][COLUMN], "neither"),
        "unannotated": {
            name: summary(
                [row for row in rows if name in row["unannotated"]],
                lambda row, name=name: row["unannotated"][name]["reading"],
                NOTHING,
            )
            for name in DESCRIBED
        },
        "other_columns": {
            name: Counter(row["annotated"][name] for row in rows) for name in COLUMNS[1:]
        },
        "false_alarms": {"tied": calibration(), "rare": boundary()},
        "seconds": round(time.monotonic() - start, 1), "sets": rows,
    }  # fmt: skip
    (HERE / "disease.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: found[name] for name in ("annotated", "unannotated")}, indent=1))


if __name__ == "__main__":
    main()
