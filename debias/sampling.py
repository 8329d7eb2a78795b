"""Draws from SamplingWeights, without the limits of torch's own weighted sampler."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int64
from torch.utils.data import Sampler

from debias.types import SamplingWeights


def draw(
    probability: Float64[np.ndarray, " n"], size: int, generator: np.random.Generator
) -> Int64[np.ndarray, " size"]:
    """Draw row numbers independently with replacement, in random order.

    Sorted uniforms (normalised sums of exponentials; Devroye 1986, V.3) walk the cumulative sum
    once from left to right, which the memory likes, and are shuffled afterwards. Works for any
    number of rows; ``torch.multinomial`` stops at 2^24.
    """
    cumulative = np.cumsum(probability)
    spacings = np.cumsum(generator.standard_exponential(size + 1))
    sorted_uniforms = spacings[:-1] / spacings[-1]
    rows = np.searchsorted(cumulative, sorted_uniforms * cumulative[-1], side="right")
    rows = np.minimum(rows, np.flatnonzero(probability)[-1]).astype(np.int64)
    generator.shuffle(rows)
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

    def __len__(self) -> int:
        return len(range(self._rank, self._size, self._world_size))

    def __iter__(self) -> Iterator[int]:
        for row in self.epoch_rows()[self._position :].tolist():
            self._position += 1
            yield row
        self._epoch, self._position = self._epoch + 1, 0

    def epoch_rows(self, epoch: int | None = None) -> Int64[np.ndarray, " m"]:
        """All rows that this rank draws in an epoch (by default the current one)."""
        number = self._epoch if epoch is None else epoch
        generator = np.random.default_rng([self._seed, number])
        return draw(self._probability, self._size, generator)[self._rank :: self._world_size]

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._position = state["epoch"], state["position"]


def shuffled(rows: int, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """Every row once, in random order."""
    return generator.permutation(rows).astype(np.int64)
