"""A whole run made up from a seed: three arms, two attributes, drawn gradients as faces."""

from itertools import product

import numpy as np
from fake_fairness import fake_comparison, fake_fairness, small

from debias.report import Pictures, methods, opening

TONES = ("dark", "brown", "tan", "light")
GENDERS = ("feminine", "masculine")
SHARES = {"dark": 0.05, "brown": 0.15, "tan": 0.25, "light": 0.55}
ACCURACY = {
    "uniform": {"dark": 0.78, "brown": 0.90, "tan": 0.95, "light": 0.97},
    "latent": {"dark": 0.87, "brown": 0.92, "tan": 0.95, "light": 0.963},
    "groups": {"dark": 0.90, "brown": 0.93, "tan": 0.95, "light": 0.96},
}
METRICS = ("accuracy", "true_positive_rate", "false_positive_rate", "selection_rate")


def row(attribute, group, metric, value, n):
    state = "too_small" if n < 30 else "estimated"
    if metric == "true_positive_rate" and group.endswith("light x perceived_gender:masculine"):
        return {
            "attribute": attribute, "group": group, "metric": metric, "value": None,
            "numerator": 0, "denominator": 0, "low": None, "high": None, "state": "not_estimable",
        }  # fmt: skip
    half = 1.96 * np.sqrt(max(value * (1 - value), 0.01) / n)
    return {
        "attribute": attribute, "group": group, "metric": metric, "value": value,
        "numerator": round(value * n), "denominator": n,
        "low": max(0.0, value - half), "high": min(1.0, value + half), "state": state,
    }  # fmt: skip


def group_sizes(attributes):
    sizes = {}
    for tone in TONES if attributes else ():
        sizes["skin_tone_group", f"skin_tone_group:{tone}"] = (tone, 500)
    if len(attributes) == 2:
        for gender in GENDERS:
            sizes["perceived_gender", f"perceived_gender:{gender}"] = (None, 1000)
        for tone, gender in product(TONES, GENDERS):
            n = 24 if (tone, gender) == ("brown", "masculine") else 250
            name = f"skin_tone_group:{tone} x perceived_gender:{gender}"
            sizes["skin_tone_group x perceived_gender", name] = (tone, n)
    return sizes


def base_value(arm, tone, metric):
    accuracy = ACCURACY[arm][tone] if tone else 0.94
    return {
        "accuracy": accuracy,
        "true_positive_rate": accuracy - 0.02,
        "false_positive_rate": 1 - accuracy,
        "selection_rate": 0.5,
    }[metric]


def scalars(rows, rng):
    accuracy = [r["value"] for r in rows if r["metric"] == "accuracy"]
    overall = 0.94 + 0.01 * rng.random()
    worst = min(accuracy) if accuracy else None
    gap = max(accuracy) - worst if accuracy else None
    return {
        "accuracy": {
            "overall": overall, "worst_group": worst, "gap": gap,
            "variance": float(np.var(accuracy)) if accuracy else None,
        },
        "reasons": {}, "auroc": 0.981, "expected_calibration_error": 0.0213,
        "true_positive_rate": 0.93, "false_positive_rate": 0.052, "selection_rate": 0.497,
        "extremes": {
            "worst_group": next(r["group"] for r in rows if r["value"] == worst),
            "best_group": next(r["group"] for r in rows if r["value"] == max(accuracy)),
        } if accuracy else {},
    }  # fmt: skip


def arm_record(arm, attributes, seeds, rng):
    sizes, records = group_sizes(attributes), []
    for seed in range(seeds):
        rows = []
        for (attribute, group), (tone, n) in sizes.items():
            for metric in METRICS:
                value = base_value(arm, tone, metric) + rng.normal(0, 0.012)
                rows.append(row(attribute, group, metric, float(np.clip(value, 0, 1)), n))
        records.append({"seed": seed, **scalars(defined(rows), rng), "by_group": rows})
    means = [mean_row(same) for same in zip(*(r["by_group"] for r in records), strict=True)]
    mean = {**scalars(defined(means), rng), "by_group": means}
    accuracy = {"overall": 0.003, "worst_group": 0.011, "gap": 0.012}
    mean["sd"] = {"accuracy": accuracy, "auroc": 0.002}
    return {"seeds": records, "mean": mean}


def defined(rows):
    return [r for r in rows if r["value"] is not None]


def mean_row(rows):
    if rows[0]["value"] is None:
        return {**rows[0], "sd": None}
    fields = ("value", "numerator", "low", "high")
    means = {field: float(np.mean([r[field] for r in rows])) for field in fields}
    return {**rows[0], **means, "sd": float(np.std([r["value"] for r in rows]))}


