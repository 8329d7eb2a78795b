"""The page about a run, and what a terminal and Prefect show of it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

from debias.metrics import documents as d
from debias.metrics.documents import Number
from debias.report import blocks as b
from debias.report import comparison_page as pair
from debias.report import fairness_page as single
from debias.report import readings as r
from debias.report import words as w
from debias.report.charts.style import arm_style
from debias.report.documents import (
    Data,
    Diagnosis,
    Errors,
    GroupCounts,
    Prevalence,
    Remedy,
    RunDocument,
    SetAside,
)
from debias.report.fairness_charts import MEASURES_OF_A_RUN, run_change_names
from debias.report.methods import methods_table
from debias.report.opening import first_metric, learned, less_often
from debias.report.pictures import Pictures, contact_sheet, paired_rows, sheets, shrink, webp
from debias.report.texts import TEXTS, chart, note, sections_of
from debias.report.weights_page import COLUMNS, weights_section
from debias.types import BASELINE

GAPS_OF_A_RUN = 6
SCALARS = {
    "overall accuracy": "{overall:percent}",
    "worst group of each training": "{worst_group:percent}",
    "gap of each training, points": "{gap:points}",
    "variance over groups": "{variance:plain}",
    "AUROC": "{auroc:plain}",
    "calibration error": "{expected_calibration_error:plain}",
    "true positive rate": "{true_positive_rate:percent}",
    "false positive rate": "{false_positive_rate:percent}",
    "selection rate": "{selection_rate:percent}",
}
FIGURES = {
    "epochs": "epochs of training",
    "loss": "loss on validation images",
    "elbo": "evidence lower bound, nats an image",
    "reconstruction": "reconstruction part, nats",
    "kl": "divergence from the prior, nats",
    "bits_per_dimension": "bits per pixel value",
    "sigma": "noise the decoder assumes",
    "saturated_log_var": "log-variances at their limit",
}
ERRORS: b.Columns[Errors] = {  # of a plain model
    "without annotation: errors": "{rate:percent}",
    "images that err most": "{images:percent}",
    "share of the errors": "{share:percent}",
    "95% interval": "{low..high:percent}",
    "by chance": "{chance:percent}",
    "against the label of their look": "{against:percent|}",
    "labels told within a look": "{told:percent|}",
}
# How notes begin that hold figures of one arm rather than a warning about all of them.
_FIGURES = ("Over all images", "Of ")


@dataclass(frozen=True)
class Run:
    """The document with its charts, and what many sections ask of it."""

    document: RunDocument
    drawn: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def arms(self) -> list[str]:
        """The one that the others stand beside first: plain training, if any."""
        return r.arms_of(self.document)

    @cached_property
    def fairness(self) -> dict[str, d.FairnessDocument]:
        return r.fairness_of(self.document)

    @property
    def first(self) -> d.FairnessDocument:
        """Of the first arm, which stands for the run where only one can be shown."""
        return self.fairness[self.arms[0]]

    @property
    def compared(self) -> Mapping[str, d.ComparisonDocument]:
        return self.document["comparisons"]

    def mean(self, arm: str) -> d.SummaryDocument:
        return self.document["arms"][arm]["mean"]


def page(document: RunDocument, pictures: Pictures, drawn: Mapping[str, bytes]) -> b.Page:
    """The page, given its charts by name."""
    created, size = w.day(document["created"]), document["data"]["image_size"]
    task = document["opening"]["sentences"][0].rstrip(".")
    run = Run(document, drawn)
    return b.Page(
        title=f"{document['name']}: differences between groups",
        kicker=f"{document['name']} · {task} · {created}",
        heading=document["opening"]["headline"],
        opening=tuple(_opening(run)),
        sections=sections_of(TEXTS["run"], _sections(run, pictures)),
        footer=f"Made by debias {document['version']}, {created}. This page measures differences "
        "between annotated groups on one test set. It is no statement about other data, other "
        "groups, or a use of the classifier.",
        crisp=w.is_number(size) and size < 40,
    )


def _sections(run: Run, pictures: Pictures) -> dict[str, Iterable[b.Block]]:
    document, drawn = run.document, run.drawn
    return {
        "which": single.which(run.first), "many": single.many(run.first, document["run"]["seeds"]),
        "different": _different(run), "sure": _sure(run), "change": _changed(run),
        "harmed": _harmed(run), "trouble": _trouble(document["diagnoses"]),
        "run": _run(document), "data": _data(document["data"], pictures),
        "latents": _model(document, pictures, drawn),
        "weights": weights_section(document, drawn, pictures), "conclusions": _conclusions(run),
        "numbers": _numbers(run), "read": single.HOW_TO_READ, "provenance": _provenance(document),
    }  # fmt: skip


def summary(document: RunDocument) -> Iterator[b.Block]:
    """What a terminal shows: who is served worse, the arms, what may be concluded, what to do."""
    yield b.Sentence(document["opening"]["headline"], "verdict")
    task, first, *others = told = document["opening"]["sentences"]
    yield b.Sentence(f"{task} {first}", "lead")
    yield from [b.Points(others)] * bool(others)
    yield _arms_table(Run(document))
    refused = document["refused"].items()
    left_out = [f"Arm {arm!r} was left out: {why}." for arm, why in refused]
    trouble = [one["sentence"] for one in document["diagnoses"]]
    concluded = [one for one in document["concluded"] if one not in told]
    yield b.Points((*left_out, *trouble, *concluded))
    yield from _stopped(Run(document))
    yield from _steps(document)


def _arms_table(run: Run) -> b.Table:
    """The summary figures of each arm, means over its trainings."""
    seeds = run.document["run"]["seeds"]
    trainings = f"mean over {seeds} trainings, sd in brackets" if seeds > 1 else "one training"

    def cell(value: Number, sd: Number) -> b.Text:
        return b.joined((b.Value(value, "percent"), b.said("sd?({sd:points})", sd=sd)))

    def row(arm: str) -> b.Row:
        mean, (worst, _) = run.mean(arm), _ends(run, arm)
        lowest: b.Text = b.Value(None, missing="no group to name")
        if worst:
            lowest = cell(worst["value"], _spread(run, arm)[r.key_of(worst)])
        return b.Row((
            arm, cell(mean["accuracy"]["overall"], mean["sd"]["accuracy"]["overall"]), lowest,
            b.Value(_gap(run, arm), "points", "no two groups to compare"),
            w.full_group_name(worst["group"]) if worst else "",
        ))  # fmt: skip

    headings = ("arm", "accuracy", "worst group", "gap, points", "which one")
    rows = tuple(map(row, run.document["arms"]))
    return b.Table(headings, rows, f"{run.document['name']}: {trainings}", left=(0, 4))


def _ends(run: Run, arm: str) -> list[d.RateRow | None]:
    """Accuracy of the groups whose means over the trainings are lowest and highest."""
    rows = {row["group"]: row for row in r.of(run.fairness[arm]["by_group"], "accuracy")}
    extremes = run.mean(arm)["extremes"]
    return [rows.get(extremes.get(name, "")) for name in ("worst_group", "best_group")]


def _gap(run: Run, arm: str) -> float | None:
    """Between those two, so that it is the difference of what is printed."""
    worst, best = (None if row is None else row["value"] for row in _ends(run, arm))
    return None if best is None or worst is None else best - worst


def _spread(run: Run, arm: str) -> dict[tuple[str, str, str], Number]:
    """Standard deviation of every rate over the trainings of an arm."""
    return {key: row["sd"] for key, row in r.by_key(run.mean(arm)["by_group"]).items()}


def _steps(document: RunDocument) -> Iterator[b.Step]:
    """What to do next."""
    for place, step in enumerate(document["opening"]["next"]):
        again = "" if step["command"] else " Set this and run it again into the same folder:"
        lead = "And:" if place else "What to do next:"
        yield b.Step(f"{step['why']}{again}", step["command"] or step["setting"], lead)


def _opening(run: Run) -> Iterator[b.Block]:
    """Who is served worse in at most sixty words and a picture; then the rest."""
    document = run.document
    _, first, *others = document["opening"]["sentences"]
    yield b.Sentence(first, "lead")
    yield from [b.Points(others)] * bool(others)
    yield from single.interval_chart(run.first, run.drawn, first_metric(run.first), "first")
    ways = b.Link("who was harmed", "#harmed"), b.Link("what changed", "#change")
    for arm, found in run.compared.items():
        if learned(document, run.arms[0]) and learned(document, arm):
            cards = pair.told(found, f" under {w.arm_name(arm).lower()}", *ways)
            yield from (card for card in cards if card.tone == "harm")
    yield from _primary(run)
    yield from _steps(document)
    yield from single.cautions(banners(run))
    boards = (*(_board(run, arm) for arm in run.arms), *_about_the_board(run), *_methods(run))
    yield b.Fold("Accuracy under every arm", boards, "overall, of the worst group, and the gap")


def _board(run: Run, arm: str) -> b.Numbers:
    """The big numbers of an arm with their change from plain training."""
    mean, (worst, _) = run.mean(arm), _ends(run, arm)
    reasons, value = mean["reasons"], None
    name: b.Text = reasons.get("worst_group_accuracy", "")
    if worst:
        n = b.said("denominator?, n = {denominator:count}", worst)
        value, name = worst["value"], b.joined((w.full_group_name(worst["group"]), n), "")
    return b.Numbers(
        (
            b.Number("overall accuracy", b.Value(mean["accuracy"]["overall"], "percent"),
                     tuple(_change(run, arm, "accuracy", ""))),
            b.Number("worst group", b.Value(value, "percent", "no group to name"),
                     (name, *_change(run, arm, "worst_group_accuracy", "of each training's: "))),
            b.Number("best minus worst group", b.Value(_gap(run, arm), "points", "no gap"),
                     (reasons.get("accuracy_gap") or "percentage points",
                      *_change(run, arm, "accuracy_gap", "of each training's: "))),
        ),
        b.Marked(w.arm_name(arm), arm_style(arm, run.arms)[0]),
        w.arm_meaning(arm, run.document["weights"].get(arm, {})),
    )  # fmt: skip


def _change(run: Run, arm: str, quantity: str, lead: str) -> Iterator[b.Text]:
    """The change of a primary question, and whether it was found."""
    for row in run.compared[arm]["primary"] if arm in run.compared else ():
        if row["quantity"] == quantity:
            found = ", difference found" * (row["reading"] == "difference_found")
            yield lead, b.Value(row["change"], "change"), f" points{found}"


def _about_the_board(run: Run) -> Iterator[b.Block]:
    seeds, first = run.document["run"]["seeds"], run.first["metrics"][0]
    yield note("board", tone="note", seeds=w.amount(seeds, "seed"))
    parts = [
        (f"{w.attribute_name(row['attribute'])} ", b.Value(row["expected_if_equal"], "points"))
        for row in run.first["spread"]
        if row["metric"] == first and w.is_number(row["expected_if_equal"])
    ]
    if parts:
        apart = b.joined(parts, " points; ")
        yield note("chance", tone="note", first=w.words(first), parts=apart)


def _methods(run: Run) -> Iterator[b.Block]:
    """The arms as the literature lists methods."""
    if len(run.arms) > 1:
        yield b.Heading("The arms as methods")
        yield methods_table(run.document)
        yield note("methods", tone="note")


def banners(run: Run) -> list[str]:
    """What a reader must know before any number: notes on the first arm, then on every change."""
    first, alone = run.first["notes"], []
    if len(run.arms) == 1:
        alone = ["Only one classifier was trained: there is nothing to compare it with."]
    elif BASELINE not in run.arms:
        alone = ["Plain training is not part of this run, so nothing was compared with it."]
    planted = filter(None, [run.document["data"]["planted"]])
    return [
        *planted,
        *alone,
        *first,
        *(note for note in _shared(run.compared) if _is_new(note, first)),
    ]


def arm_notes(run: Run, arm: str) -> list[str]:
    """Notes on the comparison of one arm that no banner tells."""
    above = [*run.first["notes"], *_shared(run.compared)]
    return [note for note in run.compared[arm]["notes"] if _is_new(note, above)]


def _shared(comparisons: Mapping[str, d.ComparisonDocument]) -> list[str]:
    """Warnings that all comparisons give in the same words."""
    first, *others = [document["notes"] for document in comparisons.values()] or [[]]
    common = [note for note in first if all(note in notes for notes in others)]
    return [note for note in common if not note.startswith(_FIGURES)]


def _is_new(note: str, above: Sequence[str]) -> bool:
    """Two notes that open alike say the same, of rates and of their changes."""
    start, *starts = (re.split(r"[:;.(]", one)[0].strip().lower() for one in (note, *above))
    return start not in starts


def _no_finding(run: Run) -> Iterator[b.Sentence]:
    failed = [w.arm_name(arm) for arm in run.arms if not learned(run.document, arm)]
    if failed:
        them = "it" if len(failed) == 1 else "them"
        yield note("guesses", tone="verdict", failed=", ".join(failed), them=them)


def _different(run: Run) -> Iterator[b.Block]:
    yield from _no_finding(run)
    who = f" under {w.arm_name(run.arms[0]).lower()}"
    yield from single.different(run.first, run.drawn, MEASURES_OF_A_RUN, GAPS_OF_A_RUN, who)


def _sure(run: Run) -> Iterator[b.Block]:
    yield b.Heading(w.arm_name(run.arms[0]))
    yield from single.sure(run.first, run.drawn, (
        b.Fold(
            w.arm_name(arm), (*single.verdicts(found), *single.spread(found)),
            r.reading_of(found["verdict"], found["margin"]),
        )
        for arm, found in run.fairness.items() if arm != run.arms[0]
    ))  # fmt: skip


def _changed(run: Run) -> Iterator[b.Block]:
    if run.compared:
        yield from _no_finding(run)
        said = (f"{w.arm_name(arm)}: {pair.counts(found)}." for arm, found in run.compared.items())
        yield b.Sentence(" ".join(said))
        yield note("two_intervals")
        yield note("losses")
    for arm, found in run.compared.items():
        yield b.Heading(f"{w.arm_name(arm)} against {w.arm_name(run.arms[0]).lower()}")
        yield single.verdict(found["verdict"], found["margin"])
        yield b.Sentence(" ".join([pair.directions(found), *arm_notes(run, arm)]))
        charts = list(pair.change_charts(found, run.drawn, run_change_names(arm, found)))
        opened = [replace(chart, is_open=True) for chart in charts[:1]]
        yield from pair.changed(found, [*opened, *charts[1:]], traded=1)


def _harmed(run: Run) -> Iterator[b.Block]:
    none = "No group was found to be served worse by this classifier; that does not rule it out."
    for arm, found in run.compared.items():
        yield b.Heading(w.arm_name(arm))
        if said := less_often(arm, run.document["weights"].get(arm, {})):
            yield b.Sentence(said)
        yield from pair.harmed(found, none)


def _trouble(found: Sequence[Diagnosis]) -> Iterator[b.Block]:
    """Rare, or tied to the label: a sentence a column, then its figures and what helps."""
    if not found:
        return
    yield b.Points([one["sentence"] for one in found])
    yield note("trouble", tone="note")
    ties: b.Columns[Diagnosis] = {
        "column": lambda one: w.attribute_name(one["attribute"]) or "without annotation",
        "reading": lambda one: w.words(one["reading"]),
        "Cramér's V": "{cramers_v:auc}",
        "95% interval": "{low..high:auc}",
    }
    shares: b.Columns[Prevalence] = {
        "group": lambda row: b.Cell(w.full_group_name(row["group"]), title=row["group"]),
        "share of a class": "{share:percent|withheld}",
        "95% interval": "{low..high:percent|withheld}",
        "rare": lambda row: "cannot tell" if row["rare"] is None else ("no", "yes")[row["rare"]],
    }
    tables = [b.table(one["groups"], shares, left=(0, 3)) for one in found if one["groups"]]
    tables += [b.table([one["errors"]], ERRORS) for one in found if one["errors"]]
    yield b.Fold("The figures behind this", (b.table(found, ties, left=(0, 1)), *tables))
    helps = [one for one in found if one["remedies"]]
    if helps:
        tables = [_remedies(one) for one in helps]
        yield b.Fold("What is known to help", (note("remedies"), *tables), "elsewhere, and here")


def _remedies(found: Diagnosis) -> b.Table:
    columns: b.Columns[Remedy] = {
        "method": lambda row: w.words(row["method"]),
        "against": "{against}",
        "group labels": "{group_labels}",
        "found by": lambda row: row["source"] or "this run alone",
        "in this run": lambda row: f"{row['arm']}: {row['here']}" if row["arm"] else "no such arm",
    }
    title = w.attribute_name(found["attribute"])
    return b.table(found["remedies"], columns, title=title, left=(0, 1, 2, 3, 4))


def _run(document: RunDocument) -> Iterator[b.Block]:
    yield note("how_made", described=how_described(document["representation"]))
    run, data, place = document["run"], document["data"], document["run"]["mlflow"]
    spent = sum(value for value in run["seconds"].values() if w.is_number(value))
    facts: dict[str, b.Text] = {
        "Data set": f"{data['name']}, {data['image_size']} {w.TIMES} {data['image_size']} pixels",
        "Images": ", ".join(f"{w.number(n, 'count')} {split}" for split, n in data["n"].items()),
        "Task": f"{w.words(data['label'])}: {' or '.join(map(str, data['classes']))}",
        "Attributes": ", ".join(map(w.words, data["attributes"])) or "none annotated",
        "Compared": ", ".join(map(w.arm_name, r.arms_of(document))),
        "Seeds": run["stopping"]["sentence"] if run["stopping"] else f"{run['seeds']} for each",
        "Machine": f"{run['device']}, {run['precision']}, {w.amount(run['threads'], 'thread')}",
        "Time": w.number(spent, "seconds") if run["seconds"] else "not recorded",
        "Folder": str(run["folder"]),
    }
    if place:
        is_address = place.startswith(("http://", "https://"))  # anything else stays text
        facts["Tracked runs"] = b.Link(place, place) if is_address else b.Code(place)
    if lost := run.get("unpublished"):
        facts["Not published"] = lost
    yield b.Facts(tuple(facts.items()))


def how_described(facts: Mapping[str, object]) -> str:
    """Where the numbers come from by which faces are compared."""
    foreign = "made elsewhere{}; what {} trained on, and with which labels, is not known here."
    if facts.get("name") == "encoder":
        return f"An encoder {foreign.format(' described the faces', 'it was')}"
    if facts.get("name") == "embeddings":
        return f"The faces are described by embeddings {foreign.format('', 'these were')}"
    learned = "A model first learned to describe the faces"
    if "told" in facts:
        told = w.words(str(facts["told"]))
        return f"{learned}; of each it was told the {told}, and nothing else."
    return f"{learned} without being told anything about them."


def _data(data: Data, pictures: Pictures) -> Iterator[b.Block]:
    shown = pictures.faces_shown
    if data["annotation"]:
        yield b.Sentence(data["annotation"])
    if not shown:
        yield note("no_faces", tone="note")
    elif found := tuple(sheets(pictures.samples, COLUMNS, parts=2)):
        yield b.Faces(found, "Training images drawn at random")
        yield note("drawn")
        yield note("missing")
    yield from _group_counts(data["groups"])
    yield from set_aside(data["set_aside"])
    yield from _rarity(pictures) if shown else ()


def _group_counts(rows: Sequence[GroupCounts]) -> Iterator[b.Block]:
    """Training and test images by group, by attribute, rarest first."""
    columns: b.Columns[GroupCounts] = {
        "group": lambda row: b.Cell(r.name(row), title=row["group"]),
        "training": "{train:count}",
        "share": lambda row: b.Cell(
            b.Value(row["train_share"], "percent", "withheld"), bar=row["train_share"]
        ),
        "test": "{test:count}",
    }

    def rarest_first(row: GroupCounts) -> float:
        return float(row["train"]) if w.is_number(row["train"]) else -1.0

    for attribute, listed in groupby(rows, key=lambda row: str(row["attribute"])):
        title = f"Images by {w.attribute_name(attribute)}"
        found = sorted(listed, key=rarest_first)
        yield b.table(found, columns, lambda _: "withheld", title=title, look="")
    if rows:
        yield note("rare_groups")
    else:
        yield note("no_attribute")


def set_aside(found: SetAside) -> Iterator[b.Fold]:
    """Images that were left out, by reason."""
    if found["count"]:
        table = b.table(found["reasons"], {"reason": "{reason}", "images": "{count:count}"})
        list_ = b.Code(str(found["list"]))
        note = ("Every one of them is named in ", list_, ", which stays on this machine.")
        title = f"{w.amount(found['count'], 'image')} set aside"
        yield b.Fold(title, (table, b.Sentence(note, "note")), "not part of any number here")


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
        if (images := sheets(pixels, COLUMNS, most=24))
    )
    if found:
        yield b.Grid(found)
        yield note("rarity")


def _model(
    document: RunDocument, pictures: Pictures, drawn: Mapping[str, bytes]
) -> Iterator[b.Block]:
    facts: Mapping[str, object] = document["representation"]
    if fidelity := document.get("fidelity"):
        yield b.Sentence(fidelity["sentence"], "caution" * r.is_blurred(fidelity))
        yield from [b.to_do(fidelity["action"])] if fidelity["action"] else []
    if facts:
        file = b.Code(str(facts.get("file")))
        yield note("file" if "file" in facts else "model", facts, file=file)
    if pictures.faces_shown:
        yield from _redrawn(pictures)
        yield from _traversals(pictures)
    if "latent_dimensions" in drawn:
        grey = "the same for every image" if "file" in facts else "not used by the model"
        yield b.Heading("How the training images spread over each dimension")
        yield chart(drawn["latent_dimensions"], "latent_dimensions", grey=grey)
    if "training_curves" in drawn:
        yield b.Heading("Training")
        yield chart(drawn["training_curves"], "training_curves")
    figures = [*representation_facts(facts)]
    if figures or "file" in facts:
        names = [(label, str(facts[key])) for key, label in (("name", "kind"), ("file", "file"))
                 if key in facts]  # fmt: skip
        yield b.Fold("Figures of the model", (b.Facts((*names, *figures)),))


def _redrawn(pictures: Pictures) -> Iterator[b.Block]:
    if pictures.originals is None or pictures.reconstructions is None:
        return
    above, below = shrink(pictures.originals[:24]), shrink(pictures.reconstructions[:24])
    half = -(-len(above) // 2) if len(above) >= 2 * COLUMNS else len(above)
    pairs = tuple(
        webp(contact_sheet(paired_rows(above[part], below[part], COLUMNS), min(COLUMNS, half)))
        for part in (slice(0, half), slice(half, None))
        if len(above[part])
    )
    if pairs:
        yield b.Heading("Faces and what the model keeps of them")
        yield b.Faces(pairs, "Rows of original faces, each above the row of its reconstructions")
        yield note("redrawn")
        yield note("lost")


def _traversals(pictures: Pictures) -> Iterator[b.Block]:
    if pictures.traversals is None:
        return
    rows = zip(pictures.traversed_dimensions, pictures.traversals, strict=True)
    alt = "One face redrawn with latent dimension {} set from low to high"
    yield b.Heading("What single dimensions mean")
    yield b.Grid(tuple(
        (b.Faces((webp(contact_sheet(shrink(row), len(row), gap=0)),), alt.format(number_),
                 f"dimension {number_}"),)
        for number_, row in rows
    ))  # fmt: skip
    yield note("traversal")
    yield note("traversed")


def representation_facts(facts: Mapping[str, object]) -> Iterator[tuple[b.Text, b.Text]]:
    """Each figure of the representation that is known."""
    for key, label in FIGURES.items():
        if w.is_number(value := facts.get(key)):
            yield label, b.Value(value, "count" if key == "epochs" else "plain")


def _conclusions(run: Run) -> Iterator[b.Block]:
    document = run.document
    supported = document["concluded"] or ("Nothing beyond the numbers themselves.",)
    unlisted = (
        "That a group not listed here is served equally well: only annotated groups were measured."
    )
    yield b.Grid((
        (b.Heading("These numbers support"), b.Points(supported)),
        (b.Heading("They do not support"), b.Points((*document["not_concluded"], unlisted))),
    ))  # fmt: skip
    yield b.Heading("What was measured")
    yield b.Points(run.first["scope"])
    every = (said for one in run.compared.values() for said in one["scope"])
    if changes := tuple(dict.fromkeys(every)):
        yield b.Fold("The same for the changes", (b.Points(changes),))


def _numbers(run: Run) -> Iterator[b.Block]:
    yield note("numbers")
    yield from single.rates(run.fairness, {arm: _spread(run, arm) for arm in run.arms})
    for arm, found in run.fairness.items():
        if found["gaps"]:
            title = f"Differences under {w.arm_name(arm).lower()}"
            yield b.Fold(title, tuple(single.all_gaps(found, "{}")), "every comparison")
    for arm, compared in run.compared.items():
        if compared["groups"]:
            inside = tuple(pair.all_changes(compared, "{}", "Gaps in {}"))
            title = f"Changes under {w.arm_name(arm).lower()}"
            yield b.Fold(title, inside, "every rate and every gap")
    yield _every_seed(run)


def _primary(run: Run) -> Iterator[b.Block]:
    """What this run was made to find out, arm by arm."""
    rows = [row for one in run.compared.values() for row in one["primary"]]
    columns: b.Columns[d.PrimaryChange] = {
        "asked first": lambda row: w.quantity_name(row["quantity"]),
        "arm": lambda row: w.arm_name(row["arm"]),
        "before": "{before:percent}",
        "after": "{after:percent}",
        "change, points": "{change:change}",
        "other images and trainings": "{low..high:change}",
        "reading": lambda row: r.verdict_name(row["reading"], row["reason"], None),
    }
    if rows:
        yield b.table(rows, columns, left=(0, 1, 6))
        yield note("primary", tone="note")
        yield from _stopped(run)


def _stopped(run: Run) -> Iterator[b.Block]:
    """Why there are so many trainings, where that was left to the answers."""
    if stopping := run.document["run"]["stopping"]:
        yield b.Sentence(stopping["sentence"], "note")


def _every_seed(run: Run) -> b.Fold:
    """Every seed of every arm, then the mean and the standard deviation over seeds."""
    rows = []
    for arm in run.arms:
        name = b.Marked(w.arm_name(arm), arm_style(arm, run.arms)[0])
        mean, seeds = run.mean(arm), run.document["arms"][arm]["seeds"]
        parts: list[tuple[str, d.Scalars]] = [(f"seed {seed['seed']}", seed) for seed in seeds]
        parts += [("mean", mean), *([("standard deviation", mean["sd"])] * (len(seeds) > 1))]
        rows += [{**found, **found["accuracy"], "arm": name, "kind": kind}
                 for kind, found in parts]  # fmt: skip
    columns: b.Columns[dict[str, object]] = {"arm": "{arm}", "": "{kind}", **SCALARS}
    table = b.table(
        rows, columns, tone=lambda row: "mean" * (row["kind"] == "mean"), left=(0, 1), look="tight"
    )
    return b.Fold("Every seed", (table,), "all classifiers that were trained")


def _provenance(document: RunDocument) -> Iterator[b.Block]:
    """The configuration, and the time of each stage."""
    run, made = document["run"], f"debias {document['version']}, report schema {document['schema']}"
    yield b.Sentence(f"{made}. The configuration below repeats this run.")
    text = json.dumps(run["config"], indent=2, ensure_ascii=False, default=w.plain_value)
    yield b.Fold("Configuration", (b.Preformatted(text),))
    if run["seconds"]:
        spent = [(w.words(name), b.Value(n, "seconds")) for name, n in run["seconds"].items()]
        yield b.Fold("Time by stage", (b.Facts(spent),))
