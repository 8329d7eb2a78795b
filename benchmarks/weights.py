"""Speed of weighing and drawing, against what one writes first with NumPy and torch.

    make bench      (or: .venv/bin/python benchmarks/weights.py [--rows 10000000])

Weighing: fit, score and weights for float32 latents of 32 dimensions. "loop" is the way of the
teaching code: for each dimension `numpy.histogram`, then `numpy.digitize`, then the largest inverse
over the dimensions. "histograms" does the same with this package: one histogram per dimension,
log-rarity, weights tempered to half of the effective sample size. "default" does it with the
default settings, which look at leading principal components instead. "pass" is `z.sum()`: every
value has to be read at least once.

Drawing: as many indices as rows, from twice as many weights. `torch.multinomial` refuses more than
2^24 weights and gets the first 2^24 of them.

Compiling and loading come before the clock starts. The sides take turns, so that a change in the
machine's load meets all; each ratio is the median over the ratios of neighbouring turns.
"""

import argparse
import json
import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path

# As `debias run` sets it, for all sides, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numba
import numpy as np
import torch
from turns import ratio, take_turns

from debias.density import HistogramDensity
from debias.weighting.sampling import draw
from debias.weighting.tempering import temper

WIDTH = 32
LARGEST = 2**24  # weights that torch.multinomial takes


def weigh(density: HistogramDensity, z: np.ndarray) -> np.ndarray:
    score = density.fit(z).log_rarity(z, alpha=0.01)
    return temper(score, np.zeros(len(z), dtype=np.int64), ess=0.5, cap=20.0).probability


def weigh_in_a_loop(z: np.ndarray) -> np.ndarray:
    weight = np.zeros(len(z))
    for column in z.T:
        mass, edges = np.histogram(column, bins=10, density=True)
        edges[0], edges[-1] = -np.inf, np.inf
        mass = mass + 0.01
        rarity = 1 / (mass / mass.sum())[np.digitize(column, edges) - 1]
        weight = np.maximum(weight, rarity / rarity.sum())
    return weight / weight.sum()


def weighing(rows: int, turns: int) -> dict[str, object]:
    z = np.random.default_rng(0).standard_normal((rows, WIDTH), dtype=np.float32)
    histograms = HistogramDensity(components=None)
    for density in (histograms, HistogramDensity()):
        weigh(density, z[:1000])  # compile
    seconds = take_turns(
        {
            "loop": lambda: weigh_in_a_loop(z),
            "histograms": lambda: weigh(histograms, z),
            "default": lambda: weigh(HistogramDensity(), z),
            "pass": lambda: z.sum(),
        },
        turns,
    )
    return {
        "seconds": {name: round(statistics.median(times), 3) for name, times in seconds.items()},
        "times_faster_than_the_loop": ratio(seconds["loop"], seconds["histograms"]),
        "default_times_faster_than_the_loop": ratio(seconds["loop"], seconds["default"]),
        "in_passes_over_the_array": ratio(seconds["histograms"], seconds["pass"]),
    }


def drawing(draws: int, turns: int) -> dict[str, object]:
    generator = np.random.default_rng(0)
    probability = generator.standard_exponential(2 * draws)
    probability /= probability.sum()
    few = torch.from_numpy(probability[:LARGEST].copy())
    draw(probability[:1000], 10, generator)  # compile
    seconds = take_turns(
        {
            "torch": lambda: torch.multinomial(few, draws, replacement=True),
            "draw": lambda: draw(probability, draws, generator),
        },
        turns,
    )
    return {
        "weights": {"torch": len(few), "draw": len(probability)},
        "seconds": {name: round(statistics.median(times), 3) for name, times in seconds.items()},
        "times_faster_than_torch": ratio(seconds["torch"], seconds["draw"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average_before": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (np, numba, torch)},
        },
        "rows": arguments.rows,
        "dimensions": WIDTH,
        "turns": arguments.turns,
        "weighing": weighing(arguments.rows, arguments.turns),
        "drawing": drawing(arguments.rows, arguments.turns),
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
