"""Rarity alone, searched without a label: what else finds who is rare on real faces?

    python benchmarks/rarity.py PATH/TO/UTKFACE [--seeds 3] [--epochs 12]

Both settings of `benchmarks/utkface.py`, drawn anew for every seed, at 32 x 32 pixels; area under
the ROC curve of rarity against "belongs to this minority", within class. Nothing was chosen by its
figure: all that was tried stands in the result.

- latents: of one VAE.
- halves: two VAEs, each trained on a random half; mean, or lower, of the two ranks. What is rare by
  accident of one training is not rare in another.
- by nuisance: latents in which directions count the less the more random views (shift, size,
  rotation, light) of one image move there, as in linear discriminant analysis.
- views: latents, colour, structure and gradients, each whitened and then together; or the ranks of
  the first three added up, as `views` of `latent_rarity` does.
- contrastive: an encoder that tells images apart and views of one image not (Chen et al. 2020, A
  Simple Framework for Contrastive Learning of Visual Representations), so that what differs between
  photographs of one person counts little.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional
from utkface import SETTINGS, Setting, opened, summary

from debias.density.descriptors import colour, gradients, structure
from debias.models import ConvVAE
from debias.pipeline.faces import make_faces
from debias.statistics.areas import auc_by_group
from debias.storage.artifacts import load_faces
from debias.training.batches import Augmentation, Batch
from debias.weighting.rule import crossed

SIDE, NEIGHBOURS, CLUSTERS, TRIES, VIEWS = 32, 20, 16, 5, 8
MILD = Augmentation(flip=True, shift=0.05, scale=0.1, rotation=10, brightness=0.2)
STRONG = Augmentation(flip=True, shift=0.1, scale=0.15, rotation=15, brightness=0.4, style=0.5)
Places = np.ndarray  # (n, k)
Score = Callable[[Places], np.ndarray]


def distance(places: Places) -> np.ndarray:
    """To the 20th neighbour."""
    near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(places)
    return near.kneighbors(places)[0][:, -1]


def smallness(places: Places) -> np.ndarray:
    """Of the cluster a point lies in, mean rank over five seeds; then distance from its centre."""
    total = np.zeros(len(places))
    for seed in range(TRIES):
        found = KMeans(CLUSTERS, n_init=3, random_state=seed).fit(places)
        size = np.bincount(found.labels_, minlength=CLUSTERS)[found.labels_]
        total += rankdata(-size + 1e-6 * found.transform(places).min(1))
    return total


DENSITIES: dict[str, Score] = {"neighbours": distance, "clusters": smallness}


def whitened(places: Places, most: int = 40, kept: float = 0.9) -> Places:
    """Principal directions of unit variance, scaled so that every view weighs the same."""
    centred = places - places.mean(0)
    _, scale, turn = np.linalg.svd(centred, full_matrices=False)
    few = min(most, max(1, int((np.cumsum(scale**2) / np.sum(scale**2) <= kept).sum())))
    return centred @ turn[:few].T / scale[:few] * np.sqrt(len(places) / few)


def fitted(
    network: nn.Module, images: Tensor, loss: Callable[[Tensor, torch.Generator], Tensor],
    epochs: int, batch: int, seed: int,
) -> nn.Module:  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-4)
    steps = len(images) // batch
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 2e-3, total_steps=steps * epochs)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for rows in order[: steps * batch].split(batch):
            adam.zero_grad()
            loss(images[rows], generator).backward()
            adam.step()
            rate.step()
    return network.eval()


def vae(images: Tensor, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = ConvVAE(latent_dim=32).build(SIDE)

    def loss(seen: Tensor, generator: torch.Generator) -> Tensor:
        nobody = torch.zeros(len(seen), dtype=torch.long)
        return network.loss(Batch(MILD.apply(seen, generator), nobody, nobody))["loss"]

    return fitted(network, images, loss, epochs, 64, seed)


class Contrastive(nn.Module):
    """A small encoder, and a head on which alone the loss looks."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.ReLU()]
            layers += [nn.Conv2d(after, after, 3, 1, 1), nn.GroupNorm(4, after), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16 * width, 128)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(128, 64))

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.body(images), dim=1)

    def loss(self, images: Tensor, generator: torch.Generator) -> Tensor:
        both = torch.cat([STRONG.apply(images, generator) for _ in range(2)])
        seen = functional.normalize(self.head(self.body(both)), dim=1)
        alike = (seen @ seen.T / 0.2).fill_diagonal_(-1e9)
        number = torch.arange(len(images))
        return functional.cross_entropy(alike, torch.cat([number + len(images), number]))


