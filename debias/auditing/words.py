"""What the figures of an audit mean, in plain English, and what to do about them."""

from typing import Any

from debias.auditing.coverage import Coverage
from debias.auditing.directions import Direction
from debias.auditing.group_words import percent
from debias.auditing.thin import ThinRegion, ThinRegions
from debias.statistics.groupings import UNKNOWN

VIEWS = {
    "latents": "in what the autoencoder learned",
    "colour": "in colour",
    "structure": "in light and dark",
    "gradients": "in edges",
    "tones": "in tones of the whole image",
}
HALF = 0.5
UNEVEN = 0.25  # of the images in one half of a direction: then one end is thin


def of_coverage(found: Coverage) -> tuple[str, str | None]:
    """Sentence and action."""
    low, high = found.bell["effective_cells"]
    effective = found.effective_cells
    heap = f"{low:.0f} to {high:.0f}" if low != high else f"{low:.0f}"
    sentence = (
        f"Cut into {found.cells} equal cells, the latent space is filled as unevenly as if "
        f"{effective:.1f} of them held equally many images and the others none (one bell-shaped "
        f"heap of as many images: {heap}); the fullest tenth of the cells holds "
        f"{percent(found.densest_tenth)} of the images."
    )
    if effective >= low:
        return sentence, None
    return (
        f"{sentence} They fill fewer cells than one heap would: most are much alike, or they "
        "form separate heaps.",
        "Look at the clusters, and at the most and the least represented images below: they say "
        "what there is too much and too little of.",
    )


def of_regions(found: ThinRegions) -> tuple[str, str | None]:
    """Sentence and action."""
    if not found.enough:
        return "There are too few images to look for thin regions.", "Audit 200 images or more."
    tried = f"{found.looked_at} direction{'' if found.looked_at == 1 else 's'}"
    if not found.found:
        return (
            f"No thin region found: of {tried} that looked promising on one half of the images, "
            "none was confirmed on the other half. Rare kinds of images that do not stand apart "
            "from the others in these descriptions cannot be found this way.",
            "Compare with a reference set, or annotate some images: both find what does not "
            "stand apart.",
        )
    count = len(found.found)
    regions = "1 thin region" if count == 1 else f"{count} thin regions"
    return (
        f"{regions} found: small parts of the images that stand apart from all others (of {tried} "
        f"tried on images that had not suggested them; {found.level:.0%} false alarms at most).",
        "Look at each region beside its opposite: if it shows people rather than photographs, "
        "collect more like them.",
    )


def of_region(region: ThinRegion) -> str:
    share = (
        f"{percent(region.share)} of the images ({percent(region.low)} to {percent(region.high)})"
    )
    where = VIEWS.get(region.view, f"in {region.view}")
    if region.found:
        return f"{region.count:,} images, {share}, stand apart from all others {where}."
    return (
        f"{region.count:,} images, {share}, may stand apart from the others {where}; on images not "
        "used to find them that was not confirmed."
    )


def of_direction(one: Direction) -> str:
    fuller, share = (
        ("lower", one.low_share) if one.low_share >= HALF else ("upper", 1 - one.low_share)
    )
    sentence = (
        f"Direction {one.number} explains {percent(one.variance_share)} of what varies; its "
        f"{fuller} half holds {percent(share)} of the images."
    )
    thin = "upper" if fuller == "lower" else "lower"
    return f"{sentence} The {thin} end is thin." if share >= HALF + UNEVEN else sentence


def of_fidelity(section: dict[str, Any]) -> tuple[str, str | None]:
    """Sentence and action.

    Args:
        section: A fidelity as plain values, ``epochs`` of the training and ``advised`` beside it.
    """
    count, detail = section["images"], section["explained_detail"]
    if section["verdict"] == "too_few":
        return f"{count} images are too few to say whether the model tells images apart.", None
    kept, chance = (percent(section[f"neighbours_{name}"]) for name in ("kept", "by_chance"))
    measured = (
        f"Of {count:,} images that it was not trained on, it keeps {_share(detail)} of what tells "
        f"faces apart and {_share(section['explained'])} of all differences; {kept} of their "
        f"nearest neighbours stay neighbours ({chance} by chance)."
    )
    if section["verdict"] == "tells_apart":
        return f"The model tells images apart. {measured}", None
    return (
        f"The model draws nearly the same face for every image: no figure below that rests on it "
        f"can be relied on. {measured}",
        f"Train longer, for example --set representation.training.epochs={section['advised']} "
        f"(now {section['epochs']}), or bring more images or an encoder.",
    )


def _share(explained: float) -> str:
    return percent(max(explained, 0.0))


