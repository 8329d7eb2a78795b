"""The page about a run, and what a terminal and Prefect show of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from debias.report import blocks as b
from debias.report.arms import arms_of, comparisons_of, fairness_of
from debias.report.charts.style import arm_style
from debias.report.comparison_page import (
    all_changes,
    change_charts,
    directions,
    first_changes,
    harmed,
    told_card,
    trade,
)
from debias.report.fairness_charts import MEASURES_OF_A_RUN, run_change_names
from debias.report.fairness_page import (
    HOW_TO_READ,
    cautions,
    complete,
    detectable,
    gap_table,
    how_level,
    interval_chart,
    largest,
    noise,
    other_charts,
    people,
    rates,
    ratios,
    sizes,
    spread,
    verdict,
    verdicts,
    which_groups,
)
from debias.report.html import put
from debias.report.html import render as as_html
from debias.report.opening import first_metric, learned
from debias.report.panels import Row, largest_gap_first
from debias.report.pictures import Pictures, contact_sheet, paired_rows, sheets, shrink, webp
from debias.report.readings import reading_of
from debias.report.run_charts import figures
from debias.report.weights_page import COLUMNS, weighted_arms, weights_section
from debias.report.words import (
    TIMES,
    arm_meaning,
    arm_name,
    attribute_name,
    day,
    full_group_name,
    group_name,
    is_number,
    is_share,
    number,
    plain_value,
    quantity_name,
    reading_name,
    words,
)
from debias.types import BASELINE

Document = Mapping[str, Any]
GAPS_OF_A_RUN = 6
OPEN_SIZES = 16  # groups; more of them fold away
SCALARS = (
    (("accuracy", "overall"), "overall accuracy", "percent"),
    (("accuracy", "worst_group"), "worst group of each training", "percent"),
    (("accuracy", "gap"), "gap, points", "points"),
    (("accuracy", "variance"), "variance over groups", "plain"),
    (("auroc",), "AUROC", "plain"),
    (("expected_calibration_error",), "calibration error", "plain"),
    (("true_positive_rate",), "true positive rate", "percent"),
    (("false_positive_rate",), "false positive rate", "percent"),
    (("selection_rate",), "selection rate", "percent"),
)
# How notes begin that hold figures of one arm rather than a warning about all of them.
_FIGURES = ("Over all images", "Of ")


def write_report(path: Path, document: Document, pictures: Pictures) -> dict[str, bytes]:
    """Write the report as one self-contained HTML file, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: Numbers of the run, as in ``report.json``; None and NaN never print as 0.
        pictures: What is not a number.

    Returns:
        The charts of the page, SVG by name, as :func:`figures` draws them.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = figures(document, pictures)
    put(path, as_html(page(document, pictures, drawn)))
    return drawn


def render(document: Document, pictures: Pictures) -> str:
    """The page as text, its charts drawn for it."""
    return as_html(page(document, pictures, figures(document, pictures)))


def page(document: Document, pictures: Pictures, drawn: Mapping[str, bytes]) -> b.Page:
    """The page, given its charts by name."""
    created, size = day(document["created"]), document["data"]["image_size"]
    return b.Page(
        title=f"{document['name']}: differences between groups",
        kicker=f"{document['name']} · {created}",
        heading=document["opening"]["headline"],
        opening=tuple(_opening(document, drawn)),
        sections=tuple(_sections(document, pictures, drawn)),
        footer=f"Made by debias {document['version']}, {created}. This page measures differences "
        "between annotated groups on one test set. It is no statement about other data, other "
        "groups, or a use of the classifier.",
        crisp=is_number(size) and size < 40,
    )


def summary(document: Document) -> Iterator[b.Block]:
    """What a terminal shows: who is served worse, the arms, what may be concluded, what to do."""
    opening = document["opening"]
    yield b.Sentence(opening["headline"], "verdict")
    yield b.Sentence(" ".join(opening["sentences"]))
    yield arms_table(document)
    left_out = [
        f"Arm {arm!r} was left out: {why}." for arm, why in document.get("refused", {}).items()
    ]
    yield b.Points((*left_out, *document["concluded"]))
    yield from steps(opening["next"])


