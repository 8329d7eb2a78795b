"""Built-in faces: drawn portraits of people who do not exist, every factor known.

Images: procedural colour portraits of any size, drawn on demand from a table of factors.
Label: ``smiling``, by whether the corners of the mouth (factor ``smile``) are raised.
Attributes: ``skin_tone_group`` (dark below a skin tone of 0.5, light from there on),
``presentation`` (feminine or masculine) and ``glasses``; true by construction, not annotated.
Splits: training and validation from one population, test from another, in equal cells.
Source: this file. Licence: the project's.
Known problems: stylised. What is measured on these faces shows how a method works, not how well
it would do on photographs. Few dark-skinned faces are hard for a small network for a physical
reason: lips are darker than light skin but lighter than dark skin, so what shows a smile there
has the opposite contrast and has to be learned from dark-skinned faces.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64, UInt8
from pydantic import Field, field_validator
from scipy.special import ndtr

from debias.datasets.portrait import FACTORS, portraits
from debias.plugins import Settings
from debias.seeding import numpy_generator
from debias.types import Collection

RENDERER_VERSION = 1  # part of the fingerprint: raise it when any pixel changes

CORRELATIONS = {
    "skin_tone,hair_lightness": 0.65,
    "skin_tone,eye_lightness": 0.5,
    "skin_tone,hair_curl": -0.4,
    "femininity,hair_length": 0.7,
}

Knots = tuple[tuple[float, float], ...]


def render(factors: pd.DataFrame, size: int = 64) -> UInt8[np.ndarray, "n H W 3"]:
    """Draw every row of ``factors``; a row always gives the same image, wherever it stands.

    Args:
        factors: A column for each of :data:`~debias.datasets.portrait.FACTORS`; others are
            ignored.
        size: Side of the images in pixels, at least 16.

    Raises:
        ValueError: A factor is missing or outside its limits, or the size is too small.
    """
    if size < 16:
        raise ValueError(f"a face needs at least 16 pixels a side, got {size}")
    missing = [name for name in FACTORS if name not in factors]
    if missing:
        raise ValueError(f"cannot draw faces without the factors {', '.join(missing)}")
    columns = {name: factors[name].to_numpy(dtype=np.float64) for name in FACTORS}
    for name, (low, high, _) in FACTORS.items():
        outside = ~((columns[name] >= low) & (columns[name] <= high))  # NaN is outside, too
        if outside.any():
            raise ValueError(
                f"{outside.sum()} values of {name} are not in [{low}, {high}], first "
                f"{columns[name][outside][0]}"
            )
    images = np.empty((len(factors), size, size, 3), np.uint8)
    chunk = max(1, 32 * 64 * 64 // size**2)  # the planes of so many faces stay in the cache
    for start in range(0, len(factors), chunk):
        rows = slice(start, start + chunk)
        images[rows] = portraits({name: column[rows] for name, column in columns.items()}, size)
    return images


def annotations(factors: pd.DataFrame) -> pd.DataFrame:
    """The label and the attributes in words, one row a face."""
    columns = {
        "smiling": np.where(factors["smile"] < 0.25, "not smiling", "smiling"),
        "skin_tone_group": np.where(factors["skin_tone"] < 0.5, "dark", "light"),
        "presentation": np.where(factors["femininity"] < 0.5, "masculine", "feminine"),
        "glasses": np.where(factors["eyewear"] < 1e-6, "no glasses", "glasses"),
    }
    return pd.DataFrame(columns, index=factors.index)


def counterfactual(
    factors: pd.DataFrame, **changes: float | np.ndarray | pd.Series
) -> pd.DataFrame:
    """The same people with some factors replaced by a value, or one a row, and their words too."""
    unknown = sorted(set(changes) - set(FACTORS))
    if unknown:
        raise ValueError(f"no such factor: {', '.join(unknown)}; known: {', '.join(FACTORS)}")
    changed = factors.copy()
    for name, value in changes.items():
        changed[name] = np.broadcast_to(value, len(factors))
    words = annotations(changed)
    for name in words.columns.intersection(factors.columns):
        changed[name] = words[name]
    return changed


class Population(Settings):
    """Who is in a set of drawn faces: shares, and correlations through a Gaussian copula."""

    dark_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of faces with dark skin (tone 0 to 0.4)."
    )
    feminine_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of faces with a feminine presentation."
    )
    beard_share: float = Field(
        default=0.3, ge=0, le=1, description="Share of masculine faces with a beard."
    )
    glasses_share: float = Field(default=0.25, ge=0, le=1, description="Share with glasses.")
    smile_share: float = Field(default=0.5, ge=0, le=1, description="Share of smiling faces.")
    background: Literal["studio", "loud"] = Field(
        default="studio",
        description="Quiet studio portraits, or snapshots before loud colours and patterns.",
    )
    correlations: Mapping[str, float] = Field(
        default=CORRELATIONS,
        description="Correlation, between -1 and 1, of two factors named 'first,second'.",
    )

    @field_validator("correlations")
    @classmethod
    def _possible(cls, correlations: Mapping[str, float]) -> Mapping[str, float]:
        if np.linalg.eigvalsh(_correlation(correlations)).min() < 1e-6:
            raise ValueError("these correlations contradict each other; bring some closer to 0")
        return correlations

    def sample(self, n: int, generator: np.random.Generator) -> pd.DataFrame:
        """Draw the factors of ``n`` faces independently of each other."""
        mixing = np.linalg.cholesky(_correlation(self.correlations))
        # A product of matrices rounds by the number of threads, and would change content keys.
        normal = np.einsum("nj,kj->nk", generator.standard_normal((n, len(SAMPLED))), mixing)
        knots = {name: np.array(given).T for name, given in self._marginals().items()}
        columns = {
            name: np.interp(ndtr(column), *knots[name])
            for name, column in zip(SAMPLED, normal.T, strict=True)
        }
        columns["beard"] *= columns["femininity"] < 0.5
        columns["noise_seed"] = generator.integers(0, 2**31, n)
        return pd.DataFrame(columns)

    def sample_cells(self, n: int, generator: np.random.Generator) -> pd.DataFrame:
        """Draw ``n`` faces of which each skin tone x label cell is its share, rounded.

        Skin tone and label are independent of each other here, whatever the correlations say.
        """
        cells = []
        for dark, n_dark in _halves(n, self.dark_share):
            for smile, n_cell in _halves(n_dark, self.smile_share):
                cell = self.model_copy(update={"dark_share": dark, "smile_share": smile})
                cells.append(cell.sample(n_cell, generator))
        faces = pd.concat(cells, ignore_index=True)
        return faces.iloc[generator.permutation(n)].reset_index(drop=True)

    def _marginals(self) -> dict[str, Knots]:
        """The quantile function of each factor, as straight lines between (share, value)."""
        limits = {name: _between(factor.low, factor.high) for name, factor in FACTORS.items()}
        shares = {
            "skin_tone": _split(self.dark_share, (0.0, 0.4), (0.6, 1.0)),
            "femininity": _split(1 - self.feminine_share, (0.0, 0.3), (0.7, 1.0)),
            "smile": _split(1 - self.smile_share, (-0.3, 0.05), (0.45, 1.0)),
            "beard": _split(1 - self.beard_share, (0.0, 0.0), (0.35, 1.0)),
            "eyewear": _split(1 - self.glasses_share, (0.0, 0.0), (0.3, 1.0)),
        }
        return limits | STUDIO | (LOUD if self.background == "loud" else {}) | shares


class SyntheticFaces(Settings):
    """Drawn faces with known factors: no download, no real person."""

    annotation: ClassVar[str] = (
        "The faces are drawn: label and attributes are the factors they were drawn from."
    )
    source: ClassVar[str] = "drawn"
    name: Literal["synthetic"] = "synthetic"
    population: Population = Field(
        default=Population(), description="Whom training and validation show."
    )
    test_population: Population = Field(
        default=Population(), description="Whom the test shows, in exact shares."
    )
    n_train: int = Field(default=6000, ge=8, le=1_000_000, description="Training faces.")
    n_validation: int = Field(default=600, ge=8, le=100_000, description="Validation faces.")
    n_test: int = Field(default=2000, ge=8, le=100_000, multiple_of=4, description="Test faces.")

    @property
    def factors(self) -> tuple[str, ...]:
        """What is known of every face, as a number."""
        return SAMPLED

    def independent(self, n: int, generator: np.random.Generator) -> pd.DataFrame:
        """Factors of ``n`` faces of this population, none of which tells anything of another.

        Of two halves of people as many; only a beard still takes a masculine face.
        """
        even = {"correlations": {}, "dark_share": 0.5, "feminine_share": 0.5}
        return self.population.model_copy(update=even).sample(n, generator)

    def collect(self, seed: int) -> Collection:
        """Draw up the faces of all splits; the test's own shares are met exactly."""
        draws = {
            "train": (self.population.sample, self.n_train),
            "validation": (self.population.sample, self.n_validation),
            "test": (self.test_population.sample_cells, self.n_test),
        }
        drawn = [
            sample(count, numpy_generator(seed, f"synthetic/{split}")).assign(split=split)
            for split, (sample, count) in draws.items()
        ]
        faces = pd.concat(drawn, ignore_index=True)
        samples = pd.concat([faces[["split"]], annotations(faces), faces[list(FACTORS)]], axis=1)
        samples.insert(0, "sample_id", [f"synthetic-{row:06d}" for row in range(len(samples))])
        settings = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        content = f"{settings}/{seed}/{RENDERER_VERSION}"
        fingerprint = hashlib.sha256(content.encode()).hexdigest()
        return Collection(samples=samples, draw=render, fingerprint=fingerprint, distinct=True)


