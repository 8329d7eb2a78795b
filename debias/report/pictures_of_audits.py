"""What stands beside an audit document and is not a number: faces, decoded strips, the map."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, Shaped, UInt8

from debias.statistics.groupings import UNKNOWN

FEW = 11  # images; a group of fewer is not told from the others


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditMap:
    """The two-dimensional map of the latent space; it may be given where faces may not be shown.

    Attributes:
        xy: (m, 2), finite; only distances between near neighbours mean anything.
        density: (m,), how crowded the surroundings of each image are, on any rising scale.
        cluster: (m,), number of the cluster as in the document.
        region: (m,), number of the thin region as in the document; 0 for none.
        attributes: Name of an annotation to its (m,) values as text, ``unknown`` where nobody said.
        thumbnail_rows: (t,), rows of ``xy`` of which there is a thumbnail.
        thumbnails: ``uint8 (t, H, W, 3)``, or None.
    """

    xy: Float[np.ndarray, "m 2"]
    density: Float[np.ndarray, " m"]
    cluster: Int64[np.ndarray, " m"]
    region: Int64[np.ndarray, " m"]
    attributes: Mapping[str, Shaped[np.ndarray, " _"]] = field(default_factory=dict)
    thumbnail_rows: Int64[np.ndarray, " t"] = field(
        default_factory=lambda: np.zeros(0, dtype=np.int64)
    )
    thumbnails: UInt8[np.ndarray, "t H W 3"] | None = None

    @classmethod
    def of(cls, drawn: pd.DataFrame, groups: pd.DataFrame) -> "AuditMap":
        """Without thumbnails, from the drawn rows of an audit's images and their annotation."""
        return cls(
            xy=drawn[["x", "y"]].to_numpy(),
            density=-drawn["rarity"].to_numpy(dtype=np.float64),
            cluster=drawn["cluster"].to_numpy(dtype=np.int64),
            region=drawn["region"].to_numpy(dtype=np.int64),
            attributes={str(name): column.to_numpy(dtype=str) for name, column in groups.items()},
        )

    def countable(self, attribute: str, stated: Mapping[str, object]) -> list[str]:
        """Values that may be told apart, commonest first: withheld counts could be read off a map.

        Args:
            attribute: One of the annotations.
            stated: Group (``attribute:value``) to its count, None where that is withheld; a value
                needs one. Where nothing at all is stated, it needs enough points.
        """
        values, counts = np.unique(self.attributes[attribute].astype(str), return_counts=True)
        kept = [
            (-count, str(value)) for value, count in zip(values, counts, strict=True)
            if (stated.get(f"{attribute}:{value}") is not None if stated else count >= FEW)
        ]  # fmt: skip
        return [value for _, value in sorted(kept) if value not in ("", UNKNOWN)]

    def __post_init__(self) -> None:
        columns = {"density": self.density, "cluster": self.cluster, "region": self.region}
        for name, column in (columns | dict(self.attributes)).items():
            if len(column) != len(self.xy):
                raise ValueError(f"xy has {len(self.xy)} rows and {name} {len(column)}")
        if not (np.isfinite(self.xy).all() and np.isfinite(self.density).all()):
            raise ValueError("xy and density must be finite; leave out what is not drawn")
        count = 0 if self.thumbnails is None else len(self.thumbnails)
        if count != len(self.thumbnail_rows):
            raise ValueError(f"{len(self.thumbnail_rows)} thumbnail_rows for {count} thumbnails")
        if count and not 0 <= self.thumbnail_rows.min() <= self.thumbnail_rows.max() < len(self.xy):
            raise ValueError(f"thumbnail_rows must be rows of the {len(self.xy)} places")


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditPictures:
    """Pictures behind an audit page; all but the map are empty unless faces may be shown.

    Attributes:
        faces: Id in the document to ``uint8 (H, W, 3)``, all of one size.
        pages: Name of a latent page to ``uint8 (rows, columns, H, W, 3)``.
        regions: Number of a thin region to ``uint8 (steps, H, W, 3)``, decoded from the bulk of
            the images to the region.
        directions: Number of a direction to ``uint8 (steps, H, W, 3)``, decoded along it.
        map: Where the images lie.
    """

    faces: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)
    pages: Mapping[str, UInt8[np.ndarray, "_ _ _ _ 3"]] = field(default_factory=dict)
    regions: Mapping[int, UInt8[np.ndarray, "_ _ _ 3"]] = field(default_factory=dict)
    directions: Mapping[int, UInt8[np.ndarray, "_ _ _ 3"]] = field(default_factory=dict)
    map: AuditMap | None = None

    def __post_init__(self) -> None:
        for name, axes in (("faces", 3), ("pages", 5), ("regions", 4), ("directions", 4)):
            for key, picture in getattr(self, name).items():
                if picture.dtype != np.uint8 or picture.ndim != axes or picture.shape[-1] != 3:
                    raise ValueError(
                        f"{name}[{key!r}] must be uint8 with {axes} axes, the last of length 3; "
                        f"got {picture.dtype} {picture.shape}"
                    )
        sizes = {face.shape for face in self.faces.values()}
        if len(sizes) > 1:
            raise ValueError(f"faces must be of one size, got {sorted(sizes)}")
