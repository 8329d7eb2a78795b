"""``debias plan``."""

from pathlib import Path

from debias.commands.options import Images, Options, argument, command, option
from debias.commands.screen import say, show


class Plan(Options):
    source: Path = argument("Recipe (.yaml), or the folder of a finished run as a pilot.", "SOURCE")
    change: float = option("That should be found, between 0 and 1; 0.05: 5 points.", "SHARE", 0.05)
    power: float = option("Probability with which it should be found.", "SHARE", 0.8)
    set_: list[str] | None = Images.set_
    out: Path | None = option("Folder for the page and the JSON. [default: NAME-plan]")


@command
def plan(given: Plan) -> None:
    """Say how many test images and trainings find a change, before they are there.

    From a recipe with typical variances, from a finished run with its own.
    """
    from debias.pipeline import planning
    from debias.pipeline.source import Request, run_recipe
    from debias.report.plan_page import summary
    from debias.report.terminal import lines

    pilot = given.source if given.source.is_dir() else None
    changes = given.set_ or []
    recipe = (
        planning.recipe_of(pilot, changes)
        if pilot
        else run_recipe(Request(source=given.source, overrides=changes))
    )
    document = planning.plan(recipe, pilot, change=given.change, power=given.power)
    page, numbers = planning.write(document, given.out or Path(f"{recipe.name}-plan"))
    show(lines(summary(document)))
    say(f"\nPage: {page}")
    say(f"Numbers: {numbers}")
    say("Next: set seeds, and the size of the test set, in the recipe; then: debias run RECIPE")
