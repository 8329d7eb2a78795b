"""Which density, directions and alpha to start from, chosen without any data set's labels.

    python benchmarks/defaults.py

Minorities are planted in made-up latents whose answer is known: a share of the samples is moved in
some dimensions, among dimensions of equal or of falling variance. For every candidate the factor by
which the minority's share grows at an effective sample size of one half is averaged over the
settings (geometric mean), beside the worst setting. Writes defaults.json beside this file.
"""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from debias.density import DENSITIES, rarity
from debias.types import Latents, TrainingTable
from debias.weighting import WEIGHTINGS

HERE = Path(__file__).parent
SETTINGS = list(
    itertools.product(
        (4_000, 20_000),  # samples
        (32, 100),  # dimensions
        (0.02, 0.05, 0.1),  # share of the minority
        ((1, 3.0), (3, 2.0), (10, 1.5)),  # dimensions moved, by how many standard deviations
        ("equal", "falling"),  # variances of the dimensions
    )
)
CANDIDATES = {
    **{
        f"histogram, {components} directions, alpha {alpha}": ("histogram", components, alpha)
        for components in ("auto", None, 1, 8)
        for alpha in (0.1, 0.01, 0.001)
    },
    "knn, auto directions, alpha 0.01": ("knn", "auto", 0.01),
    "knn, 8 directions, alpha 0.01": ("knn", 8, 0.01),
    "mixture, auto directions, alpha 0.01": ("mixture", "auto", 0.01),
    "mixture, 8 directions, alpha 0.01": ("mixture", 8, 0.01),
}


Setting = tuple[int, int, float, tuple[int, float], str]


def planted(setting: Setting, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents and who belongs to the minority."""
    size, width, share, moved, variances = setting
    generator = np.random.default_rng(seed)
    scale = np.ones(width) if variances == "equal" else np.linspace(3, 0.3, width)
    z = scale * generator.normal(size=(size, width))
    minority = np.arange(size) < share * size
    dimensions, shift = moved
    chosen = generator.permutation(width)[:dimensions]
    z[np.ix_(minority, chosen)] += shift * scale[chosen]
    return z.astype(np.float32), minority


def growth(z: np.ndarray, minority: np.ndarray, candidate: tuple[str, object, float]) -> float:
    """Share of the minority in the weight, in multiples of its share of the samples."""
    density, components, alpha = candidate
    latents = Latents(sample_ids=np.arange(len(z)), mean=z)
    labels = np.zeros(len(z), dtype=np.int64)
    estimator = DENSITIES[density](components=components)
    score = rarity(estimator, latents, labels, alpha=alpha).score
    table = TrainingTable(sample_ids=latents.sample_ids, labels=labels, score=score)
    weights = WEIGHTINGS["latent_rarity"](allow_degenerate=True, alpha=alpha).weights(table)
    return float(weights.probability[minority].sum() / minority.mean())


def main() -> None:
    factors: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for number, setting in enumerate(SETTINGS):
        z, minority = planted(setting, seed=number)
        for name, candidate in CANDIDATES.items():
            factors[name].append(growth(z, minority, candidate))
        print(f"{number + 1} of {len(SETTINGS)} settings", end="\r", flush=True)
    table = {
        name: {
            "growth": float(np.exp(np.mean(np.log(found)))),
            "worst": min(found),
            "below_one": float(np.mean(np.array(found) < 1)),
        }
        for name, found in factors.items()
    }
    ranked = dict(sorted(table.items(), key=lambda item: -item[1]["growth"]))
    for name, found in ranked.items():
        print(f"{name:45} x{found['growth']:.2f}  worst x{found['worst']:.2f}")
    result = {"date": datetime.now(UTC).date().isoformat(), "settings": len(SETTINGS)}
    result["candidates"] = ranked
    (HERE / "defaults.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"results: {HERE / 'defaults.json'}")


if __name__ == "__main__":
    main()
