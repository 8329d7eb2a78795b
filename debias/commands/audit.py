"""``debias audit``."""

import os
from pathlib import Path

from debias.commands.options import InFolder, Referenced, argument, command, option
from debias.commands.screen import Bars, remark, say, show
from debias.errors import ConfigError


class Audited(Referenced):
    """Images, and what they are compared with."""

    source: Path | None = argument(
        "Images, as for `debias run`, or a recipe, one for `debias run` included. Without one: "
        "drawn faces.", "SOURCE", None,
    )  # fmt: skip
    data: Path | None = option("", name="--data", hidden=True)
    earlier: Path | None = option("An earlier version: what has changed.", "FOLDER")
    shares: Path | None = option("Declared shares: columns attribute, group, share.", "FILE")
    show_faces: bool = option("Put photographs of real people on the page.", default=False)


class Audit(InFolder, Audited):
    """What it takes."""


@command
def audit(given: Audit) -> None:
    """Who is missing from a collection, how sure that is, and what to collect; no labels needed.

    Writes audit.html and audit.json. In the folder of a run it reuses what was trained there.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from debias.pipeline import examine, open_job
    from debias.pipeline.source import audit_recipe
    from debias.report.audit_findings import summary
    from debias.report.terminal import lines
    from debias.tracking.tracker import choose_tracking

    recipe = audit_recipe(given.request(_one(given.source, given.data)))
    folder = given.out or Path("runs") / recipe.name
    with Bars() as bars:
        job = open_job(recipe, folder, progress=bars, replace=given.replace)
        document = examine(job.with_tracking(choose_tracking(recipe.tracking, folder.parent)))
    bars.tell_kept()
    show(lines(summary(document)))
    say(document["data"]["set_aside"]["seen"])
    say(f"\nPage: {folder / 'audit.html'}")
    say(f"Numbers: {folder / 'audit.json'}")
    say(f"Next: open the page; a rebalanced data set: debias export {folder} --as weights")


def _one(source: Path | None, data: Path | None) -> Path | None:
    """SOURCE, which was once called --data where it is no recipe."""
    if data is not None:
        remark("Note: --data FOLDER is now SOURCE: debias audit FOLDER; the old spelling works.")
    if source is not None and data is not None:
        raise ConfigError(f"both SOURCE ({source}) and --data {data} are given; name one")
    return source or data