def contrastive(images: Tensor, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = Contrastive()
    return fitted(network, images, network.loss, 2 * epochs, 128, seed)


def placed(network: nn.Module, images: Tensor) -> Places:
    with torch.inference_mode():
        return torch.cat([network(part) for part in images.split(500)]).numpy()


def by_nuisance(network: nn.Module, images: Tensor) -> Places:
    generator = torch.Generator().manual_seed(9)
    views = np.stack([placed(network, MILD.apply(images, generator)) for _ in range(VIEWS)])
    middle = views.mean(0)
    within = np.mean([np.cov((view - middle).T) for view in views], axis=0) * VIEWS / (VIEWS - 1)
    within += 1e-4 * np.trace(within) / len(within) * np.eye(len(within))
    spread, turn = np.linalg.eigh(within)
    return middle @ turn / np.sqrt(spread)


def placings(pixels: np.ndarray, epochs: int, seed: int) -> dict[str, Places]:
    """Every image in every space."""
    small = pixels.reshape(len(pixels), SIDE, -1, SIDE, pixels.shape[1] // SIDE, 3).mean((2, 4))
    images = torch.from_numpy(small).permute(0, 3, 1, 2).float().div(255).contiguous()
    halves = np.array_split(np.random.default_rng(seed).permutation(len(images)), 2)
    whole = vae(images, epochs, 10 * seed + 7)
    found = {
        f"half {place}": placed(vae(images[half], epochs, 10 * seed + place), images)
        for place, half in enumerate(halves)
    }
    views = {
        "latents": placed(whole, images),
        "colour": colour(pixels),
        "structure": structure(pixels),
        "gradients": gradients(pixels),
    }
    return found | views | {
        "latents by nuisance": by_nuisance(whole, images),
        "four views, whitened": np.concatenate([*map(whitened, views.values())], axis=1),
        "contrastive": placed(contrastive(images, epochs, seed), images),
    }  # fmt: skip


def tried(rank: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How rare every image is by what was tried, from its ranks in every space."""
    alone = ("latents", "latents by nuisance", "four views, whitened", "contrastive")
    return {name: rank[name] for name in alone} | {
        "halves, mean rank": rank["half 0"] + rank["half 1"],
        "halves, lower rank": np.minimum(rank["half 0"], rank["half 1"]),
        "three views, ranks added": rank["latents"] + rank["colour"] + rank["structure"],
        "contrastive, latents, structure": rank["contrastive"]
        + rank["latents"]
        + rank["structure"],
    }


def areas(
    setting: Setting, root: str, seed: int, epochs: int, out: Path
) -> Iterator[tuple[str, dict[str, float]]]:
    run = opened(setting, root, seed, out, "arms={latent: latent_rarity}")
    store = load_faces(make_faces(run))
    rows = store.rows("train")
    labels, groups = store.labels(rows), crossed(store, (setting.column,))

    def ranked(score: Score, places: Places) -> np.ndarray:
        found = np.empty(len(places))
        for label in np.unique(labels):
            of = np.flatnonzero(labels == label)
            found[of] = rankdata(score(places[of])) / len(of)
        return found

    spaces = placings(store.images[rows], epochs, seed)
    for density, score in DENSITIES.items():
        rank = {name: ranked(score, places) for name, places in spaces.items()}
        for name, rarity in tried(rank).items():
            table = auc_by_group(rarity, labels, groups).set_index("group")["auc"]
            found = {group: float(table[group]) for group in setting.minorities}
            yield f"{name}, {density}", found | {"mean": float(np.mean(list(found.values())))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", help="folder of the aligned and cropped UTKFace images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-utkface"))
    given = parser.parse_args()
    result: dict[str, object] = {"epochs": given.epochs, "side": SIDE}
    for setting in SETTINGS:
        collected: dict[str, list[dict[str, float]]] = {}
        for seed in range(given.seeds):
            out = given.out / setting
            for name, found in areas(SETTINGS[setting], given.root, seed, given.epochs, out):
                collected.setdefault(name, []).append(found)
                print(f"{setting} {seed} {name:44} {found['mean']:.3f}", flush=True)
        result[setting] = {
            name: {key: summary([one[key] for one in found]) for key in found[0]}
            for name, found in collected.items()
        }
    place = Path(__file__).with_suffix(".json")
    place.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"results: {place}")


if __name__ == "__main__":
    main()
