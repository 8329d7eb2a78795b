"""The recipe of a study: one data set, several representations, and what is asked of them."""

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from debias.density import DENSITIES, DensityEstimator
from debias.models import ConvClassifier
from debias.models.encoder import Encoder
from debias.pipeline.recipe import ClassifierRecipe, RepresentationRecipe, SpaceRecipe
from debias.plugins import OneOf, Settings, unknown
from debias.training.loop import Training


class Looks(Settings):
    """How many images and draws the figures rest on: more is surer, and slower."""

    images: int = Field(default=500, ge=20, description="Held-out images looked at.")
    samples: int = Field(default=1000, ge=50, description="Pictures drawn from chance.")
    bound_images: int = Field(default=100, ge=2, description="Images whose bound is estimated.")
    bound_samples: int = Field(default=500, ge=1, description="Draws of the posterior of each.")
    gap_images: int = Field(
        default=30, ge=2, description="Images whose posterior is sampled; about a second each."
    )
    gap_members: int = Field(
        default=12, ge=0, description="Of these, or beside them, so many of each annotated group."
    )
    trials: int = Field(default=100, ge=10, description="Images given to every task.")
    mapped: int = Field(default=1000, ge=50, description="Images on a map.")
    known: int = Field(default=1000, ge=100, description="Drawn faces with known factors.")
    votes: int = Field(default=200, ge=20, description="Batches of 32 that share a factor.")


class StudyConfig(SpaceRecipe):
    """Everything that decides the result of a study."""

    spaces: dict[str, RepresentationRecipe] = Field(
        min_length=1, description="Representations to compare, by name."
    )
    densities: dict[str, Annotated[DensityEstimator, OneOf("density", DENSITIES)]] = Field(
        default={name: DENSITIES[name]() for name in ("histogram", "knn")},
        description="Densities whose rarity is compared with the annotated groups, by name.",
    )
    factors: tuple[str, ...] = Field(
        default=(),
        description="Factors by which disentanglement is judged; of drawn faces only.",
    )
    seeds: int = Field(default=1, ge=1, le=100, description="Trainings of every representation.")
    judge: ClassifierRecipe = Field(
        default=ClassifierRecipe(
            model=ConvClassifier(width=16), training=Training(epochs=5, learning_rate=3e-3)
        ),
        description="Classifier of each annotated column; it judges what is drawn.",
    )
    features: Encoder | None = Field(
        default=None,
        description="Encoder in whose features samples are compared with images (FID and the "
        "like); empty: the judge of the first annotated column.",
    )
    looks: Looks = Looks()

    @property
    def columns(self) -> tuple[str, ...]:
        """Annotated columns, the label first: the judges', and the colours of maps."""
        return tuple(dict.fromkeys(filter(None, (self.label, *self.attributes))))

    def of(self, space: str, seed: int) -> "StudyConfig":
        """The recipe as the step of one representation reads it."""
        changed = {"representation": self.spaces[space], "seed": self.seed + seed}
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _factors_known(self) -> "StudyConfig":
        known: tuple[str, ...] = getattr(self.data, "factors", ())
        if self.factors and not known:
            raise ValueError(
                f"factors {list(self.factors)} are asked of the data set {self.data.name!r}, which "
                "does not know the factors of its images: only drawn faces (data: synthetic) do. "
                "Leave factors empty; everything but disentanglement is judged all the same"
            )
        strange = [name for name in self.factors if name not in known]
        if strange:
            raise ValueError(unknown("factor", strange[0], known))
        if self.factors:
            drawn = self.data.independent(1000, np.random.default_rng(0))  # type: ignore[attr-defined]
            if still := [name for name in self.factors if drawn[name].nunique() < 2]:
                raise ValueError(
                    f"the factor {still[0]!r} is the same for all images of this population, so no "
                    "dimension can follow it; leave it out of factors, or change data.population"
                )
        return self

    @model_validator(mode="after")
    def _named_plainly(self) -> "StudyConfig":
        for name in (*self.spaces, *self.densities):
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"names hold letters, digits, '-' and '_' only, got {name!r}")
        if self.representation != RepresentationRecipe():  # that of a run, and of no study
            raise ValueError("a study trains its 'spaces'; move 'representation' there, by a name")
        return self
