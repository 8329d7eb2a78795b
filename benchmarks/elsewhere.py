"""Groups annotated elsewhere, and a reference, by six cameras: who is found on UTKFace.

    python benchmarks/elsewhere.py PATH/TO/UTKFACE [--epochs 16] [--parts elsewhere,reference]

Adults of 18 to 70 years of four annotated races. Six written changes stand for other cameras:
colours mixed by a matrix, gamma 1.6, Gaussian blur of 1.5 pixels, JPEG at quality 30, a crop of
1.25, grey; all at 64 x 64 pixels. Figures are areas under the ROC curve of a weight against
"belongs to this minority", within perceived gender.

elsewhere: networks learn annotated race on one half and are asked about the other half under every
change; 50 own sets of 2,000 with random shares are drawn from it, half of them as they are, half
under the changes in turn: how often do the intervals of the four shares hold what was drawn?

reference: 4,000 White and 150 each of Black, Asian and Indian, against an even reference of 1,200
under every change, by the plain ratio and by that which is made blind to style.

Writes elsewhere.json beside this file.
"""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

import debias
from debias.models import PooledClassifier
from debias.pipeline.discriminator import in_style, separability
from debias.statistics.areas import area_under_curve
from debias.training.device import choose
from debias.training.loop import Training
from debias.types import FaceStore, ShardedImages
from debias.weighting import image_ratio
from debias.weighting.label_shift import Scores, estimated

HERE = Path(__file__).parent
RACES = ("Asian", "Black", "Indian", "White")
MINORITIES = ("Black", "Asian", "Indian")
MATRIX = np.array([[1.10, 0.12, -0.12], [0.02, 0.92, 0.02], [-0.05, 0.10, 0.72]])
Change = Callable[[Image.Image], Image.Image]


def mixed(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(np.asarray(image) @ MATRIX.T), 0, 255).astype(np.uint8))


def darker(image: Image.Image) -> Image.Image:
    return image.point(lambda level: round(255 * (level / 255) ** 1.6))


def stored(image: Image.Image) -> Image.Image:
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=30)
    return Image.open(kept).convert("RGB")


def closer(image: Image.Image) -> Image.Image:
    side = image.size[0]
    edge = round(side * (1 - 1 / 1.25) / 2)
    box = (edge, edge, side - edge, side - edge)
    return image.resize((side, side), Image.Resampling.BICUBIC, box)


CHANGES: dict[str, Change] = {
    "none": lambda image: image,
    "colour": mixed,
    "gamma": darker,
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "jpeg": stored,
    "crop": closer,
    "grey": lambda image: image.convert("L").convert("RGB"),
}


def small(faces: FaceStore, rows: np.ndarray, change: str, side: int) -> np.ndarray:
    """Images under a change, then shrunk as the networks see them."""
    changed = [np.asarray(CHANGES[change](Image.fromarray(one))) for one in faces.images[rows]]
    return image_ratio.shrunk(ShardedImages([np.stack(changed)]), np.arange(len(rows)), side)


def annotated(faces: FaceStore) -> list[np.ndarray]:
    return [faces.samples[name].to_numpy() for name in ("annotated_race", "perceived_gender")]


def area(score: np.ndarray, race: np.ndarray, gender: np.ndarray, one: str) -> float:
    """Mean over perceived genders."""
    found = [
        area_under_curve(score[here & (race == one)], score[here & (race != one)]).value
        for here in (gender == value for value in np.unique(gender))
    ]
    return float(np.mean(found))


def elsewhere(faces: FaceStore, given: argparse.Namespace) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    race, gender = (
        faces.samples[name].to_numpy() for name in ("annotated_race", "perceived_gender")
    )
    order = generator.permutation(len(race))
    there, here = np.sort(order[::2]), np.sort(order[1::2])
    codes = np.searchsorted(RACES, race[there])
    stacked = np.concatenate([small(faces, here, name, given.side) for name in CHANGES])
    sets = image_ratio.Sets(
        population=stacked,
        strata=np.zeros(len(stacked), dtype=np.int64),
        examples=small(faces, there, "none", given.side),
        target=codes.astype(np.int64),
        twin=np.full(len(there), -1, dtype=np.int64),
    )
    recipe = image_ratio.in_every_style(settings(given))
    scores = image_ratio.cross_fitted_scores(sets, recipe, 0, choose("cpu", "float32"), print)
    found = {}
    by_change = {}
    for number, name in enumerate(CHANGES):
        rows = slice(number * len(here), (number + 1) * len(here))
        single, averaged = scores.single[rows], scores.averaged[rows]
        by_change[name] = Scores(
            held_out=scores.held_out, codes=codes, single=single, averaged=averaged
        )
        odds = {one: logit(averaged, RACES.index(one)) for one in MINORITIES}
        areas = {one: area(odds[one], race[here], gender[here], one) for one in MINORITIES}
        found[name] = areas | {"mean": float(np.mean(list(areas.values())))}
        print(name, found[name], flush=True)
    shifted = float(np.mean([found[name]["mean"] for name in CHANGES if name != "none"]))
    truth = np.searchsorted(RACES, race[here])
    names = [name for number in range(25) for name in ("none", list(CHANGES)[1 + number % 6])]
    drawn = [covered(by_change[name], truth, name, generator) for name in names]
    return {"auc": found, "auc_of_six": shifted, "shares": summary(drawn)}


