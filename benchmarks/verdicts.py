"""How often the interval over images and trainings covers, and which change a verdict can find.

Drawn answers of two arms (before and after) on the same images: images differ in how hard they are,
each training errs by itself, and trainings differ as a whole by a variance that is a multiple of
that by the images. Three rules on the same draws: parts joined by their squares (ours), one
t-distribution with estimated degrees of freedom (Hillis 2007), and trainings taken as fixed.

The second table is about `seeds: auto`: on the same kind of draws with 3 to 10 trainings, how often
an answer is found where nothing changed and where something did, after how many trainings, and how
often 5 and 10 trainings find it that are looked at once.

The third table is arithmetic: the change that is found with 80 % power by the rule of before (316
comparisons by Bonferroni, over images and over seeds apart) and by that of now (first question of
five arms, both together).

    python benchmarks/verdicts.py --trials 1000 --out benchmarks/verdicts.json
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import norm

from debias.statistics.crossed import ADDED, Crossed, crossed
from debias.statistics.looks import Looks

SEEDS, RATIOS, SIZES = (2, 3, 5, 10, 20), (0, 0.1, 1, 10), (30, 200, 1000)
RATES = ((0.9, 0.9), (0.65, 0.85), (0.98, 0.98))  # accuracy before and after
# Shares of what makes an image hard for both arms, and of the rest for all trainings of one arm.
SHARED = ((0.6, 0.3), (0.9, 0.8), (0.5, 0.0))
COMPARISONS, ARMS, POWER = 316, 5, 0.8
LOOKS, CHANGES = Looks(3, 10), ((0.9, 0.9), (0.65, 0.65), (0.9, 0.94), (0.65, 0.8))


def training_spread(ratio: float, n: int, rates: tuple[float, float], change: float) -> float:
    """Standard deviation over trainings, of what an answer hangs on, for a ratio of variances."""
    slopes = np.square(norm.pdf(ndtri(np.array(rates)))).sum()
    return float(np.sqrt(ratio * change / n / slopes))


def answers(
    seeds: int, n: int, ratio: float, rates: tuple[float, float], shared: tuple[float, float],
    generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """(2, seeds, n) whether each image is answered rightly, before and after."""
    image, arm = shared
    hard = generator.normal(0, np.sqrt(image), n)
    of_arm = generator.normal(0, np.sqrt((1 - image) * arm), (2, 1, n))
    own = generator.normal(0, np.sqrt((1 - image) * (1 - arm)), (2, seeds, n))
    limit, logit = -ndtri(np.array(rates))[:, None, None], hard + of_arm + own
    change = np.subtract(*(logit[:, :1] > limit)[::-1].astype(float)).var()
    spread = training_spread(ratio, n, rates, max(float(change), 1 / n))
    of_training = generator.normal(0, spread, (2, seeds, 1)) if spread else 0.0
    return logit + of_training > limit * np.sqrt(1 + spread**2)


def hillis(found: Crossed) -> float:
    """Half-width by one t-distribution: Satterthwaite's degrees of freedom."""
    both = found.of_trainings[0] + found.of_images[0]
    parts = found.of_trainings[0] ** 2 / (found.trainings - 1)
    parts += found.of_images[0] ** 2 / found.freedom[0]
    return float(stdtrit(max(both**2 / parts, 1.0), 0.975) * np.sqrt(both))


def covered(trials: int, seeds: int, n: int, ratio: float, generator: np.random.Generator) -> dict:
    """Lowest coverage of each rule over rates and over what trainings share."""
    worst = dict.fromkeys(("joined", "hillis", "fixed"), 1.0)
    for rates, shared in product(RATES, SHARED):
        hits = dict.fromkeys(worst, 0)
        for _ in range(trials):
            before, after = answers(seeds, n, ratio, rates, shared, generator).astype(float)
            found, influence = judged(after - before)
            off = abs(found.value[0] - (rates[1] - rates[0]))
            low, high = (end[0] for end in found.limits(0.95))
            alone = np.sqrt(np.square(influence.mean(axis=0)).sum() + ADDED / n**2)
            hits["joined"] += off <= (high - low) / 2
            hits["hillis"] += off <= hillis(found)
            hits["fixed"] += off <= stdtrit(n - 1, 0.975) * alone
        worst = {name: min(worst[name], hits[name] / trials) for name in worst}
    return {"seeds": seeds, "images": n, "ratio": ratio, **worst}


def judged(change: np.ndarray) -> tuple[Crossed, np.ndarray]:
    """Of the change of each answer, (seeds, n), that of the accuracy, and what each image adds."""
    values, n = change.mean(axis=1), change.shape[1]
    influence, every = (change - values[:, None]) / n, np.ones(n, dtype=bool)
    return crossed(values, influence, every, added=ADDED / n**2), influence


def looked(
    trials: int, n: int, ratio: float, rates: tuple[float, float], generator: np.random.Generator
) -> dict:
    """How often a change is found by looking after every training, and after how many."""
    found, made = {"auto": 0, "after 5": 0, "after 10": 0}, 0
    for trial in range(trials):
        shared = SHARED[trial % len(SHARED)]
        before, after = answers(LOOKS.most, n, ratio, rates, shared, generator).astype(float)
        every = [judged((after - before)[:s])[0] for s in range(LOOKS.least, LOOKS.most + 1)]
        hits = [is_found(one, LOOKS.level(one.trainings, 0.05)) for one in every]
        found["auto"] += any(hits)
        found["after 5"] += is_found(every[5 - LOOKS.least], 0.05)
        found["after 10"] += is_found(every[-1], 0.05)
        made += LOOKS.least + hits.index(True) if any(hits) else LOOKS.most
    shares = {name: count / trials for name, count in found.items()}
    return {"images": n, "ratio": ratio, "rates": rates, **shares, "trainings": made / trials}


def is_found(change: Crossed, level: float) -> bool:
    low, high = change.limits(1 - level)
    return bool(low[0] > 0 or high[0] < 0)


def detectable(seeds: int, n: int, moved: float, spread: float) -> dict[str, float]:
    """Change found with 80 % power, where a share of images moves and trainings differ so much."""
    images, trainings = np.sqrt(moved / n), spread / np.sqrt(seeds)
    power = ndtri(POWER) * np.hypot(images, trainings)
    tail = 0.05 / COMPARISONS / 2
    before = max(-ndtri(tail) * images, -stdtrit(seeds - 1, tail) * trainings) + power
    tail = 0.05 / ARMS / 2
    now = np.hypot(-stdtrit(n - 1, tail) * images, -stdtrit(seeds - 1, tail) * trainings) + power
    return {"seeds": seeds, "images": n, "moved": moved, "spread": spread,
            "before": float(before), "now": float(now)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("verdicts.json"))
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    rows = []
    for seeds, n, ratio in product(SEEDS, SIZES, RATIOS):
        trials = max(200, given.trials * 5 // max(5, seeds * n // 200))
        rows.append(covered(trials, seeds, n, ratio, generator) | {"trials": trials})
        print(json.dumps(rows[-1]), flush=True)
    auto = []
    for ratio, rates in product((*RATIOS, 100), CHANGES):
        auto.append(looked(2 * given.trials, 200, ratio, rates, generator))
        print(json.dumps(auto[-1]), flush=True)
    power = [
        detectable(seeds, n, 0.1, spread)
        for seeds, n, spread in product((3, 5, 10), (200, 680, 1500), (0.01, 0.02))
    ]
    given.out.write_text(
        json.dumps({"coverage": rows, "auto": auto, "power": power}, indent=1) + "\n"
    )
    print(f"Numbers: {given.out}")


if __name__ == "__main__":
    main()