SAMPLED = tuple(name for name in FACTORS if name != "noise_seed")


def _between(low: float, high: float) -> Knots:
    return ((0.0, low), (1.0, high))


def _split(share: float, below: tuple[float, float], above: tuple[float, float]) -> Knots:
    """The first ``share`` of faces lies in one range, the others in the other."""
    return ((0.0, below[0]), (share, below[1]), (share, above[0]), (1.0, above[1]))


def _mostly(usual: tuple[float, float], extremes: tuple[float, float]) -> Knots:
    """Seven of eight faces lie in the usual range, the others on both sides of it."""
    return ((0.0, extremes[0]), (0.0625, usual[0]), (0.9375, usual[1]), (1.0, extremes[1]))


def _halves(n: int, share: float) -> tuple[tuple[float, int], tuple[float, int]]:
    """How many of ``n`` have a property, and how many do not, each with its share there."""
    having = round(n * share)
    return (1.0, having), (0.0, n - having)


def _correlation(correlations: Mapping[str, float]) -> Float64[np.ndarray, "f f"]:
    """The copula's correlation matrix.

    Raises:
        ValueError: A pair is not two different factors, is named twice, or is not in (-1, 1).
    """
    matrix = np.eye(len(SAMPLED))
    for pair, value in correlations.items():
        names = [name.strip() for name in pair.split(",")]
        if len(set(names)) != 2 or not set(names) <= set(SAMPLED):
            raise ValueError(f"{pair!r} must be two of: {', '.join(SAMPLED)}")
        if not -1 < value < 1:
            raise ValueError(f"the correlation of {pair} must be between -1 and 1, got {value}")
        first, second = (SAMPLED.index(name) for name in names)
        if matrix[first, second]:
            raise ValueError(f"the correlation of {pair} is given twice")
        matrix[first, second] = matrix[second, first] = value
    return matrix


