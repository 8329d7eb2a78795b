"""Placeholder; being written."""

from typing import Literal

from debias.density.histogram import HistogramDensity


class AggregateDensity(HistogramDensity):
    """Being written."""

    name: Literal["aggregate"] = "aggregate"  # type: ignore[assignment]
