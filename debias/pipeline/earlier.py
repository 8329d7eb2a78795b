"""The earlier version of the data: decoded as the data themselves are, to see what changed."""

from debias.errors import ConfigError
from debias.ingesting.build import ingest_faces
from debias.ingesting.rules import FacesRecipe
from debias.ingesting.selection import Selection
from debias.pipeline.step import Job
from debias.storage.artifacts import Artifact


def build_earlier(job: Job) -> Artifact | None:
    """Decode the earlier version into a store of the same folder, or find it decoded.

    Returns:
        Its store, of which every split counts; None without an earlier version.

    Raises:
        ConfigError: The data are capped.
        DataError: It cannot be used; the message says why.
    """
    earlier, config = job.config.earlier, job.config
    if earlier is None:
        return None
    if config.selection.caps is not None:
        raise ConfigError(
            "selection.caps leaves images out at random, so nobody could tell which images were "
            "removed since the earlier version; leave out one of 'caps' and 'earlier'"
        )
    filters = config.selection.filters if earlier.filters is None else earlier.filters
    recipe = FacesRecipe(
        name=config.name,
        seed=config.seed,
        data=earlier.data,
        image_size=config.image_size,
        selection=Selection(filters=filters, leaks="drop"),
        ingest=config.ingest,
    )
    return ingest_faces(recipe, job.folder, job.progress, about=job.compute.describe())
