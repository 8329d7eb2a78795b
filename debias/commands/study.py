"""``debias study``."""

import dataclasses
import os
import shlex
import sys
from pathlib import Path

from debias.commands.options import Images, Shared, argument, command
from debias.commands.screen import Bars, say, show


class Study(Shared):
    recipe: Path = argument("Recipe with `spaces`, such as a copy of study-drawn.", "RECIPE")
    set_: list[str] | None = Images.set_


@command
def study(given: Study) -> None:
    """Train several representations of one data set and judge them side by side.

    Writes study.html and study.json: what each draws, explains and can do, and whom it finds.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from debias.pipeline import open_study, survey
    from debias.pipeline.source import Request, study_recipe
    from debias.report.study_page import summary
    from debias.report.terminal import lines
    from debias.tracking.tracker import choose_tracking

    workers = [f"workers={given.workers}"] if given.workers else []
    recipe = study_recipe(Request(source=given.recipe, overrides=[*(given.set_ or []), *workers]))
    folder = given.out or Path("runs") / recipe.name
    with Bars() as bars:
        job = open_study(recipe, folder, progress=bars, replace=given.replace)
        tracking = choose_tracking(recipe.tracking, folder.parent)
        typed = shlex.join(["debias", *sys.argv[1:]])
        document = survey(dataclasses.replace(job, command=typed).with_tracking(tracking))
    bars.tell_kept()
    show(lines(summary(document)))
    say(f"\nPage: {folder / 'study.html'}")
    say(f"Numbers: {folder / 'study.json'}")
    say("Next: open the page; to use a representation, set representation.model of a run or audit")
