"""Ingest documents made up from a few counts: every reason, hostile names, withheld groups."""

import numpy as np

REASONS = {
    "not decodable": 41, "file too large": 3, "image too large": 9, "colour mode not supported": 5,
    "took too long": 2, "decoder died": 1, "file missing": 17, "not a regular file": 4,
    "not readable": 2, "outside the image": 6, "out of memory": 1,
}  # fmt: skip
NAMES = (
    "a/<b>bold</b>.jpg", "\u202egpj.exe", "$x^$.png", "_hidden.png", "y" * 4090 + ".jpeg",
    "a\\udc80b.jpg", "raw\udc80.jpg", "nul\x00 bell\x07.png", "{{ 7 * 7 }}.jpg", "\u05e9\u05dc.jpg",
    "' onload='x.jpg", "line\nbreak.jpg", "[bold]red[/] \x1b[31m.png",
)  # fmt: skip
TONES = ("deep", "dark", "brown", "tan", "light", "unknown")
AGES = ("child", "adult", "elder", "unknown")
SIZES = ("JPEG", [40, 60]), ("PNG", [20_000, 20_000]), ("", None)


def fake_ingest(tones=TONES, ages=AGES):
    """A store of 17,000 images with 91 rejects, one flagged group and two withheld ones."""
    counts = {
        "listed": 17_926, "kept": 16_702, "rejected": sum(REASONS.values()),
        "exact_duplicates": 133, "not_selected": 1_000, "near_pairs": 61, "mirrored_pairs": 7,
        "clusters": 64, "clustered_images": 131, "conflicts": 9, "people": 5_203,
    }  # fmt: skip
    return {
        "name": "utkface", "store": "/data/store", "key": "9f" * 32, "image_size": 64,
        "created": "2025-03-04T05:06:07+00:00", "seconds": 12.5, "reused": False,
        "source": {
            "name": "utkface", "place": "/data/utkface", "source": "annotated",
            "annotation": "estimated by a model and checked by one person",
        },
        "counts": counts,
        "reasons": [_reason(*row) for row in REASONS.items()],
        "notes": [{"note": "greyscale", "count": 41}, {"note": "turned by exif", "count": 12}],
        "groups": group_rows(tones, ages),
        "limits": {"most_rejected": 0.01, "most_group_ratio": 2.0, "level": 0.05},
        "duplicates": {"pairs": pairs(40), "rule": "256-bit hashes, then correlation of pixels."},
        "splits": splits(tones, ages, counts["kept"]),
        "leaks": {"checked": ["people", "duplicates", "content"], "removed": 4},
        "framing": "the largest centred square", "identities": "by column person",
        "concluded": ["Most of what was rejected could not be decoded."],
    }  # fmt: skip


def empty_ingest():
    """Everything that was listed was kept; no groups, no duplicates, no people, no split."""
    zero = dict.fromkeys(fake_ingest()["counts"], 0)
    return fake_ingest() | {
        "counts": zero | {"listed": 12, "kept": 12, "people": None}, "reasons": [], "notes": [],
        "groups": [], "duplicates": {"pairs": [], "rule": ""}, "splits": [],
        "leaks": {"checked": [], "removed": 0}, "concluded": [], "reused": True,
        "identities": "none: nobody says who is shown",
    }  # fmt: skip


def _reason(reason, count):
    examples = [
        {
            "sample_id": f"{reason}-{place}", "path": NAMES[place % len(NAMES)],
            "detail": f"{reason}: broken data stream at byte {place}",
            "format": SIZES[place % 3][0], "dimensions": SIZES[place % 3][1],
        }
        for place in range(min(count, 14))
    ]  # fmt: skip
    return {"reason": reason, "count": count, "examples": examples}


def group_rows(tones, ages):
    """Groups of two attributes and their crossing, the darkest one flagged, two withheld."""
    cells = [("tone", f"tone:{tone}") for tone in tones]
    cells += [("perceived_age", f"perceived_age:{age}") for age in ages]
    cells += [
        ("tone x perceived_age", f"tone:{tone} x perceived_age:{age}")
        for tone in tones for age in ages
    ]  # fmt: skip
    return [_group(*cell, place) for place, cell in enumerate(cells)]


def _group(attribute, group, place):
    listed = 4_000 // (place + 1) + 12
    rejected = 31 if place == 1 else listed // 240
    share, overall = rejected / listed, 91 / 17_926
    row = {
        "attribute": attribute, "group": group, "listed": listed, "rejected": rejected,
        "share": share, "times_overall": share / overall, "p": 0.5, "p_adjusted": 1.0,
        "flagged": False, "duplicates": place % 4,
    }  # fmt: skip
    if place == 1:
        row |= {"p": 1e-7, "p_adjusted": 3e-6, "flagged": True}
    if place in (8, 20):
        row |= dict.fromkeys(("rejected", "share", "times_overall", "p", "p_adjusted"))
        row |= {"duplicates": None}
    if place == 21:
        row |= {"listed": 0, "rejected": 0, "duplicates": 0}
        row |= dict.fromkeys(("share", "times_overall", "p", "p_adjusted"))
    return row


def pairs(count):
    kinds = ("near", "mirrored", "exact", "latent")
    found = []
    for place in range(count):
        kind = kinds[place % 4]
        compared = kind in ("near", "mirrored")
        other = {"exact": "", "latent": "test"}.get(kind, "train")
        found.append({
            "first": f"face-{place}", "second": NAMES[place % len(NAMES)], "kind": kind,
            "bits": place if compared else None, "correlation": 0.99 if compared else None,
            "conflict": "age, perceived_gender" if place >= count - 9 else "",
            "splits": ["train", other],
        })  # fmt: skip
    return found


def splits(tones, ages, kept):
    sizes = {"train": 0.72, "validation": 0.08, "test": 0.2}
    images = {name: round(kept * share) for name, share in sizes.items()}
    images["test"] = kept - images["train"] - images["validation"]
    return [
        {
            "split": name, "images": images[name], "people": images[name] // 3,
            "share": images[name] / kept,
            "by_group": [
                {
                    "attribute": attribute, "group": f"{attribute}:{value}",
                    "images": None if value == "deep" and name == "validation" else 10 + place,
                    "share": None if value == "deep" and name == "validation" else 0.1 * place,
                }
                for attribute, values in (("tone", tones), ("perceived_age", ages))
                for place, value in enumerate(values)
                if not (value == "elder" and name == "test")
            ],
        }
        for name in images
    ]  # fmt: skip


def fake_faces(names, size=48):
    """Gradients under the given sample ids."""
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    across = np.broadcast_to(ramp, (size, size))
    face = np.stack([across, across.T, np.full_like(across, 90)], axis=-1)
    return {name: np.roll(face, 5 * place, axis=1) for place, name in enumerate(names)}
