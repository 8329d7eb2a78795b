"""What a user decides about ingest."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from debias.ingesting.framing import FRAMINGS, Centre, Framing
from debias.ingesting.quarantine import QuarantineLimits
from debias.plugins import OneOf


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
