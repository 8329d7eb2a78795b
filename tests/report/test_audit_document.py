"""Audit documents made up from a few counts, with drawn faces; other tests build pages of them."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from debias.datasets.synthetic import Population, render
from debias.report.pictures import AuditMap, AuditPictures

IMAGES, CELLS = 12_400, 64
# What the names of the made-up images say about them, as factors of drawn faces.
LOOKS = {
    "dark": {"skin_tone": 0.12, "hair_lightness": 0.1},
    "light": {"skin_tone": 0.85, "hair_lightness": 0.7},
    "curly": {"hair_curl": 1.0, "hair_volume": 0.9, "skin_tone": 0.3},
    "glasses": {"eyewear": 0.9, "skin_tone": 0.8},
    "odd": {"roll": 0.38, "shift_x": 0.28, "exposure": 0.4},
    "any": {},
}


def ids(look, count=24, start=0):
    return [f"{look}-{place:04d}" for place in range(start, start + count)]


def interval(count, of):
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(0.975, count + 1, of - count))
    return low, high


def fake_audit():
    """Everything is there: shortfalls, thin regions, groups of every state, drift, latent pages."""
    return {
        "schema": 1, "name": "city-portraits", "created": "2025-03-04T05:06:07+00:00",
        "version": "0.6.0",
        "data": {
            "name": "image_folder", "place": "/data/city-portraits", "annotation":
            "perceived by two annotators", "source": "annotated", "images": IMAGES,
            "splits": {"train": 11_160, "validation": 1_240}, "image_size": 64,
            "attributes": ["annotated_race", "perceived_gender"],
            "set_aside": {"count": 31, "list": "faces/quarantine.jsonl", "reasons": [
                {"reason": "not decodable", "count": 22}, {"reason": "too small", "count": 9}]},
        },
        "representation": {"name": "conv_vae", "trained": True, "epochs": 30, "latent_dim": 32,
                           "active_units": 21, "elbo": -9012.5, "kl": 48.25, "sigma": 0.071},
        "verdicts": verdicts(), "coverage": coverage(), "regions": regions(),
        "directions": [direction(place) for place in range(5)],
        "clusters": [cluster(place) for place in range(9)],
        "map": {"method": "t-SNE", "shown": 900, "of": IMAGES,
                "note": "Only who stands beside whom means anything; distances over the map do "
                        "not."},
        "extremes": {"least": ids("odd") , "most": ids("light", start=40)},
        "anomalies": {"median": 9010.25, "sentence": "24 images cost the model far more than a "
                      "typical one; most of them are tilted or badly lit.",
                      "worst": [{"sample_id": one, "nats": 10_900.5 - 13 * place}
                                for place, one in enumerate(ids("odd", start=30))]},
        "latent_pages": latent_pages(),
        "reference": comparison(), "drift": drift(), "groups": groups(),
        "limits": ["Nothing is known of kinds of people who are neither in this collection nor in "
                   "the reference.",
                   "Looks stand in for people: light and background count as much as faces."],
        "run": {"folder": "/runs/audit-1", "seconds": {"faces": 61.5, "representation": 402.25,
                "audit": 33.0}, "device": "cpu", "config": {"name": "city-portraits", "seed": 7},
                "mlflow": "sqlite:////runs/mlflow.db"},
    }  # fmt: skip


def empty_audit():
    """As little as an audit can find: no reference, no annotation, too few images."""
    found = fake_audit()
    found["data"] |= {
        "images": 12, "splits": {"train": 12}, "attributes": [],
        "set_aside": {"count": 0, "reasons": [], "list": "faces/quarantine.jsonl"},
    }  # fmt: skip
    found["representation"] = {
        "name": "embeddings", "trained": False, "latent_dim": 3, "active_units": 3,
    }  # fmt: skip
    found["verdicts"] = [{"kind": "nothing", "sentence": "12 images are too few to say anything.",
                          "action": None}]  # fmt: skip
    found["regions"] = {"verdict": "too_few", "looked_at": 0, "level": 0.05, "sentence":
                        "12 images are too few to look for thin regions.", "action": None,
                        "list": []}  # fmt: skip
    found["coverage"] |= {
        "cells": 8,
        "occupied": 5,
        "effective_cells": None,
        "shares": [],
        "densest_tenth": None,
        "action": None,
        "bell": {"effective_cells": [None, None], "densest_tenth": [None, None]},
    }
    found |= {
        "directions": [],
        "clusters": [],
        "extremes": {"least": [], "most": []},
        "map": {"method": "PCA", "shown": 0, "of": 12, "note": ""},
        "limits": [],
    }
    found |= dict.fromkeys(("anomalies", "latent_pages", "reference", "drift", "groups"))
    found["run"] |= {"seconds": {}, "mlflow": None, "config": {}}
    return found


def verdicts():
    return [
        {"kind": "shortfall", "sentence": "Beside the reference, 412 images are missing: most of "
         "all of people with dark skin and dark hair.",
         "action": "Collect 240 more images like those of region 1, then 172 like region 2."},
        {"kind": "group", "sentence": "annotated_race: Indian is below its declared share: 3.1% "
         "(2.8% to 3.4%) instead of 25%.", "action": "Collect 3,621 more images."},
        {"kind": "thin", "sentence": "Two thin regions were found; region 1 holds 4.0% of the "
         "images and stands apart from all others.", "action": "Look at its pictures and name it."},
        {"kind": "drift", "sentence": "What was added since the earlier version differs from what "
         "was there.", "action": None},
        {"kind": "coverage", "sentence": "The images fill 31.4 of 64 cells effectively.",
         "action": None},
        {"kind": "caution", "sentence": "Light and background may be what is rare here.",
         "action": "Look at the pictures before you collect."},
    ]  # fmt: skip


def coverage():
    shares = np.sort(np.random.default_rng(3).dirichlet(np.full(CELLS, 0.55)))[::-1]
    return {
        "cells": CELLS, "occupied": 61, "effective_cells": 31.4, "densest_tenth": 0.392,
        "bell": {"effective_cells": [36.2, 41.9], "densest_tenth": [0.21, 0.29]},
        "shares": [float(share) for share in shares[:61]],
        "sentence": "The collection is less even than a single bell-shaped cloud would be.",
        "action": "Collect what the thin regions show.",
    }  # fmt: skip


def regions():
    rows = [
        region(1, "latents", 496, 0.0001, found=True, look="dark"),
        region(2, "descriptors", 310, 0.004, found=True, look="glasses"),
        region(3, "pixels", 1_305, 0.35, found=False, look="odd"),
    ]
    return {"verdict": "found", "looked_at": 27, "level": 0.05, "list": rows,
            "sentence": "Two of 27 candidates stand apart more clearly than chance explains.",
            "action": "Name what the images of each have in common, and collect it."}  # fmt: skip


def region(number, view, count, p_adjusted, found, look):
    low, high = interval(count, IMAGES)
    return {
        "number": number, "view": view, "count": count, "share": count / IMAGES, "low": low,
        "high": high, "p": p_adjusted / 20, "p_adjusted": p_adjusted, "found": found,
        "sentence": f"{count} images stand apart from the others.",
        "typical": ids(look), "opposite": ids("light", start=100 * number),
        "explains": [
            {"group": "annotated_race:Black", "inside": 0.34, "outside": 0.08},
            {"group": "annotated_race:Inuit", "inside": None, "outside": None},
        ],
    }  # fmt: skip


def direction(place):
    return {"number": place + 1, "variance_share": 0.21 - 0.03 * place,
            "skewness": 1.4 - 0.35 * place, "low_share": 0.86 - 0.07 * place,
            "sentence": f"{86 - 7 * place} % of the images lie in the lower half of its range.",
            "low": ids("light", 12, 60 * place), "high": ids("dark", 12, 60 * place)}  # fmt: skip


def cluster(place):
    count = 210 + 290 * place
    low, high = interval(count, IMAGES)
    return {"number": place + 1, "count": count, "share": count / IMAGES, "low": low,
            "high": high, "density": 0.31 + 0.2 * place,
            "typical": ids(list(LOOKS)[place % 6], 12, 20 * place)}  # fmt: skip


def compared(number, count, of, reference_count, missing, found):
    low, high = interval(count, of)
    reference_low, reference_high = interval(reference_count, 1_200)
    look = ("dark", "curly", "glasses", "any")[number % 4 - 1]
    return {
        "number": number, "count": count, "reference_count": reference_count, "share": count / of,
        "reference_share": reference_count / 1_200, "share_low": low, "share_high": high,
        "reference_low": reference_low, "reference_high": reference_high, "missing": missing,
        "missing_together": int(1.05 * missing), "missing_low": int(0.7 * missing),
        "missing_high": int(1.4 * missing), "p": 1e-6,
        "p_adjusted": 2e-5 if found else 0.61, "found": found,
        "sentence": f"{missing:,} more images like these would bring this region to its share in "
        "the reference.",
        "typical": [f"reference/{one}" for one in ids(look, 12)], "nearest": ids("any", 12),
        "explains": [{"group": "annotated_race:Black", "inside": 0.81, "outside": 0.05}],
    }  # fmt: skip


def comparison():
    return {
        "name": "even-faces", "images": 1_200, "against": IMAGES, "distance": 0.0871,
        "null": [0.0031, 0.0052, 0.0093], "p": 0.001, "level": 0.01, "verdict": "told_apart",
        "separability": 0.874, "telltale": False,
        "sentence": "The test tells this collection and the reference apart.",
        "action": "Collect what the first regions show.", "missing_total": 430, "looked_at": 12,
        "regions": [
            compared(1, 310, IMAGES, 96, 240, found=True),
            compared(2, 402, IMAGES, 90, 172, found=True),
            compared(3, 1_010, IMAGES, 110, 13, found=False),
            compared(4, 4_010, IMAGES, 160, 0, found=False),
        ],
        "wanted": ids("dark", start=200), "unwanted": ids("light", start=300),
        "keys_on": "Skin tone and hair, more than light.",
    }  # fmt: skip


def drift():
    first = compared(1, 600, IMAGES, 99, 205, found=True)
    first |= {"explains": [], "sentence": "205 fewer than the share of last year asks for."}
    return comparison() | {
        "name": "city-portraits 2024", "distance": 0.0061, "p": 0.21, "verdict": "not_told_apart",
        "sentence": "The test does not tell what was added from what was there.", "action": None,
        "regions": [first], "missing_total": None, "wanted": [], "unwanted": [], "keys_on": None,
        "added": 1_900, "removed": 12, "kept": 10_500, "separability": 0.53,
    }  # fmt: skip


RACES = {"Indian": 385, "Asian": 980, "Black": 1_204, "White": 9_811, "Inuit": None, "unknown": 14}


def groups():
    races = [race(name, count) for name, count in RACES.items()]
    genders = [
        group("perceived_gender:female", 6_010, declared=0.5, verdict="cannot_tell", missing=0),
        group("perceived_gender:male", 6_390, declared=0.5, verdict="above", missing=0),
    ]
    crossings = [
        group(f"annotated_race:{name} x perceived_gender:{gender}", count and count // 2)
        for name, count in RACES.items() if name != "unknown"
        for gender in ("female", "male")
    ]  # fmt: skip
    crossings[4] |= {"count": 21, "share": 21 / IMAGES, "state": "too_small", "verdict": None}
    return {
        "source": "annotated",
        "attributes": [
            {"attribute": "annotated_race", "declared": True, "rows": races},
            {"attribute": "perceived_gender", "declared": True, "rows": genders},
        ],
        "crossings": crossings, "comparisons": 6,
        "sentences": ["annotated_race: Indian is below its declared share: 3.1% (2.8% to "
                      "3.4%) instead of 25%; 3,621 more images would reach it."],
    }  # fmt: skip


def race(name, count):
    if name == "unknown":
        return group("annotated_race:unknown", count, state="unknown")
    below = name in ("Indian", "Black", "Asian")
    missing = {"Indian": 3_621, "Black": 2_528, "Asian": 2_827}.get(name, 0)
    verdict = "below" if below else "above"
    found = group(f"annotated_race:{name}", count, declared=0.2, verdict=verdict, missing=missing)
    return found if count else found | {"declared": None, "verdict": None, "missing": None}


def group(name, count, declared=None, verdict=None, missing=None, state="estimated"):
    if count is None:
        keys = ("share", "low", "high", "missing", "p_adjusted", "auc", "auc_low", "auc_high",
                "weight_share", "raised", "set_aside", "set_aside_share")  # fmt: skip
        return {"group": name, "count": None, "declared": declared, "verdict": None,
                "state": "suppressed", **dict.fromkeys(keys)}  # fmt: skip
    low, high = interval(count, IMAGES)
    share, rare = count / IMAGES, 0.74 - 0.3 * count / IMAGES
    return {
        "group": name, "count": count, "share": share, "low": low, "high": high,
        "declared": declared, "missing": missing, "verdict": verdict,
        "p_adjusted": 0.0004 if verdict in ("below", "above") else None, "auc": rare,
        "auc_low": rare - 0.03, "auc_high": rare + 0.03, "weight_share": share * 1.1,
        "raised": rare > 0.6, "set_aside": 12, "set_aside_share": 0.0025, "state": state,
    }  # fmt: skip


def latent_pages():
    return {"pages": [
        {"name": "reconstructions", "title": "Faces, and what the model keeps of them",
         "means": "Each face stands above what the model redraws from its numbers alone.",
         "do": "what is lost in the lower rows is invisible to this audit; train longer.",
         "rows": ["original", "redrawn", "original", "redrawn"]},
        {"name": "manifold", "title": "Everything the model can draw, on one sheet",
         "means": "Neighbours on the sheet are neighbours in the model.",
         "do": "look for kinds of faces that are nowhere on it.", "rows": []},
        {"name": "arithmetic", "title": "Adding glasses",
         "means": "One face a row, with more and more of an annotated attribute added.",
         "do": "if other things change too, the model ties them together.",
         "rows": ["face 1", "face 2"]},
    ]}  # fmt: skip


def named(document):
    """Every id in a document of which there may be a picture."""
    cards = [*document["regions"]["list"], *document["directions"], *document["clusters"],
             document["extremes"]]  # fmt: skip
    for part in ("reference", "drift"):
        if document[part]:
            cards += [document[part], *document[part]["regions"]]
    keys = ("typical", "opposite", "low", "high", "least", "most", "nearest", "wanted", "unwanted")
    found = [one for card in cards for key in keys if isinstance(card.get(key), list)
             for one in card[key]]  # fmt: skip
    worst = document["anomalies"]["worst"] if document["anomalies"] else []
    return list(dict.fromkeys([*found, *(row["sample_id"] for row in worst)]))


def drawn(names, size, **changes):
    """Faces as their names say."""
    factors = Population().sample(len(names), np.random.default_rng(1))
    for place, name in enumerate(names):
        for factor, value in LOOKS[name.rpartition("/")[2].partition("-")[0]].items():
            factors.loc[place, factor] = value
    return render(factors.assign(**changes), size)


def strips(count, steps, size, factor, low, high):
    """Faces of which one factor grows from step to step, ``(count, steps, size, size, 3)``."""
    people = Population().sample(count, np.random.default_rng(5))
    repeated = people.loc[people.index.repeat(steps)].reset_index(drop=True)
    repeated[factor] = np.tile(np.linspace(low, high, steps), count)
    return render(repeated, size).reshape(count, steps, size, size, 3)


def fake_map(count=900, thumbnails=0, size=32):
    generator = np.random.default_rng(2)
    centres = generator.normal(0, 9, (9, 2))
    cluster = (9 - np.minimum(generator.geometric(0.25, count), 9) + 1).astype(np.int64)
    xy = centres[cluster - 1] + generator.normal(0, 2, (count, 2))
    races = generator.choice(list(RACES), count, p=[0.07, 0.1, 0.1, 0.7, 0.01, 0.02])
    genders = generator.choice(["female", "male"], count)
    rows = generator.choice(count, thumbnails, replace=False).astype(np.int64)
    looks = generator.choice(list(LOOKS), thumbnails)
    return AuditMap(
        xy=xy, density=-np.abs(xy - np.median(xy, axis=0)).sum(axis=1), cluster=cluster,
        region=np.where(cluster == 1, 1, np.where(cluster == 2, 2, 0)).astype(np.int64),
        attributes={"annotated_race": races, "perceived_gender": genders},
        thumbnail_rows=rows,
        thumbnails=drawn([f"{look}-0" for look in looks], size) if thumbnails else None,
    )  # fmt: skip


def fake_pictures(document, size=16, steps=5, thumbnails=12):
    names = named(document)
    toned = strips(3, steps, size, "skin_tone", 0.95, 0.05)
    turned = strips(8, steps, size, "yaw", -0.4, 0.4)
    pages = {
        "reconstructions": strips(4, 8, size, "hair_lightness", 0, 1),
        "manifold": strips(8, 8, size, "skin_tone", 0.1, 0.9),
        "arithmetic": strips(2, 4, size, "eyewear", 0, 1),
    }
    return AuditPictures(
        faces=dict(zip(names, drawn(names, size), strict=True)), pages=pages,
        regions={number + 1: toned[number] for number in range(2)},
        directions={number + 1: turned[number] for number in range(5)},
        map=fake_map(thumbnails=thumbnails, size=size),
    )  # fmt: skip


@pytest.mark.parametrize("document", [fake_audit(), empty_audit()])
def test_the_documents_are_plain_values(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_document_agrees_with_itself():
    document = fake_audit()
    assert sum(document["data"]["splits"].values()) == document["data"]["images"]
    found = [row for row in document["reference"]["regions"] if row["found"]]
    assert sum(row["missing"] for row in found) <= document["reference"]["missing_total"]
    assert pd.Series(document["coverage"]["shares"]).is_monotonic_decreasing
    assert set(named(document)) == set(fake_pictures(document, thumbnails=0).faces)
