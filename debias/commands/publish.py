"""``debias publish``."""

from pathlib import Path

from debias.commands.options import Options, argument, command
from debias.commands.screen import Bars, say
from debias.errors import TrackingError


class Publish(Options):
    folder: Path = argument("Folder of a finished run, audit or study.", "RUN")


@command
def publish(given: Publish) -> None:
    """Send MLflow what it lacks of a finished run, after an outage; nothing is made anew.

    What is there already is not sent again. The next run of the same recipe does the same.
    """
    from debias.pipeline.job import reopen
    from debias.pipeline.plans import publish as send
    from debias.tracking.tracker import choose_tracking

    folder = given.folder
    with Bars() as bars:
        for job in reopen(folder, bars):
            options = job.config.tracking
            if not options.enabled:
                raise TrackingError(f"the recipe in {folder} says tracking.enabled: false")
            tracking = choose_tracking(options, folder.parent)
            send(job.with_tracking(tracking))
    say(f"MLflow has everything of {folder}: {tracking.link()}")
