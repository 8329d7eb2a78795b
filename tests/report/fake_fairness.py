"""Fairness and comparison documents made up from a few counts: every state, reading and harm."""

from functools import cache
from itertools import combinations, product

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

TONE, GENDER = "skin_tone_group", "perceived_gender"
CROSS = f"{TONE} x {GENDER}"
IMAGES = {"deep": 7, "dark": 62, "brown": 420, "tan": 640, "light": 1800, "unknown": 72, "pale": 0}
RIGHT = {
    "deep": 0.7, "dark": 0.79, "brown": 0.93, "tan": 0.95, "light": 0.965, "unknown": 0.9,
    "pale": 0.0,
}  # fmt: skip
METRICS = ("accuracy", "true_positive_rate", "false_positive_rate", "selection_rate", "precision")
PAIRED = METRICS[:4]
LEVEL, MINIMUM, BELOW = 0.95, 30, 11


def cells(scale=1.0):
    """(attribute, group) to images, positives, share right."""
    found = {}
    for tone, n in IMAGES.items():
        n = round(n * scale)
        found[TONE, f"{TONE}:{tone}"] = (n, n // 2, RIGHT[tone])
    for gender, right in (("feminine", 0.945), ("masculine", 0.955)):
        n = round(sum(IMAGES.values()) * scale) // 2
        found[GENDER, f"{GENDER}:{gender}"] = (n, n // 2, right)
    for tone, gender in product(IMAGES, ("feminine", "masculine")):
        n = round(IMAGES[tone] * scale) // 2
        positives = 0 if (tone, gender) == ("brown", "masculine") else n // 2
        right = RIGHT[tone] - (0.05 if gender == "feminine" else 0)
        group = f"{TONE}:{tone} x {GENDER}:{gender}"
        found[CROSS, group] = (n, positives, max(right, 0.0))
    return found


def counts(metric, n, positives, right):
    """Numerator and denominator of a rate among ``n`` images."""
    negatives = n - positives
    hits, alarms = round(positives * right), negatives - round(negatives * right)
    return {
        "accuracy": (hits + negatives - alarms, n),
        "true_positive_rate": (hits, positives),
        "false_positive_rate": (alarms, negatives),
        "selection_rate": (hits + alarms, n),
        "precision": (hits, hits + alarms),
    }[metric]


@cache
def exact(numerator, denominator, level=LEVEL):
    found = binomtest(round(numerator), round(denominator)).proportion_ci(level)
    return float(found.low), float(found.high)


def rate_row(metric, about, people, group=""):
    n, positives, right = about
    numerator, denominator = counts(metric, n, positives, right)
    empty = dict.fromkeys(
        ("value", "numerator", "denominator", "identities", "effective", "low", "high")
    )
    if 0 < denominator < BELOW:
        return {"metric": metric, **empty, "state": "suppressed"}
    if denominator == 0:
        zero = {"numerator": 0, "denominator": 0, "identities": 0 if people else None}
        return {"metric": metric, **empty, **zero, "state": "not_estimable"}
    low, high = exact(numerator, denominator)
    return {
        "metric": metric, "value": numerator / denominator, "numerator": numerator,
        "denominator": denominator, "identities": -(-denominator // 3) if people else None,
        "effective": denominator / 1.4 if people else float(denominator), "low": low, "high": high,
        "state": state_of(denominator, group),
    }  # fmt: skip


def state_of(denominator, group):
    if denominator < MINIMUM:
        return "too_small"
    return "unknown" if ":unknown" in group else "estimated"


def newcombe(one, other):
    difference = one["value"] - other["value"]
    down = np.hypot(one["value"] - one["low"], other["high"] - other["value"])
    up = np.hypot(one["high"] - one["value"], other["value"] - other["low"])
    return difference - 1.4 * float(down), difference + 1.4 * float(up)


def detectable(one, other, level):
    spread = sum(max(row["value"] * (1 - row["value"]), 0.01) / row["effective"]
                 for row in (one, other))  # fmt: skip
    return float((ndtri(1 - (1 - level) / 2) + ndtri(0.8)) * np.sqrt(spread))


def gap_row(one, other, adjusted, margin):
    row = {
        **{key: one[key] for key in ("metric", "attribute", "group")}, "other": other["group"],
        **dict.fromkeys(("difference", "low", "high", "p_value", "p_adjusted", "detectable")),
        "verdict": "cannot_tell", "reason": "",
    }  # fmt: skip
    for state in ("suppressed", "not_estimable", "too_small"):
        if state in (one["state"], other["state"]):
            row["reason"] = state
            if state != "too_small":
                return row
            break
    low, high = newcombe(one, other)
    p = float(2 * ndtr(-abs(one["value"] - other["value"]) / ((high - low) / 5.5)))
    row |= {
        "difference": one["value"] - other["value"], "low": low, "high": high, "p_value": p,
        "p_adjusted": min(1.0, 30 * p), "detectable": detectable(one, other, adjusted),
    }  # fmt: skip
    if row["reason"]:
        return row
    if low > 0 or high < 0:
        return row | {"verdict": "difference_found"}
    if margin is None:
        return row | {"reason": "no_margin"}
    inside = -margin < low and high < margin
    reason = "" if inside else "insufficient_evidence"
    return row | {"verdict": "difference_ruled_out" if inside else "cannot_tell", "reason": reason}


def gap_rows(rows, reference, margin, metrics):
    found = []
    for attribute, metric in product((TONE, GENDER, CROSS), metrics):
        same = [r for r in rows if (r["attribute"], r["metric"]) == (attribute, metric)]
        same = [r for r in same if ":unknown" not in r["group"]]
        pairs = list(combinations(same, 2))
        if reference and attribute == TONE:
            other = next(r for r in same if r["group"] == reference)
            pairs = [(r, other) for r in same if r is not other]
        found += [gap_row(one, other, 0.999, margin) for one, other in pairs]
    return found


def attribute_verdicts(attributes, gaps):
    found = []
    for attribute in attributes:
        same = [g for g in gaps if g["attribute"] == attribute]
        verdicts = {g["verdict"] for g in same}
        ruled_out = verdicts == {"difference_ruled_out"}
        reading = "difference_ruled_out" if ruled_out else "cannot_tell"
        reading = "difference_found" if "difference_found" in verdicts else reading
        found.append({
            "attribute": attribute, "reading": reading, "sentence": f"This is {attribute}.",
            "reason": "insufficient_evidence" if reading == "cannot_tell" else "",
            "incomplete": bool({"too_small", "suppressed"} & {g["reason"] for g in same}),
        })  # fmt: skip
    return found


def spread_rows(rows, metrics):
    found = []
    for attribute, metric in product((TONE, GENDER, CROSS), metrics):
        values = [
            r["value"]
            for r in rows
            if (r["attribute"], r["metric"], r["state"]) == (attribute, metric, "estimated")
        ]
        defined = len(values) > 1
        found.append({
            "metric": metric, "attribute": attribute, "groups": len(values),
            "gap": max(values) - min(values) if defined else None,
            "expected_if_equal": 0.031 + 0.002 * len(values) if defined else None,
            "variance": float(np.var(values)) - 0.0001 if defined else None,
        })  # fmt: skip
    return found


def confusion_rows(classes, share):
    found = []
    for (attribute, group), (n, positives, right) in cells().items():
        for true, size in ((classes[1], positives), (classes[0], n - positives)):
            hits, wrong = round(size * right), [name for name in classes if name != true]
            counts = {true: hits} | dict.fromkeys(wrong, (size - hits) / len(wrong))
            found += [{"attribute": attribute, "group": group, "true": true,
                       "predicted": predicted, "count": count / share}
                      for predicted, count in counts.items() if n >= 4 * BELOW]  # fmt: skip
    return found


def calibration_rows(rng):
    found = []
    for (attribute, group), (n, _, _) in cells().items():
        bins = min(10, n // 30)
        for score in (np.arange(bins) + 0.5) / max(bins, 1):
            size = n // bins
            right = round(float(np.clip(score + rng.normal(0, 0.05), 0.01, 0.99)) * size)
            low, high = exact(right, size)
            found.append({
                "attribute": attribute, "group": group, "n": size, "mean_score": float(score),
                "observed": right / size, "low": low, "high": high,
            })  # fmt: skip
    return found


def score_rows(classes):
    found, names = [], ("q05", "q25", "median", "q75", "q95")
    for (attribute, group), (n, positives, right) in cells().items():
        for true, size in ((classes[0], n - positives), (classes[1], positives)):
            centre = right if true == classes[1] else 1 - right
            steps = np.clip(centre + np.array([-0.3, -0.12, 0.0, 0.1, 0.2]), 0.01, 0.99)
            row = {"attribute": attribute, "group": group, "true": true, "n": size}
            found += [row | dict(zip(names, map(float, steps), strict=True))] * (size >= BELOW)
    return found


def metric_names(classes):
    if len(classes) == 2:
        return METRICS
    return ("accuracy", *(f"true_positive_rate[{name}]" for name in classes))


def fake_fairness(  # noqa: PLR0913
    name="uniform", *, reference=None, margin=0.05, people=True, scores=True,
    classes=("not smiling", "smiling"), seeds=(0, 1, 2, 3, 4), better=0.0,
):  # fmt: skip
    """A report of one classifier; ``better`` moves the share right of the dark groups."""
    metrics = metric_names(classes)
    rows = []
    for (attribute, group), about in cells().items():
        if "dark" in group:
            about = (*about[:2], min(about[2] + better, 1.0))
        for metric in metrics:
            row = rate_row(metric.partition("[")[0], about, people, group)
            rows.append({**row, "attribute": attribute, "group": group, "metric": metric})
    gaps = gap_rows(rows, reference, margin, metrics)
    family = sum(g["low"] is not None for g in gaps)
    total = (2951, 1475, 0.951)
    overall = [rate_row(m.partition("[")[0], total, people) | {"metric": m} for m in metrics]
    by_attribute = attribute_verdicts((TONE, GENDER, CROSS), gaps)
    rng = np.random.default_rng(5)
    binary = len(classes) == 2
    shared = {"metrics": list(metrics), "empty": []}
    return {
        "kind": "fairness", "schema": 2, "name": name, "split": "test", "seeds": list(seeds),
        "n": 2951, "identities": 984 if people else None, "classes": list(classes),
        "positive": classes[1] if binary else None, "metrics": list(metrics), "level": LEVEL,
        "comparisons": family, "adjusted_level": 1 - (1 - LEVEL) / family, "margin": margin,
        "minimum": MINIMUM, "suppress_below": BELOW,
        "attributes": [
            {"attribute": TONE, "source": "annotated", "reference": reference,
             "groups": [f"{TONE}:{tone}" for tone in IMAGES], **shared},
            {"attribute": GENDER, "source": "inferred", "reference": None,
             "groups": [f"{GENDER}:feminine", f"{GENDER}:masculine"], **shared},
            {"attribute": CROSS, "source": "inferred", "reference": None,
             "groups": [group for attribute, group in cells() if attribute == CROSS],
             **shared, "empty": [group for _, group in cells() if "pale x" in group]},
        ],
        "overall": overall,
        "quality": {"auroc": 0.981 if scores and binary else None,
                    "expected_calibration_error": 0.0213 if scores and binary else None,
                    "calibration_bias": -0.0112 if scores and binary else None},
        "by_group": rows, "primary": [], "describes": False, "gaps": gaps,
        "spread": spread_rows(rows, metrics),
        "ratios": [
            {"metric": "selection_rate", "attribute": TONE, "group": f"{TONE}:dark",
             "other": f"{TONE}:light", "ratio": 0.781, "low": 0.655, "high": 0.931, "n_group": 62,
             "n_other": 1800, "chance_if_equal": 0.214},
        ] if binary else [],
        "noise": [
            {"metric": "accuracy", "attribute": TONE, "flipped": flipped, "gap": 0.182,
             "low": 0.182 - flipped, "high": 0.182 + flipped / 2} for flipped in (0.05, 0.1)
        ],
        "verdict": {"reading": "difference_found", "reason": "", "incomplete": True,
                    "sentence": "A difference was found: accuracy of skin tone group dark is "
                                "lower than that of light.",
                    "by_attribute": by_attribute},
        "notes": ["Groups of perceived_gender are machine guesses.",
                  *([] if people else ["Images are treated as independent."])],
        "scope": ["Measured on the test split: 2,951 images of the data set demo.",
                  "Groups: skin_tone_group (annotated), perceived_gender (inferred).",
                  "Not measured: any other attribute, any other data, any use of the classifier.",
                  f"{family} comparisons; seeds 0 to 4; nothing was excluded."],
        "confusion": confusion_rows(classes, 1.0 if seeds else 0.7),
        "calibration": calibration_rows(rng) if scores and binary else [],
        "scores": score_rows(classes) if scores and binary else [],
    }  # fmt: skip


def change_row(before, after, harmed):
    shared = {key: before[key] for key in ("metric", "attribute", "group", "identities", "state")}
    row = {
        **shared, "n": before["denominator"], "before": before["value"], "after": after["value"],
        **dict.fromkeys(("change", "low", "high", "fixed", "broken", "p_value", "p_adjusted",
                         "wide_low", "wide_high", "p_wide")),
        "verdict": "cannot_tell", "harm": False,
        "reason": before["state"] if before["state"] != "estimated" else "",
    }  # fmt: skip
    if before["value"] is None:
        return row
    change = after["value"] - before["value"]
    half = 1.2 / np.sqrt(before["denominator"]) * 0.5
    p = min(1.0, float(np.exp(-8 * abs(change) / half)))
    row |= {"change": change, "low": change - half, "high": change + half, "p_value": p,
            "fixed": before["denominator"] * max(change, 0) + 2.2, "broken": 2.2,
            "p_adjusted": min(1.0, 20 * p), "wide_low": change - 0.6 * half,
            "wide_high": change + 0.6 * half, "p_wide": min(1.0, 30 * p)}  # fmt: skip
    if row["reason"]:
        return row
    if abs(change) > half:
        return row | {"verdict": "difference_found", "harm": harmed}
    return row | {"reason": "insufficient_evidence"}


def change_gap(one, other):
    keys = ("metric", "attribute", "group")
    row = {
        **{key: one[key] for key in keys}, "other": other["group"],
        **dict.fromkeys(("before", "after", "change", "low", "high", "p_value", "p_adjusted",
                         "wide_low", "wide_high", "p_wide")),
        "direction": "unchanged", "verdict": "cannot_tell", "reason": "", "harm": False,
    }  # fmt: skip
    for state in ("suppressed", "not_estimable", "too_small"):
        if state in (one["state"], other["state"]):
            row["reason"] = state
            return row
    before, after = one["before"] - other["before"], one["after"] - other["after"]
    half = float(np.hypot(one["high"] - one["change"], other["high"] - other["change"]))
    direction = "narrower" if abs(after) < abs(before) else "wider"
    direction = "reversed" if before * after < 0 else direction
    found = abs(after - before) > half
    return row | {
        "before": before, "after": after, "change": after - before,
        "low": after - before - half, "high": after - before + half, "p_value": 0.01,
        "p_adjusted": 0.2, "direction": direction, "wide_low": after - before - 0.01,
        "wide_high": after - before + 0.01, "p_wide": 0.3,
        "reason": "" if found else "insufficient_evidence",
        "verdict": "difference_found" if found else "cannot_tell",
        "harm": found and direction == "wider",
    }  # fmt: skip


def changed(about, group, shifts):
    """Move the share right of every group whose name holds a key."""
    moved = sum(shift for part, shift in shifts.items() if part in group)
    return (*about[:2], float(np.clip(about[2] + moved, 0, 1)))


def fake_comparison(
    before="uniform", after="latent", *, harm=True, people=True, seeds=(0, 1, 2, 3, 4),
    sizes_changed=False,
):  # fmt: skip
    """The dark groups gain; with ``harm`` the tan ones lose."""
    shifts = {"dark": 0.12, "tan": -0.06 if harm else 0.0, "light": 0.004}
    groups = []
    for (attribute, group), about in cells().items():
        later = changed(about, group, shifts)
        for metric in PAIRED:
            first, second = (
                rate_row(metric, one, people, group) | {"attribute": attribute, "group": group}
                for one in (about, later)
            )
            worse = second["value"] is not None and (
                (second["value"] - first["value"]) * (-1 if "false" in metric else 1) < 0
            )
            groups.append(change_row(first, second, worse and metric != "selection_rate"))
    gaps = []
    for attribute, metric in product((TONE, GENDER, CROSS), PAIRED):
        same = [g for g in groups if (g["attribute"], g["metric"]) == (attribute, metric)
                and ":unknown" not in g["group"]]  # fmt: skip
        gaps += [change_gap(*pair) for pair in combinations(same, 2)]
    harms = [f"{g['metric']} of {g['group']} fell." for g in groups if g["harm"]][:3]
    family = sum(g["low"] is not None for g in [*groups, *gaps])
    trade = [
        {"attribute": attribute, "group": group, "metric": metric, "before": value,
         "after": None if value is None else value + 0.01,
         "change": None if value is None else 0.01}
        for attribute, group, shift in (("", "", 0.0), (TONE, f"{TONE}:light", 0.01),
                                        (TONE, f"{TONE}:deep", None))
        for metric, base in (("accuracy", 0.95), ("true_positive_rate", 0.94), ("precision", 0.93),
                             ("false_positive_rate", 0.05), ("auroc", 0.98),
                             ("expected_calibration_error", 0.021), ("calibration_bias", -0.01))
        for value in [None if shift is None else base + shift]
    ]  # fmt: skip
    return {
        "kind": "comparison", "schema": 1, "before": before, "after": after, "n": 2951,
        "identities": 984 if people else None, "seeds": list(seeds), "level": LEVEL,
        "comparisons": family, "adjusted_level": 1 - (1 - LEVEL) / family, "margin": None,
        "classes": ["not smiling", "smiling"], "positive": "smiling", "suppress_below": BELOW,
        "groups": groups, "gaps": gaps, "trade": trade,
        "primary": [primary_row(before, after, seeds, name, first, change)
                    for name, first, change in (("worst_group_accuracy", 0.777, 0.0912),
                                                ("accuracy", 0.947, -0.0031))],
        "describes": False,
        "verdict": {
            "reading": "difference_found", "reason": "", "harms": harms,
            "sentence": "At least one rate changed.",
            "gains": ["accuracy of skin_tone_group:dark rose from 79.0% to 91.0%."],
            "trades": [],
        },
        "notes": [] if people else ["Images are treated as independent."],
        "scope": ["The same 2,951 test images before and after.", "Nothing was excluded."],
        "sizes": [
            {"attribute": attribute, "group": group, "before": n,
             "after": n + 40 if sizes_changed and "light" in group else n}
            for (attribute, group), (n, _, _) in cells().items() if n >= 11
        ],
    }  # fmt: skip


def primary_row(before, after, seeds, quantity, first, change):
    found = abs(change) > 0.05
    return {
        "quantity": quantity, "baseline": before, "arm": after, "before": first,
        "after": first + change, "change": change, "low": change - 0.0457, "high": change + 0.0431,
        "level": 0.975, "p_value": 0.004, "p_adjusted": 0.008, "seeds": list(seeds),
        "differences": [change] * max(len(seeds), 1), "sd": 0.0, "se_trainings": 0.011,
        "se_images": 0.013, "reading": "difference_found" if found else "cannot_tell",
        "reason": "" if found else "insufficient_evidence",
    }  # fmt: skip


def small(document):
    """The same without the crossing and with two measures: quick to print."""
    kept, metrics = {**document}, METRICS[:2]
    for part, rows in document.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            kept[part] = [
                row for row in rows
                if row.get("attribute") != CROSS
                and (part == "trade" or row.get("metric", metrics[0]) in metrics)
            ]  # fmt: skip
    return kept | ({"metrics": list(metrics)} if "metrics" in document else {})