def reference(faces: FaceStore, given: argparse.Namespace) -> dict[str, Any]:
    """Areas by the plain ratio and by the one blind to style, under every change."""
    generator = np.random.default_rng(1)
    race, gender = (
        faces.samples[name].to_numpy() for name in ("annotated_race", "perceived_gender")
    )
    order = generator.permutation(len(race))
    cells = [(one, of) for one in RACES for of in np.unique(gender)]
    even = np.concatenate(
        [order[(race[order] == one) & (gender[order] == of)][:150] for one, of in cells]
    )
    rest = order[~np.isin(order, even)]
    most = {one: 4000 if one == "White" else 150 for one in RACES}
    train = np.concatenate([rest[race[rest] == one][:many] for one, many in most.items()])
    own = small(faces, train, "none", given.side)
    found: dict[str, Any] = {}
    for change, style in (
        (change, style) for change in CHANGES for style in given.styles.split(",")
    ):
        sets = image_ratio.Sets(
            population=own,
            strata=np.unique(gender[train], return_inverse=True)[1].astype(np.int64),
            examples=small(faces, even, change, given.side),
            target=np.zeros(len(even), dtype=np.int64),
            twin=np.full(len(even), -1, dtype=np.int64),
        )
        recipe = settings(given).model_copy(update={"style": style})
        ratios = in_style(sets, recipe, 0, choose("cpu", "float32"), lambda note: None)
        areas = {
            one: area(ratios.population[:, 0], race[train], gender[train], one)
            for one in MINORITIES
        }
        areas |= {"mean": float(np.mean(list(areas.values()))), "told_apart": separability(ratios)}
        found.setdefault(style, {})[change] = areas
        print(style, change, areas, flush=True)
    six = {
        style: float(np.mean([one["mean"] for name, one in by_change.items() if name != "none"]))
        for style, by_change in found.items()
    }
    return {"auc": found, "auc_of_six": six}


def logit(scores: np.ndarray, code: int) -> np.ndarray:
    return scores[:, code] - np.logaddexp.reduce(np.delete(scores, code, axis=1), axis=1)


def covered(
    scores: Scores, truth: np.ndarray, change: str, generator: np.random.Generator
) -> dict[str, Any]:
    """One own set of random shares: what was estimated, and whether the limits hold it."""
    wanted = generator.dirichlet(np.ones(len(RACES)))
    counts = generator.multinomial(2000, wanted)
    rows = np.concatenate(
        [
            generator.choice(np.flatnonzero(truth == code), count)
            for code, count in enumerate(counts)
        ]
    )
    own = Scores(
        held_out=scores.held_out,
        codes=scores.codes,
        single=scores.single[rows],
        averaged=scores.averaged[rows],
    )
    found, true = estimated(own, generator), counts / 2000
    return {
        "change": change,
        "holds": ((found.low <= true) & (true <= found.high)).tolist(),
        "error": np.abs(found.share - true).tolist(),
        "width": (found.high - found.low).tolist(),
        "check": np.abs(found.check - true).tolist(),
        "doubts": list(found.doubts),
    }


def summary(drawn: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, kept in (
        ("none", [one for one in drawn if one["change"] == "none"]),
        ("changed", [one for one in drawn if one["change"] != "none"]),
    ):
        found[name] = {
            "draws": len(kept),
            "held": float(np.mean([one["holds"] for one in kept])),
            "all_four_held": float(np.mean([all(one["holds"]) for one in kept])),
            "error": float(np.mean([one["error"] for one in kept])),
            "error_of_check": float(np.mean([one["check"] for one in kept])),
            "width": float(np.mean([one["width"] for one in kept])),
            "doubted": float(np.mean([bool(one["doubts"]) for one in kept])),
        }
        print(name, found[name], flush=True)
    return found


def settings(given: argparse.Namespace) -> image_ratio.DiscriminatorRecipe:
    return image_ratio.DiscriminatorRecipe(
        model=PooledClassifier(width=given.width),
        training=Training(epochs=given.epochs, weight_decay=0.01, learning_rate=2e-3),
        side=given.side,
        folds=given.folds,
        repeats=given.repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", help="folder of the aligned and cropped UTKFace images")
    parser.add_argument("--parts", default="elsewhere,reference")
    parser.add_argument("--styles", default="as_is,augmented")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-elsewhere"))
    given = parser.parse_args()
    faces = debias.ingest(
        given.root,
        layout="utkface",
        out=given.out,
        changes={
            "selection.filters": {"age": {"min": 18, "max": 70}, "annotated_race": list(RACES)}
        },
    )
    for part in given.parts.split(","):
        about = {name: getattr(given, name) for name in ("epochs", "width", "side", "folds")}
        found = {"settings": about, **PARTS[part](faces, given)}
        path = HERE / "elsewhere.json"  # read late: another part may have been written meanwhile
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | {part: found}, indent=2) + "\n", encoding="utf-8")


PARTS = {"elsewhere": elsewhere, "reference": reference}


if __name__ == "__main__":
    main()
