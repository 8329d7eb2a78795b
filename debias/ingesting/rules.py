"""What a user decides about ingest; and which part of an image becomes the face.

Every framing turns the columns of a table into one square an image, in pixels of the upright image:
``crop_x, crop_y`` (centre), ``crop_side``, ``crop_angle`` (degrees, by which the face is turned
clockwise). Decoding cuts it out; what lies outside the image becomes black.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from jaxtyping import Float64
from pydantic import Field, model_validator

from debias.datasets import DATASETS, Dataset
from debias.errors import DataError
from debias.ingesting.planting import Planting
from debias.ingesting.quarantine import QuarantineLimits
from debias.ingesting.selection import Selection
from debias.plugins import OneOf, Settings
from debias.statistics.ranges import taken_apart
from debias.types import CROP, Rejected

NO_POSITION = "no position of the face"


class Centre(Settings):
    """The largest centred square."""

    name: Literal["centre"] = "centre"

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    def squares(self, numbers: Float64[np.ndarray, "n _"]) -> Float64[np.ndarray, "n 4"]:
        """NaN: decoding knows the size of the image, the table does not."""
        return np.full((len(numbers), 4), np.nan)


class Box(Settings):
    """A square around a face box."""

    name: Literal["box"] = "box"
    left: str = Field(default="box_x", description="Column: left edge, pixels.")
    top: str = Field(default="box_y", description="Column: upper edge, pixels.")
    width: str = Field(default="box_width", description="Column: width, pixels.")
    height: str = Field(default="box_height", description="Column: height, pixels.")
    margin: float = Field(
        default=0.2, ge=0, le=2, description="Added on each side, as a share of the longer side."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.left, self.top, self.width, self.height)

    def squares(self, numbers: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, "n 4"]:
        left, top, width, height = numbers.T
        longer = np.where((width > 0) & (height > 0), np.maximum(width, height), np.nan)
        side = longer * (1 + 2 * self.margin)
        return np.stack([left + width / 2, top + height / 2, side, np.zeros_like(side)], axis=1)


class Eyes(Settings):
    """Eyes level, at the same place and distance in every image."""

    name: Literal["eyes"] = "eyes"
    left_x: str = Field(default="lefteye_x", description="Column: one eye, pixels from the left.")
    left_y: str = Field(default="lefteye_y", description="Column: that eye, pixels from above.")
    right_x: str = Field(default="righteye_x", description="Column: the other, from the left.")
    right_y: str = Field(default="righteye_y", description="Column: the other, from above.")
    distance: float = Field(
        default=0.36, gt=0.02, lt=1, description="Between the eyes, as a share of the square."
    )
    height: float = Field(
        default=0.42, ge=0, le=1, description="Of the eyes below the upper edge, as a share."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.left_x, self.left_y, self.right_x, self.right_y)

    def squares(self, numbers: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, "n 4"]:
        """The eye further left in the image counts as the left one, whoever's left it is."""
        eyes = numbers.reshape(-1, 2, 2)
        swapped = eyes[:, 0, 0] > eyes[:, 1, 0]
        eyes = np.where(swapped[:, None, None], eyes[:, ::-1], eyes)
        across = eyes[:, 1] - eyes[:, 0]  # (n, 2)
        apart = np.hypot(across[:, 0], across[:, 1])
        side = np.where(apart > 0, apart, np.nan) / self.distance
        angle = np.arctan2(across[:, 1], across[:, 0])
        down = np.stack([-np.sin(angle), np.cos(angle)], axis=1)  # from the eyes to the chin
        centre = eyes.mean(axis=1) + down * ((0.5 - self.height) * side)[:, None]
        return np.concatenate([centre, side[:, None], np.degrees(angle)[:, None]], axis=1)


FRAMINGS = {"centre": Centre, "box": Box, "eyes": Eyes}
Framing = Centre | Box | Eyes


def framed(samples: pd.DataFrame, framing: Framing) -> tuple[pd.DataFrame, list[Rejected]]:
    """Add the columns of the square; set aside images of which nobody says where the face is.

    Cutting those at the middle instead would mix two framings, which a network can tell apart.

    Raises:
        DataError: A column does not exist.
    """
    # Columns of these names in the data would be obeyed although nobody asked for them.
    samples = samples.drop(columns=[name for name in CROP if name in samples])
    if isinstance(framing, Centre):
        return samples, []
    missing = [name for name in framing.columns if name not in samples]
    if missing:
        raise DataError(
            f"ingest.framing {framing.name!r} needs the columns {missing}, which the data do not "
            "have; name the right ones in ingest.framing, or use 'centre'"
        )
    given = samples[list(framing.columns)].astype(object)
    numbers = given.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    squares = framing.squares(numbers)
    placed = np.isfinite(squares).all(axis=1)
    found = samples[placed].assign(**dict(zip(CROP, squares[placed].T, strict=True)))
    return found, [_unplaced(row, framing) for row in samples[~placed].to_dict("records")]


def _unplaced(row: dict[str, object], framing: Framing) -> Rejected:
    shown = ", ".join(f"{name}={row[name]!r}" for name in framing.columns)
    detail = f"framing {framing.name!r} finds no face at {shown}"[:200]
    sample_id, path = str(row["sample_id"]), str(row.get("path", ""))
    return Rejected(sample_id=sample_id, path=path, reason=NO_POSITION, detail=detail)


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

    def lasting(self) -> dict[str, object]:
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
        description="Annotated columns by which results are broken down; a model sees none, "
        "but one whose condition names it.",
    )
    ranges: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Ranges of an attribute of numbers, which make its groups: {age: [0-17, 18-]}; "
        "the same as the attribute 'age:0-17,18-'.",
    )
    image_size: int = Field(default=64, ge=16, le=512, description="Side of the images, pixels.")
    selection: Selection = Field(default=Selection(), description="Filters, caps and splits.")
    ingest: IngestRules = Field(default=IngestRules(), description="Framing, limits, duplicates.")
    report: ReportOptions = ReportOptions()

    @property
    def planting(self) -> Planting | None:
        """The correlation to plant, if there is one."""
        tie, label = self.selection.tie, self.label
        return Planting(tie=tie, label=label) if tie and label else None

    def unplaced(self, samples: pd.DataFrame) -> list[Rejected]:
        """Samples that what follows on this recipe could not use, and why; here none."""
        return []

    @model_validator(mode="after")
    def _label_to_tie(self) -> Self:
        if self.selection.tie and self.label is None:
            raise ValueError("selection.tie ties the label to a column: name it under 'label'")
        return self

    @model_validator(mode="before")
    @classmethod
    def _ranges_apart(cls, given: object) -> object:
        """``attributes: ['age:0-17,18-']`` says ``attributes: [age]`` and the ranges of age."""
        if not isinstance(given, Mapping):
            return given
        attributes = given.get("attributes")
        if not isinstance(attributes, list | tuple) or not {str}.issuperset(map(type, attributes)):
            return given
        names, ranges = taken_apart(attributes)
        if not ranges:
            return given
        return {**given, "attributes": names, "ranges": {**given.get("ranges", {}), **ranges}}