def arms_table(document: Document) -> b.Table:
    """The summary figures of each arm, means over its trainings."""
    seeds = document["run"]["seeds"]
    trainings = f"mean over {seeds} trainings, sd in brackets" if seeds > 1 else "one training"
    rows = []
    for arm, found in document["arms"].items():
        mean, spread_ = found["mean"]["accuracy"], found["mean"]["sd"]["accuracy"]
        worst = _worst(document, arm)
        overall, gap = (
            (b.Value(mean[name], kind, "no two groups to compare"), *_sd(spread_[name]))
            for name, kind in (("overall", "percent"), ("gap", "points"))
        )
        rate = b.Value(worst["value"] if worst else None, "percent", "no group to name")
        who = full_group_name(worst["group"]) if worst else ""
        deviation = _sd(worst.get("sd")) if worst else ()
        rows.append(b.Row((arm, overall, (rate, *deviation), gap, who)))
    headings = ("arm", "accuracy", "worst group", "gap, points", "which one")
    return b.Table(headings, tuple(rows), f"{document['name']}: {trainings}", left=(0, 4))


def _sd(value: float | None) -> tuple[b.Piece, ...]:
    return (" (", b.Value(value, "points"), ")") if is_number(value) else ()


def _worst(document: Document, arm: str) -> Row | None:
    """The row of accuracy of the group whose mean over the trainings is lowest, with its spread."""
    mean = document["arms"][arm]["mean"]
    key = mean["extremes"].get("worst_group"), "accuracy"
    rows = document["fairness"][arm]["by_group"]
    found = next((row for row in rows if (row["group"], row["metric"]) == key), None)
    spread_ = (row.get("sd") for row in mean["by_group"] if (row["group"], row["metric"]) == key)
    return found and {**found, "sd": next(spread_, None)}


def steps(next_: Sequence[Mapping[str, Any]]) -> Iterator[b.Step]:
    """What to do next."""
    for place, step in enumerate(next_):
        again = "" if step["command"] else " Set this and run it again into the same folder:"
        lead = "And:" if place else "What to do next:"
        yield b.Step(f"{step['why']}{again}", step["command"] or step["setting"], lead)