def weight_record(arm, attributes):
    after = {"dark": 0.14, "brown": 0.21, "tan": 0.25, "light": 0.40}
    if arm == "groups":
        after = dict.fromkeys(TONES, 0.25)
    random = {"random_low": 0.02, "random_high": 0.07}
    shares = {
        f"skin_tone_group:{t}": {"before": SHARES[t], "after": after[t], **random}
        for t in (TONES if attributes else ())
    }
    aucs = {
        f"skin_tone_group:{t}": {"auc": a, "low": a - 0.02, "high": a + 0.02, "n": n}
        for t, a, n in zip(TONES, (0.93, 0.71, 0.51, 0.31), (300, 900, 1500, 3300), strict=True)
    }
    return {
        "rule": "latent_rarity" if arm == "latent" else "group_balance",
        "objective": "erm", "group_labels": "training" if arm == "groups" else "no",
        "uses_groups": arm == "groups", "ess": 0.5, "tau": 0.31, "alpha": 0.01,
        "dropped_dimensions": [3, 11], "capped": 0, "unique_per_epoch": 2714.2,
        "top_1_percent": 0.063, "largest": 9.13, "share_by_group": shares,
        "auc_by_group": aucs if attributes and arm == "latent" else {},
        "warnings": ["Weights do not target perceived gender."] if arm == "latent" else [],
    }  # fmt: skip


ARMS = ("uniform", "latent", "groups")
ATTRIBUTES = ("skin_tone_group", "perceived_gender")


def only(document, attributes):
    """The same about some attributes alone."""
    rows = {
        part: [row for row in value if row.get("attribute", "") in ("", *attributes)]
        for part, value in document.items()
        if part not in ("overall",) and isinstance(value, list) and value
        and isinstance(value[0], dict)
    }  # fmt: skip
    return {**document, **rows}


def fake_document(arms=ARMS, attributes=ATTRIBUTES, seeds=3):
    rng = np.random.default_rng(7)
    groups = [
        {"attribute": a, "group": g, "train": round(6000 * (SHARES[t] if t else 0.5)),
         "train_share": SHARES[t] if t else 0.5, "test": n}
        for (a, g), (t, n) in group_sizes(attributes).items() if " x " not in a
    ]  # fmt: skip
    better = {"uniform": 0.0, "latent": 0.1, "groups": 0.12}
    every = tuple(range(seeds))
    document = {
        "schema": 1, "name": "demo", "created": "2026-01-31T12:00:00+00:00", "version": "0.1.0",
        "run": {
            "config": {"dataset": {"name": "synthetic", "n": 6000}, "weighting": {"ess": 0.5},
                       "classifier": {"training": {"epochs": 3}}},
            "command": f"debias run configs/demo.yaml --set seeds={seeds} --out runs/demo",
            "device": "cpu", "precision": "float32", "threads": 2,
            "processor": "AVX2", "torch": "2.9.0", "seeds": seeds, "stopping": None,
            "seconds": {"ingest": 6.2, "representation": 71.3, "classifiers": 94.0},
            "folder": "runs/demo", "mlflow": "debias ui runs/demo",
        },
        "data": {
            "name": "synthetic", "planted": "", "label": "smiling",
            "classes": ["not smiling", "smiling"],
            "attributes": list(attributes), "image_size": 64,
            "n": {"train": 6000, "validation": 600, "test": 2000},
            "annotation": "The faces are drawn by a program that knows each factor, so the "
                          "attributes are exact.",
            "groups": groups,
            "set_aside": {
                "count": 1, "list": "runs/fake/faces/0a/quarantine.jsonl", "seen": "",
                "reasons": [{"reason": "not decodable", "count": 1}],
            },
        },
        "representation": {
            "name": "convolutional_vae", "latent_dim": 16, "active_units": 14, "elbo": 18211.4,
            "reconstruction": 18240.9, "kl": 29.5, "bits_per_dimension": 2.913,
            "saturated_log_var": 0.0, "sigma": 0.071, "epochs": 12,
        },
        "refused": {},
        "weights": {arm: weight_record(arm, attributes) for arm in arms if arm != "uniform"},
        "arms": {arm: arm_record(arm, attributes, seeds, rng) for arm in arms},
        "skill": {arm: skill_record(arm, seeds) for arm in arms},
        "fairness": {
            arm: only(small(fake_fairness(arm, better=better[arm], seeds=every)), attributes)
            for arm in arms
        },
        "comparisons": {
            arm: only(small(fake_comparison(after=arm, seeds=every)), attributes)
            for arm in arms if arm != "uniform" and "uniform" in arms
        },
        "diagnoses": [diagnosis(attribute) for attribute in attributes],
        "concluded": ["On this test set, plain training was right less often for the dark group "
                      "than for the light group in every seed."],
        "not_concluded": ["Whether the smaller gap under latent weights is more than chance: "
                          "three seeds are too few."],
    }  # fmt: skip
    seconds = {arm: 10.0 + place for place, arm in enumerate(arms)}
    return document | {"opening": opening(document), "methods": methods(document, seconds)}


