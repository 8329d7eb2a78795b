"""A finished representation, ready to be asked: where images lie, what it draws, what they cost."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Shaped, UInt8

from debias.density import active_dimensions
from debias.models import Decodes, Encodes, Explains, Finds, Generates, Samples, encoding, galleries
from debias.models.quality.pictures import squared_error
from debias.models.quality.posterior import Gaps, gaps
from debias.pipeline.job import Study
from debias.pipeline.representation import batches_for, encode_store, load_representation, spread
from debias.pipeline.step import Work
from debias.seeding import numpy_generator, torch_generator
from debias.statistics.groupings import UNKNOWN, group_names
from debias.storage.artifacts import Artifact, load_latents
from debias.training.batches import Batch, of_pictures
from debias.types import FaceStore, Latents

GAPS_AT_ONCE = 16  # images whose posterior is sampled at once
Pictures = UInt8[np.ndarray, "_ _ _ _"]


@dataclass(frozen=True, eq=False)
class Subject:
    """One representation of a study, and the images that it is asked about.

    Attributes:
        rows: Held-out images, in the order of every answer.
        known: Where the training images lie.
    """

    job: Study
    space: Artifact
    store: FaceStore
    network: Encodes | Finds
    rows: Int64[np.ndarray, " n"]
    known: Latents

    @staticmethod
    def of(work: Work[Study]) -> "Subject":
        job, store, space = work.job, work.faces, work.inputs["space"]
        rows = spread(store.rows("test"), job.config.looks.images)
        network = load_representation(job, space)
        return Subject(job, space, store, network, rows, load_latents(space))

    @cached_property
    def placed(self) -> Latents:
        """Where the held-out images lie."""
        return encode_store(self.job, self.space, self.store, self.rows, may_repeat=True)

    @cached_property
    def active(self) -> np.ndarray:
        """Dimensions that say something about the training images."""
        return active_dimensions(self.known)

    @cached_property
    def originals(self) -> Pictures:
        return self.store.images[self.rows]

    @cached_property
    def again(self) -> Pictures:
        """The held-out images, drawn from their places."""
        return self.redraw(self.originals)

    @cached_property
    def gap_rows(self) -> Int64[np.ndarray, " m"]:
        """Held-out images whose posterior is sampled: some of all, then more of small groups."""
        looks, test = self.job.config.looks, self.store.rows("test")
        some = spread(self.rows, looks.gap_images)
        return topped_up(some, test, self.store.groups(test), looks.gap_members)

    @cached_property
    def gaps(self) -> Gaps | None:
        """What the encoder loses at those; None for a model that bounds nothing."""
        if not isinstance(self.network, Generates):
            return None
        batches = replace(batches_for(self.job, self.network, self.store), batch_size=GAPS_AT_ONCE)
        generator = torch_generator(self.job.config.seed, "study/gaps", self.job.compute.device)
        parts = [gaps(self.network, batch, generator) for batch in batches.evaluate(self.gap_rows)]
        return Gaps(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    @property
    def draws(self) -> bool:
        return isinstance(self.network, Decodes)

    @property
    def drawn_from(self) -> str:
        """What samples are made of."""
        prior = "its prior" if isinstance(self.network, Samples) else ""
        return prior or "a normal distribution fitted to the training images' places"

    def generator(self, purpose: str) -> np.random.Generator:
        return numpy_generator(self.job.config.seed, f"study/{purpose}")

    def batches(self, pictures: Pictures) -> Iterator[Batch]:
        """Pictures in place of the first held-out images, with what a network is told of these."""
        told = self._told(self.rows[: len(pictures)])
        return of_pictures(pictures, self.job.compute.device, told)

    def redraw(self, pictures: Pictures) -> Pictures:
        """decode(encode(x)) of pictures that stand for the first held-out images."""
        assert isinstance(self.network, Decodes)
        compute = self.job.compute
        drawn = [
            galleries.reconstruct(self.network, one, compute) for one in self.batches(pictures)
        ]
        return np.concatenate(drawn)

    def costs(self, pictures: Pictures) -> Float64[np.ndarray, " n"]:
        """What pictures cost: negative evidence bound in nats, or the mean squared error."""
        if isinstance(self.network, Explains):
            return encoding.nats(self.network, self.batches(pictures), self.job.compute)
        return squared_error(pictures, self.redraw(pictures))

    def decode(self, z: Float[np.ndarray, "n k"]) -> Pictures:
        """Pictures at places that stand for the first held-out images."""
        assert isinstance(self.network, Decodes)
        told = self._told(self.rows[: len(z)])
        return galleries.decode(self.network, z, self.job.compute, told)

    def samples(self, count: int) -> Pictures:
        """Pictures drawn from chance; under the conditions of training images, if it takes any."""
        assert isinstance(self.network, Decodes)
        generator, mean = self.generator("samples"), np.asarray(self.known.mean)
        if isinstance(self.network, Samples):
            z = generator.standard_normal((count, mean.shape[1]))
        else:
            covariance = np.atleast_2d(np.cov(mean, rowvar=False))
            z = generator.multivariate_normal(mean.mean(axis=0), covariance, count, method="eigh")
        told = self._told(generator.choice(self.store.rows("train"), count))
        return galleries.decode(self.network, z, self.job.compute, told)

    def _told(self, rows: Int64[np.ndarray, " n"]) -> np.ndarray | None:
        return galleries.told(self.network, self.store, rows)


def topped_up(
    rows: Int64[np.ndarray, " m"],
    others: Int64[np.ndarray, " n"],
    groups: pd.DataFrame,
    least: int,
) -> Int64[np.ndarray, " _"]:
    """Rows and, behind them, as many more that each group has ``least``, or all there are.

    ``groups``: of each of ``others``, by attribute; those that nobody knows are no group.
    """
    for _, column in groups.items():
        names = group_names(column)
        for name in sorted(set(names) - {UNKNOWN}):
            members = others[names == name]
            left = members[~np.isin(members, rows)]
            lacking = least - (len(members) - len(left))
            rows = np.concatenate([rows, spread(left, max(lacking, 0))])
    return rows


def annotation(
    store: FaceStore, column: str, rows: Int64[np.ndarray, " n"]
) -> Shaped[np.ndarray, " n"]:
    """The label or an attribute, in words."""
    if column == store.label:
        return np.array(store.classes)[store.labels(rows)]
    return group_names(store.samples[column].iloc[rows])