def _opening(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    baseline = _baseline(document)
    opening, judged = document["opening"], _judged(document)
    yield b.Sentence(" ".join(opening["sentences"]), "lead")
    yield from interval_chart(baseline, drawn, first_metric(baseline))
    for kind, link in (("harm", b.Link("who was harmed", "#harmed")),
                       ("gain", b.Link("what changed", "#change"))):  # fmt: skip
        for arm, found in judged.items():
            sentences = found["verdict"][f"{kind}s"]
            yield from told_card(kind, f" under {arm_name(arm).lower()}", sentences, link)
    yield from steps(opening["next"])
    yield b.Sentence(
        ("These words have a fixed meaning: ", b.Link("how to read them", "#read"), "."), "note"
    )
    yield from (_board(document, arm) for arm in arms_of(document))
    yield from _about_the_board(document, baseline)
    yield from cautions(banners(fairness_of(document), comparisons_of(document)))


def _baseline(document: Document) -> Document:
    """The first arm stands for the run where only one can be shown: plain training, if any."""
    return next(iter(fairness_of(document).values()))


def _judged(document: Document) -> dict[str, Document]:
    """Comparisons of arms that learned something, with one that did."""
    first = arms_of(document)[0]
    return {
        arm: found
        for arm, found in comparisons_of(document).items()
        if learned(document, first) and learned(document, arm)
    }


def _board(document: Document, arm: str) -> b.Numbers:
    """The big numbers of an arm with their change from plain training."""
    mean = document["arms"][arm]["mean"]
    worst = _worst(document, arm)
    reasons = mean.get("reasons") or {}
    name = full_group_name(worst["group"]) if worst else reasons.get("worst_group_accuracy", "")
    n = worst["denominator"] if worst else None
    images = f", n = {number(n, 'count')}" if is_number(n) else ""
    why = reasons.get("accuracy_gap", "")
    overall = b.Value(mean["accuracy"]["overall"], "percent")
    worst_rate = b.Value(worst["value"] if worst else None, "percent", "no group to name")
    changes = [
        _change(document, arm, key, quantity)
        for key, quantity in (("overall", "accuracy"), ("worst_group", "worst_group_accuracy"),
                              ("gap", "accuracy_gap"))
    ]  # fmt: skip
    return b.Numbers(
        (
            b.Number("overall accuracy", overall, changes[0]),
            b.Number("worst group", worst_rate, (name + images, *changes[1])),
            b.Number("gap, best to worst", b.Value(mean["accuracy"]["gap"], "points", "no gap"),
                     (why or "percentage points", *changes[2])),
        ),
        b.Marked(arm_name(arm), arm_style(arm, arms_of(document))[0]),
        arm_meaning(arm, document["weights"].get(arm, {})),
    )  # fmt: skip


def _change(document: Document, arm: str, key: str, quantity: str) -> tuple[b.Text, ...]:
    """After minus before, and whether it was found; nothing where there is none."""
    if arm == BASELINE or BASELINE not in document["arms"]:
        return ()
    before, after = (document["arms"][name]["mean"]["accuracy"][key] for name in (BASELINE, arm))
    if not (is_number(before) and is_number(after)):
        return ()
    found = [
        f", {reading_name(change['reading'], None)}"
        for change in document["changes"]
        if change["reading"] == "difference_found"
        and (change["arm"], change["quantity"]) == (arm, quantity)
    ]
    lead = "of each training's worst: " if key == "worst_group" else ""
    return ((lead, b.Value(after - before, "change"), " points", *found[:1]),)


def _about_the_board(document: Document, baseline: Document) -> Iterator[b.Block]:
    seeds = document["run"]["seeds"]
    yield b.Sentence(
        f"Means over {seeds} seed{'' if seeds == 1 else 's'}, on test images that were never "
        "weighted or resampled. The worst group is the one with the lowest mean; its change and "
        "the gap are found in each training and then averaged. A change is called found where "
        "training again on these images would hardly undo it; where nothing stands beside it, "
        "that cannot be told.",
        "note",
    )
    first = baseline["metrics"][0]
    found = [row for row in baseline["spread"] if row["metric"] == first
             and is_number(row["expected_if_equal"])]  # fmt: skip
    if found:
        parts = (
            (f"{attribute_name(row['attribute'])} ", b.Value(row["expected_if_equal"], "reach"))
            for row in found
        )
        lead = (
            "Some gap always appears by chance. Groups of these sizes, all served equally well, "
            f"would on average lie this far apart in {words(first)}: "
        )
        yield b.Sentence((lead, *b.pieces(b.joined(parts, " points; ")), " points."), "note")


def banners(fairness: Mapping[str, Document], comparisons: Mapping[str, Document]) -> list[str]:
    """What a reader must know before any number: notes on the first arm, then on every change.

    Args:
        fairness: Arm to its fairness document, the baseline first.
        comparisons: Arm to its comparison with the baseline; may be empty.
    """
    first = list(next(iter(fairness.values()))["notes"])
    alone = []
    if len(fairness) == 1:
        alone = ["Only one classifier was trained: there is nothing to compare it with."]
    elif BASELINE not in fairness:
        alone = ["Plain training is not part of this run, so nothing was compared with it."]
    return [*alone, *first, *(note for note in _shared(comparisons) if _is_new(note, first))]


def arm_notes(
    arm: str, fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> list[str]:
    """Notes on the comparison of one arm that no banner tells."""
    told_ = [*next(iter(fairness.values()))["notes"], *_shared(comparisons)]
    return [note for note in comparisons[arm]["notes"] if _is_new(note, told_)]


def _shared(comparisons: Mapping[str, Document]) -> list[str]:
    """Warnings that all comparisons give in the same words."""
    every = [document["notes"] for document in comparisons.values()]
    common = [note for note in every[0] if all(note in notes for notes in every)] if every else []
    return [note for note in common if not note.startswith(_FIGURES)]


def _is_new(note: str, told_: list[str]) -> bool:
    """Two notes that open alike say the same, of rates and of their changes."""
    return _start(note) not in map(_start, told_)


def _start(note: str) -> str:
    return re.split(r"[:;.(]", note)[0].strip().lower()


def _sections(
    document: Document, pictures: Pictures, drawn: Mapping[str, bytes]
) -> Iterator[b.Section]:
    baseline, compared = _baseline(document), comparisons_of(document)
    yield b.Section("which", "Which groups?", tuple(which_groups(baseline)), "Which groups")
    yield b.Section("many", "How many?", tuple(_many(document, baseline)), "How many")
    yield b.Section(
        "different", "How different?", tuple(_different(document, drawn)), "How different"
    )
    yield b.Section("sure", "How sure?", tuple(_sure(document, drawn)), "How sure")
    if compared:
        changed = tuple(_changed(document, drawn))
        yield b.Section("change", "What changed?", changed, "What changed")
        harms = tuple(_harmed(compared))
        yield b.Section("harmed", "Who was harmed?", harms, "Who was harmed")
    yield b.Section("run", "What was run", tuple(_run(document)), "The run")
    yield b.Section("data", "The data", tuple(_data(document, pictures)), "Data")
    model = tuple(_model(document, pictures, drawn))
    if model:
        yield b.Section("latents", "What the model saw", model)
    if weighted_arms(document):
        done = tuple(weights_section(document, drawn, pictures))
        yield b.Section("weights", "What the weights did", done, "Weights")
    yield b.Section(
        "conclusions", "What may be concluded, and what not", tuple(_conclusions(document)),
        "Conclusions",
    )  # fmt: skip
    yield b.Section("numbers", "All numbers", tuple(_numbers(document)))
    yield HOW_TO_READ
    yield b.Section("provenance", "Provenance", tuple(_provenance(document)))


def _many(document: Document, baseline: Document) -> Iterator[b.Block]:
    seeds = document["run"]["seeds"]
    trained = (
        f", classified by {seeds:,} trainings of every arm (counts that rest on predictions are "
        "means over them)"
        if seeds > 1
        else ""
    )
    n = b.Value(baseline["n"], "count")
    yield b.Sentence((n, " test images", *b.pieces(people(baseline)), f"{trained}."))
    if baseline["attributes"]:
        count = sum(len(found["groups"]) for found in baseline["attributes"])
        note = "and what each group is too small for"
        inside = tuple(sizes(baseline))
        yield b.Fold("Test images by group", inside, note, count <= OPEN_SIZES)


def _no_finding(document: Document) -> Iterator[b.Sentence]:
    failed = [arm_name(arm) for arm in arms_of(document) if not learned(document, arm)]
    if failed:
        them = "it" if len(failed) == 1 else "them"
        yield b.Sentence(
            f"{', '.join(failed)} learned nothing: differences below that involve {them} are "
            "between guesses, whatever is said beside them.",
            "caution",
        )


def _different(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    baseline = _baseline(document)
    name = arm_name(arms_of(document)[0]).lower()
    yield from _no_finding(document)
    yield from other_charts(baseline, drawn, baseline, MEASURES_OF_A_RUN)
    gaps = sorted(baseline["gaps"], key=largest_gap_first)
    yield from largest(
        gaps, baseline, GAPS_OF_A_RUN, f"The largest differences under {name}",
        "of each measure and attribute, found ones first",
    )  # fmt: skip


def _sure(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    first, *others = fairness_of(document).items()
    baseline = first[1]
    yield b.Heading(arm_name(first[0]))
    yield from verdicts(baseline)
    yield from how_level(baseline)
    for arm, found in others:
        note = reading_of(found["verdict"], found["margin"])
        yield b.Fold(arm_name(arm), tuple(verdicts(found)), note)
    if "detectable" in drawn:
        yield b.Heading("What could have been found with these sizes", arm_name(first[0]).lower())
        yield detectable(drawn["detectable"], baseline["metrics"][0])
    yield from ratios(baseline)
    yield from noise(baseline)


def _changed(document: Document, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    yield from _no_finding(document)
    yield b.Sentence(
        "A change carries two intervals: other images of the same kind, and training again with "
        "other seeds. It is found only if both agree."
    )
    yield b.to_do(
        "look for losses first. A smaller gap that comes from doing worse for everybody is no gain."
    )
    for arm, found in comparisons_of(document).items():
        yield from _arm_changed(arm, found, document, drawn)


def _arm_changed(
    arm: str, found: Document, document: Document, drawn: Mapping[str, bytes]
) -> Iterator[b.Block]:
    against = arm_name(arms_of(document)[0]).lower()
    yield b.Heading(f"{arm_name(arm)} against {against}")
    yield verdict(found["verdict"], found["margin"])
    notes = arm_notes(arm, fairness_of(document), comparisons_of(document))
    yield b.Sentence(" ".join([directions(found), *notes]))
    charts = change_charts(found, drawn, run_change_names(arm, found))
    for place, (title, note, chart) in enumerate(charts):
        yield b.Fold(title, (chart,), note, is_open=not place)
    yield from first_changes(found)
    gains = found["verdict"]["gains"]
    if gains:
        yield b.Fold("Gains", (b.Points(tuple(gains)),), f"{len(gains):,}", is_open=True)
    if found["trade"]:
        yield b.Fold("What was traded for what", tuple(trade(found, 1)), "all test images")


def _harmed(compared: Mapping[str, Document]) -> Iterator[b.Block]:
    for arm, found in compared.items():
        yield b.Heading(arm_name(arm))
        yield from harmed(
            found, "No group was found to be served worse; that does not rule it out."
        )


def _run(document: Document) -> Iterator[b.Block]:
    yield b.Sentence(
        f"{how_described(document['representation'])} Faces that look unlike most others then "
        "received more weight, and a classifier was trained again with these weights. Every arm "
        "uses the same network and the same number of steps."
    )
    yield b.Facts(tuple(_run_facts(document)))


def _run_facts(document: Document) -> Iterator[tuple[b.Text, b.Text]]:
    run, data = document["run"], document["data"]
    seconds = run["seconds"]
    spent = sum(value for value in seconds.values() if is_number(value))
    yield "Data set", f"{data['name']}, {data['image_size']} {TIMES} {data['image_size']} pixels"
    yield "Images", ", ".join(f"{number(n, 'count')} {split}" for split, n in data["n"].items())
    yield "Task", f"{words(data['label'])}: {' or '.join(map(str, data['classes']))}"
    yield "Attributes", ", ".join(map(words, data["attributes"])) or "none annotated"
    yield "Compared", ", ".join(map(arm_name, arms_of(document)))
    yield "Seeds", f"{run['seeds']} for each"
    threads = f"{run['threads']} thread{'' if run['threads'] == 1 else 's'}"
    yield "Machine", f"{run['device']}, {run['precision']}, {threads}"
    yield "Time", number(spent, "seconds") if seconds else "not recorded"
    yield "Folder", str(run["folder"])
    place = run["mlflow"]
    if place:
        is_address = place.startswith(("http://", "https://"))  # anything else stays text
        yield "Tracked runs", b.Link(place, place) if is_address else b.Code(place)


def how_described(facts: Mapping[str, Any]) -> str:
    """Where the numbers come from by which faces are compared."""
    known = {
        "encoder": "An encoder made elsewhere described the faces; what it was trained on, and "
        "with which labels, is not known here.",
        "embeddings": "The faces are described by embeddings made elsewhere; what these were "
        "trained on, and with which labels, is not known here.",
    }
    learned_ = "A model first learned to describe the faces without being told anything about them."
    return known.get(str(facts.get("name")), learned_)


def _data(document: Document, pictures: Pictures) -> Iterator[b.Block]:
    data = document["data"]
    if data["annotation"]:
        yield b.Sentence(data["annotation"])
    yield from _samples(pictures)
    yield from _group_counts(data["groups"])
    yield from set_aside(data["set_aside"])
    yield from _rarity(pictures)


def _samples(pictures: Pictures) -> Iterator[b.Block]:
    if not pictures.faces_shown:
        yield b.Sentence(
            "The configuration does not allow faces on this page, so none are shown: neither "
            "images of the data nor pictures made by the model.", "note",
        )  # fmt: skip
        return
    found = tuple(sheets(pictures.samples, COLUMNS, parts=2))
    if found:
        yield b.Faces(found, "Training images drawn at random")
        yield b.Sentence(
            "Training images drawn at random. This is what the classifier learns from, in the "
            "proportions in which it sees them."
        )
        yield b.to_do(
            "look for who is missing, and for what goes along with the label that should not: a "
            "background, a hairstyle, a light."
        )


def _group_counts(rows: Sequence[Row]) -> Iterator[b.Block]:
    """Training and test images by group, by attribute, rarest first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["attribute"], []).append(row)
    for attribute, listed in found.items():
        listed.sort(key=lambda row: row["train"] if is_number(row["train"]) else -1)
        yield b.Table(
            ("group", "training", "share", "test"),
            tuple(
                b.Row((
                    b.Cell(group_name(attribute, row["group"]), title=row["group"]),
                    b.Value(row["train"], "count", "withheld"),
                    b.Cell(b.Value(share := row["train_share"], "percent", "withheld"), bar=share),
                    b.Value(row["test"], "count", "withheld"),
                ))
                for row in listed
            ),
            f"Images by {attribute_name(attribute)}", look="",
        )  # fmt: skip
    if not found:
        yield b.Sentence(
            "No attribute is annotated in this data set, so nothing on this page is broken down "
            "by group."
        )
        return
    yield b.to_do(
        "where a group is rare in training, expect the classifier to serve it worse; where it is "
        "rare in the test set, expect wide intervals below."
    )


def set_aside(found: Mapping[str, Any]) -> Iterator[b.Fold]:
    """Images that were left out, by reason."""
    if not found["count"]:
        return
    rows = tuple(b.Row((one["reason"], b.Value(one["count"], "count"))) for one in found["reasons"])
    said = ("Every one of them is named in ", b.Code(str(found["list"])),
            ", which stays on this machine.")  # fmt: skip
    yield b.Fold(
        f"{found['count']:,} image{'' if found['count'] == 1 else 's'} set aside",
        (b.Table(("reason", "images"), rows), b.Sentence(said, "note")),
        "not part of any number here",
    )


def _rarity(pictures: Pictures) -> Iterator[b.Block]:
    sides = (
        ("Least represented", pictures.least_represented,
         "The rarest first. Few other training images look like these."),
        ("Most represented", pictures.most_represented,
         "The most common kind. Many training images look like these."),
    )  # fmt: skip
    found = tuple(
        (b.Faces(tuple(images), f"The {label.lower()} training images", label, caption),)
        for label, pixels, caption in sides
        if pictures.faces_shown and (images := sheets(pixels, COLUMNS, most=24))
    )
    if found:
        yield b.Grid(found)
        yield b.to_do(
            "compare the two sides. Rarity is about looks as the model describes them: it may mean "
            "a rare kind of person, but also an odd background or a bad photograph. Where you can "
            "name a kind of person that appears only among the rare, collect more of it."
        )


def _model(document: Document, pictures: Pictures, drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    facts = document["representation"]
    if facts:
        yield _dimensions(facts)
    if pictures.faces_shown:
        yield from _redrawn(pictures)
        yield from _traversals(pictures)
    if "latent_dimensions" in drawn:
        yield from _latents(drawn["latent_dimensions"], "file" in facts)
    if "training_curves" in drawn:
        yield b.Heading("Training")
        yield b.Chart(drawn["training_curves"], "Training curves, one panel for each quantity")
        yield b.to_do(
            "curves should have flattened. If the training curve still falls while the validation "
            "curve rises, the model is memorising."
        )
    listed = [*representation_facts(facts)]
    if listed or "file" in facts:
        names = [(label, str(facts[key])) for key, label in (("name", "kind"), ("file", "file"))
                 if key in facts]  # fmt: skip
        yield b.Fold("Figures of the model", (b.Facts((*names, *listed)),))


def _dimensions(facts: Mapping[str, Any]) -> b.Sentence:
    every, active = (b.Value(facts.get(key), "count") for key in ("latent_dim", "active_units"))
    if "file" in facts:
        return b.Sentence((
            "Each face is described by ", every, " numbers from ", b.Code(str(facts["file"])),
            ", called latent dimensions. ", active,
            " of them vary over the training images; the weights rest on these.",
        ))  # fmt: skip
    return b.Sentence((
        "The model describes each face with ", every, " numbers, called latent dimensions. ",
        active, " of them carry information; the weights rest on these, or on the directions in "
        "which the faces differ most.",
    ))  # fmt: skip


def _redrawn(pictures: Pictures) -> Iterator[b.Block]:
    pairs = _pairs(pictures)
    if pairs:
        yield b.Heading("Faces and what the model keeps of them")
        yield b.Faces(pairs, "Rows of original faces, each above the row of its reconstructions")
        yield b.Sentence(
            "Each row of faces stands above the same faces redrawn from their latent numbers alone."
        )
        yield b.to_do(
            "what is blurred or lost in the lower rows is invisible to the weights. If something "
            "that matters is lost, train longer or use more dimensions."
        )


def _pairs(pictures: Pictures) -> tuple[str, ...]:
    if pictures.originals is None or pictures.reconstructions is None:
        return ()
    above, below = shrink(pictures.originals[:24]), shrink(pictures.reconstructions[:24])
    half = -(-len(above) // 2) if len(above) >= 2 * COLUMNS else len(above)
    return tuple(
        webp(contact_sheet(paired_rows(above[part], below[part], COLUMNS), min(COLUMNS, half)))
        for part in (slice(0, half), slice(half, None))
        if len(above[part])
    )


def _traversals(pictures: Pictures) -> Iterator[b.Block]:
    if pictures.traversals is None:
        return
    yield b.Heading("What single dimensions mean")
    rows = zip(pictures.traversed_dimensions, pictures.traversals, strict=True)
    yield b.Grid(tuple(
        (b.Faces(
            (webp(contact_sheet(shrink(row), len(row), gap=0)),),
            f"One face redrawn with latent dimension {dimension} set from low to high",
            f"dimension {dimension}",
        ),)
        for dimension, row in rows
    ))  # fmt: skip
    yield b.Sentence(
        "One face, redrawn while a single dimension moves from low on the left to high on the "
        "right."
    )
    yield b.to_do(
        "put a name to each row: light, background, tone, hair. A dimension that moves something "
        "you do not care about still makes images count as rare."
    )


def _latents(svg: bytes, is_file: bool) -> Iterator[b.Block]:
    grey = "they are the same for every image" if is_file else "the model does not use them"
    little = (
        "the file says little about these images" if is_file else "the model has learned little"
    )
    yield b.Heading("How the training images spread over each dimension")
    yield b.Chart(
        svg, "One small histogram for each latent dimension",
        "One histogram for each dimension. Images in a thin tail are rare there and get more "
        f"weight. Grey dimensions are inactive: {grey}. The few most extreme values lie outside "
        "the frame.",
    )  # fmt: skip
    yield b.to_do(f"if most panels are grey, {little} and the weights mean little.")


def representation_facts(facts: Mapping[str, Any]) -> Iterator[tuple[b.Text, b.Text]]:
    """Each figure of the representation that is known."""
    listed = (
        ("epochs", "epochs of training", "count"),
        ("elbo", "evidence lower bound, nats an image", "plain"),
        ("reconstruction", "reconstruction part, nats", "plain"),
        ("kl", "divergence from the prior, nats", "plain"),
        ("bits_per_dimension", "bits per pixel value", "plain"),
        ("sigma", "noise the decoder assumes", "plain"),
        ("saturated_log_var", "log-variances at their limit", "plain"),
    )
    for key, label, kind in listed:
        if key in facts:
            yield label, b.Value(facts[key], kind)


def _conclusions(document: Document) -> Iterator[b.Block]:
    supported = tuple(document["concluded"]) or ("Nothing beyond the numbers themselves.",)
    unlisted = (
        "That a group not listed here is served equally well: only annotated groups were measured."
    )
    yield b.Grid((
        (b.Heading("These numbers support"), b.Points(supported)),
        (b.Heading("They do not support"), b.Points((*document["not_concluded"], unlisted))),
    ))  # fmt: skip
    yield b.Heading("What was measured")
    yield b.Points(tuple(_baseline(document)["scope"]))
    every = (said for one in comparisons_of(document).values() for said in one["scope"])
    changes = tuple(dict.fromkeys(every))
    if changes:
        yield b.Fold("The same for the changes", (b.Points(changes),))


def _numbers(document: Document) -> Iterator[b.Block]:
    yield b.Sentence((
        "Every rate with what it was counted from: how many of how many, the 95% interval, and "
        "the standard deviation over seeds in points. The same numbers, unrounded, are in ",
        b.Code("report.json"), ".",
    ))  # fmt: skip
    deviations = {
        arm: {(row["attribute"], row["group"], row["metric"]): row.get("sd")
              for row in record["mean"]["by_group"]}
        for arm, record in document["arms"].items()
    }  # fmt: skip
    yield from rates(fairness_of(document), deviations)
    for arm, found in fairness_of(document).items():
        if found["gaps"]:
            inside = tuple(_all_gaps(found))
            yield b.Fold(f"Differences under {arm_name(arm).lower()}", inside, "every comparison")
    for arm, found in comparisons_of(document).items():
        if found["groups"]:
            inside = tuple(all_changes(found, "{}", "Gaps in {}"))
            note = "every rate and every gap"
            yield b.Fold(f"Changes under {arm_name(arm).lower()}", inside, note)
    yield from _summary_changes(document["changes"])
    yield _every_seed(document)


def _all_gaps(found: Document) -> Iterator[b.Block]:
    gaps = sorted(found["gaps"], key=largest_gap_first)
    yield from complete(
        gaps, "differences", lambda rows: gap_table(rows, found, full=True), "{}", "comparisons"
    )
    yield b.Heading("Highest minus lowest group", "never below zero; read it against chance")
    yield spread(found)


def _summary_changes(changes: Sequence[Row]) -> Iterator[b.Fold]:
    """Change of each summary figure from plain training, with its interval and reading."""
    if not changes:
        return
    table = b.Table(
        ("quantity", "arm", "before", "after", "change, points", "interval, adjusted", "seeds",
         "reading"),
        tuple(map(_summary_change, changes)), left=(0, 1, 7),
    )  # fmt: skip
    said = (
        "The interval is about training again with other seeds on these test images. It says "
        "nothing about other images. It is widened for the number of rows (Bonferroni), so that "
        "all intervals together hold with 95%, and cut at the largest change that is possible."
    )
    yield b.Fold(
        "Changes of the summary figures", (table, b.Sentence(said, "note")),
        "against plain training, over seeds",
    )  # fmt: skip


def _summary_change(row: Row) -> b.Row:
    share = is_share(row["quantity"])
    kind, change = ("percent", "change") if share else ("plain", "signed")
    low, high = row["low"], row["high"]
    if share and is_number(low) and is_number(high):
        low, high = max(low, -1.0), min(high, 1.0)
    ends = (b.Value(row[end], kind) for end in ("before", "after"))
    return b.Row((
        quantity_name(row["quantity"]), arm_name(row["arm"]), *ends, b.Value(row["mean"], change),
        b.between(low, high, change), b.Value(row["n_seeds"], "count"),
        reading_name(row["reading"], row.get("reason")),
    ))  # fmt: skip


def _every_seed(document: Document) -> b.Fold:
    """Every seed of every arm, then the mean and the standard deviation over seeds."""
    rows: list[b.Row] = []
    for arm in arms_of(document):
        name = b.Marked(arm_name(arm), arm_style(arm, arms_of(document))[0])
        record = document["arms"][arm]
        parts = [(f"seed {seed['seed']}", seed) for seed in record["seeds"]]
        parts.append(("mean", record["mean"]))
        if len(record["seeds"]) > 1:
            parts.append(("standard deviation", record["mean"].get("sd") or {}))
        rows += [b.Row((name, kind, *_scalars(found)), "mean" * (kind == "mean"))
                 for kind, found in parts]  # fmt: skip
    headings = ("arm", "", *(label for _, label, _ in SCALARS))
    table = b.Table(headings, tuple(rows), left=(0, 1), look="tight")
    return b.Fold("Every seed", (table,), "all classifiers that were trained")


def _scalars(record: Mapping[str, Any]) -> list[b.Value]:
    return [b.Value(_dig(record, *keys), kind) for keys, _, kind in SCALARS]


def _dig(record: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401 (a field of the document)
    """Follow keys into nested mappings; None where one is missing."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _provenance(document: Document) -> Iterator[b.Block]:
    yield b.Sentence(
        f"debias {document['version']}, report schema {document['schema']}. The configuration "
        "below repeats this run."
    )
    yield from provenance_folds(document["run"])


def provenance_folds(run: Mapping[str, Any]) -> Iterator[b.Fold]:
    """The configuration, and the time of each stage."""
    text = json.dumps(run["config"], indent=2, ensure_ascii=False, default=plain_value)
    yield b.Fold("Configuration", (b.Preformatted(text),))
    if run["seconds"]:
        spent = ((words(name), b.Value(value, "seconds")) for name, value in run["seconds"].items())
        yield b.Fold("Time by stage", (b.Facts(tuple(spent)),))
