"""Weights of latents that no machine holds, by Dask: every worker sums over shards of its own.

Counts and limits are those of one process to the last bit, and so are the directions, whose sums
are taken over the same pieces in the same order. Sums over weights are grouped otherwise, which
changes weights by about 1e-15 of their size.

``n`` samples, ``k`` latent dimensions, ``m`` samples of one block.
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from debias.density import FittedDensity, HistogramDensity, NeighbourDensity, Points
from debias.density.histogram import FittedHistogram
from debias.density.points import Limits, limits_of
from debias.density.principal import PrincipalComponents, rows_of_moments
from debias.errors import (
    AllDimensionsInactiveError,
    ConfigError,
    DataError,
    NonFiniteLatentError,
    StorageError,
)
from debias.storage.sealed import sealing
from debias.storage.shards import Shard
from debias.weighting.blocks import (
    Crew,
    DaskRows,
    Files,
    Work,
    current_client,
    joined,
    later,
    results,
)
from debias.weighting.latent_rarity import LatentRarity
from debias.weighting.latent_weights import FEW, checked, estimator_of
from debias.weighting.tempering import ENOUGH_FOR_A_GUESS, Score, Tempering, Whole
from debias.weighting.weights import WARN_SHARE

if TYPE_CHECKING:
    from debias.weighting.blocks import Array, Client, Future

VALUES_AT_ONCE = 2**25  # of a piece of work: 128 MiB of float32
EACH_WORKER = 4  # pieces of work, at least, so that none waits long for the last


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardWeights:
    """How often to draw each row of some shards; the workers keep the weights.

    Attributes:
        weight: (n,), mean 1, in the order of the shards.
        masses: (blocks,), the sum over each block of ``weight``.
        ess: Effective sample size as a share of n, in (0, 1].
        largest: Weight, in multiples of the mean.
        origin: How they came about, as of :class:`debias.SamplingWeights`.
        shards: Whose rows they are; none of a Dask array.
    """

    weight: "Array"
    masses: Float64[np.ndarray, " blocks"]
    ess: float
    largest: float
    origin: Mapping[str, Any]
    shards: tuple[Shard, ...] = ()
    client: "Client"

    def __len__(self) -> int:
        return int(self.weight.shape[0])

    def draw(self, size: int, *, seed: int) -> "Array":
        """Row numbers (size,) drawn with replacement in proportion to the weights.

        How many fall on each block is drawn first, then which they are: the numbers are
        distributed as independent draws are, and come block by block, in random order within each.
        """
        shares = self.masses / self.masses.sum()
        counts = np.random.default_rng([seed, 0]).multinomial(size, shares).tolist()
        starts = [*accumulate(self.weight.chunks[0], initial=0)]
        blocks = zip(self.weight.to_delayed(), counts, starts, strict=False)
        found = [
            later(_drawn, block, count, start, [seed, place])
            for place, (block, count, start) in enumerate(blocks, 1)
        ]
        return self.client.persist(joined(found, counts, np.int64))

    def save(self, folder: Path) -> None:
        """Write ``NAME.npy`` (rows,) for each shard; the folder is there once all of it is.

        Raises:
            StorageError: It is there already, or cannot be written.
            WorkerError: A worker was lost again and again.
            ConfigError: They are weights of a Dask array.
        """
        if not self.shards:
            raise ConfigError(
                "these are weights of a Dask array, which has no shards to name files after; write "
                "them by Dask: dask.array.to_npy_stack(folder, found.weight)"
            )
        if folder.exists():
            raise StorageError(f"{folder.absolute()} is there already; choose another place")
        sizes = tuple(shard.rows for shard in self.shards)
        blocks = self.weight.rechunk((sizes,)).to_delayed()
        with sealing(folder.absolute(), {"weights": {**self.origin}}) as temporary:
            work = [
                later(_write, block, temporary / f"{shard.name}.npy")
                for block, shard in zip(blocks, self.shards, strict=True)
            ]
            deque(results(self.client.compute(work)), maxlen=0)


def shard_weights(  # noqa: PLR0913 (one call is the point)
    z: "Array | Sequence[str | Path | Shard] | str | Path",
    *,
    client: "Client | None" = None,
    columns: Sequence[str] = (),
    density: str | HistogramDensity | NeighbourDensity = "histogram",
    ess: float | Literal["published"] = 0.5,
    alpha: float = 0.01,
    cap: float = 20.0,
) -> ShardWeights:
    """How often to draw each row of shards so that training sees more of what is rare.

    The weights are those of :func:`debias.latent_weights` without labels, with the target
    ``uniform``, of the shards one after another.

    Args:
        z: A Dask array (n, k), or addresses of shards (:mod:`debias.storage.shards`): ``.npy``,
            ``.parquet`` or ``.zarr`` files, folders of them, patterns, which every worker sees.
        client: Of the cluster that does the work; None for the one that was last started.
        columns: Of Parquet shards, the dimensions; empty for what looks like an embedding.
        density: ``histogram``, ``knn`` or settings of one. Neighbours are looked for among evenly
            drawn samples, which are others than of one array: weights are then nearly the same.
        ess: As for :func:`debias.latent_weights`, and so are ``alpha`` and ``cap``.
        alpha: Smoothing.
        cap: Largest weight.

    Raises:
        ConfigError: A setting is unknown or out of range, or there is no client.
        DataError: A shard cannot be read, has another width or a value that is not finite.
        AllDimensionsInactiveError: Every column is constant.
        WorkerError: A worker was lost again and again.
    """
    estimator = estimator_of(density, 0)
    fit = FITS.get(type(estimator))
    if fit is None:
        raise ConfigError(
            f"over shards the density is 'histogram' or 'knn', got {estimator.name!r}: the others "
            "need all points in one memory"
        )
    rule = checked(lambda: LatentRarity(ess=ess, alpha=alpha, cap=cap, allow_degenerate=True))
    if not np.isfinite(rule.alpha):
        raise ConfigError(f"alpha must be finite, got {rule.alpha}; ess=1 gives uniform weights")
    source = DaskRows(z) if hasattr(z, "to_delayed") else Files.found(z, columns)
    if source.size < 2:
        raise DataError("there is 1 row of latents: nothing to compare it with; give at least 2")
    crew = Crew(current_client() if client is None else client)
    blocks, limits, dropped = _active(source, crew)
    fitted = fit(estimator, blocks, limits, crew)
    scored = crew.begin(crew.shared(partial(_score, fitted, rule.alpha)), blocks)
    scores = _Scores(crew, scored, [*crew.each(len, scored)])
    found = _Tempered.of(_Tempering(scores, rule.cap), rule.ess)
    about = {name: [value] for name, value in fitted.about.items()}
    origin = {
        "target": "uniform", "density": estimator.name, "dropped_dimensions": dropped,
        "outside": 0, **about, "rule": rule.name, "combine": rule.combine, "alpha": rule.alpha,
        "views": [*rule.views], "tau": found.tau, "capped": found.capped,
    }  # fmt: skip
    return ShardWeights(
        weight=found.weight, masses=found.masses, ess=found.ess, largest=found.largest,
        origin=origin, shards=source.shards, client=crew.client,
    )  # fmt: skip


class _Seen(NamedTuple):
    """Limits of a block; how many rows are not finite, and the first of them."""

    limits: Limits
    rows: int
    bad: int
    first: int


def _look(array: Float[np.ndarray, "m k"]) -> _Seen:
    bad = np.zeros(0, np.int64)
    # The sum is finite only if every value is, short of an overflow.
    if not np.isfinite(array.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    first = int(bad[0]) if len(bad) else -1
    return _Seen(limits_of(Points(mean=array)), len(array), len(bad), first)


def _active(source: Files | DaskRows, crew: Crew) -> tuple[list[Any], Limits, list[int]]:
    """Blocks of the columns that vary, their limits, and which columns do not.

    Raises:
        NonFiniteLatentError: Of some rows, of which the first is named.
        AllDimensionsInactiveError: None varies.
    """
    blocks = source.blocks(_rows(source.size, source.width, crew.size))
    seen = [*crew.each(_look, blocks)]
    if bad := sum(one.bad for one in seen):
        starts = accumulate((one.rows for one in seen), initial=0)
        row = next(at + one.first for one, at in zip(seen, starts, strict=False) if one.bad)
        raise NonFiniteLatentError(
            f"{bad} of {source.size} latents are not finite, first {source.place(row)}"
        )
    limits = reduce(Limits.merge, (one.limits for one in seen))
    varies = limits.varies
    if not varies.any():
        raise AllDimensionsInactiveError(
            f"none of {len(varies)} latent dimensions varies over the {source.size} samples: there "
            "is no density to estimate"
        )
    if not varies.all():
        columns = np.flatnonzero(varies)
        limits = Limits(low=limits.low[columns], high=limits.high[columns])
        blocks = source.blocks(_rows(source.size, len(columns), crew.size), columns)
    return blocks, limits, np.flatnonzero(~varies).tolist()


def _rows(size: int, width: int, workers: int) -> int:
    """Rows of a block: whole pieces of those over which one process sums."""
    piece = rows_of_moments(width)
    most, wanted = VALUES_AT_ONCE // (piece * width), size // (piece * EACH_WORKER * workers)
    return piece * max(1, min(most, wanted))


def _histogram(
    density: HistogramDensity, blocks: Sequence[Any], limits: Limits, crew: Crew
) -> FittedDensity:
    empty = density.suited(blocks, crew.each_points, limits)
    return reduce(FittedHistogram.merge, crew.each_points(empty.partial_fit, blocks))


def _neighbours(
    density: NeighbourDensity, blocks: Sequence[Any], limits: Limits, crew: Crew
) -> FittedDensity:
    """Compared with samples evenly spaced in the order of the shards, beyond 5 directions or not.

    One array is read in an order of its own, so that other samples stand for all.
    """
    projection = PrincipalComponents.of_shards(blocks, density.components, crew.each_points, limits)
    ends = [*accumulate(crew.each(len, blocks), initial=0)]
    size, held = ends[-1], density.held(ends[-1])
    rows = np.arange(held) * size // held
    mine = np.split(rows, np.searchsorted(rows, ends[1:-1]))
    some = crew.rows(blocks, [own - start for own, start in zip(mine, ends, strict=False)])
    return density.among_some(some, size, projection)


FITS: Mapping[type, Callable[..., FittedDensity]] = {
    HistogramDensity: _histogram,
    NeighbourDensity: _neighbours,
}


def _score(fitted: FittedDensity, alpha: float, array: Float[np.ndarray, "m k"]) -> Score:
    return fitted.log_rarity(array, alpha=alpha)


class _Scores:
    """Scores that workers keep."""

    def __init__(self, crew: Crew, blocks: "list[Future]", sizes: Sequence[int]) -> None:
        self.crew, self.blocks, self.sizes = crew, blocks, sizes

    def __len__(self) -> int:
        return sum(self.sizes)

    def each(self, work: Work) -> Iterator[Any]:
        return self.crew.each(work, self.blocks)

    def every(self, step: int) -> Score:
        starts = [-start % step for start in accumulate(self.sizes, initial=0)]
        found = self.crew.client.map(_every, self.blocks, starts[:-1], step=step, pure=False)
        return np.concatenate([*results(found)])

    def at_least(self, least: float) -> Score:
        # Scores of histograms repeat: each comes once, with how often it is there.
        found = self.each(partial(_at_least, least))
        return np.concatenate([np.repeat(values, counts) for values, counts in found])


def _every(score: Score, start: int, step: int) -> Score:
    return score[start::step]


def _at_least(least: float, score: Score) -> tuple[Score, Int64[np.ndarray, " _"]]:
    values, counts = np.unique(score[score >= least], return_counts=True)
    return values, counts.astype(np.int64)


class _Tempering(Tempering):
    """Of scores that workers keep."""

    def __init__(self, scores: _Scores, cap: float) -> None:
        self.scores = scores
        super().__init__([scores], cap)

    def some(self) -> Whole | None:
        every = self.size // ENOUGH_FOR_A_GUESS
        if every < 2:
            return None
        score = self.scores.every(every)
        return Whole(score, np.zeros(len(score), np.int64), self.cap)


class _Figures(NamedTuple):
    total: float
    squares: float
    largest: float


def _figures(weight: Score) -> _Figures:
    return _Figures(float(weight.sum()), float(np.square(weight).sum()), float(weight.max()))


class _Tempered(NamedTuple):
    weight: "Array"
    masses: Float64[np.ndarray, " blocks"]
    ess: float
    largest: float
    tau: float
    capped: int

    @staticmethod
    def of(tempering: _Tempering, ess: float | Literal["published"]) -> "_Tempered":
        """Weights of mean 1; warns where they are more uneven than is good."""
        crew, size = tempering.scores.crew, tempering.size
        tau = tempering.span if isinstance(ess, str) else tempering.solve(ess)
        (part,) = tempering.parts
        level = part.level(tau)
        blocks = crew.begin(part.weigher(tau, level), tempering.scores.blocks)
        figures = [*crew.each(_figures, blocks)]
        total, squares = (sum(column) for column in [*zip(*figures, strict=True)][:2])
        reached = total**2 / (squares * size)
        if not isinstance(ess, str):
            tempering.warn(ess, reached)
        _warn(reached, size)
        weights = crew.begin(partial(np.multiply, size / total), blocks)
        weight = joined(weights, tempering.scores.sizes, np.float64)
        return _Tempered(
            weight=weight, ess=reached, tau=tempering.tau(tau),
            masses=np.array([one.total for one in figures]) * (size / total),
            largest=max(one.largest for one in figures) * size / total, capped=level.capped,
        )  # fmt: skip


def _warn(ess: float, size: int) -> None:
    effective = ess * size
    if ess < WARN_SHARE or (effective < FEW * (1 - 1e-9) and size >= FEW):
        warnings.warn(
            f"the weights are uneven: they count for {effective:.0f} samples of {size} "
            f"({ess:.1%}); raise ess for steadier training",
            stacklevel=4,
        )


def _drawn(weight: Score, count: int, start: int, seed: Sequence[int]) -> Int64[np.ndarray, " m"]:
    from debias.weighting.sampling import draw

    return draw(weight, count, np.random.default_rng(seed)) + start


def _write(weight: Score, file: Path) -> None:
    np.save(file, weight)
