"""Drawn faces in the layouts that the shipped recipes read, and settings that make runs short."""

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from debias.datasets.synthetic import Population, annotations, render

RACES = 4  # White, Black, Asian, Indian in the file names of UTKFace
AGES = (30, 8, 65, 40)
SHORT = [
    "image_size=32", "device=cpu",
    "representation.model={name: conv_vae, latent_dim: 4, width: 4, hidden: 32}",
    "representation.training={epochs: 8, batch_size: 16, learning_rate: 0.003}",
]  # fmt: skip
SHORT_RUN = [
    *SHORT, "seeds=1", "arms.latent.allow_degenerate=true",
    "classifier.model={name: conv, width: 4}", "classifier.training={epochs: 1, batch_size: 16}",
]  # fmt: skip
SHORT_DISCRIMINATOR = [
    "discriminator.model={name: pooled, width: 4}", "discriminator.training={epochs: 1}",
    "discriminator.repeats=1", "discriminator.folds=2", "reference.most=64",
    "arms.reference.allow_degenerate=true",
]  # fmt: skip
GROUPS = "arms.groups.allow_degenerate=true"
FEW = ["data.n_train=240", "data.n_validation=20", "data.n_test=80"]


def drawn(count, seed=0):
    """Images and their annotations."""
    factors = Population().sample(count, np.random.default_rng(seed))
    return render(factors, 32), annotations(factors)


def saved(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def celeba(root, count=320):
    images, about = drawn(count)
    rows = []
    for number, (image, words) in enumerate(zip(images, about.itertuples(), strict=True)):
        name = f"{number:06d}.png"
        saved(root / "img_align_celeba" / name, image)
        smiling, male = words.smiling == "smiling", words.presentation == "masculine"
        part = 0 if number < count * 0.7 else 1 if number < count * 0.8 else 2
        rows.append((name, 2 * smiling - 1, 2 * male - 1, 1 - 2 * (number % 2), part))
    table = pd.DataFrame(rows, columns=["image_id", "Smiling", "Male", "Young", "partition"])
    table.drop(columns="partition").to_csv(root / "list_attr_celeba.csv", index=False)
    table[["image_id", "partition"]].to_csv(root / "list_eval_partition.csv", index=False)
    return root


def folder(root, count=320):
    images, about = drawn(count)
    names = [f"{number:04d}.png" for number in range(count)]
    for name, image in zip(names, images, strict=True):
        saved(root / "images" / name, image)
    about.assign(path=names).to_csv(root / "table.csv", index=False)
    return root


def lab(path, count=320):
    images, about = drawn(count)
    labels = (about["smiling"] == "smiling").to_numpy(dtype=float)[:, None]
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images[..., ::-1])
        file.create_dataset("labels", data=labels)
    return path


def utkface(root, count=800):
    images, about = drawn(count)
    for number, (image, words) in enumerate(zip(images, about["presentation"], strict=True)):
        gender = int(words == "feminine")
        age = AGES[number // RACES % len(AGES)]
        saved(root / f"{age}_{gender}_{number % RACES}_{number:017d}.jpg", image)
    return root


def changes_by_recipe(root):
    """For every shipped recipe but the audit's: what points it at a small drawn set."""
    celeba(root / "celeba"), folder(root / "folder"), lab(root / "lab.h5"), utkface(root / "utk")
    loud = "population: {dark_share: 0.5, background: loud}"
    skewed = [
        f"data.root={root}/utk", f"reference.data.root={root}/utk", *SHORT_DISCRIMINATOR,
        f"elsewhere.data.root={root}/utk", "arms.elsewhere.allow_degenerate=true",
        "selection.test_per_group=16", "arms.partial.annotated_per_group=16",
    ]  # fmt: skip
    return {
        "demo": [*FEW, GROUPS],
        "demo-loud": [
            *FEW, *SHORT_DISCRIMINATOR, GROUPS, "arms.partial.annotated_per_group=4",
            "arms.partial.allow_degenerate=true",
            f"reference.data={{name: synthetic, n_train: 120, {loud}}}",
        ],
        "celeba": [f"data.root={root}/celeba", "selection.leaks=drop", GROUPS],
        "folder": [f"data.root={root}/folder/images", f"data.table={root}/folder/table.csv"],
        "lab": [f"data.file={root}/lab.h5"],
        "lab-drawn": FEW,
        "utkface": skewed,
        "utkface-age": skewed,
        "utkface-biased": [
            f"data.root={root}/utk", "selection.test_per_group=16", "objectives={jtt: jtt}",
        ],
    }  # fmt: skip


def audit_changes(root):
    """What points the recipe of the audit at drawn sets; the earlier version is a part of now."""
    folder(root / "earlier", 200)
    return [
        *SHORT, "audit.map_method=PCA", f"data.root={root}/folder/images",
        f"reference.data.root={root}/utk",
        f"earlier.data={{name: images, root: {root}/earlier/images}}",
    ]  # fmt: skip
