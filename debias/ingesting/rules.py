"""What a user decides about ingest."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from debias.datasets import DATASETS, Dataset
from debias.ingesting.framing import FRAMINGS, Centre, Framing
from debias.ingesting.quarantine import QuarantineLimits
from debias.ingesting.selection import Selection
from debias.plugins import OneOf, Settings


class IngestRules(QuarantineLimits):
    """Which part of an image counts, what is too much, and what is looked for."""

    framing: Annotated[Framing, OneOf("framing", FRAMINGS)] = Field(
        default=Centre(), description="Part of the image: its centre, a face box, or by the eyes."
    )
    near_duplicates: bool = Field(
        default=True,
        description="Whether to look for the same photograph in another file, so that its copies "
        "stay on one side of the split.",
    )
    most_megapixels: float = Field(
        default=50.0, gt=0, le=178, description="Larger images are set aside before decoding."
    )
    most_megabytes: float = Field(
        default=64.0, gt=0, le=1024, description="Larger files are set aside unread."
    )
    seconds: float = Field(
        default=10.0, gt=0, le=3600, description="Longest time one file may take to decode."
    )
    workers: int | None = Field(
        default=None, ge=1, le=256, description="Decoding processes; empty: one a core."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_latents(cls, given: object) -> object:
        """Recipes that earlier versions wrote hold an empty ``latents_of``, which is gone."""
        if isinstance(given, Mapping) and given.get("latents_of", "") is None:
            return {name: value for name, value in given.items() if name != "latents_of"}
        return given

    def lasting(self) -> dict[str, Any]:
        """What decides the content of a store, not how fast it is made or where things are."""
        return self.model_dump(mode="json", exclude={"workers", "seconds"})


class ReportOptions(Settings):
    """What the report and the tracker may show."""

    show_faces: bool = Field(
        default=False,
        description="Whether images of real people may appear; drawn faces always appear.",
    )


class FacesRecipe(Settings):
    """From a collection of images to a store of faces."""

    name: str = Field(
        default="faces", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the run."
    )
    seed: int = Field(default=0, ge=0, description="Seed of every random stream.")
    data: Annotated[Dataset, OneOf("data set", DATASETS)] = Field(
        description="Where the faces come from."
    )
    label: str | None = Field(
        default=None, description="Column that a classifier predicts; empty: none yet."
    )
    positive: str | None = Field(
        default=None, description="Label value that counts as positive; empty: the last by name."
    )
    attributes: tuple[str, ...] = Field(
        default=(),
        description="Annotated columns by which results are broken down; never seen by a model.",
    )
    image_size: int = Field(default=64, ge=16, le=512, description="Side of the images, pixels.")
    selection: Selection = Field(default=Selection(), description="Filters, caps and splits.")
    ingest: IngestRules = Field(default=IngestRules(), description="Framing, limits, duplicates.")
    report: ReportOptions = ReportOptions()
