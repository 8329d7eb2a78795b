"""A value that a notebook shows as the page that the command writes, and as single charts."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Shown:
    """Knows that it can be shown, not how: pages lie floors above and load when asked for."""

    def _repr_html_(self) -> str:
        return str(_views().framed(self))

    def save_html(self, path: str | Path) -> Path:
        """Write the page, self-contained, for its owner alone; or StorageError."""
        return Path(_views().save(self, Path(path)))

    @property
    def charts(self) -> tuple[str, ...]:
        """Names of the charts that :meth:`plot` draws, the most telling one first."""
        return tuple(_views().look(self).drawings())

    def plot(self, chart: str | None = None) -> "Figure":
        """Draw one of ``charts`` as a matplotlib figure; None for the first.

        Raises:
            ConfigError: There is no such chart.
            DataError: There is nothing to draw.
        """
        figure: Figure = _views().plot(self, chart)
        return figure


def _views() -> Any:  # noqa: ANN401 (the one arrow that points up, by name)
    return import_module("debias.notebook.views")