# What is usual in the studio, where it is narrower than what can be drawn.
STUDIO: dict[str, Knots] = {
    "mouth_open": _split(0.6, (0.0, 0.0), (0.15, 1.0)),
    "mouth_width": _between(0.85, 1.15),
    "lip_fullness": _between(0.7, 1.3),
    "face_width": _between(0.93, 1.05),
    "nose_width": _between(0.85, 1.3),
    "eye_open": _between(0.85, 1.1),
    "hair_lightness": ((0.0, 0.0), (0.6, 0.5), (1.0, 1.0)),
    "hair_redness": _split(0.9, (0.0, 0.0), (0.3, 1.0)),
    "hair_curl": _split(0.5, (0.0, 0.0), (0.2, 1.0)),
    "yaw": _between(-0.22, 0.22),
    "roll": _between(-0.07, 0.07),
    "shift_x": _between(-0.025, 0.025),
    "shift_y": _between(0.05, 0.10),
    "scale": _between(1.12, 1.20),
    "light_azimuth": _between(-0.8, 0.8),
    "light_elevation": _between(0.1, 0.8),
    "ambient": _between(0.35, 0.60),
    "exposure": _between(0.85, 1.10),
    "light_saturation": _between(0.0, 0.04),
    "backdrop_saturation": _between(0.03, 0.15),
    "backdrop_lightness": _between(0.50, 0.75),
    "pattern_strength": _between(0.0, 0.0),
    "pattern_frequency": _between(1.0, 4.0),
    "clothing_saturation": _between(0.10, 0.45),
    "clothing_lightness": _between(0.20, 0.80),
    "noise_level": _between(0.003, 0.008),
}
# Snapshots: backdrop, exposure and framing vary more than the people do, so that what is rare
# here is a photograph and hardly ever a person.
LOUD: dict[str, Knots] = {
    "backdrop_saturation": _between(0.5, 1.0),
    "backdrop_lightness": _between(0.1, 1.0),
    "pattern_lightness": _between(0.1, 1.0),
    "pattern_strength": _between(0.3, 1.0),
    "pattern_frequency": ((0.0, 0.3), (0.7, 0.9), (1.0, 2.5)),
    "clothing_saturation": _between(0.3, 0.9),
    "clothing_lightness": _between(0.1, 1.0),
    "light_saturation": _between(0.0, 0.3),
    "exposure": _between(0.3, 1.3),
    "shift_x": _mostly((-0.06, 0.06), (-0.3, 0.3)),
    "shift_y": _mostly((0.03, 0.12), (-0.15, 0.3)),
    "scale": _mostly((0.95, 1.15), (0.6, 1.4)),
    "roll": _mostly((-0.07, 0.07), (-0.35, 0.35)),
}
