"""Plain training."""

from typing import Literal

from debias.training.objectives.objective import Objective


class ERM(Objective):
    """Empirical risk minimisation: the mean cross-entropy of the draws (Vapnik 1991)."""

    name: Literal["erm"] = "erm"