def diagnosis(attribute):
    """Rare dark skin; of any other column, neither."""
    rare = attribute == "skin_tone_group"
    remedy = {"method": "latent_rarity", "against": "rarity", "source": "Amini et al. 2019",
              "group_labels": "no", "arm": "latent", "here": "perhaps helped a group"}  # fmt: skip
    return {
        "attribute": attribute, "reading": "rarity" if rare else "neither", "reason": "",
        "sentence": f"{attribute}: {'rarity' if rare else 'neither'}.",
        "groups": [{"group": f"{attribute}:dark", "share": 0.05, "low": 0.045, "high": 0.056,
                    "rare": True}] if rare else [],
        "cramers_v": 0.01, "low": 0.0, "high": 0.05, "errors": None,
        "remedies": [remedy] if rare else [],
    }  # fmt: skip


def skill_record(arm, seeds, at_chance=0):
    is_low = 2 * at_chance >= seeds
    return {
        "n": 2000, "trainings": seeds, "at_chance": at_chance, "learned": not is_low,
        "accuracy": 0.493 if is_low else 0.95, "guess": "not smiling", "guessed": 0.5,
        "sentence": f"{arm} learned nothing in {at_chance} trainings." if at_chance else "",
    }  # fmt: skip


def fake_faces(m, rng, size=64):
    """Ellipses before a gradient: enough of a face to judge a layout by."""
    y, x = np.mgrid[-1 : 1 : complex(size), -1 : 1 : complex(size)]
    faces = np.empty((m, size, size, 3), np.uint8)
    for face in faces:
        tone, back = rng.random(), rng.uniform(0.5, 0.9, 3)
        skin = (1 - tone) * np.array([0.95, 0.78, 0.66]) + tone * np.array([0.33, 0.2, 0.14])
        canvas = back * (0.8 + 0.2 * y[..., None])
        canvas[(x / 0.62) ** 2 + ((y + 0.12) / 0.86) ** 2 < 1] = rng.random(3) * 0.4
        canvas[(x / 0.52) ** 2 + ((y - 0.08) / 0.7) ** 2 < 1] = skin
        for side in (-0.2, 0.2):
            canvas[((x - side) / 0.07) ** 2 + ((y + 0.08) / 0.06) ** 2 < 1] = 0.1
        bend = rng.uniform(-0.9, 0.9)
        mouth = (abs(x) < 0.24) & (abs(y - 0.42 + bend * (x**2 - 0.03) * 3) < 0.04)
        canvas[mouth] = (0.6, 0.2, 0.2)
        face[:] = 255 * np.clip(canvas + rng.normal(0, 0.01, canvas.shape), 0, 1)
    return faces


def fake_pictures(arms=ARMS, m=24, size=64):
    rng = np.random.default_rng(11)
    faces = fake_faces(2 * m, rng, size)
    latent = rng.normal(size=(1500, 16))
    latent[:, 2] = np.abs(latent[:, 2]) - 1
    latent[:, [3, 11]] *= 0.02
    active = np.ones(16, bool)
    active[[3, 11]] = False
    skewed = np.exp(rng.normal(0, 0.8, 1500))
    weights = {
        "uniform": np.ones(1500), "latent": skewed / skewed.mean(),
        "groups": np.repeat([0.45, 1.0, 1.7, 5.0], [825, 375, 225, 75]),
    }  # fmt: skip
    epochs = np.arange(1, 13)
    curves = {
        f"{split}/{name}": list(scale * np.exp(-epochs / 4) + floor)
        for split, floor in (("train", 1.0), ("validation", 1.1))
        for name, scale in (("loss", 3.0), ("reconstruction", 2.0), ("kl", -0.8))
    }
    return Pictures(
        samples=faces, least_represented=faces[:m], most_represented=faces[m:],
        originals=faces[:m], reconstructions=faces[:m] // 2 + 64,
        traversals=np.stack([fake_faces(8, rng, size) for _ in range(6)]),
        traversed_dimensions=(0, 2, 4, 7, 9, 12), latent_mean=latent, active=active,
        weights={arm: weights[arm] for arm in arms}, training_curves={"representation": curves},
        faces_shown=True,
    )  # fmt: skip
