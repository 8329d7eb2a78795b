"""Draws from SamplingWeights, without the limits of torch's own weighted sampler."""

import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64
from torch.utils.data import Sampler

from debias.errors import ArtifactError
from debias.weighting.weights import SamplingWeights

VERSION = 2  # raised whenever the same seed draws other rows
BUCKETS = 256  # as many as one byte can name
ROWS_AT_ONCE = 65_536


def draw(
    probability: Float64[np.ndarray, " n"], size: int, generator: np.random.Generator
) -> Int64[np.ndarray, " size"]:
    """Draw row numbers independently with replacement, in random order, however many there are.

    Sorted uniforms, which are normalised running sums of exponentials, walk along the running sum
    of the probabilities. The rows found go to random buckets, then every bucket is shuffled, which
    stays in the cache.

    Reference:
        Devroye 1986, Non-Uniform Random Variate Generation, V.3.1 (sorted uniforms); Rao 1961,
        Generation of Random Permutation of Given Number of Elements Using Random Sampling Numbers,
        Sankhya A 23(3) (buckets).
    """
    from debias.loops import shuffle_buckets, walk

    spacings = generator.standard_exponential(size + 1)
    bucket = generator.integers(BUCKETS, size=size, dtype=np.uint8)
    count = np.bincount(bucket, minlength=BUCKETS)
    end = np.cumsum(count) - count  # the start of each bucket, which the walk moves to its end
    rows = walk(np.ascontiguousarray(probability), spacings, bucket, end)
    shuffle_buckets(rows, end, generator.random(size))
    return rows


class WeightedSampler(Sampler[int]):
    """Row numbers for one epoch after another, drawn in proportion to the weights.

    Every epoch has its own random stream, so ranks agree on the draws and share them out, and an
    interrupted epoch continues where it stopped.

    Args:
        weights: Probability of each row.
        num_samples: Draws per epoch over all ranks together.
        seed: Seed of the streams.
        rank: This process, in [0, world_size).
        world_size: Number of processes that share the draws.
    """

    def __init__(
        self,
        weights: SamplingWeights,
        num_samples: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must lie in [0, {world_size}), got {rank}")
        self._probability = weights.probability
        self._size, self._seed = num_samples, seed
        self._rank, self._world_size = rank, world_size
        self._epoch, self._position = 0, 0

    def __repr__(self) -> str:
        ranks = f", rank {self._rank} of {self._world_size}" if self._world_size > 1 else ""
        return (
            f"WeightedSampler of {self._size:,} draws from {len(self._probability):,} rows, "
            f"seed {self._seed}{ranks}, in epoch {self._epoch}"
        )

    def __len__(self) -> int:
        return len(range(self._rank, self._size, self._world_size))

    def __iter__(self) -> Iterator[int]:
        epoch, rows = self._epoch, self.epoch_rows()
        if not len(rows):  # more ranks than draws
            self._epoch += 1
        for start in range(self._position, len(rows), ROWS_AT_ONCE):
            for done, row in enumerate(rows[start : start + ROWS_AT_ONCE].tolist(), start + 1):
                # An epoch is over with its last row, not with the question for one more.
                over = done == len(rows)
                self._epoch, self._position = (epoch + 1, 0) if over else (epoch, done)
                yield row

    def epoch_rows(self, epoch: int | None = None) -> Int64[np.ndarray, " m"]:
        """All rows that this rank draws in an epoch (by default the current one)."""
        number = self._epoch if epoch is None else epoch
        generator = np.random.default_rng([self._seed, number])
        return draw(self._probability, self._size, generator)[self._rank :: self._world_size]

    def state_dict(self) -> dict[str, int]:
        """Where the epoch stands, and what decides on its draws; the same on every rank."""
        return {"epoch": self._epoch, "position": self._position, **self._draws}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue where the sampler stood that gave the state.

        Raises:
            ArtifactError: The state is incomplete, or of a sampler that draws other rows.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ArtifactError(
                f"the state of a sampler has {', '.join(sorted(own))}, this one "
                f"{', '.join(sorted(map(str, state))) or 'nothing'}: load one made by state_dict()"
            )
        for name, value in self._draws.items():
            if state[name] != value:
                raise ArtifactError(
                    f"the state is of a sampler with {name} {state[name]}, this one has {value}: "
                    "it would draw other rows; build it as it was, or start afresh"
                )
        epoch, position = state["epoch"], state["position"]
        if epoch < 0 or not 0 <= position <= len(self):
            raise ArtifactError(
                f"the state stands at row {position} of epoch {epoch}, and an epoch has "
                f"{len(self)} rows: it was altered; start afresh"
            )
        over = position == len(self)  # by a rank with one row more
        self._epoch, self._position = (epoch + 1, 0) if over else (epoch, position)

    @cached_property
    def _draws(self) -> dict[str, int]:
        return {
            "seed": self._seed,
            "num_samples": self._size,
            "world_size": self._world_size,
            "weights": zlib.crc32(np.ascontiguousarray(self._probability).data),
        }


def shuffled(rows: int, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """Every row once, in random order."""
    return generator.permutation(rows).astype(np.int64)
