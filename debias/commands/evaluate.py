"""``debias evaluate`` and ``debias compare``: classifiers, whoever trained them."""

from pathlib import Path
from typing import Any

from debias.commands.options import Joined, Options, argument, command, option
from debias.commands.screen import listed, pairs, say, show


class Compared(Options):
    reference_group: list[str] | None = option(
        "Group that the others are compared with; repeat. [default: all pairs]", "COLUMN=VALUE"
    )
    margin: float | None = option(
        "Largest difference that does not matter, between 0 and 1; 0.05 is 5 points.", "SHARE"
    )
    level: float = option("Level of the intervals, between 0 and 1.", "SHARE", 0.95)

    def settings(self) -> dict[str, Any]:
        reference = pairs("--reference-group", self.reference_group) or None
        return {"reference": reference, "margin": self.margin, "level": self.level}


class Columns(Options):
    predictions: Path = argument(
        "One row per image, of any classifier: .csv, .tsv, .jsonl, .json or .parquet."
    )
    label: str = option(
        "True class: a column, or that of another table, joined by names.", "COLUMN|FILE:COLUMN",
        ...,
    )  # fmt: skip
    prediction: str = option("Predicted class.", "COLUMN", ...)
    attributes: str = option(
        "Annotated groups; also crossed. Numbers as ranges: age:0-17,18-39,40-. A name with a "
        "comma in quotes of its own.", "COLUMN,...", ...,
    )  # fmt: skip
    subject: str | None = option("Who is shown: widens intervals where people repeat.", "COLUMN")
    score: str | None = option("Probability of the positive class: calibration.", "COLUMN")
    sample: str | None = option(
        "Name of the image, by which tables are joined. [default: a column of names, if any]",
        "COLUMN",
    )
    positive: str | None = option("Class that the rates are about. [default: the last]")
    classes: str | None = option("All classes, where the label lacks one.", "NAME,...")


class Evaluate(Compared, Joined, Columns):
    metrics: str | None = option("Rates to compare. [default: all]", "NAME,...")
    primary: str | None = option(
        "Rates whose gaps are asked first; unless they differ, others only describe. [default: "
        "the first]", "NAME,...",
    )  # fmt: skip
    source: str = option(
        "Who says which group: self-reported, annotated, inferred, not stated.",
        default="not stated",
    )
    declare: list[str] | None = option(
        "Allowed groups; one without images is shown; repeat.", "COLUMN=VALUE|VALUE"
    )
    noise: bool = option("Shuffle some group labels to test the gaps.", default=False)
    minimum: int = option("Fewer images, at least 1, take no part in a verdict.", default=30)
    suppress_below: int = option("Counts from 1 to below this are withheld; 1: none.", default=11)
    out: Path | None = option("Folder for the page and the JSON. [default: NAME-evaluation]")


class Places(Options):
    before: str = argument("Folder of `debias evaluate`, or a run folder, or RUN:ARM.")
    after: str | None = argument(
        "Likewise. Without it: every arm of BEFORE with its plain training.", default=None
    )


class Compare(Compared, Places):
    primary: str | None = option(
        "Figures whose change is asked first and decides the verdict, in order, such as "
        "accuracy/race:Black. [default: worst group, then all images]", "NAME,...",
    )  # fmt: skip
    out: Path | None = option("Folder for the pages and the JSON. [default: NAMES-comparison]")


@command
def evaluate(given: Evaluate) -> None:
    """Measure how any classifier treats each group, from a table of its predictions."""
    from debias.pipeline import reports
    from debias.report.fairness_page import summary
    from debias.report.terminal import lines
    from debias.statistics.ranges import taken_apart

    groups = listed(given.attributes)
    columns = reports.Columns(
        label=given.label, prediction=given.prediction, groups=tuple(groups), score=given.score,
        subject=given.subject, sample=given.sample,
    )  # fmt: skip
    declared = pairs("--declare", given.declare)
    settings = given.settings() | {
        "noise": given.noise, "minimum": given.minimum, "suppress_below": given.suppress_below,
        "positive": given.positive,
        "classes": listed(given.classes) if given.classes else None,
        "metrics": listed(given.metrics) if given.metrics else None,
        "primary": listed(given.primary) if given.primary else None,
        "sources": dict.fromkeys(taken_apart(groups)[0], given.source),
        "declared": {name: values.split("|") for name, values in declared.items()},
    }  # fmt: skip
    folder = given.out or Path(f"{given.predictions.stem}-evaluation")
    request = reports.Request(
        table=given.predictions, columns=columns, settings=settings, by_order=given.by_order,
        allow_unjoined=given.allow_unjoined,
    )  # fmt: skip
    show(lines(summary(reports.write_evaluation(request, folder).to_dict())))
    say(f"\nPage: {folder / reports.PAGE}")
    say(f"Numbers: {folder / reports.NUMBERS}")
    say(f"Next: open the page; compare a later version with: debias compare {folder} FOLDER")


@command
def compare(given: Compare) -> None:
    """Before and after on the same images: what changed, for whom, and who was harmed."""
    from debias.pipeline.reports import COMPARED, compare_places, folder_name, write_comparison
    from debias.report.comparison_page import summary
    from debias.report.terminal import lines

    settings = given.settings() | {"primary": listed(given.primary) if given.primary else None}
    found = compare_places(given.before, given.after, settings)
    folder = given.out or Path(folder_name(given.before, given.after))
    pages = write_comparison(found, folder, given.before, given.after)
    for name, one in found.items():
        show(lines(summary(name, one.to_dict())))
    for page in pages:
        say(f"Page: {page}")
    say(f"Numbers: {folder / COMPARED}")
    say("Next: open the page; it begins with the groups that were harmed, if there are any.")
