"""A weighting of the user's: a function from a table to weights, in place of a name."""

import numpy as np

from debias.own import Own, require
from debias.types import TrainingTable
from debias.weighting.rule import NEEDS, Need, Rule
from debias.weighting.weights import SamplingWeights, check


class OwnWeighting(Own, Rule):  # type: ignore[misc]
    """A function of :class:`debias.types.TrainingTable` that returns (n,) weights, any total.

    What the table holds beside ``sample_ids`` and ``labels`` the function asks for by an attribute:
    ``rule.needs = {"density"}``, see :class:`debias.weighting.rule.Rule`.
    """

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        asked = frozenset(getattr(self.given, "needs", ()))
        strange = sorted(map(str, asked - set(NEEDS)))
        require(not strange, self.called, f"its needs {strange} are unknown; known: {list(NEEDS)}")
        return asked

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """What the function returns, brought to sum 1.

        Raises:
            ConfigError: It returned something else than (n,) weights.
            NonFiniteWeightError: A weight is negative or not finite.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        found = np.asarray(self.given(table), dtype=np.float64)
        size = (len(table.sample_ids),)
        require(found.shape == size, self.called, f"weights of shape {size}, got {found.shape}")
        total = found.sum()
        require(bool(total), self.called, "its weights sum to 0")
        origin = {"rule": self.name, "called": self.called}
        weights = SamplingWeights(
            sample_ids=table.sample_ids, probability=found / total, origin=origin
        )
        return check(weights, allow_degenerate=False, remedy="make them more even")
