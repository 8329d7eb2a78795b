"""Compiled loops, for what NumPy would need many passes or arrays of the size of the input.

Import this file inside the function that needs it: loading the compiler takes a few tenths of a
second, and the first call on a machine compiles for some seconds more. Every loop lets other
threads run.

The loops over latents see ``m`` rows of ``k`` columns. A value x of column j falls in the bin
``floor((x * unit - start) * density + NUDGE)``, kept within the first and the last; the rows of
``grid`` (4, k) are unit, start, density and the last bin. The loops over draws are those of
:func:`debias.sampling.draw`.
"""

from collections.abc import Callable
from typing import no_type_check

import numba
import numpy as np

# A value on an edge belongs to the bin above, also if rounding puts it a little below: whole
# numbers stay in their bins whatever their unit.
NUDGE = 1e-6


def compiled[**P, R](loop: Callable[P, R]) -> Callable[P, R]:
    """Compile on the first call; keep the result for later processes where a folder allows it."""
    try:
        return numba.njit(loop, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # neither this folder nor the user's can be written
        return numba.njit(loop, nogil=True, error_model="numpy")
