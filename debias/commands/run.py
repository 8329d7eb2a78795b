"""``debias run``, and ``debias init``, which writes down the recipe that it would work on."""

import dataclasses
import os
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from debias.commands.options import Referenced, Shared, argument, command, option
from debias.commands.screen import Bars, say, show

if TYPE_CHECKING:
    from debias.report.documents import RunDocument
    from debias.tracking.profile import Profile


PROFILE = "profile.svg"


class Run(Shared, Referenced):
    source: Path | None = argument(
        "Recipe (.yaml), or your images: a folder, a store of `debias ingest`, a public data set, "
        ".tar shards or an .h5 file. Without one: the demo.", "SOURCE", None,
    )  # fmt: skip
    profile: bool = option(
        f"Write {PROFILE}, a picture of steps by time and memory.", default=False
    )


class Init(Referenced):
    source: Path | None = argument(
        "Images, as for `debias run`, or the name of a shipped recipe. Without one: the template "
        "for a folder with a table.", "SOURCE", None,
    )  # fmt: skip
    out: Path | None = option("Recipe to write. [default: NAME.yaml]", "FILE")


@command
def run(given: Run) -> None:
    """Train, weigh, retrain and compare; writes report.html and report.json.

    A second run of the same recipe into the same folder reuses every finished stage. Of images,
    the recipe that was made for them is written to recipe.yaml in that folder.
    """
    # Set before torch is loaded: threads that spin while they wait make a busy machine crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from debias.pipeline import mitigate, open_run
    from debias.pipeline.source import RECIPE, recipe_text, run_recipe
    from debias.tracking.profile import Profile
    from debias.tracking.tracker import choose_tracking

    request = given.request(given.source)
    recipe = run_recipe(request)
    folder = given.out or Path("runs") / recipe.name
    with Bars() as bars, Profile(bars) if given.profile else nullcontext(bars) as watched:
        opened = open_run(recipe, folder, progress=watched, replace=given.replace)
        if request.images is not None:
            (folder / RECIPE).write_text(recipe_text(recipe), encoding="utf-8")
        tracking = choose_tracking(recipe.tracking, folder.parent)
        typed = shlex.join(["debias", *(one for one in sys.argv[1:] if one != "--profile")])
        document = mitigate(dataclasses.replace(opened, command=typed).with_tracking(tracking))
    bars.tell_kept()
    _show(document, folder, recipe.tracking.experiment)
    if request.images is not None:
        say(f"Recipe: {folder / RECIPE} (edit it, and: debias run {folder / RECIPE})")
    if isinstance(watched, Profile):
        say(f"Profile: {_drawn(watched, folder)}")
    say("Next: open the report.")


def _drawn(profile: "Profile", folder: Path) -> Path:
    """The picture of when each step worked, beside the report."""
    import numpy as np

    from debias.report.charts.course import WIDTH, course_chart
    from debias.report.charts.style import svg
    from debias.storage.files import replace_file

    memory = np.array(profile.memory, dtype=np.float64).reshape(-1, 2)
    draw, height = course_chart(profile.spans, memory, profile.took)
    picture = svg(draw, WIDTH, height)
    replace_file(folder / PROFILE, lambda file: file.write_bytes(picture))
    return folder / PROFILE


def _show(document: "RunDocument", folder: Path, experiment: str) -> None:
    from debias.report.run_page import summary
    from debias.report.terminal import lines

    show(lines(summary(document)))
    say(document["data"]["set_aside"]["seen"])
    say(f"\nReport: {folder / 'report.html'}")
    say(f"Numbers: {folder / 'report.json'}")
    link = document["run"]["mlflow"]
    if link and not link.startswith("http"):
        named = "" if experiment == "debias" else f" --experiment {experiment}"
        link = f"debias ui --folder {Path(link).parent}{named}"
    if link:
        say(f"MLflow: {link}")


@command
def init(given: Init) -> None:
    """Write a commented recipe that runs as it is, to edit and to schedule."""
    from debias.pipeline.source import write_new

    written, ready = write_new(given.request(given.source), given.out)
    name = shlex.quote(str(written))
    say(f"Recipe: {name}")
    if not ready:
        say(f"Next: put your own paths and columns into {name}; then:")
    if "spaces:" in written.read_text(encoding="utf-8"):
        say(f"Run it: debias study {name}")
        return
    say(f"Run it: debias run {name}")
    say(f"Audit without labels: debias audit {name}")
    say(f'Schedule it: debias schedule {name} --cron "0 3 * * *"')
