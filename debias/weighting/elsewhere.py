"""Weights by groups that are annotated in another collection, and in this one nowhere."""

import warnings
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64, Int64

from debias.types import TrainingTable
from debias.weighting.group_balance import expected_balance
from debias.weighting.membership import restated
from debias.weighting.rule import Context, Foreign, Given, Need, Table
from debias.weighting.tempering import TemperedRule
from debias.weighting.weights import SamplingWeights


class Elsewhere(TemperedRule):
    """Weights w(x) proportional to (sum_g p(g | x) / n_g) ** tau, tau at most 1.

    The groups are learned in the collection under ``elsewhere``, by networks to which every image
    is shown in random styles; n_g are the expected counts here. No annotation of an image here is
    read. ``ess`` is the least that is wanted: weights that are more even stay as they are.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"elsewhere"})

    name: Literal["elsewhere"] = "elsewhere"

    @property
    def blind(self) -> bool:
        return True

    def score(self, context: Context) -> Given:
        """Log of the expected 1 / n_g."""
        found = context.elsewhere()

        def table() -> Table:
            known = found.load()
            member, score = self.balanced(known, context.labels)
            return context.table(score=score, membership=member), {"elsewhere": dict(known.figures)}

        return Given(table, inputs={"elsewhere": found.key})

    def balanced(
        self, known: Foreign, labels: Int64[np.ndarray, " n"]
    ) -> tuple[Float64[np.ndarray, "n g"], Float64[np.ndarray, " n"]]:
        """Membership under the shares that the groups have here, and the score.

        Warns where the shares may not be believed.
        """
        if doubts := known.figures["doubts"]:
            warnings.warn(
                f"nothing can be said of {known.figures['column']} here: {'; '.join(doubts)}; use "
                "a collection whose pictures look more like these",
                stacklevel=2,
            )
        member = restated(known.even, labels)
        parts = labels if self.across == "class" else np.zeros_like(labels)
        return member, np.log(expected_balance(member, parts))

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights from the score of the table; raises as :meth:`tempered`."""
        return self.tempered(table, {}, most=1.0)
