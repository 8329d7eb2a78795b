"""A last layer fitted again where every known group counts alike."""

from collections import Counter
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from debias.errors import DataError
from debias.statistics.groupings import CROSS, UNKNOWN
from debias.training.objectives.last_layer import Cells, LastLayer, require_cells
from debias.training.objectives.objective import GroupUse, Split, Task

ELSE = (
    ", name fewer attributes, leave that value out by selection.filters, or choose last_layer, "
    "which asks for no groups"
)


class DFR(LastLayer):
    """Deep feature reweighting: the last layer by logistic regression on even held-out groups.

    As :class:`LastLayer`, with cells of class and annotated groups of the validation images in
    place of classes, both where they are drawn evenly and where the penalty is chosen. Images of
    which some group is unknown are left out. Every value of every attribute must stand with every
    class; of their crossings those count that there are.

    Reference:
        Kirichenko, Izmailov, Wilson 2023, Last Layer Re-Training is Sufficient for Robustness to
        Spurious Correlations, section 4 (on validation data). Deviations: an L2 penalty in place of
        L1, which has no fit of several classes at once; it is chosen on all but the balanced half;
        features are standardised by the images that are fitted on.
    """

    uses_groups: ClassVar[GroupUse] = "selection"

    name: Literal["dfr"] = "dfr"  # type: ignore[assignment]

    def cells(self, task: Task) -> Cells:
        """Cell of class and annotated groups; -1 where one of them is unknown.

        Raises:
            DataError: A cell has too few images.
        """
        super().cells(task)
        table, labels = task.attributes_of(self.split), task.labels_of(self.split)
        known = (table != UNKNOWN).all(axis=1).to_numpy()
        if not known.any():
            raise DataError(
                f"{self.name} needs images of the {self.split} split whose groups are all "
                f"annotated ({', '.join(map(str, table))}), and none of {len(table):,} is one: "
                f"annotate some{ELSE}"
            )
        require_cells(self, _sizes(table[known], labels[known], task.classes), ELSE)
        return np.where(known, task.groups_of(self.split), -1)


class DFRTrain(DFR):
    """As :class:`DFR`, on the training images, from which the features were learned, too.

    Reference:
        Kirichenko et al. 2023, there DFR on training data. Deviation: its authors choose the
        penalty by validation images.
    """

    uses_groups: ClassVar[GroupUse] = "training"
    split: ClassVar[Split] = "train"

    name: Literal["dfr_train"] = "dfr_train"  # type: ignore[assignment]


def _sizes(table: pd.DataFrame, labels: Cells, classes: int) -> dict[str, int]:
    """Images of every class, of it with every value of an attribute, and of every crossing."""
    named = [[f"{column}:{value}" for value in table[column]] for column in table]
    crossed = [CROSS.join(parts) for parts in zip(*named, strict=True)]
    every = dict.fromkeys(value for values in named for value in values)  # in order
    found = {f"class {label}": int((labels == label).sum()) for label in range(classes)}
    found |= {f"class {label} with {value}": 0 for value in every for label in range(classes)}
    for values in (*named, crossed):
        found |= Counter(f"class {y} with {one}" for y, one in zip(labels, values, strict=False))
    return found
