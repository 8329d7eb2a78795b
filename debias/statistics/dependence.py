"""Whether a label goes together with a group: the other way in which data can be one-sided."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped

TIED = 0.1  # Cramér's V: "small" for two values
SIGNIFICANT = 0.01


@dataclass(frozen=True, kw_only=True)
class Association:
    """How closely two columns go together."""

    cramers_v: float  # in [0, 1]: 0 when one says nothing about the other; NaN for a single value
    p_value: float  # of independence (chi-square); NaN likewise
    rarest_cell: tuple[str, str]  # label and group that fall furthest short of independence
    rarest_count: int  # samples of both
    expected_count: float  # as many as there would be under independence
    nested: bool  # whether every group stands with one label only, and says what the label says

    @property
    def tied(self) -> bool:
        """Whether the label counts as going with the group; False where nothing is defined."""
        return self.cramers_v >= TIED and self.p_value < SIGNIFICANT


def association(labels: Int64[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"]) -> Association:
    """Cramér's V with Bergsma's correction for its upward bias.

    Reference:
        Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T, Journal of the Korean
        Statistical Society 42.
    """
    from scipy.stats import chi2_contingency
    from scipy.stats.contingency import crosstab

    (values, names), counts = crosstab(labels, groups)  # (classes, g)
    result = chi2_contingency(counts, correction=False)
    rarest = int(np.argmin(counts / result.expected_freq))
    label, group = divmod(rarest, len(names))
    single = min(counts.shape) < 2
    return Association(
        cramers_v=np.nan if single else _corrected(float(result.statistic), counts),
        p_value=np.nan if single else float(result.pvalue),
        rarest_cell=(str(values[label]), str(names[group])),
        rarest_count=int(counts.flat[rarest]),
        expected_count=float(result.expected_freq.flat[rarest]),
        nested=bool(((counts > 0).sum(axis=0) == 1).all()),
    )


def _corrected(statistic: float, counts: Int64[np.ndarray, "classes g"]) -> float:
    size, (rows, columns) = int(counts.sum()), counts.shape
    if size < 2:
        return np.nan
    phi = max(0.0, statistic / size - (rows - 1) * (columns - 1) / (size - 1))
    corrected_rows = rows - (rows - 1) ** 2 / (size - 1)
    corrected_columns = columns - (columns - 1) ** 2 / (size - 1)
    widest = min(corrected_rows, corrected_columns) - 1
    return float(np.sqrt(phi / widest)) if widest > 0 else np.nan
