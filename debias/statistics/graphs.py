"""Questions in order of priority -> p-values that hold for all of them together.

``m`` hypotheses.
"""

import numpy as np
from jaxtyping import Float64

PerQuestion = Float64[np.ndarray, " m"]


def graphical(
    p: PerQuestion,
    weights: PerQuestion,
    passed_on: Float64[np.ndarray, "m m"],
    error: float = 0.05,
) -> tuple[PerQuestion, PerQuestion]:
    """Adjust p-values by a graph: what a rejected hypothesis was allowed goes to others.

    Args:
        p: Of each hypothesis.
        weights: Share of the error that each is allowed at first; together at most 1.
        passed_on: Row by row, the shares that each passes to the others once rejected; at most 1.
        error: That all together may make.

    Returns:
        Adjusted p-values, each to be compared with ``error``, and the share of it that each
        hypothesis was allowed: when it was rejected, or when no other could be. With equal weights
        that are passed on equally this is the procedure of Holm, with weight 1 passed from one to
        the next the fixed sequence.

    Reference:
        Bretz, Maurer, Brannath and Posch, "A graphical approach to sequentially rejective multiple
        test procedures", Statistics in Medicine 28, 2009, algorithms 1 and 2.
    """
    weights, passed_on = weights.astype(np.float64).copy(), passed_on.astype(np.float64).copy()
    adjusted, allowed = np.ones(len(p)), np.zeros(len(p))
    left, largest = np.ones(len(p), dtype=bool), 0.0
    while left.any():
        needed = np.full(len(p), np.inf)
        np.divide(p, weights, out=needed, where=left & (weights > 0))
        if not np.isfinite(needed).any():
            break
        j = int(np.argmin(needed))
        if largest <= error:
            allowed[left] = weights[left]
        largest = max(largest, float(needed[j]))
        adjusted[j], left[j] = min(largest, 1.0), False
        weights, passed_on = _without(j, weights, passed_on, left)
    return adjusted, allowed


def _without(
    j: int, weights: PerQuestion, passed_on: Float64[np.ndarray, "m m"], left: np.ndarray
) -> tuple[PerQuestion, Float64[np.ndarray, "m m"]]:
    """The graph of the hypotheses that are left, after one was rejected."""
    into, onward = passed_on[:, j], passed_on[j]
    rest = 1 - into * onward  # without what would come back
    possible = np.outer(left & (rest > 0), left) & ~np.eye(len(left), dtype=bool)
    through = passed_on + np.outer(into, onward)
    changed = np.divide(through, rest[:, None], out=np.zeros_like(passed_on), where=possible)
    return np.where(left, weights + weights[j] * onward, 0.0), changed
