"""What a user decides about an audit."""

from math import ceil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from debias.plugins import Settings

Split = Literal["train", "validation", "test"]
Part = Annotated[float, Field(gt=0, lt=0.5)]


class AuditRules(Settings):
    """Which images are looked at, what they should look like, and what counts as found."""

    splits: tuple[Split, ...] = Field(
        default=("train", "validation"),
        min_length=1,
        description="Images that are audited. A test set is often drawn evenly on purpose.",
    )
    shares: dict[str, dict[str, float]] = Field(
        default={},
        description="Share that each annotated group should have: attribute, group, share in "
        "[0, 1]; a crossing is named 'a:x x b:y' under the attribute 'a x b'.",
    )
    shares_file: Path | None = Field(
        default=None,
        description="The same as a .csv or .parquet table with columns attribute, group, share.",
    )
    thin_share: Part = Field(
        default=0.125,
        description="A region is thin when it holds at most this share: by default a quarter of "
        "what one of two even halves would hold.",
    )
    cells: int = Field(
        default=64, ge=8, le=4096, description="Cells of equal reach that cover the latent space."
    )
    clusters: int = Field(default=12, ge=2, le=100, description="Clusters that are shown.")
    level: Part = Field(default=0.05, description="False alarms allowed: thin regions, groups.")
    difference_level: Part = Field(
        default=0.01, description="False alarms allowed when two sets are compared as a whole."
    )
    permutations: int = Field(
        default=999, ge=199, le=99_999, description="Of the test that compares two sets."
    )
    suppress_below: int = Field(
        default=11,
        ge=1,
        description="Counts of annotated groups from 1 to below this are withheld; 1: none.",
    )
    map_method: Literal["t-SNE", "PCA"] = Field(
        default="t-SNE", description="How the latent space is laid out in two dimensions."
    )
    map_points: int = Field(
        default=3000, ge=50, le=50_000, description="Images drawn on the map, at most."
    )

    @model_validator(mode="after")
    def _fits(self) -> "AuditRules":
        if self.shares and self.shares_file:
            raise ValueError("give either shares or shares_file, not both")
        needed = ceil(1 / self.difference_level) - 1
        if self.permutations < needed:
            raise ValueError(
                f"permutations is {self.permutations}, but the difference_level "
                f"{self.difference_level:g} takes {needed} or more"
            )
        repeated = [name for name in self.splits if self.splits.count(name) > 1]
        if repeated:
            raise ValueError(f"splits names {repeated[0]!r} twice")
        return self
