"""A correlation that is planted on purpose: in training, label and one column go together.

Every image is ``aligned`` (its column is on the side of its label) or ``conflicting``, and the
attribute ``tie`` says which; ``COLUMN_side`` says the side. The cells are label x tie, two of each.
The test set has as many images of every cell, so that accuracy over all of it is the mean over the
four cells, and accuracy over the conflicting ones the mean over the two that are rare in training
(the "unbiased" and the "conflict" accuracy of Hong and Yang, 2021, Unbiased Classification through
Bias-Contrastive and Bias-Balanced Learning).
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.errors import DataError, LabelError
from debias.ingesting.labels import clean_text, cleaned, coded, place_in_cell, require_column
from debias.ingesting.selection import Range, Rule, Tie, passes
from debias.types import SPLITS

TIE, ALIGNED, CONFLICTING = "tie", "aligned", "conflicting"


@dataclass(frozen=True, kw_only=True)
class Planting:
    """What a tie does to the samples of one label."""

    tie: Tie
    label: str  # column

    @property
    def names(self) -> list[str]:
        """The two label values."""
        return [clean_text(name) for name in self.tie.sides]

    @property
    def columns(self) -> tuple[str, str]:
        """Those whose crossing makes the cells, once ``label`` is the index of a class."""
        return ("label_text" if self.label == "label" else self.label), TIE

    def require(self, samples: pd.DataFrame) -> None:
        """Refuse samples to which nothing can be tied.

        Raises:
            LabelError: There is no label, or not every value of it has a side.
            GroupSchemaError: There is no such column.
            DataError: A value is on both sides, or a cell holds no image.
        """
        require_column(samples, self.label, "label", LabelError)
        require_column(samples, self.tie.column, "selection.tie")
        values = sorted(coded(samples[self.label])[1])
        if values != sorted(self.names):
            raise LabelError(
                f"selection.tie.sides has a side for {' and '.join(self.names)}, but {self.label} "
                f"holds {', '.join(values[:10])}: give each of its two values a side"
            )
        column = samples[self.tie.column]
        first, second = (passes(column, rule) for rule in self.tie.sides.values())
        if (both := first & second).any():
            raise DataError(
                f"selection.tie.sides: {both.sum():,} images have a {self.tie.column} that is on "
                f"both sides, first {clean_text(column[both].iloc[0])!r}; take it out of one of "
                "the two"
            )
        marked = self.marked(samples)
        held = np.bincount(self._cells(marked, self.label), minlength=4)
        if not held.all():
            raise DataError(
                f"selection.tie: no image is {self._cell(int(held.argmin()))} among "
                f"{len(samples):,}; name other values in selection.tie.sides, or use more images"
            )

    def marked(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The samples on a side, with the columns ``tie`` and ``COLUMN_side``."""
        sides = np.array([passes(samples[self.tie.column], rule) for rule in self._rules])  # (2, n)
        own = np.array(self.names)[:, None] == cleaned(samples[self.label]).to_numpy(dtype=str)
        tie = np.where((sides & own).any(axis=0), ALIGNED, CONFLICTING)
        side = np.where(sides[0], *map(_said, self._rules))
        found = np.flatnonzero(sides.any(axis=0))
        told = samples.assign(**{TIE: tie, f"{self.tie.column}_side": side})
        return told.iloc[found].reset_index(drop=True)

    def thinned(self, samples: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
        """As many images of each split as the tie allows, drawn at random.

        In training and validation ``share`` of the images of each label value (or of each side)
        are aligned, to half an image; in the test every cell has as many as the smallest.

        Raises:
            DataError: A split has images, but too few of a cell.
        """
        cells = self._cells(samples, self.columns[0])
        kept = np.zeros(len(samples), dtype=bool)
        for split in SPLITS:
            rows = generator.permutation(np.flatnonzero(samples["split"] == split))
            held = np.bincount(cells[rows], minlength=4)
            wanted = self._wanted(held, split)
            if len(rows) and not wanted.all():
                scarce = int(wanted.argmin())
                raise DataError(
                    f"selection.tie: of {len(rows):,} {split} images {held[scarce]:,} are "
                    f"{self._cell(scarce)}, and none of them can be used with a share of "
                    f"{self.tie.share:g}; use more images, a lower share, a larger split, or a "
                    "larger selection.tie.most"
                )
            kept[rows] = place_in_cell(cells[rows]) < wanted[cells[rows]]
        return samples[kept]

    def told(self, samples: pd.DataFrame) -> str:
        """What was planted, and how many images each cell has, in sentences."""
        cells = self._cells(samples, self.columns[0])
        found = []
        for split in SPLITS:
            held = np.bincount(cells[samples["split"] == split], minlength=4).reshape(2, 2)
            parts = (
                f"{name} {aligned:,} and {conflicting:,}"
                for name, (aligned, conflicting) in zip(self.names, held, strict=True)
            )
            found.append(f"{split} {', '.join(parts)}")
        return f"{self.sentence} Images aligned and conflicting: {'; '.join(found)}."

    @property
    def sentence(self) -> str:
        """What is planted."""
        rules = zip(self.names, self._rules, strict=True)
        sides = ", ".join(f"{name}: {_said(rule)}" for name, rule in rules)
        return (
            f"A correlation is planted (selection.tie): {100 * self.tie.share:g}% of the training "
            f"images of each {self.label if self.tie.within == 'label' else 'side'} are aligned "
            f"with {self.tie.column} ({sides})."
        )

    @property
    def _rules(self) -> list[Rule]:
        return list(self.tie.sides.values())

    def _cells(self, samples: pd.DataFrame, label: str) -> Int64[np.ndarray, " n"]:
        """0 and 1 for the first label value, aligned and conflicting, 2 and 3 for the second."""
        value = pd.Index(self.names).get_indexer(pd.Index(cleaned(samples[label])))
        return 2 * value.astype(np.int64) + (samples[TIE] == CONFLICTING).to_numpy()

    def _cell(self, number: int) -> str:
        value, conflicting = divmod(number, 2)
        side = self._rules[1 - value if conflicting else value]
        return f"{self.names[value]} with {self.tie.column} {_said(side)}"

    def _wanted(self, held: Int64[np.ndarray, " 4"], split: str) -> Int64[np.ndarray, " 4"]:
        if split == "test":
            return np.full(4, held.min())
        share = Fraction(str(self.tie.share))  # 1 - 0.95 in floating point loses an image
        # Who conflicts with one label is on the side of the other.
        order = [0, 1, 2, 3] if self.tie.within == "label" else [0, 3, 2, 1]
        wanted = list[int]()
        for aligned, conflicting in held[order].reshape(2, 2).tolist():
            images = int(min(aligned / share, conflicting / (1 - share)))
            images = min(images, self.tie.most or images)
            wanted += [round(images * share), images - round(images * share)]
        return np.array(wanted)[order]


def _said(rule: Rule) -> str:
    if isinstance(rule, list):
        return " or ".join(
            _said(one) if isinstance(one, Range) else clean_text(one) for one in rule
        )
    ends = (("from", rule.min), ("up to", rule.max))
    return " ".join(f"{word} {end:g}" for word, end in ends if end is not None) or "any number"
