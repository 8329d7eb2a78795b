"""What the figures of an audit mean, in plain English, and what to do about them."""

from typing import Any

from debias.audit.cells import Coverage
from debias.audit.directions import Direction
from debias.audit.group_words import percent
from debias.audit.thin import ThinRegion, ThinRegions

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
    beside = (
        f"a single bell-shaped heap of as many images would count {low:.0f} to {high:.0f}"
        if low != high
        else f"a single bell-shaped heap would count {low:.0f}"
    )
    sentence = (
        f"The images spread over an effective {effective:.1f} of {found.cells} equal cells of the "
        f"latent space ({beside}), and the densest tenth of the cells holds "
        f"{percent(found.densest_tenth)} of them."
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


def verdicts(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What a reader must know, worst first.

    Args:
        document: Sections ``reference``, ``drift``, ``groups``, ``regions``, ``coverage``.
    """
    found = [
        *_against("shortfall", document["reference"]),
        *_of_groups(document["groups"]),
        *_of_thin(document["regions"]),
        *_against("drift", document["drift"]),
        *_of_coverage(document["coverage"]),
    ]
    if all(one["kind"] == "nothing" for one in found):
        found.insert(0, _verdict("nothing", NOTHING, None))
    return sorted(found, key=lambda one: one["kind"] == "nothing" and one["sentence"] != NOTHING)


NOTHING = (
    "Nothing was found to be missing. That is no proof that nothing is: see what this audit "
    "cannot see, below."
)


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
        return [_verdict("nothing", section["sentences"][0], None)]
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
        found.append("No group is annotated here, so no group can be named.")
    found.append(
        "Outside of the annotated groups, images are counted as independent: where people repeat, "
        "intervals are too narrow and differences are found too easily."
        if subjects
        else "Nobody says who is shown: images are counted as independent, and where people "
        "repeat, intervals are too narrow and differences are found too easily."
    )
    return found