def verdicts(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What a reader must know: whether to believe it, who is there, who is missing, the rest.

    Args:
        document: Sections ``fidelity``, ``reference``, ``drift``, ``groups``, ``regions``,
            ``coverage``.
    """
    found = [
        *_against("shortfall", document["reference"]),
        *_of_groups(document["groups"]),
        *_against("drift", document["drift"]),
        *_of_thin(document["regions"]),
        *_of_coverage(document["coverage"]),
    ]
    lead = [*_of_fidelity(document["fidelity"]), *_who(document["groups"])]
    if not _compared(document):
        lead.append(_verdict("undeclared", UNDECLARED, DECLARE))
    elif all(one["kind"] == "nothing" for one in found):
        lead.append(_verdict("nothing", NOTHING, None))
    return lead + sorted(found, key=lambda one: LAST.get(one["kind"], 0))


LAST = {"nothing": 1, "coverage": 2}
UNDECLARED = (
    "Who is missing cannot be said: nobody declared what this collection should hold, and there "
    "is no reference."
)
DECLARE = (
    "Compare it: --shares FILE, --reference FOLDER or --earlier FOLDER (in a recipe: audit.shares, "
    "reference, earlier)."
)
NOTHING = (
    "Nothing was found to be missing. That is no proof that nothing is: see what this audit "
    "cannot see, below."
)


def _of_fidelity(section: dict[str, Any] | None) -> list[dict[str, Any]]:
    if section is None or section["verdict"] != "blurred":
        return []
    return [_verdict("fidelity", section["sentence"], section["action"])]


def _who(section: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The smallest and the largest group of each attribute."""
    said = [] if section is None else [_ends(one) for one in section["attributes"]]
    told = [sentence for sentence in said if sentence]
    return [_verdict("who", " ".join(told), None)] if told else []


def _ends(attribute: dict[str, Any]) -> str:
    rows = [row for row in attribute["rows"] if row["share"] is not None]
    rows = sorted((row for row in rows if row["state"] != UNKNOWN), key=lambda row: row["share"])
    if len(rows) < 2:
        return ""
    name = attribute["attribute"]
    fewest, most = (_group(row, name) for row in (rows[0], rows[-1]))
    return f"{name.replace('_', ' ').capitalize()}: fewest {fewest}, most {most}."


def _group(row: dict[str, Any], attribute: str) -> str:
    span = f"{percent(row['low'])} to {percent(row['high'])}"
    return f"{row['group'].removeprefix(f'{attribute}:')}, {percent(row['share'])} ({span})"


def _compared(document: dict[str, Any]) -> bool:
    """Whether anybody said what the collection should look like, or looked."""
    groups = document["groups"] or {"attributes": [], "crossings": []}
    rows = [row for one in groups["attributes"] for row in one["rows"]] + groups["crossings"]
    declared = any(row["declared"] is not None for row in rows)
    return declared or document["reference"] is not None or document["drift"] is not None


def _verdict(kind: str, sentence: str, action: str | None) -> dict[str, Any]:
    return {"kind": kind, "sentence": sentence, "action": action}


def _against(kind: str, section: dict[str, Any] | None) -> list[dict[str, Any]]:
    if section is None:
        return []
    short = any(region["found"] for region in section["regions"])
    known = section["verdict"] == "told_apart" or short
    as_kind = kind if known else "nothing"
    if section["telltale"]:
        as_kind = "caution"
    return [_verdict(as_kind, section["sentence"], section["action"])]


GROUP_ACTIONS = {
    "below": "Collect images of the groups named, the first one first.",
    "lowered": "Do not train with weights by rarity before you know whom they take it from.",
    "lost": "Find out why these images were set aside before collecting more.",
}


def _of_groups(section: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One verdict for each kind of bad news, its first sentence."""
    if section is None:
        return []
    found: list[tuple[str, str]] = []
    for news in section["news"]:
        if news["kind"] not in {one for one, _ in found}:
            found.append((news["kind"], news["sentence"]))
    if not found:
        known = _compared({"groups": section, "reference": None, "drift": None})
        return [_verdict("nothing", section["sentences"][0], None)] if known else []
    return [
        _verdict("caution" if kind == "lowered" else "group", sentence, GROUP_ACTIONS[kind])
        for kind, sentence in found
    ]


def _of_thin(section: dict[str, Any]) -> list[dict[str, Any]]:
    kind = "thin" if section["verdict"] == "found" else "nothing"
    first = next((one for one in section["list"] if one["found"]), None)
    more = "" if first is None else f" The first: {first['sentence']}"
    return [_verdict(kind, section["sentence"] + more, section["action"])]


def _of_coverage(section: dict[str, Any]) -> list[dict[str, Any]]:
    kind = "coverage" if section["action"] else "nothing"
    return [_verdict(kind, section["sentence"], section["action"])]


def limits(document: dict[str, Any], *, subjects: bool) -> list[str]:
    """What this audit cannot see."""
    found = [
        "It describes this collection of images, not the people on them, and says nothing about "
        "how a classifier trained on it treats anybody.",
        "It sees what the descriptions of the images show. An autoencoder and plain descriptors "
        "show light, colour, hair, background and framing well, and eyes, age or expression "
        "hardly: what is rare only in these is missed.",
        "Rare photographs and rare people look alike to it: look at the pictures before acting.",
    ]
    if document["reference"] is None:
        found.append(
            "Nobody said what the collection should look like: without a reference or declared "
            "shares it can be uneven, but not short of anything."
        )
    if document["groups"] is None:
        found.append("No annotated attribute was named, so no group can be named.")
    found.append(
        "Outside of the annotated groups, images are counted as independent: where people repeat, "
        "intervals are too narrow and differences are found too easily."
        if subjects
        else "Nobody says who is shown: images are counted as independent, and where people "
        "repeat, intervals are too narrow and differences are found too easily."
    )
    return found
