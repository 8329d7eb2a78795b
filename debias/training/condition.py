"""A column of the samples that a model is told with every image.

``n`` samples, ``c`` values.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from debias.errors import DataError
from debias.types import FaceStore

MOST_VALUES = 100  # more are rather a number or a name than a condition
NAMED = 5  # values in a message


@dataclass(frozen=True)
class Condition:
    """A column, the label or an annotated attribute, and its values among the training images."""

    column: str
    values: tuple[str, ...]

    @staticmethod
    def among(store: FaceStore, column: str) -> "Condition":
        """The values that the training images have, sorted; a label's are its classes.

        Raises:
            DataError: There is no such column, or it has one value, or too many.
        """
        rows = store.rows("train")
        if column == store.label:
            return Condition(column, store.classes)
        found = tuple(sorted(set(_texts(store, column, rows).tolist())))
        if not 2 <= len(found) <= MOST_VALUES:
            raise DataError(
                f"the column {column!r} has {len(found)} different values among {len(rows)} "
                f"training images, first: {', '.join(map(repr, found[:NAMED]))}; a condition needs "
                f"2 to {MOST_VALUES}, each of many images: name another column in "
                "representation.model.condition, or one with these values in a few classes"
            )
        return Condition(column, found)

    def of(self, store: FaceStore, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n c"]:
        """A one in the column of each image's value, zeros elsewhere.

        Raises:
            DataError: The store lacks the column, or has values that were not trained on.
        """
        values, texts = np.array(self.values), _texts(store, self.column, rows)
        equal = texts[:, None] == values  # (n, c)
        strange = sorted(set(texts[~equal.any(axis=1)].tolist()))
        if strange:
            raise DataError(
                f"the column {self.column!r} has values that the model was not trained with: "
                f"{', '.join(map(repr, strange[:NAMED]))}; it knows "
                f"{', '.join(map(repr, self.values[:NAMED]))}: leave these images out, or train on "
                "images of each"
            )
        return equal.astype(np.float32)


def _texts(
    store: FaceStore, column: str, rows: Int64[np.ndarray, " n"]
) -> Shaped[np.ndarray, " n"]:
    if column == store.label:
        return np.array(store.classes)[store.labels(rows)]
    if column not in store.attributes:
        known = ", ".join(map(repr, (store.label, *store.attributes)))
        raise DataError(
            f"the images have no column {column!r} to be told as representation.model.condition; "
            f"they have {known}: name one of these, or add it to the attributes of the recipe"
        )
    return store.samples[column].to_numpy(dtype=str)[rows]
