"""Nearest neighbours of a million points in 32 directions, against comparing all pairs.

    .venv/bin/python benchmarks/neighbours.py [--rows 1000000] [--out benchmarks/neighbours.json]

"seconds" fits the density `knn` with its default settings (m = sqrt(n)) and asks for the rarity of
every point. "all_pairs" compares every 2,000th point with all points, as the commit before did with
each, and is scaled up; of the same points the rank correlation of the two rarities is told. Points:
standard normal, where an index finds no structure to use, in 32 directions and in 6; and 40
clusters of different size and spread. Peak memory is that of the process with the points.
"""

import argparse
import json
import os
import platform
import resource
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sklearn
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from debias.density import NeighbourDensity

EVERY = 2000


def normal(rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32)


def clusters(rows: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    of = generator.choice(40, rows, p=generator.dirichlet(np.ones(40)))
    spread = generator.uniform(0.3, 1.2, 40).astype(np.float32)
    middle = 1.5 * generator.standard_normal((40, width), dtype=np.float32)
    return middle[of] + spread[of, None] * normal(rows, width)


def measured(z: np.ndarray) -> dict[str, object]:
    width = z.shape[1]
    start = time.perf_counter()
    fitted = NeighbourDensity(components=width).fit(z)
    rarity = fitted.log_rarity(z, alpha=0.01)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    w, m = fitted.projection(z), fitted.about["neighbours"]
    start = time.perf_counter()
    index = NearestNeighbors(algorithm="brute").fit(w)
    exact = index.kneighbors(w[::EVERY], m + 1)[0][:, m]
    all_pairs = (time.perf_counter() - start) * EVERY
    return {
        "rows": len(z),
        "directions": width,
        **fitted.about,
        "seconds": round(seconds, 1),
        "peak_gib": round(peak / 2**20, 2),
        "all_pairs_seconds": round(all_pairs),
        "times_faster_than_all_pairs": round(all_pairs / seconds, 1),
        "rank_correlation": round(float(spearmanr(rarity[::EVERY], exact).statistic), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    sets = {"normal": (normal, 32), "normal, 6": (normal, 6), "clusters": (clusters, 32)}
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average_before": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (np, sklearn)},
        },
    } | {name: measured(make(arguments.rows, width)) for name, (make, width) in sets.items()}
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
