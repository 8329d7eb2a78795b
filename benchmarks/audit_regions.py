"""How often an audit finds a planted rare part of drawn faces, and how often it finds none rightly.

    python benchmarks/audit_regions.py

Two parts of each of eleven factors are drawn equally often; then one part of one factor is planted
with a share of 1 to 10 %. A planting counts as found when one of the first three thin regions that
the audit reports as found consists of the planted part for at least a half and holds at least a
half of it. First it is measured, with the labels and on other faces, which rare parts form a heap
of their own in any plain description of the images, along the direction that parts them best: the
audit looks for heaps, so factors of which one part does not are reported apart, and the rate over
all factors beside both. Writes audit_regions.json.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from debias.auditing.audit import Placed, Question
from debias.auditing.thin import confirmed, deepest_valley, thin_regions
from debias.datasets.synthetic import Population, render
from debias.density.descriptors import VIEWS, condensed
from debias.models import REPRESENTATIONS, encoding
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.training.batches import Batches
from debias.training.device import choose
from debias.training.loop import Training, fit
from debias.types import FaceStore, Latents, ShardedImages

FACES, SIDE, EPOCHS = 4000, 64, 2
PLANTINGS, SUBTLE, BALANCED = 20, 6, 20
FIRST = 3
# Low and high part of each factor; of eyewear, beard and red hair the low part is "none".
PARTS = {
    "skin_tone": ((0.0, 0.4), (0.6, 1.0)),
    "hair_length": ((0.0, 0.3), (0.7, 1.0)),
    "hair_lightness": ((0.0, 0.3), (0.7, 1.0)),
    "hair_redness": ((0.0, 0.0), (0.3, 1.0)),
    "hair_curl": ((0.0, 0.0), (0.4, 1.0)),
    "light_azimuth": ((-0.8, -0.2), (0.2, 0.8)),
    "backdrop_saturation": ((0.03, 0.15), (0.4, 0.6)),
    "femininity": ((0.0, 0.3), (0.7, 1.0)),
    "eyewear": ((0.0, 0.0), (0.3, 1.0)),
    "smile": ((-0.3, 0.05), (0.45, 1.0)),
    "beard": ((0.0, 0.0), (0.35, 1.0)),
}
EVEN = Population(
    dark_share=0.5, feminine_share=0.5, glasses_share=0.5, smile_share=0.5, beard_share=0.5
)
SEEN, SEEN_SHARE = 0.05, 0.055  # p below which a part of this share shows: the level of an audit


def main() -> None:
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, 2 processes",
        "faces": FACES,
        "epochs": EPOCHS,
    }
    with ProcessPoolExecutor(2) as pool:
        shown = dict(zip(PARTS, pool.map(is_shown, PARTS), strict=True))
        visible = [name for name, p in shown.items() if p < SEEN]
        hidden = [name for name in PARTS if name not in visible]
        saved(result | {"shown": shown, "visible": visible})
        planted = list(pool.map(planting, range(10_000, 10_000 + PLANTINGS), [visible] * PLANTINGS))
        result |= {"shown": shown, "visible": visible, "plantings": planted}
        saved(result | {"planted_found": found_rate(planted)})
        even = list(pool.map(balanced, range(12_000, 12_000 + BALANCED)))
        result |= {"planted_found": found_rate(planted), "balanced": even}
        result["balanced_none_found"] = rate([not one["regions"] for one in even])
        saved(result)
        subtle = list(pool.map(planting, range(11_000, 11_000 + SUBTLE), [hidden] * SUBTLE))
    shares = [(len(visible), planted), (len(hidden), subtle)]
    alike = sum(size * found_rate(arm)["rate"] for size, arm in shares) / len(PARTS)
    result |= {"plantings_not_shown": subtle, "not_shown_found": found_rate(subtle)}
    saved(result | {"all_factors_found": alike})


def saved(result: Mapping[str, Any]) -> None:
    """Write what is known so far; the whole takes half an hour."""
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    for name, value in result.items():
        if name.endswith("_found"):
            print(name, value, flush=True)


def found_rate(plantings: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return rate([one["found"] for one in plantings])


def rate(outcomes: Sequence[bool]) -> dict[str, float]:
    limits = binomtest(sum(outcomes), len(outcomes)).proportion_ci(0.95, method="exact")
    return {
        "of": len(outcomes), "rate": sum(outcomes) / len(outcomes),
        "low": float(limits.low), "high": float(limits.high),
    }  # fmt: skip


def planting(seed: int, names: Sequence[str]) -> dict[str, Any]:
    """One random factor, part and share; what the audit made of it."""
    generator = numpy_generator(seed, "audit regions/planting")
    name, high = str(generator.choice(names)), bool(generator.integers(2))
    share = float(generator.uniform(0.01, 0.1))
    factors, rare = population(generator, name, share if high else 1 - share)
    rare = rare == high
    regions = [
        {
            "view": one.view,
            "share": one.share.value,
            "p_adjusted": one.p_adjusted,
            "of_the_part": float(rare[one.members].mean()),
            "reached": float(one.members[rare].mean()),
        }
        for one in audited(factors, seed)
    ]
    found = any(min(one["of_the_part"], one["reached"]) >= 0.5 for one in regions[:FIRST])
    part = "high" if high else "low"
    print(seed, name, part, f"{share:.3f}", "found" if found else "missed", flush=True)
    return {
        "factor": name, "part": part, "share": float(rare.mean()), "found": found,
        "regions": regions,
    }  # fmt: skip


def balanced(seed: int) -> dict[str, Any]:
    factors, _ = population(numpy_generator(seed, "audit regions/balanced"))
    regions = [{"view": one.view, "share": one.share.value} for one in audited(factors, seed)]
    print(seed, "balanced", len(regions), "found", flush=True)
    return {"regions": regions}


def is_shown(name: str) -> float:
    """Chance of the heap of a rare part where it is parted best from all others; the worse part."""
    return max(_heap(name, share) for share in (SEEN_SHARE, 1 - SEEN_SHARE))


def _heap(name: str, high_share: float) -> float:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    generator = numpy_generator(round(1000 * high_share), f"audit regions/{name}")
    factors, high = population(generator, name, high_share)
    rare = high if high_share < 0.5 else ~high
    images = ShardedImages([render(factors, SIDE)])
    rows = np.arange(FACES)
    first, second = rows[::2], rows[1::2]
    p = []
    for view in (condensed(view, images, rows)[0] for view in VIEWS):
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.02)
        model.fit(view[first], rare[first])
        position = model.decision_function(view)
        valley = deepest_valley(position[first], 2 * SEEN_SHARE)
        p.append(1.0 if valley is None else confirmed(position[second], valley))
    return min(1.0, len(p) * min(p))


def population(
    generator: np.random.Generator, name: str | None = None, high_share: float = 0.5
) -> tuple[pd.DataFrame, np.ndarray]:
    """Both parts of every factor equally often, but for one; and which faces have its high part."""
    factors = EVEN.sample(FACES, generator)
    shares = dict.fromkeys(PARTS, 0.5) | ({} if name is None else {name: high_share})
    high = {one: _drawn(factors, one, share, generator) for one, share in shares.items()}
    return factors, high.get(name or "", np.zeros(FACES, bool))


def _drawn(
    factors: pd.DataFrame, name: str, high_share: float, generator: np.random.Generator
) -> np.ndarray:
    low_part, high_part = PARTS[name]
    high = generator.random(len(factors)) < high_share
    factors[name] = np.where(
        high,
        generator.uniform(*high_part, len(factors)),
        generator.uniform(*low_part, len(factors)),
    )
    return high


def audited(factors: pd.DataFrame, seed: int) -> list[Any]:
    """Thin regions as an audit reports them, those found alone."""
    return list(thin_regions(described(factors, seed), seed=seed).found)


def described(factors: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
    """Every description that an audit looks at, the latents of a newly trained VAE first."""
    torch.set_num_threads(1)
    images = render(factors, SIDE)
    ids = [f"{row:05d}" for row in range(len(images))]
    store = FaceStore(
        images=ShardedImages([images]),
        samples=pd.DataFrame({"sample_id": ids, "split": "train", "label": 0}),
        classes=("unlabelled",), attributes=(), label="none",
    )  # fmt: skip
    question = Question(data=Placed(store=store, latents=latents_of(store, seed)), seed=seed)
    return {name: sets["data"] for name, sets in question.views.items()}


def latents_of(store: FaceStore, seed: int) -> Latents:
    compute = choose("cpu", "float32")
    rows = store.rows("train")
    batches = Batches(store, 64, compute.device)
    generator = torch_generator(seed, "audit regions/views", compute.device)
    with torch_stream(seed, "audit regions/network"):
        network = REPRESENTATIONS["conv_vae"](latent_dim=16).build(SIDE)
        compute.place(network)
        order = numpy_generator(seed, "audit regions/order")
        fit(
            network,
            lambda _: batches.train(order.permutation(rows), generator),
            Training(epochs=EPOCHS),
            len(rows) // 64,
            compute,
        )
    network.eval()
    mean, log_var = encoding.posterior(network, batches.evaluate(rows), compute)
    return Latents(sample_ids=store.ids(rows), mean=mean, log_var=log_var)


if __name__ == "__main__":
    main()
